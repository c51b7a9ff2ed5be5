"""Creates an invitation, or replaces one by another."""

from __future__ import annotations

from functools import partial

from guestlist import errors
from guestlist.address import email_key
from guestlist.errors import Conflict, GuestlistError
from guestlist.exchange.account import Call
from guestlist.exchange.recovery import once
from guestlist.exchange.step import Steps
from guestlist.models import (
    OPEN_STATES,
    Basis,
    Guest,
    Invitation,
    InviteResult,
    Member,
    NewInvitation,
    Outcome,
    State,
)
from guestlist.verbs.evidence import has_ended, new_record, would_show
from guestlist.verbs.find import can_look, look, look_up_after_change
from guestlist.verbs.results import already_member_result, created_result
from guestlist.verbs.withdraw import withdraw


def create(call: Call, new: NewInvitation, known: Guest | None) -> Steps[InviteResult]:
    """Creates an invitation, exactly once.

    Args:
        known: the guest before. None if the records were not read.

    Raises:
        OutcomeUnknown: it may have been created, and a lookup gave no proof.
    """
    before = known.invitation if known is not None else None
    conclusive = before is None or has_ended(call, before) or (yield from would_show(call, before))
    settled = yield from once(
        call,
        partial(call.provider.invite, new),
        partial(_find_new_record, call, known) if can_look(call) else None,
        conclusive=conclusive,
    )
    result = created_result(call, new, settled)
    call.account.recent_writes.add(result.guest, call.account.clock.monotonic())
    # No list may show a person who awaits approval, so that a known login would prove an absence.
    if new.login and new.email and result.outcome is not Outcome.AWAITING_APPROVAL:
        call.account.logins[email_key(new.email)] = new.login
    return result


def recreate(call: Call, new: NewInvitation, guest: Guest, old: Invitation) -> Steps[InviteResult]:
    """Revokes an invitation, and creates another one in its place."""
    if old.state is State.ACCEPTED:  # Not revoked, because some services then remove the member.
        return (yield from create(call, new, guest))
    revoked: bool | None = True
    for other in guest.invitations:
        if other.id != old.id:
            yield from withdraw(call, call.provider.revoke(other))
    over = old.model_copy(update={"state": State.REVOKED, "basis": Basis.INFERRED})
    try:
        yield from withdraw(call, call.provider.revoke(old))
    except (errors.NotFound, Conflict, errors.Rejected) as refusal:
        # The invitation was not revoked now: an earlier attempt has revoked it, it has just been
        # accepted, or it had already ended.
        revoked = refusal.happened
        now = yield from look_up_after_change(call, revoked)
        if now.state is State.ACCEPTED:
            return already_member_result(call, new, "replace", now)
        if not isinstance(refusal, errors.NotFound):
            if now.state in OPEN_STATES or revoked is not False:
                raise
            over = old
    try:
        result = yield from create(call, new, guest.model_copy(update={"invitation": over}))
    except GuestlistError as error:
        if error.happened is False:
            error.happened = revoked  # half of the change has happened
            error.half_done = revoked is not False
        if over is not old:
            error.hint = f"The earlier invitation is revoked already. {error.hint}"
        raise
    return result.model_copy(update={"replaced": old})


def _find_new_record(
    call: Call, known: Guest | None, _happened: bool
) -> Steps[Invitation | Member | None]:
    """Returns the record or membership that is there now and was not there before.

    Raises:
        MalformedResponse: the earlier records were not read, so that it is unclear if it is new.
    """
    guest = yield from look(call, members=False)  # a new invitation is proof enough
    try:
        return new_record(guest, known, prepared=call.prepared)
    except GuestlistError as error:
        raise call.about(error) from None
