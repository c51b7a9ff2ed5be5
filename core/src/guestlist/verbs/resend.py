"""`resend`: sends the email of an invitation again."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from guestlist import errors
from guestlist.errors import Conflict, GuestlistError
from guestlist.event import EventName
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run
from guestlist.exchange.recording import Intent
from guestlist.exchange.recovery import once
from guestlist.exchange.step import Steps
from guestlist.models import (
    MAY_BE_OPEN,
    OPEN_STATES,
    Guest,
    Invitation,
    InviteResult,
    NewInvitation,
    Outcome,
    State,
)
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.arguments import check_resendable
from guestlist.verbs.create import create, recreate
from guestlist.verbs.earlier import settle_earlier
from guestlist.verbs.evidence import was_renewed, would_show
from guestlist.verbs.find import (
    Who,
    begin,
    check_records_readable,
    find_invitation,
    invitation_named,
    look,
    offers,
)
from guestlist.verbs.guest_lock import lock_guest
from guestlist.verbs.results import (
    FOUND_BY_LOOKING,
    earlier_call_result,
    ledger_outcome,
    role_warning,
    roles_applied,
)
from guestlist.verbs.states import conclude, current


def resend(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[InviteResult]:
    """Sends the email of an invitation again. Some services also extend its expiry.

    If the service cannot resend an email, the invitation is revoked and created again. Then
    `replaced` in the result is the old invitation, whose link no longer works.

    Args:
        who: an address, the id of an invitation, or a value that guestlist returned.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        NotFound: the person has no invitation.
        Conflict: the invitation was accepted, declined or revoked.
        Unsupported: the service can neither resend nor revoke an invitation.
        OutcomeUnknown: the email may have been sent again, and a lookup gave no proof.
    """
    call = yield from begin(accounts, who, account, check_resendable)
    yield from lock_guest(call)
    found = yield from settle_earlier(call, "resend")
    # If the invitation was declined or revoked since, the call fails like any other.
    if found is not None and found.state in (*MAY_BE_OPEN, State.EXPIRED, State.ACCEPTED):
        intent, steps = Intent("resend", found), earlier_call_result(found, Outcome.RESENT)
        return (yield from call.strategy.record(call, intent, steps, ledger_outcome))
    guest = yield from look(call)
    named = invitation_named(who, guest)
    if named is not None:  # A member may have an open invitation, too.
        guest = conclude(call.account, named.email, named, None)
    if guest.invitation is None or guest.state not in (*MAY_BE_OPEN, State.EXPIRED):
        check_records_readable(call, guest)
        raise call.about(_not_resendable(guest))
    steps = renew(call, guest, guest.invitation)
    result = yield from call.strategy.record(call, Intent("resend", guest), steps, ledger_outcome)
    call.account.emit(EventName.OUTCOME, email=call.who, detail=result.outcome)
    return result


def renew(
    call: Call, guest: Guest, invitation: Invitation, new: NewInvitation | None = None
) -> Steps[InviteResult]:
    """Sends the email of an invitation again, or creates another invitation if that is impossible.

    Args:
        new: the invitation that `invite` asks for. None to offer the same as the invitation.
    """
    provider = call.provider
    again = new or provider.copy_of(invitation)
    if not provider.supports("resend"):
        return (yield from _replace(call, again, guest, invitation))
    conclusive = yield from would_show(call, invitation)
    try:
        settled = yield from once(
            call,
            partial(provider.resend, invitation),
            partial(_renewed, call, invitation, conclusive),
            conclusive=conclusive,
        )
    except (errors.Rejected, Conflict, errors.NotFound) as refusal:
        if guest.state is not State.EXPIRED or refusal.happened is not False:
            raise
        return (yield from _replace(call, again, guest, invitation))
    now = call.account.now()
    renewed = current(settled.value, provider, now)
    applied = roles_applied(again.roles, renewed.roles or None) if new else None
    # The new id may be unknown yet, if the service's lists do not show the new record.
    changed = invitation.id is not None and renewed.id != invitation.id
    warnings = [] if settled.answered else [FOUND_BY_LOOKING]
    if renewed.state is State.EXPIRED:
        warnings.append(
            'The email was sent, and the invitation is past its expiry still: "replace" it.'
        )
    after = conclude(call.account, invitation.email, renewed, None)
    if changed:
        call.account.recent_writes.add(after, call.account.clock.monotonic())
    return InviteResult(
        outcome=Outcome.RESENT,
        guest=after,
        email_sent=True if settled.answered else None,
        role_applied=applied,
        replaced=invitation if changed else None,
        warnings=(*warnings, *role_warning(applied)),
    )


def _renewed(
    call: Call, before: Invitation, shows: bool, happened: bool
) -> Steps[Invitation | None]:
    """Returns the invitation if it was renewed: its expiry is later, or it has another id.

    The old record alone proves nothing: some services keep it and create another one beside it.

    Args:
        shows: whether a renewal changes the expiry.
        happened: whether it was certainly renewed. If a renewal does not show, waiting is useless,
            and the invitation is returned as it is.

    Raises:
        MalformedResponse: the invitation is gone, perhaps accepted, so that the outcome is unknown.
    """
    if call.provider.supports("get_invitation") and before.id is not None:
        with suppress(errors.NotFound):
            same = yield from run(call, call.provider.get_invitation(before.id))
            if was_renewed(before, same):
                return same
    now = yield from find_invitation(call)
    if now is None:
        raise call.about(errors.MalformedResponse(f"the invitation of {before.label} is gone"))
    as_it_is = happened and not shows and now.state in (*OPEN_STATES, State.EXPIRED)
    return now if as_it_is or was_renewed(before, now) else None


def _replace(call: Call, new: NewInvitation, guest: Guest, old: Invitation) -> Steps[InviteResult]:
    """Revokes the invitation if possible and sends a new one, for services that cannot resend.

    Raises:
        Conflict: the roles of the old invitation are unknown. Nothing was revoked.
    """
    if call.provider.lacks(new.roles):
        raise call.about(
            Conflict(
                f"the invitation of {guest.label} is {guest.state}, cannot be resent, and does not"
                " show its role",
                hint="Invite the person anew, with a role.",
            )
        )
    warnings = ["The invitation was made anew" + ": it has another id" * (old.id is not None)]
    if call.provider.supports("revoke"):
        warnings[0] += ", and the old link is dead."
        result = yield from recreate(call, new, guest, old)
    else:
        warnings[0] += "; the old one stays until it expires."
        result = yield from create(call, new, guest)
    return result.model_copy(
        update={
            "outcome": Outcome.RESENT if result.outcome is Outcome.INVITED else result.outcome,
            "replaced": old,
            "warnings": (*warnings, *result.warnings),
        }
    )


def _not_resendable(guest: Guest) -> GuestlistError:
    if guest.state is State.ACCEPTED:
        if guest.invitations:
            return Conflict(
                f"{guest.label} is a member, and has an open invitation besides"
                f" ({offers(guest.invitations)})",
                hint="To send its email again, pass the id of the invitation.",
            )
        return Conflict(f"{guest.label} has accepted already", hint="There is nothing to resend.")
    if guest.invitation is None and guest.email is None:
        return errors.NotFound(
            f"no invitation shows the login {guest.label}",
            hint="Invitations may show only the address: use it, or the id of the invitation.",
        )
    if guest.invitation is None:
        return errors.NotFound(
            f"there is no invitation of {guest.label}", hint="Invite the person first."
        )
    return Conflict(
        f"the invitation of {guest.label} is {guest.state}", hint="Invite the person anew."
    )
