"""`onboard`, and the ledger that single changes are written down in."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.core.cli.conftest import Cli, Run

from guestlist.running_sandbox import SandboxClock
from guestlist.sandbox import Sandbox
from guestlist.sandbox.service import SandboxRefusal

ADA, GRACE = "ada@example.com", "grace@example.com"


@pytest.fixture
def while_waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Has something happen whenever a command waits, which then takes no time."""

    def set(act: Callable[[], None]) -> None:
        left = iter(range(20))

        def sleep(_clock: SandboxClock, seconds: float) -> None:
            if seconds < 1:  # for the service's pace
                time.sleep(seconds)
            else:
                next(left)  # nobody waits for ever
                act()

        monkeypatch.setattr(SandboxClock, "sleep", sleep)

    return set


def accept_all(sandbox: Sandbox) -> None:
    """Accepts what is open on Vultr. Several threads may do so at once."""
    service = sandbox.services["vultr"].service
    for one in service.snapshot()["invitations"]:
        if one["state"].lower() == "pending":
            with suppress(SandboxRefusal):
                service.accept(one["id"])


def written(path: Path | str = "guestlist.db") -> list[tuple[str, str, str | None]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT action, email, outcome FROM orders ORDER BY id").fetchall()
    connection.close()
    return found


# ---------------------------------------------------------------------------- onboard


def test_people_are_in_and_have_their_roles(
    cli: Cli, sandbox: Sandbox, while_waiting: Callable[[Callable[[], None]], None]
) -> None:
    while_waiting(lambda: accept_all(sandbox))
    run = cli("onboard", ADA, GRACE, "-a", "vultr", "--role", "group:Support")
    assert run.code == 0, run.err
    assert run.table == [
        "Guest              Account  Outcome    State     Invitation  Role",
        "ada@example.com    vultr    onboarded  accepted  invited     group:Support",
        "grace@example.com  vultr    onboarded  accepted  invited     group:Support",
    ]
    assert sorted(mail.to for mail in sandbox.outbox.emails) == [ADA, GRACE]


def test_again_it_changes_nothing_and_is_json(
    cli: Cli, sandbox: Sandbox, while_waiting: Callable[[Callable[[], None]], None]
) -> None:
    while_waiting(lambda: accept_all(sandbox))
    words = ("onboard", ADA, "-a", "vultr", "--role", "group:Support", "--json")
    cli(*words)
    [row] = cli(*words).results
    assert (row["type"], row["outcome"]) == ("onboard", "already_onboarded")
    assert row["guest"]["state"] == "accepted"
    assert row["invited"]["outcome"] == "already_member"
    assert [one["outcome"] for one in row["granted"]] == ["already_assigned"]
    assert row["missing"] == []
    assert row["access"]["grants"]
    assert len(sandbox.outbox.emails) == 1


def test_in_vain(cli: Cli, sandbox: Sandbox) -> None:
    run = cli("onboard", ADA, "-a", "vultr", "--timeout", "0.1")
    assert run.code == 4
    assert "did not become accepted in 0.1 s: still pending" in run.err
    assert len(sandbox.outbox.emails) == 1


def test_ctrl_c_says_how_to_go_on(
    cli: Cli, while_waiting: Callable[[Callable[[], None]], None]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    while_waiting(interrupt)
    run = cli("onboard", ADA, "-a", "vultr")
    assert run.code == 130
    assert f"{ADA}: the same command continues" in run.err


def test_an_invalid_role(cli: Cli, sandbox: Sandbox) -> None:
    run = cli("onboard", ADA, "-a", "vultr", "--role", "group:Suport")
    assert run.code == 2
    assert "group:Support" in run.err
    assert not sandbox.outbox.emails


# ---------------------------------------------------------------------------- the ledger


def test_changes_are_written_into_the_ledger_that_is_named(cli: Cli) -> None:
    place = ("-a", "vultr", "--ledger", "changes.db")
    assert cli("invite", ADA, *place, "--role", "group:Support").code == 0
    cli("resend", ADA, *place)
    cli("assign-role", "lena@example.org", "group:Support", *place)
    cli("unassign-role", "lena@example.org", "group:Support", *place)
    cli("remove", "omar@example.org", *place)
    assert written("changes.db") == [
        ("invite", ADA, "invited"),
        ("settle", ADA, None),
        ("resend", ADA, "resent"),
        ("assign_role", "lena@example.org", "assigned"),
        ("unassign_role", "lena@example.org", "unassigned"),
        ("remove", "omar@example.org", "removed"),
    ]
    assert not Path("guestlist.db").exists()


def test_deferred_roles_are_granted_with_the_same_ledger(cli: Cli, sandbox: Sandbox) -> None:
    Path("guestlist.toml").write_text('[accounts.vultr]\nprovider = "vultr"\n')
    cli("invite", ADA, "-a", "vultr", "--ledger", "changes.db", "--role", "group:Support")
    accept_all(sandbox)
    run = cli("settle", "--ledger", "changes.db")
    assert run.code == 0, run.err
    assert "group:Support" in cli("access", ADA, "-a", "vultr").out


def test_on_a_sandbox_nothing_is_written_into_the_real_ledger(cli: Cli) -> None:
    Path("guestlist.db").touch()
    cli("invite", ADA, "-a", "vultr")
    assert Path("guestlist.db").stat().st_size == 0


@pytest.fixture
def configured(plain: Cli, sandbox: Sandbox) -> Callable[..., Run]:
    """Runs a command on a configuration file whose account is the sandbox's."""

    def run(*words: str, more: str = "") -> Run:
        settings = sandbox.services["vultr"].settings
        lines = ["[accounts.cloud]", 'provider = "vultr"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        Path("there").mkdir(exist_ok=True)
        Path("there/guestlist.toml").write_text("\n".join([*lines, more]))
        return plain(*words, "--config", "there/guestlist.toml")

    return run


def test_without_a_ledger_none_is_begun(configured: Callable[..., Run]) -> None:
    assert configured("invite", ADA).code == 0
    assert [path.name for path in Path("there").iterdir()] == ["guestlist.toml"]
    refused = configured("invite", GRACE, "--role", "group:Support")
    assert refused.code == 2
    assert "A client with a ledger remembers them" in refused.err


def test_one_that_is_there_is_used(configured: Callable[..., Run]) -> None:
    configured("invite", ADA, "--ledger", "there/guestlist.db")
    configured("resend", ADA)
    assert [action for action, *_ in written("there/guestlist.db")] == ["invite", "resend"]
    configured("status", ADA)
    assert len(written("there/guestlist.db")) == 2


@pytest.mark.parametrize("url", ["sqlite:///mine.db", '{ env = "WHERE" }'])
def test_the_one_that_is_configured(
    configured: Callable[..., Run], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "sqlite:///mine.db")
    value = url if url.startswith("{") else json.dumps(url)
    assert configured("invite", ADA, more=f"[ledger]\nurl = {value}").code == 0
    assert written("there/mine.db") == [("invite", ADA, "invited")]


def test_an_invalid_ledger_location_is_reported_before_anything_is_sent(
    configured: Callable[..., Run], sandbox: Sandbox
) -> None:
    run = configured("invite", ADA, more="[ledger]\nurl = 5")
    assert run.code == 2
    assert "ledger.url: must be text" in run.err
    run = configured("invite", ADA, "--ledger", "nowhere/at/all.db")
    assert run.code == 1
    assert "cannot be opened: there is no folder" in run.err
    assert not sandbox.outbox.emails
