"""`config`: a file to begin with, and what is wrong with one."""

from __future__ import annotations

import io
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guestlist.sandbox import Sandbox
from guestlist_betterauth.sandbox import BetterAuthService

from .conftest import Cli

FILE = Path("guestlist.toml")


def test_init_writes_a_file_that_works_once_the_variables_are_set(
    plain: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plain("config", "init", "vultr", "aitronos")
    assert run.code == 0
    said = " ".join(run.out.split())
    assert "set VULTR_API_KEY, AITRONOS_ORGANIZATION_ID and FREDDY_API_KEY" in said
    assert FILE.stat().st_mode & 0o077 == 0
    written = tomllib.loads(FILE.read_text(encoding="utf-8"))
    assert written["accounts"]["vultr"] == {
        "provider": "vultr",
        "api_key": {"env": "VULTR_API_KEY"},
    }
    for name in ("VULTR_API_KEY", "AITRONOS_ORGANIZATION_ID", "FREDDY_API_KEY"):
        monkeypatch.setenv(name, "some-value")
    accounts = plain("config", "check", "--json").results
    assert [(row["account"], row["working"]) for row in accounts] == [
        ("vultr", None),
        ("aitronos", None),
    ]


def test_every_line_that_is_commented_out_would_be_valid(
    plain: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain("config", "init", "vultr")
    text = FILE.read_text(encoding="utf-8")
    lines = [
        line.removeprefix("# ")
        for line in text.splitlines()
        if " = " in line or line.removeprefix("# ").startswith("[")
    ]
    FILE.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("VULTR_API_KEY", "some-value")
    monkeypatch.setenv("VULTR_ORGANIZATION_ID", "some-id")
    assert plain("config", "check").code == 0


def test_init_never_overwrites(plain: Cli) -> None:
    FILE.write_text("precious")
    run = plain("config", "init")
    assert run.code == 2
    assert "guestlist.toml exists already" in run.err
    assert FILE.read_text() == "precious"
    assert plain("config", "init", "vultr", "--config", "other.toml").code == 0


class Terminal(io.StringIO):
    """Typed text; stderr, which pytest captures, counts as a terminal too."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sits at a terminal and types lines; the secret is typed where nothing is shown."""

    def type_lines(*lines: str, secret: str) -> None:
        monkeypatch.setattr("sys.stdin", Terminal("".join(f"{line}\n" for line in lines)))
        monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True, raising=False)
        monkeypatch.setattr("getpass.getpass", lambda _question: secret)

    return type_lines


@pytest.fixture
def account() -> Iterator[dict[str, str]]:
    with Sandbox([BetterAuthService]) as sandbox:
        yield sandbox.services["betterauth"].settings


def test_init_asks_in_a_terminal_and_checks_the_key(
    plain: Cli, typed: Callable[..., None], account: dict[str, str]
) -> None:
    typed(account["base_url"], account["organization_id"], secret=account["token"])
    run = plain("config", "init", "betterauth")
    assert run.code == 0
    assert "better-auth: the key can read (" in run.out
    assert "A key that may only read can pass" in run.err
    assert account["token"] not in run.out + run.err
    assert FILE.stat().st_mode & 0o077 == 0
    assert tomllib.loads(FILE.read_text())["accounts"]["betterauth"] == {
        "provider": "betterauth",
        **{name: account[name] for name in ("base_url", "token", "organization_id")},
    }
    assert plain("check", "--json").results[0]["working"] is True


@pytest.mark.parametrize(("answer", "written"), [("no", False), ("yes", True)])
def test_init_shows_why_a_key_does_not_work(
    plain: Cli, typed: Callable[..., None], account: dict[str, str], answer: str, written: bool
) -> None:
    typed(account["base_url"], account["organization_id"], answer, secret="wrong")
    run = plain("config", "init", "betterauth")
    assert (run.code == 0) is written
    assert "HTTP 401" in run.err
    assert FILE.exists() is written


def test_the_end_of_the_input_leaves_a_secret_for_later(
    plain: Cli, typed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_of_input(_question: str) -> str:
        raise EOFError

    typed("", "", "yes", secret="")
    monkeypatch.setattr("getpass.getpass", end_of_input)
    assert plain("config", "init", "betterauth").code == 0
    written = tomllib.loads(FILE.read_text())["accounts"]["betterauth"]
    assert written["token"] == {"env": "BETTER_AUTH_TOKEN"}


def test_what_is_left_for_later_is_a_variable(plain: Cli, typed: Callable[..., None]) -> None:
    typed("", "", "yes", secret="")
    assert plain("config", "init", "betterauth").code == 0
    written = tomllib.loads(FILE.read_text())["accounts"]["betterauth"]
    assert written["token"] == {"env": "BETTER_AUTH_TOKEN"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[accounts.x\n", "guestlist.toml:1: this is not valid TOML"),
        ("[acounts.x]\n", "guestlist.toml:1: acounts: there is no key 'acounts'"),
        ("[accounts.x]\n", "accounts.x.provider: it is missing"),
        ('[accounts.x]\nprovider = "vult"\n', "no provider 'vult' is installed"),
        ('[accounts.x]\nprovider = "vultr"\n', "api_key: it is missing (or set VULTR_API_KEY)"),
        ('[accounts.x]\nprovider = "vultr"\napikey = "k"\n', "no setting 'apikey'"),
    ],
)
def test_check_names_what_is_wrong(plain: Cli, text: str, message: str) -> None:
    FILE.write_text(text)
    run = plain("config", "check")
    assert run.code == 2
    assert message in run.err
    assert "guestlist.toml" in run.err
    assert "Traceback" not in run.err


def test_a_file_that_cannot_be_read(plain: Cli) -> None:
    FILE.mkdir()
    run = plain("members")
    assert run.code == 2
    assert "guestlist.toml cannot be read" in run.err


def test_path(plain: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plain("config", "path").out == "the environment\n"
    FILE.touch()
    assert plain("config", "path", "--json").results[0]["path"] == str(FILE.absolute())
    monkeypatch.setenv("GUESTLIST_CONFIG", "/elsewhere.toml")
    assert plain("config", "path").out == "/elsewhere.toml\n"


def test_init_makes_no_account_for_what_is_not_installed(plain: Cli) -> None:
    run = plain("config", "init", "acme")
    assert run.code == 2
    assert "pip install guestlist-acme" in run.err
    assert not FILE.exists()


def test_init_writes_the_file_that_the_variable_names(
    plain: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUESTLIST_CONFIG", "mine.toml")
    assert plain("config", "init").code == 0
    assert Path("mine.toml").exists()
    assert not Path("guestlist.toml").exists()


def test_the_key_of_another_account_is_not_needed(plain: Cli, sandbox: Sandbox) -> None:
    base_url = sandbox.services["vultr"].base_url
    key = sandbox.services["vultr"].settings["api_key"]
    FILE.write_text(
        f'[accounts.cloud]\nprovider = "vultr"\napi_key = "{key}"\nbase_url = "{base_url}"\n'
        '[accounts.office]\nprovider = "aitronos"\n'
        '[[people]]\nemail = "ada@example.com"\naccounts.cloud = true\n'
    )
    for words in (["members"], ["invite", "ada@example.com"], ["status", "ada@example.com"]):
        assert plain(*words, "-a", "cloud").code == 0
    run = plain("members")
    assert run.code == 2
    assert "accounts.office.organization_id: it is missing" in run.err
    run = plain("members", "-a", "clod")
    assert (run.code, "Did you mean 'cloud'?" in run.err) == (2, True)
