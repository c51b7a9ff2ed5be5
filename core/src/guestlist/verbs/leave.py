"""`revoke`, which withdraws an invitation, and `remove`, which takes a member out.

They are two verbs on purpose: several services delete the person when an accepted invitation is
canceled, and others report success while the person stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    check_no_member,
    check_records_readable,
    find_active_member,
    invitation_named,
    look,
    look_up_after_change,
    offers,
    support_check,
)
from guestlist.verbs.guest_lock import lock_guest
from guestlist.verbs.states import conclude
from guestlist.verbs.withdraw import withdraw

ACCEPTED_HINT = "`remove` takes a member out."


def revoke(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[RevokeResult]:
    """Withdraws all open invitations of a person, or the one whose id is given. Safe to repeat.
    Never takes a member out.

    A single call reads the records first, so that it revokes no invitation that has been accepted.
    A run uses the records that were read for its plan, and reads them again before it revokes only
    if the person was a member then. It cannot take out a person who has become a member since,
    because `Provider.revoke` never does. If there is no open invitation, nothing is sent and the
    outcome is `already_revoked`.

    Args:
        who: an address, the id of an invitation, or a value that guestlist returned. An id, or an
            `Invitation`, withdraws only that one.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Conflict: the person is a member without an open invitation. Use `remove`. Or an invitation
            is still open, although the service confirmed that it was revoked.
        NotFound: no invitation has the id. Only if the service keeps revoked invitations
            (`Provider.keeps_revoked`); otherwise the outcome is `already_revoked`.
        Unsupported: the service cannot revoke invitations.
    """
    try:
        call = yield from begin(accounts, who, account, support_check("revoke"))
    except NotFound:  # no record has the id
        chosen = accounts.pick(account)
        if chosen.provider.keeps_revoked:
            raise
        return RevokeResult(
            outcome=RevokeOutcome.ALREADY_REVOKED,
            guest=_nobody(chosen.name),
            warnings=(f"The service has no invitation {who}: it has ended, or never existed.",),
        )
    yield from lock_guest(call)
    guest = yield from look(call)
    invitation = named = invitation_named(who, guest)
    if invitation is None:
        invitation = guest.invitation
    is_member = guest.state is State.ACCEPTED
    if is_member and not (invitation and invitation.state in OPEN_STATES):
        raise call.about(_not_invited(call))
    if invitation is None or guest.state in (State.REVOKED, State.DECLINED):
        check_records_readable(call, guest)
        return _revoked(call, guest, invitation)
    wanted = [invitation] if named or not guest.invitations else list(guest.invitations)
    in_run = call.strategy.guest_before is not None
    # An invitation that was accepted after the plan was made must not be revoked.
    if is_member and in_run:
        now = yield from look(call, again=True)
        wanted = [one for one in wanted if _is_among(one, now.invitations)]
        if not wanted:
            return _revoked(call, now, invitation)
    steps = _withdraw_all(call, wanted, others=named is None and not in_run)
    result = yield from call.strategy.record(
        call, Intent("revoke", guest), steps, lambda result: (result.outcome, None)
    )
    if result.guest.state is State.ACCEPTED and not is_member:
        accepted = Conflict(
            f"{call.who} accepted while the invitation was being revoked", hint=ACCEPTED_HINT
        )
        if result.outcome is RevokeOutcome.REVOKED:
            accepted.happened = None  # some services mark the record as revoked nevertheless
            accepted.half_done = True
        raise call.about(accepted)
    if is_member and not in_run and result.outcome is RevokeOutcome.ALREADY_REVOKED:
        # The person accepted between the lookups of the invitation and of the member.
        raise call.about(_not_invited(call))
    call.account.emit(EventName.OUTCOME, email=call.who, detail=result.outcome)
    return result


def remove(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[RemoveResult]:
    """Takes a member out of the organization. Safe to repeat.

    All open invitations of the member are withdrawn as well. If the person is neither a member nor
    invited, nothing is sent and the outcome is `already_removed`. That includes an id that the
    service does not have.

    Args:
        who: an address, the id of a member, or a value that guestlist returned.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Conflict: the person is invited, but not a member: use `revoke`. Or it is unknown whether
            the person is a member. Or the person was removed, but an invitation that cannot be
            revoked is still open.
        Unsupported: the service cannot remove members.
    """
    try:
        call = yield from begin(accounts, who, account, support_check("remove"))
    except NotFound:  # no record has the id
        return RemoveResult(
            outcome=RemoveOutcome.ALREADY_REMOVED,
            guest=_nobody(accounts.pick(account).name),
            warnings=(f"The service has no member {who}: the person has left, or never existed.",),
        )
    yield from lock_guest(call)
    guest = yield from find_active_member(call)
    member = guest.member
    if member is None or guest.state is not State.ACCEPTED:
        check_no_member(call, guest)
        if guest.state in OPEN_STATES:
            raise call.about(
                Conflict(
                    f"{guest.label} is invited and not a member yet",
                    hint="`revoke` withdraws an invitation.",
                )
            )
        return RemoveResult(outcome=RemoveOutcome.ALREADY_REMOVED, guest=guest)
    steps = _take_out(call, member)
    result = yield from call.strategy.record(
        call, Intent("remove", guest), steps, lambda result: (result.outcome, None)
    )
    call.account.emit(EventName.OUTCOME, email=call.who, detail=result.outcome)
    return result


def _not_invited(call: Call) -> Conflict:
    """Returns the error for a member whose invitation cannot be revoked any more."""
    return Conflict(f"{call.who} is a member without an open invitation", hint=ACCEPTED_HINT)


def _nobody(account: str) -> Guest:
    """Returns the guest for an id that the service does not have. The address is unknown."""
    return Guest(account=account, state=State.GONE, basis=Basis.INFERRED)


def _revoked(call: Call, guest: Guest, invitation: Invitation | None) -> RevokeResult:
    """Returns the result if there was nothing to withdraw."""
    warning = f"The service has no invitation of {call.who}."
    if guest.email is None:
        warning = (
            f"No invitation shows the login {call.who}. One that shows only the address may be"
            " open: use the address, or the id of the invitation."
        )
    return RevokeResult(
        outcome=RevokeOutcome.ALREADY_REVOKED,
        guest=guest,
        warnings=() if invitation else (warning,),
        invitation=invitation,
    )


MAX_LOOKS = 5
"""Number of lookups for further open invitations, after all known ones were revoked."""


def _withdraw_all(
    call: Call, invitations: Sequence[Invitation], *, others: bool
) -> Steps[RevokeResult]:
    """Revokes invitations. An invitation that the service no longer has counts as ended.

    Args:
        others: also revoke further open invitations that show up afterwards. Some services show
            only one invitation of an address at a time.

    Raises:
        Conflict: an invitation is still open.
    """
    outcome = RevokeOutcome.ALREADY_REVOKED
    # None if unknown, because an earlier attempt may have revoked an invitation
    done: bool | None = False
    revoked: list[Invitation] = []
    left, after = list(invitations), Guest(account=call.account.name, state=State.UNKNOWN)
    for _ in range(MAX_LOOKS):
        for one in left:
            try:
                after, happened = yield from _settled(call, call.provider.revoke(one))
                outcome, done = RevokeOutcome.REVOKED, done or happened
            except NotFound as error:
                if not done and error.happened is not False:
                    done = None
                after = yield from _look_for_absence(call, error)
                if _is_among(one, after.invitations):
                    raise
            except GuestlistError as error:
                if revoked and error.happened is False:
                    error.happened, error.half_done = done, done is not False
                    remaining = [other for other in left if other not in revoked]
                    error.hint = f"Still open: {offers(remaining)}. {error.hint}".strip()
                raise
            revoked.append(one)
        left = [one for one in after.invitations if not _is_among(one, revoked)]
        if not left or not others:
            break
    if left and others:
        raise call.about(
            _still_open(f"{len(revoked)} invitations of {call.who} were revoked", left)
        )
    after = _without(after, revoked)
    withdrawn = after.invitation
    if withdrawn is None or not _is_among(withdrawn, revoked):
        over = {"state": State.REVOKED, "basis": Basis.INFERRED}
        withdrawn = revoked[0].model_copy(update=over)
    return RevokeResult(outcome=outcome, guest=after, invitation=withdrawn)


def _without(after: Guest, revoked: Sequence[Invitation]) -> Guest:
    """Returns the guest without the revoked invitations, which a lagging list may still show."""
    left = tuple(one for one in after.invitations if not _is_among(one, revoked))
    counting = after.invitation
    over = {"state": State.REVOKED, "basis": Basis.INFERRED}
    if counting is not None and _is_among(counting, revoked):
        shown = (*OPEN_STATES, State.EXPIRED)
        if left:
            counting = left[0]
        elif counting.state in shown:
            counting = counting.model_copy(update=over)
        if after.state in shown:
            found = {"state": left[0].state, "basis": left[0].basis} if left else over
            after = after.model_copy(update=found)
    return after.model_copy(update={"invitation": counting, "invitations": left})


def _is_among(invitation: Invitation, others: Iterable[Invitation]) -> bool:
    """Returns whether one of the records is about the same invitation."""
    if invitation.id is None:
        return any(one.id is None and one.roles == invitation.roles for one in others)
    return any(one.id == invitation.id for one in others)


def _still_open(done: str, invitations: Iterable[Invitation]) -> Conflict:
    """Returns the error for a person who can still get in after a withdrawal."""
    error = Conflict(
        f"{done}, but an invitation is still open ({offers(invitations)})",
        hint="It lets the person in until it expires or is accepted. Revoke it at the service.",
    )
    error.happened = error.half_done = True
    return error


def _look_for_absence(call: Call, error: NotFound) -> Steps[Guest]:
    """Reads the records after the service did not find what was to be withdrawn.

    Raises:
        NotFound: an earlier attempt may have had an effect.
    """
    if error.happened is not False:
        raise error
    return (yield from look(call, again=True))


def _take_out(call: Call, member: Member) -> Steps[RemoveResult]:
    outcome = RemoveOutcome.REMOVED
    try:
        after, _ = yield from _settled(call, call.provider.remove(member))
    except NotFound as error:
        after = yield from _look_for_absence(call, error)
        if after.state is State.ACCEPTED:
            raise
        outcome = RemoveOutcome.ALREADY_REMOVED
    before = call.strategy.guest_before
    if before is not None and before.invitations:
        try:
            after = yield from look(call, again=True)
        except GuestlistError as error:
            error.happened = True  # the person is out
            raise
    if after.member is not None and after.member.state in MEMBERSHIPS:
        # The service has confirmed the removal, so the list of members is out of date.
        read = {"login": after.login, "invitations": after.invitations}
        after = conclude(call.account, call.email, after.invitation, None)
        if after.state is State.ACCEPTED:
            after = after.model_copy(update={"state": State.GONE, "basis": Basis.INFERRED})
        after = after.model_copy(update=read)
    if not after.invitations:
        return RemoveResult(outcome=outcome, guest=after)
    if not call.provider.supports("revoke"):
        raise call.about(_still_open(f"{call.who} was removed", after.invitations))
    try:
        withdrawn = yield from _withdraw_all(call, after.invitations, others=True)
    except GuestlistError as error:
        error.happened = True  # the person is out
        raise
    return RemoveResult(outcome=outcome, guest=withdrawn.guest)


def _settled(call: Call, flow: Flow[None]) -> Steps[tuple[Guest, bool | None]]:
    """Runs a flow that is safe to repeat. Returns the guest as read afterwards, and whether the
    flow had an effect.

    `NotFound` after an attempt without an answer counts as success. Then it is unknown whether that
    attempt had the effect, or another client: None.
    """
    happened: bool | None = True
    try:
        yield from withdraw(call, flow)
    except NotFound as error:
        if error.happened is False:
            raise
        happened = error.happened
    return (yield from look_up_after_change(call, happened)), happened
