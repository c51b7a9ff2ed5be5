"""`plan`, `apply`, `settle` and `follow` as an application calls them, sync and async."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from sqlalchemy import update

import guestlist
from guestlist import AsyncGuestlist, Conflict, Forbidden, Guestlist, Ledger, Roster
from guestlist.ledger import deferred_grants, orders
from guestlist.ledger.order import row_of
from guestlist.ledger.schema import IS_DEFERRED
from guestlist.ledger.schema import orders as table
from guestlist.provider import Provider
from guestlist.runs.progress import (
    AwaitingAcceptance,
    Planned,
    ReadingAccount,
    Resuming,
    RunEnded,
    RunEvent,
    RunProgress,
    RunStarted,
)
from guestlist.runs.stop import Stop
from guestlist.sandbox import Sandbox
from pytest_guestlist.clock import VirtualClock

ADA, OMAR = "ada@example.com", "omar@example.org"
ROSTER = f"""
[accounts.vultr]
provider = "vultr"

[accounts.aitronos]
provider = "aitronos"

[[people]]
email = "{ADA}"
accounts.vultr = ["group:Engineering"]
accounts.aitronos = ["Member"]

[[people]]
email = "{OMAR}"
accounts.vultr = ["group:Support", "Billing Viewer", "group:Engineering"]
"""

Accept = Callable[..., None]


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "guestlist.toml"
    path.write_text(ROSTER)
    return path


@pytest.fixture
def ledger(tmp_path: Path, guestlist_clock: VirtualClock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "guestlist.db", clock=guestlist_clock) as ledger:
        yield ledger


@pytest.fixture
def client(
    guestlist_accounts: dict[str, Provider], guestlist_clock: VirtualClock, ledger: Ledger
) -> Iterator[Guestlist]:
    with Guestlist(guestlist_accounts, clock=guestlist_clock, ledger=ledger) as client:
        yield client


def emails(sandbox: Sandbox) -> Counter[tuple[str, str]]:
    return Counter((mail.service, mail.to) for mail in sandbox.outbox.emails)


def many(path: Path, people: int) -> None:
    addresses = ", ".join(f'"guest-{number}@example.com"' for number in range(people))
    path.write_text(
        f'[accounts.vultr]\nprovider = "vultr"\n'
        f"[[people]]\nemail = [{addresses}]\naccounts.vultr = true\n"
    )


# ---------------------------------------------------------------------------- sync


def test_a_plan_is_made_and_nothing_is_sent(
    roster: Path, client: Guestlist, ledger: Ledger, guestlist_sandbox: Sandbox
) -> None:
    events: list[RunEvent] = []
    with guestlist.plan(roster, client=client, ledger=ledger, on_progress=events.append) as plan:
        found = {(one.account, one.email, one.action.value) for one in plan.changes()}
    assert found == {
        ("vultr", ADA, "invite"),
        ("aitronos", ADA, "invite"),
        ("vultr", OMAR, "assign_role"),
    }
    assert {one.account for one in events if isinstance(one, ReadingAccount)} == {
        "vultr",
        "aitronos",
    }
    assert not guestlist_sandbox.outbox.emails


def test_apply_asks_sends_and_does_nothing_the_second_time(
    roster: Path, client: Guestlist, ledger: Ledger, guestlist_sandbox: Sandbox
) -> None:
    how: dict[str, Any] = {"client": client, "ledger": ledger}
    declined = guestlist.apply(roster, confirm=lambda _plan: False, **how)
    assert (declined.confirmed, declined.run) == (False, None)
    assert not guestlist_sandbox.outbox.emails

    events: list[RunEvent] = []
    asked: list[int] = []

    def confirm(plan: guestlist.Plan | guestlist.PlanFile) -> bool:
        asked.append(plan.summary.possible)
        return True

    done = guestlist.apply(
        Roster.from_file(roster), confirm=confirm, on_progress=events.append, **how
    )
    assert asked == [3]
    assert (done.confirmed, done.left, done.interrupted, done.errors) == (True, 0, False, [])
    assert sum((tally.done for tally in done.tallies.values()), Counter()) == {
        "invited": 2,
        "assigned": 1,
    }
    assert done.settled is not None
    assert (done.settled.waiting, done.settled.lost) == (1, 0)
    kinds = [type(one) for one in events]
    assert kinds.index(Planned) < kinds.index(RunStarted) < kinds.index(RunEnded)
    assert emails(guestlist_sandbox) == {("vultr", ADA): 1, ("aitronos", ADA): 1}

    again = guestlist.apply(roster, confirm=lambda _plan: pytest.fail("nothing to do"), **how)
    assert (again.confirmed, again.left, again.tallies) == (True, 0, {})


def test_a_deferred_role_is_given_after_acceptance(
    roster: Path, client: Guestlist, ledger: Ledger, guestlist_accept: Accept
) -> None:
    how: dict[str, Any] = {"client": client, "ledger": ledger}
    guestlist.apply(roster, **how)
    waiting = guestlist.settle(roster, wait=60, **how)
    assert [type(error).__name__ for error in waiting.errors] == ["WaitTimeout"]
    guestlist_accept(ADA, service="vultr")
    done = guestlist.settle(roster, **how)
    assert (len(done.runs), done.waiting, done.errors) == (1, 0, [])
    held = client.access(ADA, account="vultr").grants
    assert "Engineering" in {grant.role.name for grant in held}


def test_a_deferred_role_that_could_not_be_given_is_given_by_the_next_settle(
    roster: Path,
    client: Guestlist,
    ledger: Ledger,
    guestlist_accept: Accept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the service says to it may be over by then, such as a missing permission."""
    how: dict[str, Any] = {"client": client, "ledger": ledger}
    guestlist.apply(roster, **how)
    guestlist_accept(ADA, service="vultr")

    def refuse(*_: object, **__: object) -> None:
        raise Forbidden("not with this key", status=403).about(account="vultr", email=ADA)

    with monkeypatch.context() as patched:
        patched.setattr(Guestlist, "assign_role", refuse)
        failed = guestlist.settle(roster, **how)
        assert [type(error) for error in failed.errors] == [Forbidden]
    done = guestlist.settle(roster, **how)
    assert (len(done.runs), done.errors) == (1, [])
    assert guestlist.settle(roster, **how).runs == []


@pytest.mark.parametrize("name", ["group:Engineering", "Engineering"])
def test_a_role_that_version_01_deferred_by_name_is_given(
    roster: Path, client: Guestlist, ledger: Ledger, guestlist_accept: Accept, name: str
) -> None:
    guestlist.apply(roster, client=client, ledger=ledger)
    [order] = deferred_grants.all_deferred(ledger.store)
    by_name = order.change.model_copy(update={"roles": (name,)})
    facts = row_of(by_name, None, 0.0)
    columns = {"facts": facts["facts"], "role": facts["role"]}
    ledger.store.write(lambda c: c.execute(update(table).where(IS_DEFERRED).values(columns)))
    guestlist_accept(ADA, service="vultr")
    again = guestlist.apply(roster, client=client, ledger=ledger)  # it falls due, and not twice
    assert sum((tally.done for tally in again.tallies.values()), Counter()) == {"assigned": 1}
    assert list(deferred_grants.all_deferred(ledger.store)) == []


def test_what_people_answered_is_found_once(
    roster: Path, client: Guestlist, ledger: Ledger, guestlist_accept: Accept
) -> None:
    guestlist.apply(roster, client=client, ledger=ledger)
    assert guestlist.follow(client=client, ledger=ledger).waiting == 2
    guestlist_accept(ADA, service="vultr")
    first = guestlist.follow(client=client, ledger=ledger)
    assert [(one.account, one.email, one.state) for one in first.answers] == [
        ("vultr", ADA, "accepted")
    ]
    second = guestlist.follow(client=client, ledger=ledger, after=first.last)
    assert (second.answers, second.last, second.waiting) == ([], first.last, 1)


def test_a_plan_over_the_limits_is_refused_unless_forced(
    roster: Path, client: Guestlist, ledger: Ledger, guestlist_sandbox: Sandbox
) -> None:
    with roster.open("a") as file:
        file.write("[limits]\ninvitations = 1\n")
    with pytest.raises(Conflict, match="exceeds the limits of one run"):
        guestlist.apply(roster, client=client, ledger=ledger)
    assert not guestlist_sandbox.outbox.emails
    assert guestlist.apply(roster, client=client, ledger=ledger, force=True).left == 0


def test_a_saved_plan_does_not_go_on_after_the_last_day_of_somebody_in_it(
    roster: Path,
    client: Guestlist,
    ledger: Ledger,
    guestlist_sandbox: Sandbox,
    guestlist_clock: VirtualClock,
) -> None:
    many(roster, 80)
    with roster.open("a") as file:
        file.write(f"until = {guestlist_clock.now().date()}\n")
    how: dict[str, Any] = {"client": client, "ledger": ledger}
    saved = roster.with_name("team.plan")
    with guestlist.plan(roster, **how) as plan:
        plan.write(saved)
    with pytest.raises(KeyboardInterrupt):
        guestlist.apply(roster, plan=saved, on_progress=interrupt, **how)
    sent = emails(guestlist_sandbox)
    assert 0 < sent.total() < 80
    guestlist_clock.advance(timedelta(days=2))
    with pytest.raises(Conflict, match="was valid only until"):
        guestlist.apply(roster, plan=saved, **how)
    assert guestlist.apply(roster, **how).left == 0, "a new plan takes its place"
    assert emails(guestlist_sandbox) == sent


def interrupt(event: RunEvent) -> None:
    if isinstance(event, RunProgress) and sum(one.emails for one in event.tallies.values()) > 3:
        raise KeyboardInterrupt


def test_ctrl_c_is_raised_once_the_run_has_ended_cleanly(
    roster: Path, client: Guestlist, ledger: Ledger, guestlist_sandbox: Sandbox
) -> None:
    many(roster, 80)
    with pytest.raises(KeyboardInterrupt):
        guestlist.apply(roster, client=client, ledger=ledger, on_progress=interrupt)
    assert 3 < emails(guestlist_sandbox).total() < 80
    assert orders.unanswered_orders(ledger.store) == []

    events: list[RunEvent] = []
    done = guestlist.apply(roster, client=client, ledger=ledger, on_progress=events.append)
    assert any(isinstance(one, Resuming) for one in events)
    assert (done.left, set(emails(guestlist_sandbox).values())) == (0, {1})
    assert emails(guestlist_sandbox).total() == 80


def test_with_a_stop_the_result_says_that_the_run_was_interrupted(
    roster: Path, client: Guestlist, ledger: Ledger, guestlist_sandbox: Sandbox
) -> None:
    many(roster, 80)
    stop = Stop()

    def end(event: RunEvent) -> None:
        if isinstance(event, RunProgress):
            stop()

    done = guestlist.apply(roster, client=client, ledger=ledger, on_progress=end, stop=stop)
    assert done.interrupted
    assert done.left == 80 - emails(guestlist_sandbox).total()
    assert orders.unanswered_orders(ledger.store) == []


def test_without_a_client_the_roster_s_own_accounts_are_used(
    tmp_path: Path, guestlist_sandbox: Sandbox
) -> None:
    settings = guestlist_sandbox.services["vultr"].settings
    lines = "\n".join(f'{name} = "{value}"' for name, value in settings.items())
    path = tmp_path / "guestlist.toml"
    path.write_text(
        f'[accounts.cloud]\nprovider = "vultr"\n{lines}\n'
        f'[[people]]\nemail = "{ADA}"\naccounts.cloud = true\n'
    )
    assert guestlist.apply(path).left == 0
    assert emails(guestlist_sandbox) == {("vultr", ADA): 1}
    assert (tmp_path / "guestlist.db").exists()


# ---------------------------------------------------------------------------- async


@pytest.mark.parametrize("name", ["plan", "apply", "settle", "follow", "who", "audit"])
def test_the_async_twin_has_the_same_arguments(name: str) -> None:
    sync = dict(inspect.signature(getattr(guestlist, name)).parameters)
    twin = dict(inspect.signature(getattr(guestlist, f"{name}_async")).parameters)
    sync.pop("stop", None)
    assert {one: found.default for one, found in sync.items()} == {
        one: found.default for one, found in twin.items()
    }


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_async(
    roster: Path,
    ledger: Ledger,
    guestlist_accounts: dict[str, Provider],
    guestlist_clock: VirtualClock,
    guestlist_sandbox: Sandbox,
    guestlist_accept: Accept,
    anyio_backend: str,
) -> None:
    events: list[RunEvent] = []

    async def confirm(plan: guestlist.Plan | guestlist.PlanFile) -> bool:
        await anyio.lowlevel.checkpoint()
        return plan.summary.possible == 3

    async def on_progress(event: RunEvent) -> None:
        await anyio.lowlevel.checkpoint()
        events.append(event)

    async with AsyncGuestlist(guestlist_accounts, clock=guestlist_clock, ledger=ledger) as client:
        how: dict[str, Any] = {"client": client, "ledger": ledger}
        with await guestlist.plan_async(roster, **how) as plan:
            assert plan.summary.possible == 3
        done = await guestlist.apply_async(roster, confirm=confirm, on_progress=on_progress, **how)
        assert (done.left, done.errors) == (0, [])
        assert any(isinstance(one, RunEnded) for one in events)
        assert emails(guestlist_sandbox) == {("vultr", ADA): 1, ("aitronos", ADA): 1}
        await anyio.to_thread.run_sync(lambda: guestlist_accept(ADA, service="vultr"))
        found = await guestlist.follow_async(**how)
        assert [one.email for one in found.answers] == [ADA]
        settled = await guestlist.settle_async(roster, **how)
        assert (len(settled.runs), settled.errors) == (1, [])
        with pytest.raises(Conflict, match="no such thing"):
            await guestlist.apply_async(roster, on_progress=_fail, **how)


def _fail(event: RunEvent) -> None:
    raise Conflict("no such thing")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_cancelled_run_ends_cleanly_and_goes_on_later(
    roster: Path,
    ledger: Ledger,
    guestlist_accounts: dict[str, Provider],
    guestlist_clock: VirtualClock,
    guestlist_sandbox: Sandbox,
    anyio_backend: str,
) -> None:
    many(roster, 80)
    ended: list[RunEvent] = []
    with anyio.CancelScope() as scope:

        def on_progress(event: RunEvent) -> None:
            if isinstance(event, RunProgress):
                scope.cancel()
            if isinstance(event, RunEnded):
                ended.append(event)

        async with AsyncGuestlist(guestlist_accounts, clock=guestlist_clock) as client:
            await guestlist.apply_async(
                roster, client=client, ledger=ledger, on_progress=on_progress
            )
    assert scope.cancelled_caught
    assert len(ended) == 1, "the run has ended before the cancellation went on"
    assert emails(guestlist_sandbox).total() < 80
    assert orders.unanswered_orders(ledger.store) == []
    async with AsyncGuestlist(guestlist_accounts, clock=guestlist_clock) as client:
        done = await guestlist.apply_async(roster, client=client, ledger=ledger)
    assert (done.left, set(emails(guestlist_sandbox).values())) == (0, {1})
    assert emails(guestlist_sandbox).total() == 80


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("moment", [ReadingAccount, Planned])
async def test_a_call_that_is_cancelled_before_anything_is_sent(
    roster: Path,
    ledger: Ledger,
    guestlist_accounts: dict[str, Provider],
    guestlist_clock: VirtualClock,
    guestlist_sandbox: Sandbox,
    anyio_backend: str,
    moment: type[RunEvent],
) -> None:
    with anyio.CancelScope() as scope:

        def on_progress(event: RunEvent) -> None:
            if isinstance(event, moment):
                scope.cancel()

        async with AsyncGuestlist(guestlist_accounts, clock=guestlist_clock) as client:
            await guestlist.apply_async(
                roster, client=client, ledger=ledger, on_progress=on_progress
            )
    assert scope.cancelled_caught
    assert not guestlist_sandbox.outbox.emails


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_cancelled_wait_for_acceptance_ends(
    roster: Path,
    ledger: Ledger,
    guestlist_accounts: dict[str, Provider],
    guestlist_clock: VirtualClock,
    anyio_backend: str,
) -> None:
    with anyio.CancelScope() as scope:

        def on_progress(event: RunEvent) -> None:
            if isinstance(event, AwaitingAcceptance):
                scope.cancel()

        async with AsyncGuestlist(guestlist_accounts, clock=guestlist_clock) as client:
            await guestlist.apply_async(
                roster, client=client, ledger=ledger, on_progress=on_progress, wait=1e9
            )
    assert scope.cancelled_caught
