"""Evidence that an invitation was created or renewed, or has ended."""

from __future__ import annotations

from datetime import datetime

from guestlist.errors import MalformedResponse
from guestlist.exchange.account import Call
from guestlist.exchange.policy import sleep
from guestlist.exchange.step import Steps
from guestlist.models import OPEN_STATES, Basis, Guest, Invitation, Member, Role, State
from guestlist.provider import Provider

CLOSED_STATES = frozenset({State.EXPIRED, State.REVOKED, State.DECLINED, State.ACCEPTED})
"""The states of an invitation that can no longer be accepted."""

RENEWAL_GAP_SECONDS = 1.1
"""Seconds between reading an expiry of whole seconds and renewing the invitation. Within the same
second, the new expiry would equal the old one, and a resend without an answer would be repeated."""


def new_record(
    guest: Guest, known: Guest | None, *, prepared: bool = False
) -> Invitation | Member | None:
    """Returns the record that was created since `known`, or None.

    A new invitation counts even if the invitee has already declined it.

    Args:
        guest: the guest now.
        known: the guest before. None if the records were not read.
        prepared: whether there may be a record without an email.

    Raises:
        MalformedResponse: it is uncertain whether a record is new, or whether there is one. Either
            the records were not read before, or an older open invitation may have been reopened, or
            an unreadable record may be new, or the record does not show whether its email was sent.
    """
    new = _new_record(guest, known)
    if prepared and new is not None and guest.state is not State.ACCEPTED:
        raise _email_not_shown(guest)
    if new is None and (unclear := guest.incomplete or guest.unidentified) is not None:
        raise MalformedResponse(unclear)
    return new


def _email_not_shown(guest: Guest) -> MalformedResponse:
    return MalformedResponse(
        f"the record of {guest.label} does not show whether its email was sent"
    )


def _new_record(guest: Guest, known: Guest | None) -> Invitation | Member | None:
    one = guest.invitation
    if guest.state is State.ACCEPTED:
        return guest.member or one
    if one is None:
        return None
    if known is None and guest.state in OPEN_STATES:
        return one
    # A date would be no proof, because this machine's clock may have been set meanwhile.
    if known is None:
        raise MalformedResponse(
            f"an invitation of {guest.label} is {one.state}, and it is uncertain whether it is new"
        )
    before = known.invitation
    if before is None:
        return one
    if not _is_same(one, before):
        if not _is_older(one, before):
            return one
        if one.state in OPEN_STATES:
            raise MalformedResponse(f"an older invitation of {guest.label} is open")
        return None
    was_revoked = before.state is State.REVOKED and before.basis is Basis.INFERRED
    if one.id is None and was_revoked and one.state in OPEN_STATES:
        raise MalformedResponse(
            f"the open invitation of {guest.label} may be the one from before the request"
        )
    reopened = before.basis is Basis.REPORTED and before.state in CLOSED_STATES
    return one if reopened and one.state in OPEN_STATES else None


def _is_same(one: Invitation, before: Invitation) -> bool:
    """Returns whether nothing distinguishes two records of an address.

    Records without ids are distinguished by the dates of their creation, if the service reports
    both.
    """
    if one.id is None and before.id is None:
        made, earlier = _reported_date(one, "created_at"), _reported_date(before, "created_at")
        if made is not None and earlier is not None and made != earlier:
            return False
    return (one.id, one.expires_at) == (before.id, before.expires_at)


def _is_older(one: Invitation, before: Invitation) -> bool:
    """Returns whether `one` was created before `before`, a record that the list no longer shows.

    The expiry proves that only for an invitation that has ended: an open one may have been created
    with a shorter lifetime.
    """
    made, earlier = _reported_date(one, "created_at"), _reported_date(before, "created_at")
    if made is None or earlier is None:
        if one.state not in CLOSED_STATES:
            return False
        made, earlier = _reported_date(one, "expires_at"), _reported_date(before, "expires_at")
    return made is not None and earlier is not None and made < earlier


def was_renewed(before: Invitation, now: Invitation) -> bool:
    """Returns whether an invitation was renewed: its expiry is later, or it has another id."""
    if now.expires_at is None or before.expires_at is None:
        return False
    return now.expires_at > before.expires_at or now.id != before.id


def took_effect(action: str, known: Guest | None, now: Guest, *, prepared: bool = False) -> bool:
    """Returns whether the records prove that a call with an unknown outcome took effect.

    Args:
        action: `invite`, `replace` or `resend`.
        known: the guest before the call. None if the records were not read.
        now: the guest now.
        prepared: whether the call may have left a record without sending the email.

    Raises:
        MalformedResponse: the records prove nothing.
    """
    before = known.invitation if known is not None else None
    if action != "resend" or before is None:
        return new_record(now, known, prepared=prepared) is not None
    after = now.invitation
    if now.state is State.ACCEPTED:
        return True
    if after is not None and was_renewed(before, after):
        if prepared and after.id != before.id:
            raise _email_not_shown(now)
        return True
    if now.incomplete is not None:
        raise MalformedResponse(now.incomplete)
    return False


def proves_absence(provider: Provider, known: Guest | None, now: Guest) -> bool:
    """Returns whether a lookup that shows no effect of a call proves that there was none.

    It does not if the earlier invitation is still there and the service may have renewed it without
    a visible change.
    """
    before = known.invitation if known is not None else None
    after = now.invitation
    if before is None or after is None or shows_renewal(provider, before):
        return True
    return after.basis is Basis.REPORTED and after.state not in (*OPEN_STATES, State.UNKNOWN)


def has_ended(call: Call, invitation: Invitation) -> bool:
    """Returns whether an invitation has certainly ended.

    If it might still be open, a service may renew it when the address is invited again.
    """
    if invitation.basis is not Basis.DERIVED:
        return invitation.state in CLOSED_STATES
    expiry = _reported_date(invitation, "expires_at")
    return expiry is not None and call.account.is_dated and expiry <= call.account.now()


def would_show(call: Call, invitation: Invitation) -> Steps[bool]:
    """Returns whether a renewal visibly changes the expiry.

    Waits first, if only a later renewal would change it. If no renewal is visible, a lookup without
    a change proves nothing.
    """
    expiry = _reported_date(invitation, "expires_at")
    if not shows_renewal(call.provider, invitation):
        return False
    if expiry is not None and expiry.microsecond == 0 and call.strategy.guest_before is None:
        yield from sleep(call, min(RENEWAL_GAP_SECONDS, call.remaining))
    return True


def shows_renewal(provider: Provider, invitation: Invitation) -> bool:
    """Returns whether an invitation that is renewed in place has another expiry."""
    return provider.resend_moves_expiry and _reported_date(invitation, "expires_at") is not None


def _reported_date(invitation: Invitation, name: str) -> datetime | None:
    """Returns a date of an invitation; None if it is missing or was estimated."""
    return None if name in invitation.estimated else getattr(invitation, name)


def may_undo(provider: Provider, earlier: Role, role: Role) -> bool:
    """Returns whether an unresolved change of one role may undo a change of another: they are the
    same role, or the service replaces one by the other."""
    is_same = (earlier.kind, earlier.id) == (role.kind, role.id)
    return is_same or bool(provider.replaced_by(role, (earlier,)))
