"""Invitations of which it is not clear whether they are open, or that cannot be withdrawn."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from guestlist import AlreadyInvited, Conflict, Outcome, State

ADA = "ada@example.com"

on_betterauth = pytest.mark.parametrize("case", ["betterauth"], indirect=True)


def bounced(guests: Any) -> None:
    """The service calls Ada's invitation by a word that nobody knows."""
    [one] = guests.invitations_of(ADA)
    guests.service.organization.invitations[one["id"]].ended = "bounced"


@on_betterauth
def test_an_unknown_state_causes_no_second_email(faulty: Any) -> None:
    guests = faulty(lambda _request, _answer: None, settings={"reinvite_cancels": True})
    guests.invite(ADA)
    bounced(guests)
    result = guests.invite(ADA)
    assert (result.outcome, result.email_sent) == (Outcome.ALREADY_INVITED, False)
    assert (result.guest.state, result.guest.raw_state) == (State.UNKNOWN, "bounced")
    assert "'bounced'" in result.warnings[0]
    with pytest.raises(AlreadyInvited, match="'bounced'"):
        guests.invite(ADA, if_exists="error")
    assert len(guests.emails(ADA)) == 1
    assert guests.invite(ADA, if_exists="replace").outcome is Outcome.INVITED
    assert len(guests.emails(ADA)) == 2


def refusing(status: int) -> Any:
    """Lets nothing be sent again, and nothing be withdrawn."""

    def fault(request: httpx.Request, answer: httpx.Response | None) -> httpx.Response | None:
        again = request.url.path.endswith("/invite-member") and b'"resend":true' in request.content
        if answer is None and (again or request.url.path.endswith("/cancel-invitation")):
            return httpx.Response(status, json={"message": "it is not open", "code": "NOT_OPEN"})
        return None

    return fault


@on_betterauth
@pytest.mark.parametrize("status", [400, 409])
def test_an_expired_one_need_not_be_withdrawn(faulty: Any, status: int) -> None:
    guests = faulty(refusing(status))
    old = guests.invite(ADA).guest.invitation
    guests.later(days=8)
    result = guests.resend(ADA)
    assert result.guest.state is State.PENDING
    assert (result.outcome, result.replaced.id) == (Outcome.RESENT, old.id)
    assert len(guests.emails(ADA)) == 2


@on_betterauth
def test_an_open_one_has_to_be_withdrawn_before_another_is_made(faulty: Any) -> None:
    guests = faulty(refusing(409))
    guests.invite(ADA)
    with pytest.raises(Conflict):
        guests.invite(ADA, if_exists="replace")
    assert len(guests.emails(ADA)) == 1
