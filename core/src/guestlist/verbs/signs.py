"""What shows that an invitation was made, renewed, or has ended."""

from __future__ import annotations

from datetime import datetime

from guestlist.errors import MalformedResponse
from guestlist.exchange.account import Call
from guestlist.exchange.policy import sleep
from guestlist.exchange.step import Steps
from guestlist.models import OPEN_STATES, Basis, Guest, Invitation, Member, State
from guestlist.provider import Provider

ENDED = frozenset({State.EXPIRED, State.REVOKED, State.DECLINED, State.ACCEPTED})
"""The states of an invitation that nobody can accept any more."""

GRAIN = 1.1
"""Seconds between reading an expiry of whole seconds and renewing it. Within the same second as the
last renewal it would not be seen to move, and a resend that got no answer would be repeated."""


def appeared(guest: Guest, known: Guest | None) -> Invitation | Member | None:
    """Returns the record that is there now and was not before, or None. The invitee may have
    answered already: a new invitation that was declined was made all the same.

    Args:
        guest: where the person stands now.
        known: where the person stood before; None if nobody looked.

    Raises:
        MalformedResponse: it is not certain that a record is new, or that there is none: nobody
            looked before, an older invitation is open and may have been opened again, or a record
            that cannot be read may be the new one.
    """
    new = _new_record(guest, known)
    if new is None and guest.incomplete is not None:
        raise MalformedResponse(guest.incomplete)
    return new


def _new_record(guest: Guest, known: Guest | None) -> Invitation | Member | None:
    one = guest.invitation
    if guest.state is State.ACCEPTED:
        return guest.member or one
    if one is None:
        return None
    if known is None and guest.state in OPEN_STATES:
        return one
    if known is None:  # no date tells: this machine's clock may have been set meanwhile
        raise MalformedResponse(f"an invitation of {guest.email} is {one.state} and may be new")
    before = known.invitation
    if before is None:
        return one
    if (one.id, one.expires_at) != (before.id, before.expires_at):
        if not _is_older(one, before):
            return one
        if one.state in OPEN_STATES:
            raise MalformedResponse(f"an older invitation of {guest.email} is open")
        return None
    reopened = before.basis is Basis.REPORTED and before.state in ENDED
    return one if reopened and one.state in OPEN_STATES else None


def _is_older(one: Invitation, before: Invitation) -> bool:
    """Whether a record was made before another, which a list does not show (any more, or yet). By
    expiry that is said of what has ended only: an open invitation may have been made for less
    time."""
    made, earlier = _told(one, "created_at"), _told(before, "created_at")
    if made is None or earlier is None:
        if one.state not in ENDED:
            return False
        made, earlier = _told(one, "expires_at"), _told(before, "expires_at")
    return made is not None and earlier is not None and made < earlier


def moved(before: Invitation, now: Invitation) -> bool:
    """Whether an invitation was renewed: its expiry is later, or it has another id."""
    if now.expires_at is None or before.expires_at is None:
        return False
    return now.expires_at > before.expires_at or now.id != before.id


def took_effect(action: str, known: Guest | None, now: Guest) -> bool:
    """Returns whether a look shows that a call, whose outcome was not known, took effect.

    Args:
        action: `invite`, `replace` or `resend`.
        known: where the person stood before the call; None if nobody looked.
        now: where the person stands now.

    Raises:
        MalformedResponse: the look cannot tell.
    """
    before = known.invitation if known is not None else None
    if action != "resend" or before is None:
        return appeared(now, known) is not None
    after = now.invitation
    if now.state is State.ACCEPTED or (after is not None and moved(before, after)):
        return True
    if now.incomplete is not None:
        raise MalformedResponse(now.incomplete)
    return False


def proves_absence(provider: Provider, known: Guest | None, now: Guest) -> bool:
    """Returns whether it proves something that a look finds no effect of a call, however late it
    is. Where the earlier invitation is still there, a service may have renewed it without showing
    that."""
    before = known.invitation if known is not None else None
    after = now.invitation
    if before is None or after is None or shows_renewal(provider, before):
        return True
    return after.basis is Basis.REPORTED and after.state not in (*OPEN_STATES, State.UNKNOWN)


def has_ended(call: Call, invitation: Invitation) -> bool:
    """Whether an invitation is certainly over. Where it might still be open, a service may answer
    another order for the address by renewing it in place."""
    if invitation.basis is not Basis.DERIVED:
        return invitation.state in ENDED
    told = _told(invitation, "expires_at")
    return told is not None and call.account.is_dated and told <= call.account.now()


def would_show(call: Call, invitation: Invitation) -> Steps[bool]:
    """Whether one sees if an invitation is renewed, by an expiry that moves; waits until it would.
    Where none shows, finding no change proves nothing."""
    told = _told(invitation, "expires_at")
    if not shows_renewal(call.provider, invitation):
        return False
    if told is not None and told.microsecond == 0 and call.known is None:
        yield from sleep(call, min(GRAIN, call.remaining))
    return True


def shows_renewal(provider: Provider, invitation: Invitation) -> bool:
    """Whether an invitation that is renewed in place has another expiry then."""
    return provider.resend_moves_expiry and _told(invitation, "expires_at") is not None


def _told(invitation: Invitation, name: str) -> datetime | None:
    """A date of an invitation, if the service says it."""
    return None if name in invitation.estimated else getattr(invitation, name)
