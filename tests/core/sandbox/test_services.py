"""From a sandbox to accounts and a clock; from the plugins to the services."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from guestlist import ConfigError, Guestlist, State
from guestlist.plugins import Plugins, installed
from guestlist.running_sandbox import SandboxClock
from guestlist.sandbox import Sandbox, SandboxControl, SandboxError
from guestlist.sandbox.services import accounts_of, service_classes


@pytest.fixture
def running() -> Iterator[Sandbox]:
    with Sandbox(service_classes()) as sandbox:
        yield sandbox


def test_accounts_are_the_same_from_inside_and_from_outside(running: Sandbox) -> None:
    accounts = accounts_of(running)
    with SandboxControl(running.url) as control:
        assert accounts_of(control) == accounts
    assert {"aitronos", "vultr"} <= set(accounts)
    assert accounts["vultr"].base_url == running.services["vultr"].base_url


def test_no_secret_of_the_environment_gets_into_a_sandbox_account(
    running: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREDDY_JWT_TOKEN", "a-real-token")
    monkeypatch.setenv("VULTR_ORGANIZATION_ID", "a-real-organization")
    accounts = accounts_of(running)
    assert accounts["aitronos"].secrets() == (running.services["aitronos"].settings["api_key"],)
    assert accounts["vultr"].organization_id is None  # type: ignore[attr-defined]


def test_the_clock_follows_the_sandbox(running: Sandbox) -> None:
    running.clock.advance(timedelta(days=3))
    with SandboxControl(running.url) as control:
        ahead = SandboxClock(control.now).now() - running.clock.now()
    assert abs(ahead) < timedelta(seconds=5)


def test_a_service_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    vultr = installed().providers["vultr"]
    monkeypatch.setattr(vultr, "sandbox", "guestlist_vultr.sandbox:NoSuchService")
    plugins = Plugins(installed().manager, {"vultr": vultr})
    with pytest.raises(SandboxError, match="sandbox of the provider 'vultr'") as caught:
        service_classes(plugins)
    assert "\n" not in str(caught.value)


def test_the_variable_puts_every_client_on_the_sandbox(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VULTR_API_KEY", "a real key")
    with Sandbox(service_classes()) as sandbox:
        monkeypatch.setenv("GUESTLIST_SANDBOX", sandbox.url)
        with Guestlist() as guests:
            assert sorted(guests.accounts) == sorted(sandbox.services)
            guests.invite("ada@example.com", account="vultr")
            sandbox.clock.advance(timedelta(days=30))
        with Guestlist() as guests:
            assert guests.status("ada@example.com", account="vultr").state is State.EXPIRED


def test_with_the_variable_a_file_gives_the_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "guestlist.toml"
    file.write_text('[accounts.cloud]\nprovider = "vultr"\napi_key = { env = "NOT_SET" }\n')
    with Sandbox(service_classes()) as sandbox:
        monkeypatch.setenv("GUESTLIST_SANDBOX", sandbox.url)
        with Guestlist.from_file(file) as guests:
            assert list(guests.accounts) == ["cloud"]
            guests.invite("ada@example.com")
        assert [mail.to for mail in sandbox.outbox.emails] == ["ada@example.com"]


def test_a_variable_that_is_malformed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUESTLIST_SANDBOX", "http://[::1")
    with pytest.raises(ConfigError, match="the address in GUESTLIST_SANDBOX is invalid"):
        Guestlist()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense"])
def test_a_variable_that_leads_nowhere_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUESTLIST_SANDBOX", url)
    with pytest.raises(ConfigError, match=r"GUESTLIST_SANDBOX: no sandbox answers at") as caught:
        Guestlist()
    assert "guestlist sandbox" in caught.value.hint
