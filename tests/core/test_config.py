"""Accounts from a file or from the environment, and one clear error for whatever is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guestlist.config import find_config, load_config, open_config, read_config
from guestlist.errors import ConfigError, UnknownAccount
from guestlist.exchange.account import Budget
from guestlist.plugins import installed
from guestlist_vultr import Vultr

ACCOUNT = '[accounts.cloud]\nprovider = "vultr"\n'
KEY = 'api_key = "s3cr3t-key"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str | bytes, name: str = "guestlist.toml") -> Any:
    path = Path(name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_config(open_config(path), installed())


# ---------------------------------------------------------------------------- good files


def test_a_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_KEY", "from the environment")
    Path("key.txt").write_text("from a file\n")
    config = read(
        """
        allowed_domains = ["Example.com", "@bücher.example"]

        [budget]
        total = 60
        timeout = 7.5
        attempts = 2

        [accounts.cloud]
        provider = "vultr"
        api_key = { env = "CLOUD_KEY" }
        boolean = "json"

        [accounts."second one"]
        provider = "vultr"
        api_key = { file = "key.txt" }

        [accounts.team]
        provider = "aitronos"
        api_key = "ak"
        organization_id = "org_1"
        """
    )
    assert list(config.accounts) == ["cloud", "second one", "team"]
    assert config.accounts["cloud"].api_key == "from the environment"
    assert config.accounts["second one"].api_key == "from a file"
    assert config.accounts["team"].organization_id == "org_1"
    assert config.allowed_domains == {"example.com", "xn--bcher-kva.example"}
    assert config.budget == Budget(total=60, timeout=7.5, attempts=2)
    assert config.source == "guestlist.toml"
    assert "ak" not in repr(config).replace("base_url", "")


def test_what_is_left_out_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VULTR_API_KEY", "from outside")
    assert read(ACCOUNT).accounts["cloud"].api_key == "from outside"
    assert read(ACCOUNT + KEY).accounts["cloud"].api_key == "s3cr3t-key"


def test_a_file_beside_the_configuration_is_found_from_anywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sub").mkdir()
    Path("sub/key").write_text("k1")
    Path("sub/guestlist.toml").write_text(ACCOUNT + 'api_key = { file = "key" }')
    config = read_config(open_config(Path("sub/guestlist.toml")), installed())
    assert config.accounts["cloud"].secrets() == ("k1",)


def test_windows_editors_are_forgiven() -> None:
    text = (ACCOUNT + KEY).replace("\n", "\r\n")
    assert list(read(b"\xef\xbb\xbf" + text.encode()).accounts) == ["cloud"]


def test_imitations_instead_of_the_accounts() -> None:
    """No key is read, all else holds; nothing that is not imitated is reached."""
    cloud = Vultr(api_key="made up")
    text = (
        'allowed_domains = ["example.com"]\n[budget]\nattempts = 2\n'
        '[accounts.cloud]\nprovider = "vultr"\napi_key = { env = "NO_SUCH" }\n'
    )
    Path("guestlist.toml").write_text(text)
    config = read_config(open_config(Path("guestlist.toml")), installed(), instead={"vultr": cloud})
    assert config.accounts == {"cloud": cloud}
    assert config.allowed_domains == {"example.com"}
    assert config.budget == Budget(attempts=2)
    Path("guestlist.toml").write_text(text + '[accounts.office]\nprovider = "aitronos"\n')
    with pytest.raises(ConfigError) as caught:
        read_config(open_config(Path("guestlist.toml")), installed(), instead={"vultr": cloud})
    assert str(caught.value) == (
        "guestlist.toml:8: accounts.office.provider: the sandbox has no provider 'aitronos'."
        " Its providers are: vultr."
    )
    Path("guestlist.toml").write_text(text + '[accounts.office]\nprovider = "Vultur"\n')
    with pytest.raises(ConfigError, match="Did you mean 'vultr'"):
        read_config(open_config(Path("guestlist.toml")), installed(), instead={"vultr": cloud})


def test_an_empty_file_configures_nothing() -> None:
    assert read("").accounts == {}


# ---------------------------------------------------------------------------- wrong files

WRONG: dict[str, tuple[str | bytes, str, str]] = {
    "no TOML": ("accounts = [1,,]", "my.toml:1: this is not valid TOML", "line 1"),
    "twice": (ACCOUNT + ACCOUNT, "is not valid TOML", "line"),
    "domains of an account": (
        ACCOUNT + 'allowed_domains = ["example.com"]',
        "allowed_domains: this key cannot be set for a single account",
        "at the beginning of the file, before any [table]",
    ),
    "budget of an account": (
        ACCOUNT + "budget = { total = 5 }",
        "budget: this key cannot be set for a single account",
        "Write [budget] as a table of its own",
    ),
    "not UTF-8": (b"\xff\xfe", "cannot be read", "not UTF-8"),
    "unknown table": (
        "[account.cloud]",
        "account: there is no key 'account'",
        "Did you mean 'accounts'?",
    ),
    "unknown key": ("x = 1", "x: there is no key 'x'", "accounts, allowed_domains, budget"),
    "accounts": ("accounts = 1", ":1: accounts: it has to be a table", "[accounts]"),
    "account": ("accounts.cloud = 1", "accounts.cloud: it has to be a table", "[accounts.cloud]"),
    "no provider": ("[accounts.cloud]", "accounts.cloud.provider: it is missing", "vultr"),
    "number": (
        "[accounts.cloud]\nprovider = 1",
        "accounts.cloud.provider: it has to be text",
        "aitronos",
    ),
    "no name": (
        '[accounts.""]\nprovider = "vultr"',
        "is not a valid name of an account",
        "[accounts.cloud]",
    ),
    "unknown provider": (
        '[accounts.cloud]\nprovider = "vultre"',
        "my.toml:2: accounts.cloud.provider: no provider 'vultre' is installed",
        "Did you mean 'vultr'?",
    ),
    "missing provider": (
        '[accounts.cloud]\nprovider = "forge"',
        "my.toml:2: accounts.cloud.provider: no provider 'forge' is installed",
        "pip install guestlist-forge",
    ),
    "no key": (ACCOUNT, "accounts.cloud.api_key: it is missing (or set VULTR_API_KEY)", ":1: "),
    "empty key": (ACCOUNT + 'api_key = ""', ":3: ", "accounts.cloud.api_key: it is empty"),
    "key with a line": (ACCOUNT + 'api_key = "s3cr3t\\n"', "api_key", "whitespace"),
    "key as number": (ACCOUNT + "api_key = 7", "api_key", "string"),
    "key as list": (ACCOUNT + 'api_key = ["s3cr3t"]', "api_key", "string"),
    "misspelt setting": (ACCOUNT + KEY + 'apikey = "x"', "no setting 'apikey'", "api_key"),
    "wrong word": (ACCOUNT + KEY + 'boolean = "yes"', "boolean", "words"),
    "plain http": (ACCOUNT + KEY + 'base_url = "http://a.example"', "base_url", "https"),
    "missing variable": (
        ACCOUNT + 'api_key = { env = "NO_SUCH" }',
        "accounts.cloud.api_key: ",
        "the environment variable NO_SUCH is not set",
    ),
    "missing file": (
        ACCOUNT + 'api_key = { file = "no/such" }',
        "accounts.cloud.api_key: ",
        "no/such' cannot be read",
    ),
    "no path": (
        ACCOUNT + 'api_key = { file = "a\\u0000b" }',
        "accounts.cloud.api_key: ",
        "cannot be read",
    ),
    "unknown source": (
        ACCOUNT + 'api_key = { vault = "x" }',
        "accounts.cloud.api_key: ",
        '{ env = "NAME" }',
    ),
    "two sources": (
        ACCOUNT + 'api_key = { env = "A", file = "b" }',
        "accounts.cloud.api_key: ",
        '{ file = "path" }',
    ),
    "domains": ('allowed_domains = "example.com"', "allowed_domains", "a list of domains"),
    "domain": ("allowed_domains = [7]", "allowed_domains", "a list of domains"),
    "no domain": ('allowed_domains = ["*.a.example"]', "'*.a.example' is not a domain", '"example'),
    "budget": ("budget = 7", "budget: it has to be a table", "[budget]"),
    "budget name": (
        "budget.timeouts = 7",
        "budget.timeouts: there is no key 'timeouts'",
        "Did you mean 'timeout'?",
    ),
    "budget word": ('budget.total = "7"', "budget.total", "a number"),
    "budget flag": ("budget.total = true", "budget.total", "a number"),
    "budget zero": ("budget.total = 0", "budget.total", "above 0"),
    "budget negative": ("budget.timeout = -1", "budget.timeout", "at least 0"),
    "budget nan": ("budget.total = nan", "budget.total", "at least 0"),
    "budget inf": ("budget.total = inf", "budget.total", "finite"),
    "attempts": ("budget.attempts = 1.5", "budget.attempts", "whole number"),
    "max_body": ("budget.max_body = 1e6", "budget.max_body", "whole number"),
}


@pytest.mark.parametrize("what", WRONG)
def test_problems_are_reported_with_file_and_place(what: str) -> None:
    text, *told = WRONG[what]
    with pytest.raises(ConfigError) as caught:
        read(text, "my.toml")
    line = str(caught.value)
    assert line.startswith("my.toml")
    assert "\n" not in line
    assert [part for part in told if part not in line] == []
    assert "s3cr3t" not in line
    # nobody has to read how it was found out
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_all_problems_are_reported_with_their_lines() -> None:
    text = """\
allowed_domains = [
    "example.com",
    "*.example",    # line 3
]
budgett = 1

[accounts.cloud]    # line 7: no key
provider = "vultr"
apikey = "s3cr3t"
boolean = "perhaps"

[accounts.office]
provider = "aitronos"
api_key = { env = "NO_SUCH" }
organization_id = 7

["accounts"."x.y"]
provider = 7

[budget]
total = "7"
attempts = 0
"""
    with pytest.raises(ConfigError) as caught:
        read(text, "my.toml")
    told = [one.message.removeprefix("my.toml:") for one in caught.value.problems]
    assert told == [
        "3: allowed_domains.2: '*.example' is not a domain",
        "5: budgett: there is no key 'budgett'",
        "7: accounts.cloud.api_key: it is missing (or set VULTR_API_KEY)",
        "9: accounts.cloud.apikey: there is no setting 'apikey'",
        "10: accounts.cloud.boolean: it has to be 'words' or 'json'",
        "14: accounts.office.api_key: the environment variable NO_SUCH is not set",
        "15: accounts.office.organization_id: it has to be a valid string",
        "18: accounts.x.y.provider: it has to be text",
        "21: budget.total: it has to be a number",
        "22: budget.attempts: it has to be at least 1",
    ]
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("missing.toml", "there is no file missing.toml. `guestlist config init` writes one."),
        (".", "cannot be read: Is a directory"),
        ("file/guestlist.toml", "cannot be read: Not a directory"),
    ],
)
def test_no_file(path: str, told: str) -> None:
    Path("file").touch()
    with pytest.raises(ConfigError) as caught:
        open_config(Path(path))
    assert told in str(caught.value)


# ---------------------------------------------------------------------------- where from


def test_the_file_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREDDY_API_KEY", "ak")
    monkeypatch.setenv("AITRONOS_ORGANIZATION_ID", "org_1")
    Path("guestlist.toml").write_text(ACCOUNT + KEY)
    assert list(find_config(installed()).accounts) == ["cloud"]


def test_an_incomplete_account_in_the_environment_raises_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FREDDY_API_KEY", "ak")
    with pytest.raises(ConfigError) as caught:
        find_config(installed())
    assert "Aitronos: organization_id: it is missing (or set AITRONOS_ORG" in str(caught.value)
    monkeypatch.setenv("VULTR_API_KEY", "key")  # one that is whole is enough
    assert list(find_config(installed()).accounts) == ["vultr"]


def test_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("guestlist.toml").write_text("[nonsense]")
    Path("other.toml").write_text(ACCOUNT + KEY)
    monkeypatch.setenv("GUESTLIST_CONFIG", "other.toml")
    assert find_config(installed()).source == "other.toml"
    monkeypatch.setenv("GUESTLIST_CONFIG", "missing.toml")
    with pytest.raises(ConfigError, match=r"there is no file missing\.toml"):
        find_config(installed())


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_config(installed()).accounts == {}
    monkeypatch.setenv("VULTR_API_KEY", "vk")
    assert list(find_config(installed()).accounts) == ["vultr"]
    monkeypatch.setenv("FREDDY_API_KEY", "ak")
    assert list(find_config(installed()).accounts) == ["vultr"]  # which organization?
    monkeypatch.setenv("AITRONOS_ORGANIZATION_ID", "org_1")
    assert list(find_config(installed()).accounts) == ["aitronos", "vultr"]
    assert find_config(installed()).source == "the environment"


def test_an_organization_without_a_key_is_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AITRONOS_ORGANIZATION_ID", "org_1")
    monkeypatch.setenv("VULTR_ORGANIZATION_ID", "org_2")
    assert find_config(installed()).accounts == {}


@pytest.mark.parametrize("key", ["s3cr3t\r", "s3cr3t\n", " s3cr3t", "s3\x1bcr3t", " "])
def test_an_invalid_key_raises_an_error(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VULTR_API_KEY", key)
    with pytest.raises(ConfigError, match="the environment: Vultr IAM: api_key: it ") as caught:
        find_config(installed())
    assert "s3cr3t" not in str(caught.value)


TWO = '[accounts.cloud]\nprovider = "vultr"\napi_key = "k"\n[accounts.office]\nprovider = "acme"\n'


def test_settings_of_accounts_that_are_not_needed_are_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("guestlist.toml").write_text(TWO)
    with pytest.raises(ConfigError, match="no provider 'acme' is installed"):
        find_config(installed())
    assert list(
        load_config(open_config(Path("guestlist.toml")), installed(), only=["cloud"]).accounts
    ) == ["cloud"]
    with pytest.raises(UnknownAccount, match="there is no account 'clod'") as caught:
        load_config(open_config(Path("guestlist.toml")), installed(), only=["cloud", "clod"])
    assert caught.value.hint == "Did you mean 'cloud'?"


def test_variables_of_providers_that_are_not_needed_are_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VULTR_API_KEY", "not\na key")
    monkeypatch.setenv("FREDDY_API_KEY", "k")
    monkeypatch.setenv("AITRONOS_ORGANIZATION_ID", "org_1")
    with pytest.raises(ConfigError):
        find_config(installed())
    assert list(load_config(None, installed(), only=["aitronos"]).accounts) == ["aitronos"]
