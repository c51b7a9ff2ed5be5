"""Services that are not asked before an invitation, because they refuse a second one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from guestlist import Outcome, OutcomeUnknown, State

ADA = "ada@example.com"
GRACE = 30.0
pytestmark = pytest.mark.parametrize("case", ["betterauth"], indirect=True)


class Losing:
    """Loses the answer to an invitation once.

    Attributes:
        armed: when it begins.
        before: whether the service never sees it.
    """

    def __init__(self, *, before: bool = False, armed: bool = True) -> None:
        self.armed = armed
        self.before = before

    def __call__(self, request: httpx.Request, answer: httpx.Response | None) -> Any:
        lost = self.armed and request.url.path.endswith("/invite-member")
        if not lost or self.before is not (answer is None):
            return None
        self.armed = False
        return httpx.ReadError("reset by peer")


def test_one_request_will_do(guests: Any) -> None:
    assert guests.invite(ADA).outcome is Outcome.INVITED
    assert len(guests.requests) == 1


@pytest.mark.parametrize("before", [True, False])
def test_a_lost_answer(faulty: Any, before: bool) -> None:
    guests = faulty(Losing(before=before))
    result = guests.invite(ADA)
    assert (result.outcome, result.email_sent) == (Outcome.INVITED, True if before else None)
    assert len(guests.emails(ADA)) == len(guests.invitations_of(ADA)) == 1
    assert len(guests.writes) == (2 if before else 1)


def test_an_older_one_is_taken_for_the_order_s_own(faulty: Any) -> None:
    """Nobody looked before, so whether there was an email is not said."""
    losing = Losing(before=True, armed=False)
    guests = faulty(losing)
    guests.invite(ADA)
    losing.armed = True
    result = guests.invite(ADA)
    assert (result.outcome, result.email_sent) == (Outcome.INVITED, None)
    assert len(guests.emails(ADA)) == 1


@pytest.mark.parametrize("before", [True, False])
def test_one_that_has_ended_may_be_the_order_s_own(faulty: Any, before: bool) -> None:
    """It may have been made and revoked again, and is not made a second time."""
    losing = Losing(before=before, armed=False)
    guests = faulty(losing)
    guests.invite(ADA)
    guests.revoke(ADA)
    losing.armed = True
    if before:
        with pytest.raises(OutcomeUnknown):
            guests.invite(ADA)
    else:
        assert guests.invite(ADA).guest.state is State.PENDING
    assert len(guests.emails(ADA)) == (1 if before else 2)


def test_what_another_withdrew_meanwhile_is_seen_where_the_service_remembers(faulty: Any) -> None:
    def withdraw(request: httpx.Request, answer: httpx.Response | None) -> Any:
        told = losing(request, answer)
        if told is not None:
            organization = guests.service.organization
            organization.revoke(organization.invitations_to(ADA)[0])
        return told

    losing = Losing()
    guests = faulty(withdraw)
    with pytest.raises(OutcomeUnknown):
        guests.invite(ADA)
    assert len(guests.emails(ADA)) == 1
