"""`revoke`, which withdraws an invitation, and `remove`, which takes a member out.

They are two verbs on purpose: several services delete the person when an accepted invitation is
cancelled, and others report success while the person stays.
"""

from __future__ import annotations

from guestlist.errors import Conflict, GuestlistError, NotFound
from guestlist.exchange.account import Call
from guestlist.exchange.step import Steps
from guestlist.models import MEMBERSHIPS, OPEN_STATES, Basis, Guest, Invitation, Member, State
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
from guestlist.verbs.hold import hold
from guestlist.verbs.journal import written
from guestlist.verbs.states import conclude
from guestlist.verbs.withdraw import withdraw

CHECK = "Check the address: `guestlist status` tells more."


def revoke(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[Guest]:
    """Withdraws an invitation. It is read again first, so that no accepted one is revoked.

    Args:
        who: an address, the id of an invitation, or a value that guestlist returned.
        account: the name of the account. May be omitted if there is only one.

    Returns:
        The guest as it is afterwards. An invitation that had been revoked already is no error.

    Raises:
        Conflict: the invitation was accepted. Use `remove` to take a member out.
        NotFound: the person has no invitation.
        Unsupported: the service cannot revoke invitations.
    """
    call, email = yield from begin(accounts, who, account, needs("revoke"))
    yield from hold(call, email)
    guest = yield from look(call, email)
    if guest.state is State.ACCEPTED:
        raise call.about(
            Conflict(f"{email} has accepted the invitation", hint="`remove` takes a member out.")
        )
    if guest.invitation is None:
        check_complete(call, guest)
        raise call.about(
            NotFound(
                f"there is no invitation of {email}",
                hint=CHECK,
            )
        )
    if guest.state in (State.REVOKED, State.DECLINED):
        return guest
    steps = _withdraw(call, email, guest.invitation)
    after = yield from written(call, guest, "revoke", steps, lambda after: after.state)
    if after.state is State.ACCEPTED:
        accepted = Conflict(
            f"{email} accepted while the invitation was being revoked",
            hint="`remove` takes a member out.",
        )
        accepted.happened = None  # some services mark the record revoked all the same
        raise call.about(accepted)
    call.account.tell("outcome", email=email, detail=State.REVOKED)
    return after


def remove(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[Guest]:
    """Takes a member out of the organization, and withdraws an open invitation if there is one.

    Args:
        who: an address, the id of a member, or a value that guestlist returned.
        account: the name of the account. May be omitted if there is only one.

    Returns:
        The guest as it is afterwards.

    Raises:
        Conflict: the person is invited, but not a member. Use `revoke` to withdraw the invitation.
        NotFound: the person is neither invited nor a member.
        Unsupported: the service cannot remove members.
    """
    call, email = yield from begin(accounts, who, account, needs("remove"))
    yield from hold(call, email)
    guest = yield from find_active_member(call, email)
    member = guest.member
    if member is None or guest.state is not State.ACCEPTED:
        check_complete(call, guest)
        raise call.about(_no_member(guest))
    steps = _take_out(call, email, member)
    after = yield from written(call, guest, "remove", steps, lambda _after: "removed")
    call.account.tell("outcome", email=email, detail="removed")
    return after


def _take_out(call: Call, email: str, member: Member) -> Steps[Guest]:
    provider = call.provider
    after = yield from _settled(call, provider.remove(member), email)
    if after.member is not None and after.member.state in MEMBERSHIPS:
        # the list lags: the service has said yes
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
    return after


def _withdraw(call: Call, email: str, invitation: Invitation) -> Steps[Guest]:
    """Revokes, and returns the guest afterwards, also while the service's lists lag."""
    after = yield from _settled(call, call.provider.revoke(invitation), email)
    same = after.invitation
    if same is None or same.id != invitation.id or after.state not in (*OPEN_STATES, State.EXPIRED):
        return after
    known = {"state": State.REVOKED, "basis": Basis.INFERRED}
    return after.model_copy(update={**known, "invitation": same.model_copy(update=known)})


def _settled(call: Call, flow: Flow[None], email: str) -> Steps[Guest]:
    """Runs a flow that can be repeated, and looks. "Not there" after a try without an answer means
    that the earlier try has done it."""
    happened: bool | None = True
    try:
        yield from withdraw(call, email, flow)
    except NotFound as error:
        if error.happened is False:
            raise
        happened = error.happened
    return (yield from look_after(call, email, happened))


def _no_member(guest: Guest) -> GuestlistError:
    if guest.state in OPEN_STATES:
        return Conflict(
            f"{guest.email} is invited and no member yet",
            hint="`revoke` withdraws an invitation.",
        )
    return NotFound(
        f"{guest.email} is no member: {guest.state}",
        hint=CHECK,
    )
