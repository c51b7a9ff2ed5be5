"""`resend`: the email of an invitation once more."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist import Conflict, NotFound, Outcome, State

ADA = "ada@example.com"
on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)


@pytest.mark.parametrize("how", ["address", "other case", "id", "invitation", "guest"])
def test_an_open_one(guests: Any, how: str) -> None:
    first = guests.invite(ADA).guest
    who = {
        "address": ADA,
        "other case": ADA.upper(),
        "id": first.invitation.id,
        "invitation": first.invitation,
        "guest": first,
    }[how]
    guests.later(days=1)
    guests.forget()
    result = guests.resend(who)
    assert result.outcome is Outcome.RESENT
    assert result.email_sent is True
    assert result.replaced is None
    assert result.warnings == ()
    assert result.guest.state is State.PENDING
    assert result.guest.invitation.id == first.invitation.id
    assert result.guest.invitation.expires_at > first.invitation.expires_at
    assert len(guests.emails(ADA)) == 2
    assert len(guests.writes) == 1


def test_it_can_still_be_accepted(guests: Any) -> None:
    guests.invite(ADA)
    guests.resend(ADA)
    guests.accept(ADA)
    assert guests.status(ADA).state is State.ACCEPTED


# ---------------------------------------------------------------------------- expired


@on_vultr
def test_an_expired_one_that_vultr_calls_pending_keeps_its_id(guests: Any) -> None:
    guests.service.configure(expired="pending")
    first = guests.invite(ADA).guest
    guests.later(days=4)
    assert guests.status(ADA).state is State.EXPIRED
    result = guests.resend(ADA)
    assert result.outcome is Outcome.RESENT
    assert result.replaced is None
    assert result.guest.invitation.id == first.invitation.id
    assert result.guest.state is State.PENDING
    assert len(guests.emails(ADA)) == 2


@on_vultr
@pytest.mark.parametrize("api_enabled", [True, False])
def test_an_expired_one_that_vultr_refuses_is_made_anew(guests: Any, api_enabled: bool) -> None:
    guests.service.configure(expired="expired")
    first = guests.invite(ADA, options={"api_enabled": api_enabled}).guest
    guests.later(days=4)
    result = guests.resend(ADA)
    assert result.outcome is Outcome.RESENT
    assert result.email_sent is True
    assert result.replaced.id == first.invitation.id
    assert result.guest.invitation.id != first.invitation.id
    assert result.guest.state is State.PENDING
    assert "made anew" in result.warnings[0]
    assert "until it expires" in result.warnings[0]
    assert guests.service.organization.shown_invitations()[-1].fields["api_enabled"] is api_enabled
    assert len(guests.emails(ADA)) == 2


@on_vultr
def test_an_expired_one_by_its_old_id(guests: Any) -> None:
    guests.service.configure(expired="expired")
    old = guests.invite(ADA).guest.invitation.id
    guests.later(days=4)
    new = guests.resend(ADA).guest.invitation.id
    again = guests.resend(old)  # the person's invitation is meant, which is another by now
    assert again.guest.invitation.id == new
    assert len(guests.invitations_of(ADA)) == 2


@on_aitronos
@pytest.mark.parametrize("moves", ["yes", "no"])
def test_an_expired_one_on_aitronos(guests: Any, moves: str) -> None:
    guests.service.configure(resend_moves_expiry=moves)
    guests.invite(ADA, role="Admin")
    guests.later(days=8)
    assert guests.status(ADA).state is State.EXPIRED
    result = guests.resend(ADA)
    assert result.outcome is Outcome.RESENT
    assert result.email_sent is True
    assert result.guest.state is (State.PENDING if moves == "yes" else State.EXPIRED)
    assert bool(result.warnings) == (moves == "no")  # an email whose link is dead is told


@on_aitronos
def test_an_expired_one_that_aitronos_does_not_find(guests: Any) -> None:
    guests.service.configure(expired_lookup="missing")
    guests.invite(ADA)
    guests.later(days=8)
    assert guests.status(ADA).state in (State.UNKNOWN, State.GONE)
    with pytest.raises((NotFound, Conflict)) as caught:
        guests.resend(ADA)
    assert caught.value.hint


# ---------------------------------------------------------------------------- nothing to resend


@pytest.mark.parametrize("who", [ADA, "nobody@example.com"])
def test_no_invitation(guests: Any, who: str) -> None:
    with pytest.raises(NotFound, match=f"home: there is no invitation of {who}") as caught:
        guests.resend(who)
    assert "Invite" in caught.value.hint
    assert guests.writes == []


def test_an_accepted_one(guests: Any) -> None:
    guests.invite(ADA)
    guests.accept(ADA)
    guests.forget()
    with pytest.raises(Conflict, match="has accepted already"):
        guests.resend(ADA)
    assert guests.writes == []
    assert len(guests.emails(ADA)) == 1


def test_a_member_without_an_invitation(guests: Any) -> None:
    with pytest.raises(Conflict, match="has accepted already"):
        guests.resend(guests.case.member)
    assert guests.writes == []


@on_aitronos
def test_a_revoked_one(guests: Any) -> None:
    guests.invite(ADA)
    guests.revoke(ADA)
    guests.forget()
    with pytest.raises(NotFound):
        guests.resend(ADA)
    assert guests.writes == []


def test_an_unknown_id(guests: Any) -> None:
    with pytest.raises(NotFound, match="no invitation or member with the id 'inv_nobody'"):
        guests.resend("inv_nobody")
    assert guests.writes == []
