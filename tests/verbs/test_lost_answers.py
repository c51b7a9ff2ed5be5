"""Requests that got no answer: whatever happened, it happens once and is told truly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import httpx
import pytest
from tests.in_process import InProcess

from guestlist import (
    Conflict,
    GuestlistError,
    MalformedResponse,
    Outcome,
    OutcomeUnknown,
    RoleOutcome,
    State,
)
from guestlist.sandbox.world import World

ADA = "ada@example.com"
GRACE = 30.0
on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)

# How the answer to a write is lost after the service has acted.
AFTER: dict[str, Callable[[], httpx.Response | Exception]] = {
    "reset": lambda: httpx.ReadError("reset by peer"),
    "time-out": lambda: httpx.ReadTimeout("timed out"),
    "connect error": lambda: httpx.ConnectError("refused, as a transport may say"),
    "503": lambda: httpx.Response(503, json={"error": "busy"}),
    "500 html": lambda: httpx.Response(500, html="<h1>oops"),
    "408": lambda: httpx.Response(408),
}


class Losing:
    """Loses the answers to writes, as many as told.

    Args:
        how: what the client gets instead of the answer.
        many: so many writes fall victim to it.
        before: whether the request is lost already, so that the service never sees it.
    """

    def __init__(self, how: str = "reset", *, many: int = 1, before: bool = False) -> None:
        self.how = how
        self.left = many
        self.before = before

    def __call__(
        self, request: httpx.Request, answer: httpx.Response | None
    ) -> httpx.Response | Exception | None:
        reads = request.method == "GET" or request.url.path.endswith("/users")
        if reads or self.left <= 0 or self.before is not (answer is None):
            return None
        self.left -= 1
        return AFTER[self.how]()


def waited(guests: Any) -> float:
    return float(guests.sandbox.clock.seconds() - 1_800_000_000.0)


# ---------------------------------------------------------------------------- invite


@pytest.mark.parametrize("how", AFTER)
def test_an_invitation_whose_answer_was_lost_is_found(faulty: Any, how: str) -> None:
    guests = faulty(Losing(how))
    result = guests.invite(ADA)
    assert result.outcome is Outcome.INVITED
    assert result.email_sent is None
    assert "found by looking" in result.warnings[0]
    assert result.guest.state is State.PENDING
    assert len(guests.invitations_of(ADA)) == len(guests.emails(ADA)) == 1
    assert waited(guests) < 1  # who finds it at once need not wait


@pytest.mark.parametrize("how", ["reset", "503"])
def test_an_invitation_that_was_never_made_is_made_after_the_grace(faulty: Any, how: str) -> None:
    guests = faulty(Losing(how, before=True))
    result = guests.invite(ADA)
    assert result.outcome is Outcome.INVITED
    assert result.email_sent is True
    assert len(guests.invitations_of(ADA)) == len(guests.emails(ADA)) == 1
    assert GRACE <= waited(guests) < 2 * GRACE


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"id": "in', b"[]", b"{}", b"null"])
def test_an_invitation_whose_answer_cannot_be_read_is_found(faulty: Any, content: bytes) -> None:
    def garble(
        request: httpx.Request, answer: httpx.Response | None
    ) -> httpx.Response | Exception | None:
        made = answer is not None and answer.status_code == 201
        return httpx.Response(201, content=content) if made else None

    guests = faulty(garble)
    result = guests.invite(ADA)
    assert result.outcome is Outcome.INVITED
    assert result.email_sent is None
    assert result.guest.invitation.id == guests.invitations_of(ADA)[0]["id"]
    assert len(guests.emails(ADA)) == 1


def test_no_time_to_find_out(faulty: Any) -> None:
    guests = faulty(Losing(before=True)).budgeted(total=5)
    with pytest.raises(OutcomeUnknown) as caught:
        guests.invite(ADA)
    error = caught.value
    assert error.happened is None
    assert (error.account, error.email) == ("home", ADA)
    assert error.invitation.email == ADA
    assert "status" in error.hint
    assert waited(guests) <= 5
    assert guests.status(ADA).state is State.GONE
    with pytest.raises(OutcomeUnknown, match="an earlier call about the address"):
        guests.invite(ADA)
    guests.sandbox.clock.advance(timedelta(minutes=2))
    assert guests.invite(ADA).outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 1


def test_always_lost(faulty: Any) -> None:
    guests = faulty(Losing(before=True, many=99)).budgeted(total=1000, attempts=3)
    with pytest.raises(GuestlistError) as caught:
        guests.invite(ADA)
    assert caught.value.happened is False
    assert len(guests.writes) == 3
    assert guests.invitations_of(ADA) == []


def test_our_own_invitation_is_not_taken_for_somebody_else_s(faulty: Any) -> None:
    guests = faulty(Losing())
    assert guests.invite(ADA, if_exists="error").outcome is Outcome.INVITED


def test_an_expired_one_is_not_taken_for_the_new_one(faulty: Any) -> None:
    losing = Losing(before=True, many=0)
    guests = faulty(losing)
    guests.invite(ADA)
    guests.later(days=8)
    losing.left = 1
    result = guests.invite(ADA)
    assert result.guest.state is State.PENDING
    assert len(guests.emails(ADA)) == 2


@on_aitronos
def test_the_replaced_one_is_not_taken_for_the_new_one(faulty: Any) -> None:
    losing = Losing(before=True, many=0)
    guests = faulty(losing)
    first = guests.invite(ADA).guest.invitation.id

    def creates_only(request: httpx.Request, answer: httpx.Response | None) -> Any:
        return losing(request, answer) if request.method == "POST" else None

    guests = faulty(creates_only)
    losing.left = 1
    result = guests.invite(ADA, if_exists="replace")
    assert result.replaced.id == first
    assert result.guest.invitation.id != first
    assert [one["state"] for one in guests.invitations_of(ADA)] == ["revoked", "pending"]


@on_aitronos
def test_what_another_withdrew_meanwhile_was_never_there_for_a_service_that_forgets(
    faulty: Any,
) -> None:
    """No answer could tell it from an invitation that was not made. The first link is dead."""

    def lose_and_withdraw(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if answer is None or not request.url.path.endswith("/invite-user") or len(lost):
            return None
        lost.append(request)
        organization = guests.service.organization
        organization.revoke(organization.invitations_to(ADA)[0])
        return httpx.Response(503)

    lost: list[httpx.Request] = []
    guests = faulty(lose_and_withdraw)
    result = guests.invite(ADA)
    assert (result.outcome, result.email_sent) == (Outcome.INVITED, True)
    assert waited(guests) >= GRACE
    assert [one["state"] for one in guests.invitations_of(ADA)] == ["revoked", "pending"]
    assert len(guests.emails(ADA)) == 2


@pytest.mark.parametrize("case", ["aitronos", "vultr"], indirect=True)
def test_a_lapsed_one_is_surely_over_only_by_the_service_s_clock(faulty: Any) -> None:
    """Where no answer is dated, a service may hold it open still and have renewed it in place."""

    def undated_and_lost(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if answer is not None:
            answer.headers.pop("date")
        return losing(request, answer)

    losing = Losing(before=True, many=0)
    guests = faulty(undated_and_lost)
    guests.invite(ADA)
    guests.later(days=8)
    losing.left = 1
    if guests.case.provider.resend_moves_expiry:
        assert guests.invite(ADA).outcome is Outcome.INVITED
    else:
        with pytest.raises(OutcomeUnknown):
            guests.invite(ADA)


# ---------------------------------------------------------------------------- resend


@pytest.mark.parametrize("how", ["reset", "503"])
def test_a_resend_whose_answer_was_lost_is_found(faulty: Any, how: str) -> None:
    losing = Losing(how, many=0)
    guests = faulty(losing)
    first = guests.invite(ADA).guest
    guests.later(hours=1)
    losing.left = 1
    result = guests.resend(ADA)
    assert result.outcome is Outcome.RESENT
    assert result.email_sent is None
    assert result.guest.invitation.expires_at > first.invitation.expires_at
    assert len(guests.emails(ADA)) == 2


@on_vultr
def test_a_resend_that_never_arrived_is_sent_again(faulty: Any) -> None:
    losing = Losing(before=True, many=0)
    guests = faulty(losing)
    guests.invite(ADA)
    guests.later(hours=1)
    losing.left = 1
    result = guests.resend(ADA)
    assert result.outcome is Outcome.RESENT
    assert result.email_sent is True
    assert len(guests.emails(ADA)) == 2
    assert waited(guests) >= 3600 + GRACE


@on_aitronos
@pytest.mark.parametrize("before", [True, False])
def test_a_resend_that_cannot_be_seen_is_not_repeated(faulty: Any, before: bool) -> None:
    """Nothing proves that no email went out where resending need not move the expiry."""
    losing = Losing(before=before, many=0)
    guests = faulty(losing)
    guests.service.configure(resend_moves_expiry="no")
    guests.invite(ADA)
    losing.left = 1
    with pytest.raises(OutcomeUnknown) as caught:
        guests.resend(ADA)
    assert caught.value.happened is None
    assert len(guests.emails(ADA)) == (1 if before else 2)


@on_aitronos
@pytest.mark.parametrize("there", [True, False])
def test_a_resend_that_surely_happened_need_not_be_seen(faulty: Any, there: bool) -> None:
    """The mail is out; nothing would show more, however long one waits."""

    def garble(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if answer is None:
            return None
        if request.url.path.endswith("/resend-invitation"):
            resent.append(request)
            if not there:
                guests.service.accept(guests.invitations_of(ADA)[0]["id"])
        elif len(resent) == 1 and request.url.path.endswith("/invitation"):
            resent.append(request)
            return httpx.Response(200, content=b"<html>")
        return None

    resent: list[httpx.Request] = []
    guests = faulty(garble)
    guests.service.configure(resend_moves_expiry="no")
    guests.invite(ADA)
    if there:
        result = guests.resend(ADA)
        assert (result.outcome, result.email_sent) == (Outcome.RESENT, None)
        assert result.guest.state is State.PENDING
        assert waited(guests) < 2
    else:
        with pytest.raises(GuestlistError) as caught:
            guests.resend(ADA)
        assert caught.value.happened is True
    assert len(guests.emails(ADA)) == 2


@on_vultr
@pytest.mark.parametrize("attempts", [1, 4])
def test_making_an_expired_one_anew_happens_once(faulty: Any, attempts: int) -> None:
    def lose_the_create(request: httpx.Request, answer: httpx.Response | None) -> Any:
        made = answer is not None and answer.status_code == 201
        return httpx.ReadError("reset") if made and losing else None

    losing = False
    guests = faulty(lose_the_create).budgeted(attempts=attempts)
    guests.service.configure(expired="expired")
    guests.invite(ADA)
    guests.later(days=4)
    losing = True
    result = guests.resend(ADA)
    assert result.outcome is Outcome.RESENT
    assert result.guest.state is State.PENDING
    assert len(guests.invitations_of(ADA)) == len(guests.emails(ADA)) == 2


# ---------------------------------------------------------------------------- what can be repeated


@on_aitronos
@pytest.mark.parametrize("how", AFTER)
@pytest.mark.parametrize("before", [True, False])
def test_revoking_is_repeated(faulty: Any, how: str, before: bool) -> None:
    losing = Losing(how, before=before, many=0)
    guests = faulty(losing)
    guests.invite(ADA)
    losing.left = 1
    assert guests.revoke(ADA).guest.state in (State.GONE, State.REVOKED)
    assert guests.invitations_of(ADA)[0]["state"] == "revoked"


@pytest.mark.parametrize("how", ["reset", "503"])
@pytest.mark.parametrize("before", [True, False])
def test_removing_is_repeated(faulty: Any, how: str, before: bool) -> None:
    losing = Losing(how, before=before, many=0)
    guests = faulty(losing)
    losing.left = 1
    assert guests.remove(guests.case.member).guest.state is State.GONE
    assert not guests.is_member(guests.case.member)


@pytest.mark.parametrize("how", ["reset", "503"])
@pytest.mark.parametrize("before", [True, False])
def test_giving_and_taking_roles_is_repeated(faulty: Any, how: str, before: bool) -> None:
    losing = Losing(how, before=before)
    guests = faulty(losing)
    guests.service.configure(**({"reattach": "refuse"} if guests.case.name == "vultr" else {}))
    member, role = guests.case.member, guests.case.role
    assert guests.assign_role(member, role).outcome is RoleOutcome.ASSIGNED
    losing.left = 1
    assert guests.unassign_role(member, role).outcome is RoleOutcome.UNASSIGNED


@on_aitronos
@pytest.mark.parametrize("before", [True, False])
def test_replacing_goes_on_when_the_revocation_s_answer_was_lost(faulty: Any, before: bool) -> None:
    losing = Losing(before=before, many=0)
    guests = faulty(losing)
    guests.invite(ADA)
    losing.left = 1
    assert guests.invite(ADA, if_exists="replace").outcome is Outcome.INVITED
    assert [one["state"] for one in guests.invitations_of(ADA)] == ["revoked", "pending"]


# ---------------------------------------------------------------------------- it was done, and then


class ThenDark:
    """Once something was done, nothing answers any more."""

    def __init__(self) -> None:
        self.armed = False
        self.dark = False

    def __call__(self, request: httpx.Request, answer: httpx.Response | None) -> Any:
        if self.dark:
            return httpx.Response(500)
        reads = request.method == "GET" or request.url.path.endswith("/users")
        self.dark = self.armed and answer is not None and not reads
        return None


@pytest.mark.parametrize(
    ("case", "verb"),
    [
        ("aitronos", "revoke"),
        *product(["aitronos", "vultr"], ["remove", "assign_role", "unassign_role"]),
    ],
    indirect=["case"],
)
def test_an_error_after_it_was_done_says_that_it_was_done(faulty: Any, verb: str) -> None:
    then = ThenDark()
    guests = faulty(then)
    arguments: dict[str, tuple[str, ...]] = {
        "revoke": (ADA,),
        "remove": (guests.case.member,),
        "assign_role": (guests.case.member, guests.case.role),
        "unassign_role": (guests.case.member, guests.case.holds),
    }
    guests.invite(ADA)
    then.armed = True
    with pytest.raises(GuestlistError) as caught:
        getattr(guests, verb)(*arguments[verb])
    assert caught.value.happened is True


def test_an_invitation_that_was_made_and_is_not_to_be_found(faulty: Any) -> None:
    """The status line proves it: it is not made a second time, however long it stays unseen."""

    def unseen(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method == "POST" and not request.url.path.endswith("/users"):
            return httpx.Response(201, content=b"{", headers={"Content-Type": "application/json"})
        return None

    guests = faulty(unseen)
    with pytest.raises(MalformedResponse) as caught:
        guests.invite(ADA)
    assert caught.value.happened is True
    assert len(guests.writes) == 1


def test_a_page_instead_of_the_answer_leaves_the_outcome_unknown(faulty: Any) -> None:
    """A captive portal or a maintenance page answers 200 to everything."""

    def portal(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method == "POST" and not request.url.path.endswith("/users"):
            return httpx.Response(200, html="<h1>Sign in")
        return None

    guests = faulty(portal).budgeted(total=20)
    with pytest.raises(OutcomeUnknown, match="not from the service's API"):
        guests.invite(ADA)
    assert len(guests.writes) == 1


def test_a_conflict_is_looked_into_and_never_answered_by_sending_again(faulty: Any) -> None:
    def conflict(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method == "POST" and not request.url.path.endswith("/users"):
            return httpx.Response(409, json={"error": "somebody was faster"})
        return None

    guests = faulty(conflict)
    with pytest.raises(Conflict, match="somebody was faster"):
        guests.invite(ADA)
    assert len(guests.writes) == 1


def test_somebody_was_faster(faulty: Any, sandbox: World) -> None:
    """Between our look and our request another program has invited the same person."""
    other: Any = None

    def first(request: httpx.Request, answer: httpx.Response | None) -> Any:
        nonlocal other
        writes = request.method == "POST" and not request.url.path.endswith("/users")
        if writes and answer is None and other is None:
            other = InProcess(sandbox).handle_request(request)
        return None

    guests = faulty(first)
    guests.service.configure(duplicates="refuse")
    result = guests.invite(ADA)
    assert result.outcome is Outcome.ALREADY_INVITED
    assert len(guests.invitations_of(ADA)) == len(guests.emails(ADA)) == 1
