"""What limits a plan, how it is printed, and when `apply` asks."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from guestlist.changes import Action, Change
from guestlist.cli.changes import show_changes
from guestlist.cli.screen import Screen
from guestlist.ledger import Ledger, runs
from guestlist.sandbox import Sandbox

from .conftest import Cli

ROSTER = """
[accounts.cloud]
provider = "vultr"
[accounts.office]
provider = "aitronos"
[accounts.unused]
provider = "vultr"

[[people]]
email = ["ada@example.com", "Bob@example.com"]
accounts.cloud = true
accounts.office = ["Member"]
"""


@pytest.fixture(autouse=True)
def file() -> None:
    Path("guestlist.toml").write_text(ROSTER)


def test_accounts_and_addresses_limit_a_plan(cli: Cli) -> None:
    def planned(*words: str) -> set[tuple[str, str]]:
        rows = cli("plan", *words, "--json").results
        return {(row["account"], row["email"]) for row in rows if row["type"] == "change"}

    ada, bob = "ada@example.com", "Bob@example.com"
    assert planned("guestlist.toml") == {
        (account, email) for account in ("cloud", "office") for email in (ada, bob)
    }
    assert planned("-a", "cloud") == {("cloud", ada), ("cloud", bob)}
    assert planned("guestlist.toml", "bob@EXAMPLE.com") == {("cloud", bob), ("office", bob)}
    assert planned("ada@example.com", "-a", "office") == {("office", ada)}


def test_a_limited_apply_changes_nobody_else(cli: Cli, sandbox: Sandbox) -> None:
    done = cli("apply", "ada@example.com", "-a", "cloud", "--ledger", "ledger.db")
    assert done.code == 0, done.err
    assert [(mail.service, mail.to) for mail in sandbox.outbox.emails] == [
        ("vultr", "ada@example.com")
    ]
    cli("apply", "--ledger", "ledger.db")
    assert len(sandbox.outbox.emails) == 4


def test_pruning_takes_out_only_the_people_who_are_named(cli: Cli) -> None:
    members = [row["email"] for row in cli("members", "-a", "cloud", "--json").results]
    rows = cli("plan", "--prune", members[-1], "-a", "cloud", "--json").results
    changes = [(row["action"], row["email"]) for row in rows if row["type"] == "change"]
    assert changes == [("remove", members[-1])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eve@example.com"], "guestlist.toml does not name eve@example.com"),
        (["ada@"], "'ada@' is not an e"),
        (["-a", "clod"], "there is no account 'clod'"),
        (["-a", "unused"], "the roster does not name the account 'unused'"),
        (["one.toml", "two.toml"], "'two.toml' is not an email address"),
        (["--markdown", "--json"], "--markdown and --json exclude each other"),
    ],
)
def test_a_limit_that_is_wrong(cli: Cli, words: list[str], message: str) -> None:
    run = cli("plan", *words)
    assert run.code == 2
    assert message in run.err


def test_a_saved_plan_is_not_limited(cli: Cli) -> None:
    run = cli("apply", "--plan", "x.plan", "-a", "cloud")
    assert (run.code, "applied as a whole" in run.err) == (2, True)


def test_a_plan_as_markdown_is_one_fenced_table(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("guestlist.toml").write_text(
        ROSTER + '[[people]]\nemail = "a-very-long-name-that-is-wrapped@subdomain.example.com"\n'
        'accounts.cloud = ["group:Engineering", "policy:Compute"]\n'
    )
    lines = cli("plan", "--markdown").table
    assert lines[:4] == ["### Plan: 5 to invite.", "", "```text", "cloud  Vultr IAM"]
    assert lines[-1] == "```"
    assert lines.count("```") == 1
    assert sum(line.startswith("  +  invite  ") for line in lines) == 5
    assert any(line.endswith("when accepted  is not there") for line in lines)


def many(number: int) -> Any:
    def changes(_account: str) -> list[Change]:
        emails = [f"{place}@example.com" for place in range(number)]
        return [
            Change(action=Action.INVITE, account="cloud", email=email, key=email)
            for email in emails
        ]

    counts = {"cloud": {Action.INVITE: number}}
    return SimpleNamespace(
        summary=SimpleNamespace(counts=counts), changes=lambda account: iter(changes(account))
    )


@pytest.mark.parametrize(("number", "left"), [(40, 0), (41, 1), (1041, 1001)])
def test_a_terminal_shows_forty_changes_of_an_account(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    left: int,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    screen = Screen()
    assert screen.out.is_terminal
    show_changes(screen, many(number), {}, everything=False)
    out = capsys.readouterr().out
    assert out.count("@example.com") == 40
    assert (f"… and {left:,} more (-v shows all)" in out) is bool(left)


def test_verbose_shows_all_changes_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    show_changes(Screen(), many(41), {}, everything=True)
    assert capsys.readouterr().out.count("@example.com") == 41


@pytest.mark.parametrize("columns", [None, "80"])
def test_a_plan_in_a_pipe_is_complete(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str | None
) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS")
    show_changes(Screen(), many(141), {}, everything=False)
    out = capsys.readouterr().out
    assert out.count("@example.com") == 141
    assert "more" not in out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def real(plain: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs commands on an account that the command line does not know to be a sandbox's."""
    base_url = sandbox.services["vultr"].base_url
    Path("guestlist.toml").write_text(
        f'[accounts.cloud]\nprovider = "vultr"\nbase_url = "{base_url}"\n'
        '[[people]]\nemail = "ada@example.com"\naccounts.cloud = true\n'
    )
    monkeypatch.setenv("VULTR_API_KEY", sandbox.services["vultr"].settings["api_key"])
    return plain


def test_a_run_that_goes_on_asks_first(
    real: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as interrupted:
        interrupted.setattr(
            "guestlist.runs.applying.carry_out", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        assert real("apply", "--yes").code == 130
    with Ledger("guestlist.db") as ledger:
        assert runs.unfinished_run(ledger.store) is not None

    refused = real("apply")
    assert refused.code == 2
    assert "hint: Add --yes to confirm." in refused.err
    for typed, code in (("n\n", 1), ("y\n", 0)):
        monkeypatch.setattr("sys.stdin", Terminal(typed))
        monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        assert not sandbox.outbox.emails
        done = real("apply")
        assert done.code == code
        assert (
            "An earlier run was interrupted: 1 change left (--fresh makes a new plan)." in done.out
        )
        assert "Continue the earlier run? [y/N]" in done.err
    assert len(sandbox.outbox.emails) == 1


def test_no_warning_asks_for_force_that_was_given(cli: Cli) -> None:
    Path("guestlist.toml").write_text(ROSTER + "[limits]\ninvitations = 1\n")
    assert "add --force to `apply` to allow it" in cli("plan").err
    forced = cli("apply", "--force")
    assert forced.code == 0
    assert "exceed the limit of 1 for one run" in forced.err
    assert "--force" not in forced.err


@pytest.mark.parametrize("command", ["plan", "apply", "settle"])
def test_an_empty_roster_has_to_be_allowed(cli: Cli, command: str) -> None:
    Path("guestlist.toml").write_text(ROSTER)
    cli("apply", "--ledger", "ledger.db", "-a", "cloud")
    Path("guestlist.toml").write_text(
        ROSTER.partition("[[people]]")[0] + '[[people_from]]\nfile = "people.csv"\n'
        'accounts.cloud = ["group:Engineering"]\n'
    )
    Path("people.csv").write_text("email\n")
    run = cli(command, "--ledger", "ledger.db")
    assert run.code == 2
    assert "--allow-empty" in run.err
    assert cli(command, "--ledger", "ledger.db", "--allow-empty").code == 0


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_a_terminal_always_shows_the_roles_that_a_plan_gives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    email = "grace.hopper@engineering.example.com"
    change = Change(
        action=Action.ASSIGN_ROLE,
        account="cloud",
        email=email,
        key=email,
        roles=("group:Engineering", "policy:Compute"),
        reason="does not hold it",
    )
    plan: Any = SimpleNamespace(
        summary=SimpleNamespace(counts={"cloud": {Action.ASSIGN_ROLE: 1}}),
        changes=lambda _account: iter([change]),
    )
    show_changes(Screen(), plan, {}, everything=False)
    out = capsys.readouterr().out
    assert "group:Engineering" in out
    assert "policy:Compute" in out


def test_a_withdrawn_role_is_shown_by_its_name(cli: Cli) -> None:
    Path("guestlist.toml").write_text(ROSTER.partition("[[people]]")[0])
    roles = cli("roles", "-a", "cloud", "--json").results
    (identifier,) = [row["id"] for row in roles if row["name"] == "Engineering"]
    place = ("-a", "cloud", "--ledger", "ledger.db")
    assert cli("invite", "ada@example.com", "--role", identifier, *place).code == 0
    with Path("guestlist.toml").open("a") as file:
        file.write('[[people]]\nemail = "ada@example.com"\naccounts.cloud = ["group:Support"]\n')
    (line,) = [line for line in cli("plan", *place).table if line.startswith("  -  withdraw")]
    assert "group:Engineering" in line
    assert identifier not in line
