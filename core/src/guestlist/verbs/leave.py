"""`revoke`, which withdraws an invitation, and `remove`, which takes a member out.

They are two verbs on purpose: several services delete the person when an accepted invitation is
cancelled, and others report success while the person stays.
"""

from __future__ import annotations

from guestlist.errors import Conflict, GuestlistError, NotFound
from guestlist.event import EventName
from guestlist.exchange.account import Call
from guestlist.exchange.recording import Intent
from guestlist.exchange.step import Steps
from guestlist.models import (
    MEMBERSHIPS,
    OPEN_STATES,
    Basis,
    Guest,
    Invitation,
    Member,
    RemoveOutcome,
    RemoveResult,
    RevokeOutcome,
    RevokeResult,
    State,
)
from guestlist.provider import Flow
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.find import (
    Who,
    begin,
    check_complete,
    find_active_member,
    look,
    look_after,
    needs,
)
from guestlist.verbs.guest_lock import lock_guest
from guestlist.verbs.states import conclude
from guestlist.verbs.withdraw import withdraw

ACCEPTED_HINT = "`remove` takes a member out."


def revoke(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[RevokeResult]:
    """Withdraws an invitation. Safe to repeat. Never takes a member out.

    The invitation is read again first, so that no accepted one is revoked. If there is no open
    invitation, nothing is sent and the outcome is `already_revoked`.

    Args:
        who: an address, the id of an invitation, or a value that guestlist returned.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Conflict: the person is a member without an open invitation. Use `remove`.
        NotFound: no invitation has the id. Only if the service keeps revoked invitations
            (`Provider.keeps_revoked`); otherwise the outcome is `already_revoked`.
        Unsupported: the service cannot revoke invitations.
    """
    try:
        call, email = yield from begin(accounts, who, account, needs("revoke"))
    except NotFound:  # no record has the id
        chosen = accounts.pick(account)
        if chosen.provider.keeps_revoked:
            raise
        return RevokeResult(
            outcome=RevokeOutcome.ALREADY_REVOKED,
            guest=_nobody(chosen.name),
            warnings=(f"The service has no invitation {who}: it has ended, or never existed.",),
        )
    yield from lock_guest(call, email)
    guest = yield from look(call, email)
    invitation = guest.invitation
    is_member = guest.state is State.ACCEPTED
    if is_member and not (invitation and invitation.state in OPEN_STATES):
        raise call.about(
            Conflict(f"{email} is a member without an open invitation", hint=ACCEPTED_HINT)
        )
    if invitation is None or guest.state in (State.REVOKED, State.DECLINED):
        check_complete(call, guest)
        return _revoked(email, guest, invitation)
    steps = _withdraw_once(call, email, invitation)
    result = yield from call.strategy.record(
        call, Intent("revoke", guest), steps, lambda result: (result.outcome, None)
    )
    if result.guest.state is State.ACCEPTED and not is_member:
        accepted = Conflict(
            f"{email} accepted while the invitation was being revoked", hint=ACCEPTED_HINT
        )
        accepted.happened = None  # some services mark the record as revoked all the same
        raise call.about(accepted)
    call.account.tell(EventName.OUTCOME, email=email, detail=result.outcome)
    return result


def remove(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[RemoveResult]:
    """Takes a member out of the organization. Safe to repeat.

    An open invitation of the member is withdrawn as well. If the person is neither a member nor
    invited, nothing is sent and the outcome is `already_removed`. That includes an id that the
    service does not have.

    Args:
        who: an address, the id of a member, or a value that guestlist returned.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Conflict: the person is invited, but not a member: use `revoke`. Or it is unknown whether
            the person is a member.
        Unsupported: the service cannot remove members.
    """
    try:
        call, email = yield from begin(accounts, who, account, needs("remove"))
    except NotFound:  # no record has the id
        return RemoveResult(
            outcome=RemoveOutcome.ALREADY_REMOVED,
            guest=_nobody(accounts.pick(account).name),
            warnings=(f"The service has no member {who}: the person has left, or never existed.",),
        )
    yield from lock_guest(call, email)
    guest = yield from find_active_member(call, email)
    member = guest.member
    if member is None or guest.state is not State.ACCEPTED:
        check_complete(call, guest)
        if guest.state in OPEN_STATES:
            raise call.about(
                Conflict(
                    f"{email} is invited and not a member yet",
                    hint="`revoke` withdraws an invitation.",
                )
            )
        if guest.state is State.UNKNOWN:
            raise call.about(
                Conflict(f"it is unknown whether {email} is a member", hint="Use the member's id.")
            )
        return RemoveResult(outcome=RemoveOutcome.ALREADY_REMOVED, guest=guest)
    steps = _take_out(call, email, member)
    result = yield from call.strategy.record(
        call, Intent("remove", guest), steps, lambda result: (result.outcome, None)
    )
    call.account.tell(EventName.OUTCOME, email=email, detail=result.outcome)
    return result


def _nobody(account: str) -> Guest:
    """Returns the guest for an id that the service does not have. The address is unknown."""
    return Guest(account=account, state=State.GONE, basis=Basis.INFERRED)


def _revoked(email: str, guest: Guest, invitation: Invitation | None) -> RevokeResult:
    """Returns the result if there was nothing to withdraw."""
    warning = f"The service has no invitation of {email}."
    return RevokeResult(
        outcome=RevokeOutcome.ALREADY_REVOKED,
        guest=guest,
        warnings=() if invitation else (warning,),
        invitation=invitation,
    )


def _withdraw_once(call: Call, email: str, invitation: Invitation) -> Steps[RevokeResult]:
    """Withdraws an invitation. The service may not have it any more: then it has ended since."""
    outcome = RevokeOutcome.REVOKED
    try:
        after = yield from _withdraw(call, email, invitation)
    except NotFound as error:
        after = yield from _look_for_absence(call, email, error)
        if after.state in OPEN_STATES:
            raise
        outcome = RevokeOutcome.ALREADY_REVOKED
    withdrawn = after.invitation
    if withdrawn is None or withdrawn.id != invitation.id:
        withdrawn = invitation.model_copy(update={"state": State.REVOKED, "basis": Basis.INFERRED})
    return RevokeResult(outcome=outcome, guest=after, invitation=withdrawn)


def _look_for_absence(call: Call, email: str, error: NotFound) -> Steps[Guest]:
    """Reads the records after the service did not find what was to be withdrawn.

    Raises:
        NotFound: an earlier attempt may have had an effect.
    """
    if error.happened is not False:
        raise error
    return (yield from look(call, email, again=True))


def _take_out(call: Call, email: str, member: Member) -> Steps[RemoveResult]:
    provider, outcome = call.provider, RemoveOutcome.REMOVED
    try:
        after = yield from _settled(call, provider.remove(member), email)
    except NotFound as error:
        after = yield from _look_for_absence(call, email, error)
        if after.state is State.ACCEPTED:
            raise
        outcome = RemoveOutcome.ALREADY_REMOVED
    if after.member is not None and after.member.state in MEMBERSHIPS:
        # The service has confirmed the removal, and its list lags.
        after = conclude(call.account, email, after.invitation, None)
        if after.state is State.ACCEPTED:
            after = after.model_copy(update={"state": State.GONE, "basis": Basis.INFERRED})
    leftover = after.invitation
    if leftover is not None and after.state in OPEN_STATES and provider.supports("revoke"):
        try:
            after = yield from _withdraw(call, email, leftover)
        except GuestlistError as error:
            error.happened = True  # the person is out
            raise
    return RemoveResult(outcome=outcome, guest=after)


def _withdraw(call: Call, email: str, invitation: Invitation) -> Steps[Guest]:
    """Revokes an invitation, and returns the guest afterwards.

    If the service's lists still show the invitation as open, it counts as revoked all the same.
    """
    after = yield from _settled(call, call.provider.revoke(invitation), email)
    same = after.invitation
    if same is None or same.id != invitation.id or after.state not in (*OPEN_STATES, State.EXPIRED):
        return after
    known = {"state": State.REVOKED, "basis": Basis.INFERRED}
    return after.model_copy(update={**known, "invitation": same.model_copy(update=known)})


def _settled(call: Call, flow: Flow[None], email: str) -> Steps[Guest]:
    """Runs a flow that is safe to repeat, and reads the guest's records afterwards.

    `NotFound` after an attempt without an answer counts as success: the earlier attempt did it.
    """
    happened: bool | None = True
    try:
        yield from withdraw(call, email, flow)
    except NotFound as error:
        if error.happened is False:
            raise
        happened = error.happened
    return (yield from look_after(call, email, happened))
