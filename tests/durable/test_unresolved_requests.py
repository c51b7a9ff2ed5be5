"""What got no answer: it is looked for, and sent again only when that proves to be safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.durable.kit import (
    BUDGET,
    GRACE,
    LATE_EFFECT,
    LOST,
    OTHER,
    PAGE,
    START,
    VOID,
    Blind,
    Facts,
    Fault,
    Hasty,
    Machine,
    Process,
    _read,
    change,
    invites,
    late,
    refused,
)

from guestlist import Guestlist
from guestlist.changes import Action, Change
from guestlist.errors import LedgerError, Rejected
from guestlist.ledger import orders
from guestlist.ledger.entry import OrderEntry
from guestlist.ledger.order import SKEW
from guestlist.ledger.schema import OrderState
from guestlist.runs.account_worker import AccountWorker
from guestlist.runs.tally import Tally
from guestlist.runs.unresolved_requests import UnresolvedRequests
from guestlist.runs.work import orders_of_chunk
from pytest_guestlist.clock import VirtualClock

ADA = "ada@example.com"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "guestlist.db")


def test_an_early_look_that_finds_it_is_believed(machine: Machine) -> None:
    machine.service.faults[ADA] = [LOST]
    tally = machine.run(machine.begin([change(ADA)])).tallies["plain"]
    assert tally.done == {"invited": 1}
    assert machine.service.emails == {ADA: 1}
    assert machine.clock.monotonic() < GRACE
    assert machine.rows("email_sent, detail") == [
        {"email_sent": None, "detail": "The service did not answer; its lists show the effect."}
    ]


def test_it_is_sent_again_when_the_final_look_finds_nothing(machine: Machine) -> None:
    machine.service.faults[ADA] = [VOID, VOID]
    machine.run(machine.begin([change(ADA)]))
    assert machine.service.emails == {ADA: 1}
    assert machine.clock.monotonic() >= 2 * GRACE
    assert [row["attempts"] for row in machine.rows()] == [3]


def test_what_comes_late_is_waited_for(machine: Machine) -> None:
    machine.service.faults[ADA] = [late(LATE_EFFECT - 0.1)]
    machine.run(machine.begin([change(ADA)]))
    machine.service.finish()
    assert machine.service.emails == {ADA: 1}


def test_a_grace_period_that_is_too_short_makes_duplicates(tmp_path: Path) -> None:
    """The test above can fail."""
    machine = Machine(tmp_path / "guestlist.db", {"plain": Hasty})
    machine.service.faults[ADA] = [late(LATE_EFFECT - 0.1)]
    machine.run(machine.begin([change(ADA)]))
    machine.service.finish()
    assert machine.service.emails == {ADA: 2}


def test_many_unresolved_requests_are_looked_up_with_one_reading_of_the_list(
    machine: Machine,
) -> None:
    everybody = invites(200)
    for one in everybody:
        machine.service.faults[one.email] = [LOST]
    machine.run(machine.begin(everybody))
    assert machine.service.emails == {one.email: 1 for one in everybody}
    assert machine.clock.monotonic() < GRACE


def to_replace(machine: Machine) -> Change:
    invitation = _read(machine.service.add_invitation(ADA, "pending"))
    return change(ADA, Action.REPLACE, state="pending", invitation=invitation)


def test_a_replacement_that_is_refused_half_way_is_refused(machine: Machine) -> None:
    """Nothing is in doubt: the earlier one is withdrawn, and the new one is not made."""
    machine.service.faults[ADA] = [Fault(status=204), refused(400)]
    tally = machine.run(machine.begin([to_replace(machine)])).tallies["plain"]
    assert (tally.refused, tally.unknown) == ({"Rejected": 1}, 0)


def test_a_replacement_that_is_limited_half_way_is_made_later(machine: Machine) -> None:
    machine.service.faults[ADA] = [Fault(status=204), *[refused(429)] * 5]
    tally = machine.run(machine.begin([to_replace(machine)])).tallies["plain"]
    assert tally.done == {"invited": 1}
    assert machine.service.emails == {ADA: 1}


def test_what_was_withdrawn_without_an_answer_is_done(machine: Machine) -> None:
    machine.service.faults[ADA] = [LOST] * 4 + [refused(404)]
    gone = to_replace(machine).model_copy(update={"action": Action.REVOKE})
    tally = machine.run(machine.begin([gone])).tallies["plain"]
    assert sum(tally.done.values()) == 1
    assert tally.refused == {}


def test_what_was_never_there_is_refused(machine: Machine) -> None:
    machine.service.faults[ADA] = [refused(404)]
    gone = to_replace(machine).model_copy(update={"action": Action.REVOKE})
    tally = machine.run(machine.begin([gone])).tallies["plain"]
    assert tally.refused == {"NotFound": 1}


def test_what_a_key_was_refused_for_is_not_taken_for_done(machine: Machine) -> None:
    """With another key, of another organization perhaps, there is nobody of that name."""
    machine.service.faults[ADA] = [refused(401), refused(404)]
    run = machine.begin([to_replace(machine).model_copy(update={"action": Action.REVOKE})])
    assert machine.run(run).tallies["plain"].halted is not None
    assert machine.run(run).tallies["plain"].refused == {"NotFound": 1}


def test_it_is_given_up_when_nothing_ever_happens(machine: Machine) -> None:
    machine.service.faults[ADA] = [VOID] * 9
    tally = machine.run(machine.begin([change(ADA), *invites(3)])).tallies["plain"]
    assert tally.refused == {"ServiceUnavailable": 1}
    assert tally.done == {"invited": 3}
    assert machine.service.posts[ADA] == 5


def test_it_is_asked_again_with_what_the_look_has_seen(machine: Machine) -> None:
    old = machine.service.add_invitation(ADA, "expired")
    machine.clock.sleep(10)
    machine.service.faults[ADA] = [VOID]
    machine.service.answered = lambda: old.update(state="revoked")
    run = machine.begin([change(ADA, state="expired", invitation=_read(old))])
    machine.run(run)
    assert machine.service.emails == {ADA: 1}
    assert '"state":"revoked"' in machine.rows("facts")[0]["facts"]


def test_a_resend_is_known_by_its_expiry(machine: Machine) -> None:
    for fault in (LOST, VOID, late(LATE_EFFECT - 0.1)):
        old = machine.service.add_invitation(ADA, "expired")
        machine.clock.sleep(10)
        machine.service.faults[ADA] = [fault]
        machine.service.emails.clear()
        facts: Facts = {"state": "expired", "invitation": _read(old)}
        machine.run(machine.begin([change(ADA, Action.RESEND, **facts)]))
        machine.service.finish()
        assert machine.service.emails == {ADA: 1}
        machine.service.invitations.clear()


def test_a_resend_without_an_expiry_stays_unknown(machine: Machine) -> None:
    old = machine.service.add_invitation(ADA)
    old["expires"] = None
    machine.clock.sleep(10)
    machine.service.faults[ADA] = [VOID]
    facts: Facts = {"state": "pending", "invitation": _read(old)}
    tally = machine.run(machine.begin([change(ADA, Action.RESEND, **facts)])).tallies["plain"]
    assert tally.unknown == 1
    assert machine.service.posts == {ADA: 1}


def test_nothing_is_sent_again_where_nobody_can_look(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "guestlist.db", {"blind": Blind})
    machine.service.faults[ADA] = [LOST]
    tally = machine.run(machine.begin([change(ADA, account="blind")])).tallies["blind"]
    assert tally.unknown == 1
    machine.run(machine.begin([]))
    assert machine.service.emails == {ADA: 1}


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404])
def test_a_refused_lookup_leaves_unresolved_requests_to_a_later_run(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """The key was withdrawn; or a firewall before the service is in the way, for a minute."""
    machine.service.faults[ADA] = [VOID]
    shown = machine.service._shown
    with monkeypatch.context() as patched, machine.process() as process:
        patched.setattr(machine.service, "handle_request", _refusing(machine, status))
        run = process.runner.begin(lambda: [change(ADA)], "digest", "guestlist.toml")
        tally = process.runner.run(run).tallies["plain"]
    assert tally.halted is not None
    assert [row["state"] for row in machine.rows()] == [OrderState.INTENDED]
    assert shown("invitations") == []
    machine.run(run)
    assert machine.service.emails == {ADA: 1}


def test_an_address_that_only_a_service_accepts_keeps_nobody_from_being_found(
    machine: Machine,
) -> None:
    """Such as one that was made before the service knew better, and is resent by its id."""
    odd = "root@localhost"
    old = machine.service.add_invitation(odd, "expired")
    machine.clock.sleep(10)
    for email in (ADA, odd):
        machine.service.faults[email] = [LOST]
    facts: Facts = {"state": "expired", "invitation": _read(old)}
    run = machine.begin([change(ADA), change(odd, Action.RESEND, **facts)])
    tally = machine.run(run).tallies["plain"]
    assert tally.unknown == 0
    assert tally.done == {"invited": 1, "resent": 1}


def test_an_address_that_the_service_refuses_keeps_nobody_from_being_found(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it end every later run as well."""
    both = (ADA, "root@localhost")
    old = {email: machine.service.add_invitation(email, "expired") for email in both}
    machine.clock.sleep(10)
    for email in both:
        machine.service.faults[email] = [LOST]

    def status(*_: object) -> None:
        raise Rejected("no such address can be", status=400)

    monkeypatch.setattr(Guestlist, "status", status)
    facts: dict[str, Facts] = {
        email: {"state": "expired", "invitation": _read(one)} for email, one in old.items()
    }
    run = machine.begin([change(email, Action.RESEND, **facts[email]) for email in both])
    tally = machine.run(run).tallies["plain"]
    assert (tally.unknown, tally.halted) == (1, None)
    assert tally.done == {"resent": 1}


def test_a_ledger_that_fails_decides_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate limiter is in the ledger, so a look can fail for it."""
    machine.service.faults[ADA] = [VOID]
    with monkeypatch.context() as patched, machine.process() as process:
        run = process.runner.begin(lambda: [change(ADA)], "digest", "guestlist.toml")

        def status_many(*_: object, **__: object) -> None:
            raise LedgerError("the disk is full")

        patched.setattr(Guestlist, "status_many", status_many)
        with pytest.raises(LedgerError):
            process.runner.run(run)
    assert [row["state"] for row in machine.rows()] == [OrderState.INTENDED]
    machine.run(run)
    assert machine.service.emails == {ADA: 1}


def _refusing(machine: Machine, status: int) -> Callable[[httpx.Request], httpx.Response]:
    original = machine.service.handle_request

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status) if request.method == "GET" else original(request)

    return handle


def test_only_senders_that_can_still_wait_are_waited_for(machine: Machine) -> None:
    """On one machine the run before is over. Elsewhere nobody knows; and a single call in another
    process may be under way still."""
    machine.begin([change(ADA)])
    with machine.process() as dead:
        _intend(machine, dead)
    for alone, wait in ((True, GRACE), (False, BUDGET.total + SKEW + GRACE)):
        copy = Machine(machine.place, clock=machine.clock)
        began = machine.clock.monotonic()
        with copy.process() as process:
            account_worker = AccountWorker(
                process.guests, process.store, process.stop, Tally("plain")
            )
            found = orders.unanswered_orders(process.store)
            if not alone:
                found = [replace(one, gave_up_at=None) for one in found]
            account_worker.recover(found, alone=alone)
            account_worker._reconcile_all()
        assert wait <= machine.clock.monotonic() - began < wait + 11
        (again,) = machine.rows()
        assert (again["state"], again["attempts"]) == (OrderState.ASKED, 0)
        with copy.process() as process:
            _intend(machine, process)


class SetBack(VirtualClock):
    """A clock that somebody sets."""

    step = timedelta()

    def now(self) -> datetime:
        return super().now() + self.step


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("noted", [True, False], ids=["no answer", "killed"])
def test_a_clock_that_is_set_back_keeps_no_order_unresolved(
    tmp_path: Path, alone: bool, noted: bool
) -> None:
    clock = SetBack(START)
    machine = Machine(tmp_path / "guestlist.db", clock=clock)
    machine.begin([change(ADA)])
    with machine.process() as dead:
        _intend(machine, dead)
        if noted:
            (sent,) = orders.unanswered_orders(dead.store)
            OrderEntry(dead.store, sent, dead.clock).unanswered("the connection broke")
    clock.step = timedelta(minutes=-30)
    began = clock.monotonic()
    for _ in range(3):  # whoever looks anew each time, as workers do, comes to an end as well
        with machine.process() as process:
            account_worker = AccountWorker(
                process.guests, process.store, process.stop, Tally("plain")
            )
            account_worker.recover(orders.unanswered_orders(process.store), alone=alone)
        clock.sleep(5)
    with machine.process() as process:
        account_worker = AccountWorker(process.guests, process.store, process.stop, Tally("plain"))
        account_worker.recover(orders.unanswered_orders(process.store), alone=alone)
        account_worker._reconcile_all()
    assert clock.monotonic() - began < BUDGET.total + SKEW + GRACE + 11
    assert [row["state"] for row in machine.rows()] == [OrderState.ASKED]


def _intend(machine: Machine, process: Process) -> None:
    """Says of the only order that its request is about to leave."""
    now = machine.clock.now().timestamp()
    process.store.write(lambda c: orders.record_intent(c, 1, "POST", now, None))


def test_a_restart_does_not_begin_the_grace_period_anew(machine: Machine) -> None:
    """Or a machine that fails every few seconds would never come to an end."""
    run = machine.begin([change(ADA)])
    with machine.process() as dead:
        _intend(machine, dead)
    for _ in range(2):
        with machine.process() as process:
            account_worker = AccountWorker(
                process.guests, process.store, process.stop, Tally("plain")
            )
            account_worker.recover(orders.unanswered_orders(process.store), alone=True)
        machine.clock.sleep(GRACE / 2)
    began = machine.clock.monotonic()
    machine.run(run)
    assert machine.clock.monotonic() - began < GRACE / 2
    assert machine.service.emails == {ADA: 1}


def test_what_never_happens_is_given_up_also_where_somebody_else_looks(machine: Machine) -> None:
    """Where many workers share a ledger, whoever sends is not the one who looks."""
    machine.service.faults[ADA] = [VOID] * 9
    machine.begin([change(ADA)])
    for _ in range(9):
        with machine.process() as process:
            tally = Tally("plain")
            how: dict[str, Any] = {"threads": 1, "reconciles": False}
            account_worker = AccountWorker(
                process.guests, process.store, process.stop, tally, **how
            )
            account_worker.run(orders_of_chunk(process.store, "plain", [1]))
            machine.clock.sleep(GRACE)
            doubts = UnresolvedRequests(process.guests.account("plain"), "plain", tally)
            doubts.recover(process.store, orders.unanswered_orders(process.store), alone=False)
            doubts.look()
    assert machine.service.posts[ADA] == 5
    assert [row["state"] for row in machine.rows()] == [OrderState.REFUSED]


def test_an_attempt_that_was_interrupted_does_not_count(machine: Machine) -> None:
    run = machine.begin([change(ADA)])
    with machine.process() as dead:
        _intend(machine, dead)
    with machine.process() as dead_as_well:
        account_worker = AccountWorker(
            dead_as_well.guests, dead_as_well.store, dead_as_well.stop, Tally("plain")
        )
        account_worker.recover(orders.unanswered_orders(dead_as_well.store), alone=True)
    machine.run(run)
    assert [row["attempts"] for row in machine.rows()] == [1]


def test_a_chunk_is_worked_on_until_nothing_of_it_is_left(machine: Machine) -> None:
    machine.begin(invites(10))
    for number in range(5):
        machine.service.faults[f"guest{number}@example.com"] = [VOID]
    with machine.process() as process:
        account_worker = AccountWorker(
            process.guests, process.store, process.stop, Tally("plain", left=5)
        )
        account_worker.run(orders_of_chunk(process.store, "plain", range(1, 6)))
    done = [row["id"] for row in machine.rows("id", "state = 10")]
    assert done == [1, 2, 3, 4, 5]
    assert set(machine.service.emails.values()) == {1}


def test_a_request_that_was_refused_for_good_is_not_looked_for(machine: Machine) -> None:
    machine.service.faults[ADA] = [refused(409)]
    tally = machine.first_run([change(ADA)]).tallies["plain"]
    assert tally.refused.total() == 1
    assert machine.clock.monotonic() == 0


@pytest.mark.parametrize("action", [Action.INVITE, Action.RESEND, Action.REPLACE])
@pytest.mark.parametrize("fault", [PAGE, OTHER], ids=["page", "other shape"])
@pytest.mark.parametrize("survives", [False, True], ids=["killed", "not killed"])
def test_what_was_answered_with_success_is_never_sent_again(
    machine: Machine, survives: bool, fault: Fault, action: Action
) -> None:
    """The process that got the answer ends before its last lookup; the next one looks."""
    facts: Facts = {}
    if action is not Action.INVITE:
        facts = {"state": "pending", "invitation": _read(machine.service.add_invitation(ADA))}
        machine.clock.sleep(10)
    before = [Fault(status=200)] if action is Action.REPLACE else []  # the withdrawal
    machine.service.faults[ADA] = [*before, fault]
    run = machine.begin([change(ADA, action, **facts)])
    reading = machine.service.handle_request
    with machine.process() as process:

        def handle(request: httpx.Request) -> httpx.Response:
            if request.method == "GET" and machine.service.posts[ADA] > len(before):
                process.stop()
            return reading(request)

        if not survives:
            machine.service.handle_request = handle  # type: ignore[method-assign]
        process.runner.run(run)
    sent = machine.service.posts[ADA]
    machine.service.handle_request = reading  # type: ignore[method-assign]
    machine.clock.sleep(3600)
    machine.run(run)
    (row,) = machine.rows()
    assert row["state"] == OrderState.UNKNOWN
    assert machine.service.posts[ADA] == sent
