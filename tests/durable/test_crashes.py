"""The process dies at every single step of a small run, and another one finishes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.durable.kit import (
    LATE_EFFECT,
    LOST,
    VOID,
    Crash,
    Facts,
    Fault,
    Hasty,
    Machine,
    Paired,
    Plain,
    _read,
    change,
    late,
    refused,
)

from guestlist.changes import Action, Change
from guestlist.errors import LedgerError
from guestlist.exchange.recording import Preparation
from guestlist.ledger.schema import OrderState

LATE = late(LATE_EFFECT - 0.1)
CASES: dict[str, tuple[Action, list[Fault]]] = {
    "invite": (Action.INVITE, []),
    "invite, no answer": (Action.INVITE, [LOST]),
    "invite, nothing happens, then late": (Action.INVITE, [VOID, LATE]),
    "resend, late": (Action.RESEND, [LATE]),
    "replace, nothing happens": (Action.REPLACE, [VOID]),
}
SHORT = ("invite", "invite, nothing happens, then late")
"""Cases that every run of the tests goes through; the others are proofs."""
ADA, BOB = "ada@example.com", "bob@example.com"


class Steps:
    """Counts the steps that show outside of the process, and ends it at one of them."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.count += 1
            if self.count > self._last:
                raise Crash


def changes(machine: Machine, action: Action) -> list[Change]:
    made = []
    for email in (ADA, BOB):
        facts: Facts = {}
        if action is not Action.INVITE:
            state = "expired" if action is Action.RESEND else "pending"
            facts = {
                "state": state,
                "invitation": _read(machine.service.add_invitation(email, state)),
            }
        made.append(change(email, action, **facts))
    machine.clock.sleep(10)
    return made


def crashed(
    place: Path, action: Action, faults: list[Fault], last: int, kind: type[Plain]
) -> tuple[Machine, bool]:
    """A run that ends after so many steps, and the run after it. Also whether the first one came
    to its end all the same."""
    machine = Machine(place / f"{last}.db", {"plain": kind})
    run = machine.begin(changes(machine, action))
    machine.service.faults[ADA] = list(faults)
    steps = Steps(last)

    def step() -> None:
        try:
            steps()
        except Crash:
            process.stop()
            raise

    with ExitStack() as closing, machine.process() as process:
        # a connection whose return to the pool has failed is closed by nobody else
        event.listen(
            process.store.engine,
            "checkout",
            lambda connection, *_: closing.callback(connection.close),
        )
        machine.service.sent = lambda _line, _email: step()
        machine.service.answered = step
        process.die(commit=step)
        event.listen(process.store.engine, "checkin", _after_commit(step))
        with suppress(LedgerError):
            process.runner.run(run)
    machine.service.sent = lambda _line, _email: None
    machine.service.answered = lambda: None
    over = steps.count <= last
    machine.run(run)
    machine.service.finish()
    return machine, over


def _after_commit(step: Callable[[], None]) -> Callable[..., None]:
    """After a commit, and before anybody is told of it."""

    def checkin(*_: object) -> None:
        if threading.current_thread().name == "guestlist-ledger":
            step()

    return checkin


@pytest.mark.parametrize(
    ("action", "faults"),
    [
        pytest.param(*case, id=name, marks=[] if name in SHORT else [pytest.mark.proof])
        for name, case in CASES.items()
    ],
)
def test_nothing_is_lost_and_nothing_doubled(
    tmp_path: Path, action: Action, faults: list[Fault]
) -> None:
    over, last = False, 0
    while not over:
        machine, over = crashed(tmp_path, action, faults, last, Plain)
        assert machine.service.emails == {ADA: 1, BOB: 1}, f"died at step {last + 1}"
        assert {row["state"] for row in machine.rows()} == {OrderState.DONE}
        last += 1
    assert last > 8


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([], id="answered"),
        pytest.param([LOST], id="the first is lost", marks=pytest.mark.proof),
        pytest.param([Fault(status=200), LOST], id="the second is lost", marks=pytest.mark.proof),
    ],
)
def test_two_requests_that_make_one_invitation(tmp_path: Path, faults: list[Fault]) -> None:
    """An order is unknown only if the request that sends the email was recorded as leaving."""
    over, last, completed = False, 0, 0
    while not over:
        machine, over = crashed(tmp_path, Action.INVITE, faults, last, Paired)
        sent = machine.service.emails
        for row in machine.rows():
            step = f"{row['email']}, died at step {last + 1}"
            is_unknown = row["state"] == OrderState.UNKNOWN
            assert sent[row["email"]] == 1 or (is_unknown and not sent[row["email"]]), step
            assert is_unknown or row["state"] == OrderState.DONE, step
            assert (row["preparation"] == Preparation.SENDING) is is_unknown, step
            completed += not is_unknown and row["attempts"] > 1
        last += 1
    assert last > 8
    assert completed


def test_what_was_withdrawn_as_the_process_died_is_done(tmp_path: Path) -> None:
    """Whoever tries it again is told that there is nothing."""
    over, last = False, 0
    while not over:
        machine, over = crashed(tmp_path, Action.REVOKE, [LOST, refused(404)], last, Plain)
        assert {row["state"] for row in machine.rows()} == {OrderState.DONE}, f"step {last + 1}"
        last += 1
    assert last > 8


def test_they_would_be_doubled_if_the_grace_period_were_too_short(tmp_path: Path) -> None:
    runs = [crashed(tmp_path, Action.INVITE, [LATE], last, Hasty)[0] for last in range(10)]
    assert max(machine.service.emails[ADA] for machine in runs) == 2
