"""The results of invitations: outcome, guest and warnings."""

from __future__ import annotations

from collections.abc import Iterable

from guestlist import errors
from guestlist.exchange.account import Call
from guestlist.exchange.recovery import Creation
from guestlist.exchange.step import Steps
from guestlist.models import (
    Guest,
    Invitation,
    InviteResult,
    Member,
    NewInvitation,
    Outcome,
    Role,
    State,
)
from guestlist.verbs.arguments import IfExists
from guestlist.verbs.roles import holds
from guestlist.verbs.states import conclude, current

FOUND_BY_LOOKING = (
    "No answer confirmed it; it was found by looking. Whether the email was sent is not known."
)
DONE_EARLIER = "An earlier call has done it, and was interrupted. Nothing was sent now."


def created_result(
    call: Call, new: NewInvitation, settled: Creation[Invitation | Member]
) -> InviteResult:
    """Returns the result for an invitation or a membership that was created or found."""
    value = settled.value
    sent = None if new.send_email and not settled.answered else new.send_email
    if isinstance(value, Member):
        guest = conclude(call.account, new.email, None, value)
        outcome, sent, held = Outcome.JOINED, None, value.roles
    else:
        now = call.account.now()
        value = current(value, call.provider, now, fresh=settled.answered)
        guest = conclude(call.account, new.email, value, None)
        # The service reported the membership, so the members were not read.
        if value.state is State.ACCEPTED:
            accepted = {"state": State.ACCEPTED, "basis": value.basis}
            guest = guest.model_copy(update=accepted)
        held = value.roles or None
        outcome = {
            State.AWAITING_APPROVAL: Outcome.AWAITING_APPROVAL,
            State.ACCEPTED: Outcome.JOINED,
        }.get(value.state, Outcome.INVITED)
        if value.state not in (State.PENDING, State.EXPIRED):
            # Unknown, because the person may have joined without an email, or the email follows an
            # approval.
            sent = None
    applied = roles_applied(new.roles, held)
    warnings = [] if settled.answered else [FOUND_BY_LOOKING]
    warnings += role_warning(applied)
    return InviteResult(
        outcome=outcome,
        guest=guest,
        email_sent=sent,
        role_applied=applied,
        warnings=tuple(warnings),
    )


def already_member_result(
    call: Call, new: NewInvitation, if_exists: IfExists, guest: Guest
) -> InviteResult:
    """Returns the result for a person who is a member.

    Raises:
        AlreadyMember: the caller asked for an error.
    """
    if if_exists == "error":
        raise call.about(
            errors.AlreadyMember(
                f"{new.who} is a member already", hint="`assign_role` changes what they may do."
            )
        )
    applied = roles_applied(new.roles, guest.member.roles if guest.member else None)
    return InviteResult(
        outcome=Outcome.ALREADY_MEMBER,
        guest=guest,
        email_sent=False,
        role_applied=applied,
        warnings=(*_suspension_warning(guest), *role_warning(applied)),
    )


def _suspension_warning(guest: Guest) -> list[str]:
    return ["The member is suspended (locked out)."] * bool(guest.suspended)


def already_invited_result(
    call: Call, new: NewInvitation, if_exists: IfExists, guest: Guest
) -> InviteResult:
    """Returns the result for a person whose invitation is open or may be open.

    Raises:
        AlreadyInvited: the caller asked for an error.
    """
    invitation = guest.invitation
    if if_exists == "error":
        raise call.about(
            errors.AlreadyInvited(
                f"{new.who} has {_which(guest)} already"
                + (f" ({invitation.id})" if invitation and invitation.id else ""),
                hint='if_exists="resend" sends the email again, "replace" makes a new one.',
            )
        )
    waiting = guest.state is State.AWAITING_APPROVAL
    applied = roles_applied(new.roles, invitation.roles or None if invitation else None)
    return InviteResult(
        outcome=Outcome.AWAITING_APPROVAL if waiting else Outcome.ALREADY_INVITED,
        guest=guest,
        email_sent=False,
        role_applied=applied,
        warnings=(*_word_warning(guest), *role_warning(applied)),
    )


def earlier_call_result(guest: Guest, outcome: Outcome) -> Steps[InviteResult]:
    """Returns the result if an earlier, interrupted call has made the change."""
    if guest.state is State.ACCEPTED:
        outcome = Outcome.ALREADY_MEMBER
    return InviteResult(outcome=outcome, guest=guest, warnings=(DONE_EARLIER,))
    yield  # makes this a generator, which yields no steps


def ledger_outcome(result: InviteResult) -> tuple[str, bool | None]:
    """Returns what the ledger records of a result: the outcome, and whether an email was sent."""
    return result.outcome, result.email_sent


def _which(guest: Guest) -> str:
    if guest.state is State.UNKNOWN:
        return f"an invitation that the service calls {guest.raw_state!r}"
    return "an open invitation"


def _word_warning(guest: Guest) -> list[str]:
    if guest.unidentified is not None:
        return [f'Nothing was sent, because {guest.unidentified}. "replace" invites again.']
    return [
        f"The service calls the invitation {guest.raw_state or 'nothing'!r}, and what that means is"
        ' not known: it may still be open. "resend" and "replace" send again.'
    ] * (guest.state is State.UNKNOWN)


def roles_applied(wanted: Iterable[Role], held: Iterable[Role] | None) -> bool | None:
    """Returns whether all requested roles are held or offered; None if unknown."""
    wanted = tuple(wanted)
    if not wanted or held is None:
        return None
    held = tuple(held)
    return all(holds(held, role) for role in wanted)


def role_warning(applied: bool | None) -> list[str]:
    """Returns the warnings about roles."""
    return ["What the person has or is offered differs from the role asked for."] * (
        applied is False
    )
