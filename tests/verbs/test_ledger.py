"""Single calls with a ledger: what is on disk before a request leaves, and what a call that was
killed leaves to the next one."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from tests.in_process import InProcess

from guestlist import (
    Conflict,
    GuestlistError,
    LedgerError,
    NotFound,
    Outcome,
    OutcomeUnknown,
    RoleOutcome,
    State,
    Unsupported,
)
from guestlist.changes import Action, Change
from guestlist.ledger import Ledger, orders
from guestlist.ledger.entry import SingleEntry
from guestlist.ledger.ledger import UnansweredCall
from guestlist.ledger.schema import OrderState
from guestlist.runs.runner import Runner
from guestlist.runs.stop import Stop
from guestlist.sandbox.world import World
from guestlist_aitronos import Aitronos

from .conftest import Kill, Killed, SandboxClock, SuccessPage

ADA = "ada@example.com"
everywhere = pytest.mark.parametrize(
    ("case", "kind"),
    [("vultr", "sync"), ("aitronos", "async"), ("betterauth", "sync")],
    indirect=True,
)
on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)


def rows(folder: Path) -> list[tuple[str, OrderState, str | None]]:
    """What is on the disk: action, state and outcome, in the order of asking."""
    connection = sqlite3.connect(folder / "guestlist.db")
    found = connection.execute("SELECT action, state, outcome FROM orders ORDER BY id").fetchall()
    connection.close()
    return [(action, OrderState(state), outcome) for action, state, outcome in found]


# ---------------------------------------------------------------------------- written down


@everywhere
def test_the_intent_is_on_disk_before_the_request_leaves(
    faulty: Any, ledger: Ledger, tmp_path: Path
) -> None:
    seen = []

    def look(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method != "GET" and "users" not in request.url.path:
            seen.append(rows(tmp_path))

    guests = faulty(look, ledger=ledger)
    guests.invite(ADA)
    sending, answered = seen
    assert sending == answered == [("invite", OrderState.INTENDED, None)]
    assert rows(tmp_path) == [("invite", OrderState.DONE, "invited")]


@everywhere
def test_every_change_and_what_became_of_it(make: Any, ledger: Ledger, tmp_path: Path) -> None:
    guests = make(ledger=ledger)
    case = guests.case
    guests.invite(ADA)
    guests.invite(ADA)
    guests.resend(ADA)
    guests.assign_role(case.member, case.role)
    guests.assign_role(case.member, case.role)
    with pytest.raises(GuestlistError):
        guests.invite(ADA, if_exists="error")
    guests.remove(case.member)
    told = [(action, outcome) for action, _state, outcome in rows(tmp_path)]
    assert told == [
        ("invite", "invited"),
        ("invite", "already_invited"),
        ("resend", "resent"),
        ("assign_role", "assigned"),
        ("assign_role", "already_assigned"),
        ("invite", "AlreadyInvited"),
        ("remove", "removed"),
    ]
    assert {state for _, state, _ in rows(tmp_path)} == {OrderState.DONE, OrderState.REFUSED}


@on_aitronos
def test_who_is_taken_out_may_have_an_invitation_besides(
    faulty: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """Two changes of one call, on one line."""
    kept: list[bytes] = []
    is_on = False

    def open_still(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if "invitation" not in request.url.path or answer is None:
            return None
        reads = request.method == "GET"
        if is_on:  # as if another one had been made meanwhile
            return httpx.Response(200, content=kept[0] if reads else b"{}")
        if reads and answer.is_success:
            kept.append(answer.content)
        return None

    guests = faulty(open_still, ledger=ledger)
    guests.invite(ADA)
    guests.status(ADA)
    guests.accept(ADA)
    is_on = True
    assert guests.remove(ADA).guest.state is State.REVOKED
    assert len(guests.writes) == 3
    assert rows(tmp_path)[-1] == ("remove", OrderState.DONE, "removed")


def test_no_secret_is_written_down(make: Any, ledger: Ledger, tmp_path: Path) -> None:
    guests = make(ledger=ledger)
    link = guests.invite(ADA).guest.invitation
    guests.resend(ADA)
    connection = sqlite3.connect(tmp_path / "guestlist.db")
    text = "\n".join(connection.iterdump())
    connection.close()
    assert guests.case.secret not in text
    for name in ("link", "key"):
        secret = getattr(link, name)
        assert secret is None or secret.get_secret_value() not in text


# ---------------------------------------------------------------------------- killed


@everywhere
@pytest.mark.parametrize("before", [True, False], ids=["unsent", "done"])
def test_an_invitation_that_was_killed_is_looked_for_and_sent_once(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path, before: bool
) -> None:
    with pytest.raises(Killed):
        faulty(Kill(before=before), ledger=ledger).invite(ADA)
    assert rows(tmp_path) == [("invite", OrderState.INTENDED, None)]

    guests = make(ledger=ledger)
    began = guests.sandbox.clock.seconds()
    result = guests.invite(ADA)
    waited = guests.sandbox.clock.seconds() - began
    if before:
        assert result.outcome is Outcome.INVITED
        assert 30 <= waited < 60, "what has left a dead process may take effect late"
    else:
        assert (result.outcome, result.email_sent) == (Outcome.ALREADY_INVITED, False)
        assert waited < 10
    assert len(guests.emails(ADA)) == 1
    connection = sqlite3.connect(tmp_path / "guestlist.db")
    [(why,), _] = connection.execute("SELECT detail FROM orders ORDER BY id").fetchall()
    connection.close()
    assert (why == "no answer came, and a lookup has found no effect") is before
    earlier = "did not happen" if before else "invited"
    assert rows(tmp_path) == [
        ("invite", OrderState.REFUSED if before else OrderState.DONE, earlier),
        ("invite", OrderState.DONE, result.outcome),
    ]


@everywhere
def test_what_takes_effect_late_is_seen(
    faulty: Any, make: Any, ledger: Ledger, after: Any, sandbox: World
) -> None:
    """The request of the dead process reaches the service while the next call waits."""
    kept = []

    def keep(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method == "GET" or request.url.path.endswith("/users"):
            return None
        kept.append(request)
        return Killed()

    with pytest.raises(Killed):
        faulty(keep, ledger=ledger).invite(ADA)

    def arrive() -> None:
        InProcess(sandbox).handle_request(kept[0])

    after(20, arrive)
    guests = make(ledger=ledger)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert len(guests.emails(ADA)) == 1


@everywhere
def test_without_the_time_to_wait_nobody_knows(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        faulty(Kill(before=True), ledger=ledger).invite(ADA)
    guests = make(ledger=ledger)
    with pytest.raises(OutcomeUnknown, match="may still take effect") as caught:
        guests.budgeted(total=10).invite(ADA)
    assert str(caught.value).startswith("home: ")
    assert caught.value.budget == "10 s in all"
    assert guests.writes == []
    assert rows(tmp_path) == [("invite", OrderState.INTENDED, None)]

    guests.later(seconds=60)
    assert guests.budgeted(total=10).invite(ADA).outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 1


@on_vultr
def test_the_clock_of_the_machine_that_looks_may_be_ahead(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path, sandbox: World
) -> None:
    """By its clock the call was over before it was, and what it sent may take effect later."""
    with pytest.raises(Killed):
        faulty(Kill(before=True), ledger=ledger).invite(ADA)
    ahead = SandboxClock(sandbox, timedelta(seconds=9))
    with Ledger(tmp_path / "guestlist.db", clock=ahead) as elsewhere:
        guests = make(ledger=elsewhere)
        guests.later(seconds=125)
        began = guests.sandbox.clock.seconds()
        assert guests.invite(ADA).outcome is Outcome.INVITED
        assert guests.sandbox.clock.seconds() - began >= 120 + 30 - 125


@on_vultr
@pytest.mark.parametrize("before", [True, False], ids=["unsent", "done"])
@pytest.mark.parametrize("verb", ["resend", "invite"])
def test_a_resend_sends_one_email(
    faulty: Any, make: Any, ledger: Ledger, before: bool, verb: str
) -> None:
    """The invitation was there before: only its expiry tells."""
    how = {"if_exists": "resend"} if verb == "invite" else {}
    make().invite(ADA)
    with pytest.raises(Killed):
        getattr(faulty(Kill(before=before), ledger=ledger), verb)(ADA, **how)
    guests = make(ledger=ledger)
    result = getattr(guests, verb)(ADA, **how)
    assert result.outcome is Outcome.RESENT
    assert len(guests.emails(ADA)) == 2
    assert (result.email_sent is True) is before
    assert bool(result.warnings) is not before
    getattr(guests, verb)(ADA, **how)
    assert len(guests.emails(ADA)) == 3, "asked for once more, it goes once more"


@on_aitronos
def test_where_a_renewal_does_not_show_it_is_said_once(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    make().invite(ADA)
    with pytest.raises(Killed):
        faulty(Kill(before=False), ledger=ledger).resend(ADA)
    guests = make(ledger=ledger)
    with pytest.raises(OutcomeUnknown, match="no lookup shows whether it sent an email") as caught:
        guests.resend(ADA)
    assert "the next call will send" in str(caught.value)
    assert rows(tmp_path) == [("resend", OrderState.UNKNOWN, "unknown")]
    assert guests.writes == []
    assert guests.resend(ADA).outcome is Outcome.RESENT


@everywhere
@pytest.mark.parametrize("kills", [True, False], ids=["killed", "not killed"])
def test_nothing_is_sent_again_after_a_page_with_a_success_status(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path, kills: bool
) -> None:
    with pytest.raises(Killed if kills else OutcomeUnknown):
        faulty(SuccessPage(kills=kills), ledger=ledger).invite(ADA)
    guests = make(ledger=ledger)
    guests.later(hours=1)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="retry_unknown=True sends another") as caught:
            guests.invite(ADA)
        assert caught.value.happened is None
    assert guests.writes == []
    assert rows(tmp_path) == [("invite", OrderState.UNKNOWN, "unknown")]
    assert guests.invite(ADA, retry_unknown=True).outcome is Outcome.INVITED
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert len(guests.emails(ADA)) == 1


@everywhere
def test_an_unknown_outcome_is_settled_when_the_records_show_the_invitation(
    faulty: Any, make: Any, ledger: Ledger
) -> None:
    with pytest.raises(OutcomeUnknown):
        faulty(SuccessPage(kills=False), ledger=ledger).invite(ADA)
    make().invite(ADA)
    assert make(ledger=ledger).invite(ADA).outcome is Outcome.ALREADY_INVITED


@everywhere
def test_a_client_without_a_ledger_wants_confirmation_too(faulty: Any) -> None:
    guests = faulty(SuccessPage(kills=False))
    with pytest.raises(OutcomeUnknown, match="text/html"):
        guests.invite(ADA)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="retry_unknown=True sends another"):
            guests.invite(ADA)
    assert len(guests.emails(ADA)) == 0
    assert guests.invite(ADA, retry_unknown=True).outcome is Outcome.INVITED
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED


@on_aitronos
def test_a_replacement_that_was_killed_half_way(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    make().invite(ADA)
    with pytest.raises(Killed):
        faulty(Kill(before=False), ledger=ledger).invite(ADA, if_exists="replace")
    guests = make(ledger=ledger)
    assert guests.invite(ADA, if_exists="replace").outcome is Outcome.INVITED
    assert [one["state"] for one in guests.invitations_of(ADA)] == ["revoked", "pending"]
    assert len(guests.emails(ADA)) == 2


@everywhere
def test_somebody_who_has_answered_meanwhile_is_not_asked_again(
    faulty: Any, make: Any, ledger: Ledger
) -> None:
    with pytest.raises(Killed):
        faulty(Kill(before=False), ledger=ledger).invite(ADA)
    guests = make(ledger=ledger)
    guests.accept(ADA)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_MEMBER
    assert len(guests.emails(ADA)) == 1


# of Aitronos nobody knows whether it renews a lapsed invitation in place: no look can tell then
@pytest.mark.parametrize("case", ["vultr", "betterauth"], indirect=True)
def test_an_invitation_that_has_lapsed_before_is_no_trace_of_the_killed_call(
    faulty: Any, make: Any, ledger: Ledger
) -> None:
    make().invite(ADA)
    make().later(days=8)
    with pytest.raises(Killed):
        faulty(Kill(before=True), ledger=ledger).invite(ADA)
    guests = make(ledger=ledger)
    began = guests.sandbox.clock.seconds()
    assert guests.invite(ADA).guest.state is State.PENDING
    assert guests.sandbox.clock.seconds() - began >= 30
    assert len(guests.emails(ADA)) == 2


@everywhere
@pytest.mark.parametrize("before", [True, False], ids=["unsent", "done"])
def test_a_change_without_an_email_is_repeated(
    faulty: Any, make: Any, ledger: Ledger, before: bool
) -> None:
    guests = make(ledger=ledger)
    case = guests.case
    with pytest.raises(Killed):
        faulty(Kill(before=before), ledger=ledger).assign_role(case.member, case.role)
    began = guests.sandbox.clock.seconds()
    outcome = guests.assign_role(case.member, case.role).outcome
    assert outcome is (RoleOutcome.ASSIGNED if before else RoleOutcome.ALREADY_ASSIGNED)
    guests.invite(ADA)
    assert guests.sandbox.clock.seconds() - began < 10


@everywhere
@pytest.mark.parametrize("before", [True, False], ids=["unsent", "done"])
def test_a_role_change_waits_for_one_that_may_undo_it(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path, before: bool
) -> None:
    """A role is given by a call that is killed. Then it is taken, or replaced."""
    guests = make(ledger=ledger)
    case = guests.case
    with pytest.raises(Killed):
        faulty(Kill(before=before), ledger=ledger).assign_role(case.member, case.role)
    began = guests.sandbox.clock.seconds()
    if case.name == "aitronos":
        guests.assign_role(case.member, case.holds)
    else:
        guests.unassign_role(case.member, case.role)
    waited = guests.sandbox.clock.seconds() - began
    assert 30 <= waited < 60 if before else waited < 10
    assert rows(tmp_path)[0] == (
        ("assign_role", OrderState.REFUSED, "did not happen")
        if before
        else ("assign_role", OrderState.DONE, "assigned")
    )


def test_an_answer_that_got_lost_is_settled_in_the_call_itself(
    faulty: Any, ledger: Ledger, tmp_path: Path
) -> None:
    left = [httpx.ReadError("gone")]

    def lose(request: httpx.Request, answer: httpx.Response | None) -> Any:
        writes = request.method == "POST" and not request.url.path.endswith("/users")
        return left.pop() if writes and answer is not None and left else None

    guests = faulty(lose, ledger=ledger)
    assert guests.invite(ADA).email_sent is None
    assert rows(tmp_path) == [("invite", OrderState.DONE, "invited")]


@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_a_line_is_on_disk_with_what_it_is_about_or_not_at_all(
    make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """Nobody would ever work on one that waits, and belongs to no run."""
    guests = make(ledger=ledger)
    commits: list[list[tuple[str, OrderState, str | None]]] = []
    event.listen(ledger.store.engine, "commit", lambda _connection: commits.append(rows(tmp_path)))
    guests.invite(ADA)
    guests.invite(ADA)
    guests.assign_role(guests.case.member, guests.case.role)
    commits.append(rows(tmp_path))
    assert [one for found in commits for one in found if one[1] is OrderState.ASKED] == []
    written = [after for before, after in pairwise(commits) if before != after]
    assert len(written) == 5, "twice for what is sent, once for what is not"


# ---------------------------------------------------------------------------- another at work


@on_vultr
def test_who_was_taken_for_dead_and_is_not_sends_no_more(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """Two programs: while the first waits for its final look, the second decides."""
    guests = make(ledger=ledger)
    turns = [0]

    def lost(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method == "GET":
            return None
        turns[0] += 1
        if turns[0] > 1:
            return None
        connection = sqlite3.connect(tmp_path / "guestlist.db")
        connection.execute("UPDATE orders SET state = 11, outcome = 'did not happen'")
        connection.commit()
        connection.close()
        return httpx.ReadError("lost")

    with pytest.raises(GuestlistError, match="another worker has taken the order"):
        faulty(lost, ledger=ledger).invite(ADA)
    assert guests.emails(ADA) == []


# ---------------------------------------------------------------------------- a run before


def crashed_run(runner: Runner) -> int:
    """A run that was killed when Ada's invitation was about to leave."""
    change = Change(action=Action.INVITE, account="home", email=ADA, key=ADA, state=State.GONE)
    run = runner.begin(lambda: [change], "digest", "guestlist.toml")
    now = runner._guests.clock.now().timestamp()
    assert runner._store.write(lambda c: orders.record_intent(c, 1, "POST", now, None))
    return run


@on_vultr
@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_a_call_that_sends_nothing_leaves_the_order_to_its_run(
    make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    guests = make(ledger=ledger)
    runner = Runner(make().client, ledger.store, Stop())
    run = crashed_run(runner)
    with pytest.raises(NotFound):
        guests.resend(ADA)
    assert rows(tmp_path) == [("invite", OrderState.INTENDED, None)]
    assert not runner.run(run).failed
    assert rows(tmp_path) == [("invite", OrderState.DONE, "invited")]
    assert len(guests.emails(ADA)) == 1


@on_vultr
@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_a_call_that_sends_takes_the_place_of_the_order(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """In the moment in which its request is about to leave, and not before."""
    seen = []

    def look(request: httpx.Request, answer: httpx.Response | None) -> None:
        if answer is None:
            seen.append((request.method, rows(tmp_path)))

    runner = Runner(make().client, ledger.store, Stop())
    run = crashed_run(runner)
    guests = faulty(look, ledger=ledger)
    assert guests.invite(ADA).outcome is Outcome.INVITED
    waiting = ("invite", OrderState.INTENDED, None)
    over = ("invite", OrderState.REFUSED, "did not happen")
    assert all(found == [waiting] for method, found in seen if method == "GET")
    assert [found for method, found in seen if method == "POST"] == [[over, waiting]]
    runner.run(run)
    assert len(guests.emails(ADA)) == 1


@on_vultr
@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_a_run_that_goes_on_meanwhile_keeps_its_order(
    make: Any, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(make().client, ledger.store, Stop())
    run = crashed_run(runner)
    entry = UnansweredCall.entry

    def late(unanswered: UnansweredCall, *known: Any, **more: Any) -> SingleEntry:
        runner.run(run)
        return entry(unanswered, *known, **more)

    monkeypatch.setattr(UnansweredCall, "entry", late)
    guests = make(ledger=ledger)
    with pytest.raises(GuestlistError, match="another program is about to make") as caught:
        guests.invite(ADA)
    assert caught.value.happened is False
    assert len(guests.emails(ADA)) == 1
    assert rows(tmp_path) == [
        ("invite", OrderState.DONE, "invited"),
        ("invite", OrderState.REFUSED, "OrderTaken"),
    ]


@on_vultr
@pytest.mark.parametrize("kind", ["sync"], indirect=True)
@pytest.mark.parametrize("verb", ["invite", "resend"])
def test_two_programs_that_send_at_once_send_one_email(
    make: Any, faulty: Any, ledger: Ledger, verb: str
) -> None:
    """The other program sends when this one has read the records, and not sent yet."""
    other = make(ledger=ledger)
    if verb == "resend":
        other.invite(ADA)
    before = len(other.emails(ADA))
    reads = 0

    def meanwhile(request: httpx.Request, answer: httpx.Response | None) -> Any:
        nonlocal reads
        if request.method == "GET" and answer is not None:
            reads += 1
            if reads == 1:
                other.later(seconds=1)
                getattr(other, verb)(ADA)

    guests = faulty(meanwhile, ledger=ledger)
    with pytest.raises(GuestlistError, match="another program is about to make") as caught:
        getattr(guests, verb)(ADA)
    assert caught.value.happened is False
    assert len(guests.emails(ADA)) == before + 1
    guests.later(seconds=1)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert guests.resend(ADA).email_sent is True


# ---------------------------------------------------------------------------- deferred roles


@on_vultr
def test_deferred_roles_are_stored_once(make: Any, ledger: Ledger, tmp_path: Path) -> None:
    guests = make(ledger=ledger)
    role = guests.case.role
    result = guests.invite(ADA, role=["group:Engineering", role])
    assert [one.name for one in result.deferred] == ["Engineering", role]
    assert "`guestlist settle`" in " ".join(result.warnings)
    guests.invite(ADA, role=["group:Engineering", role])
    deferred = [
        outcome for action, state, outcome in rows(tmp_path) if state is OrderState.DEFERRED
    ]
    assert len(deferred) == 2

    guests.accept(ADA)
    guests.assign_role(ADA, role)
    assert rows(tmp_path).count(("settle", OrderState.DONE, "assigned")) == 1, "given otherwise"


@on_vultr
@pytest.mark.parametrize("before", [True, False], ids=["unsent", "done"])
def test_a_killed_call_loses_no_debt(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path, before: bool
) -> None:
    with pytest.raises(Killed):
        faulty(Kill(before=before), ledger=ledger).invite(ADA, role="group:Engineering")
    assert not [one for one in rows(tmp_path) if one[0] == "settle"]
    make(ledger=ledger).invite(ADA)  # whatever it is that asks next
    debts = [one for one in rows(tmp_path) if one[0] == "settle"]
    assert len(debts) == (0 if before else 1), "of what did not happen, nothing is deferred"


@pytest.fixture
def several_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member has several roles, and an invitation still carries only one."""
    monkeypatch.setattr(Aitronos, "exclusive_kinds", ())


@on_aitronos
def test_revoking_an_invitation_cancels_deferred_roles(
    make: Any, ledger: Ledger, tmp_path: Path, several_roles: None
) -> None:
    """Or inviting anew without the role would give it."""
    guests = make(ledger=ledger)
    guests.invite(ADA, role=["Member", "Admin"])
    guests.revoke(ADA)
    assert rows(tmp_path).count(("settle", OrderState.DROPPED, "withdrawn")) == 1


@on_vultr
def test_removing_a_person_cancels_deferred_roles(
    make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    guests = make(ledger=ledger)
    guests.invite(ADA, role="group:Engineering")
    guests.accept(ADA)
    guests.remove(ADA)
    assert rows(tmp_path).count(("settle", OrderState.DROPPED, "withdrawn")) == 1


@on_vultr
def test_without_a_ledger_roles_for_later_are_refused(guests: Any) -> None:
    with pytest.raises(Unsupported, match="takes no role at invitation time") as caught:
        guests.invite(ADA, role="group:Engineering")
    assert "A client with a ledger remembers them until then" in caught.value.hint
    assert guests.requests == []


@on_aitronos
def test_roles_that_the_invitation_cannot_have_are_deferred(
    make: Any, ledger: Ledger, tmp_path: Path, several_roles: None
) -> None:
    guests = make(ledger=ledger)
    result = guests.invite(ADA, role=["Member", "Admin"])
    assert [one.name for one in result.deferred] == ["Admin"]
    connection = sqlite3.connect(tmp_path / "guestlist.db")
    facts = connection.execute("SELECT facts FROM orders WHERE action = 'invite'").fetchone()[0]
    connection.close()
    assert [role["name"] for role in json.loads(facts)["roles"]] == ["Member"]


# ---------------------------------------------------------------------------- a ledger that fails


def broken(tmp_path: Path, when: str) -> None:
    connection = sqlite3.connect(tmp_path / "guestlist.db")
    connection.execute(
        f"CREATE TRIGGER broken BEFORE {when} ON orders BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    connection.commit()
    connection.close()


@everywhere
@pytest.mark.parametrize("verb", ["invite", "resend", "assign_role", "remove"])
def test_what_cannot_be_written_down_is_not_sent(
    make: Any, ledger: Ledger, tmp_path: Path, verb: str
) -> None:
    make().invite(ADA)
    broken(tmp_path, "INSERT")
    guests = make(ledger=ledger)
    case = guests.case
    arguments: dict[str, tuple[str, ...]] = {
        "invite": ("grace@example.com",),
        "resend": (ADA,),
        "assign_role": (case.member, case.role),
        "remove": (case.member,),
    }
    with pytest.raises(LedgerError, match="fails: disk full") as caught:
        getattr(guests, verb)(*arguments[verb])
    assert caught.value.happened is False
    assert caught.value.account == "home"
    assert guests.writes == []


def test_a_ledger_that_fails_after_the_answer(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """It was done, and the error says so; the next call finds it."""

    def fail(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method == "POST" and answer is not None and "users" not in request.url.path:
            broken(tmp_path, "UPDATE")

    with pytest.raises(LedgerError) as caught:
        faulty(fail, ledger=ledger).invite(ADA)
    assert caught.value.happened is True
    assert "It was done" in str(caught.value)
    connection = sqlite3.connect(tmp_path / "guestlist.db")
    connection.execute("DROP TRIGGER broken")
    connection.commit()
    connection.close()
    guests = make(ledger=ledger)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert len(guests.emails(ADA)) == 1


def test_a_ledger_that_cannot_be_read(make: Any, ledger: Ledger, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "guestlist.db")
    connection.execute("DROP TABLE entries")
    connection.execute("DROP TABLE orders")
    connection.commit()
    connection.close()
    guests = make(ledger=ledger)
    with pytest.raises(LedgerError, match="no such table") as caught:
        guests.invite(ADA)
    assert caught.value.account == "home"
    assert guests.writes == []


def test_a_refusal_stays_the_error_when_it_cannot_be_written_down(
    faulty: Any, ledger: Ledger, tmp_path: Path
) -> None:
    def refuse(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method == "POST" and answer is None and "users" not in request.url.path:
            broken(tmp_path, "UPDATE")
            return httpx.Response(409, json={"error": "not today"})
        return None

    with pytest.raises(Conflict, match="not today"):
        faulty(refuse, ledger=ledger).invite(ADA)


# ---------------------------------------------------------------------------- guestlist settle


@on_vultr
@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_a_killed_call_without_an_email_ends_after_the_grace_period(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """Nobody makes it again by itself: it was asked for by a person, and not by a roster."""
    guests = make()
    runner = Runner(guests.client, ledger.store, Stop())
    with pytest.raises(Killed):
        faulty(Kill(before=True), ledger=ledger).assign_role(guests.case.member, guests.case.role)
    guests.later(seconds=60)
    runner.reconcile()
    assert rows(tmp_path) == [("assign_role", OrderState.INTENDED, None)], "it may be under way"
    guests.later(seconds=71)
    runner.reconcile()
    assert rows(tmp_path) == [("assign_role", OrderState.UNKNOWN, "unknown")]
    assert guests.writes == []


@on_vultr
@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_a_killed_invitation_is_found_with_its_deferred_roles(
    faulty: Any, make: Any, ledger: Ledger, tmp_path: Path
) -> None:
    guests = make()
    with pytest.raises(Killed):
        faulty(Kill(before=False), ledger=ledger).invite(ADA, role="group:Engineering")
    Runner(guests.client, ledger.store, Stop()).reconcile()
    assert rows(tmp_path) == [
        ("invite", OrderState.DONE, "invited"),
        ("settle", OrderState.DEFERRED, None),
    ]
