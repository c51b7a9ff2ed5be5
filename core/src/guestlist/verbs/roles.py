"""Finds the role that a name means; assigns, unassigns and shows roles."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from guestlist.errors import (
    Conflict,
    GuestlistError,
    InvalidArgument,
    Rejected,
    ServiceRefusal,
    UnknownRole,
    Unsupported,
)
from guestlist.event import EventName
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run
from guestlist.exchange.recording import EarlierCall, Intent
from guestlist.exchange.step import Steps
from guestlist.models import (
    OPEN_STATES,
    Access,
    Grant,
    Guest,
    Invitation,
    Member,
    MemberState,
    OwnAccess,
    Role,
    RoleOutcome,
    RoleResult,
    State,
)
from guestlist.provider import Flow, Provider
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.earlier import wait_for_effect
from guestlist.verbs.find import (
    Who,
    begin,
    check_no_member,
    find_active_member,
    look,
    offers,
    support_check,
)
from guestlist.verbs.guest_lock import lock_guest
from guestlist.verbs.lists import Pages
from guestlist.verbs.states import conclude_from, current, state_word

RoleRef = str | Role
"""A role: its id, its name, `kind:name` such as `group:Engineering`, or a `Role`."""

ROLE_CACHE_SECONDS = 60.0
"""Seconds for which an account's list of roles is cached, so that many calls read it once."""


def assign_role(
    accounts: Accounts, who: Who, role: RoleRef, *, account: str | None = None
) -> Steps[RoleResult]:
    """Gives a role to a member, or to an open invitation if the service can change it. Safe to
    repeat.

    The result is read back if the service shows the roles of members.

    Args:
        who: an address, the id of a member, or a value that guestlist returned.
        role: the role by id, name or `kind:name`.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Conflict: the person is not a member (yet).
        UnknownRole: no role matches, or several do.
        Unsupported: the service cannot assign roles, or not this role.
    """
    return (yield from _change(accounts, who, role, account, give=True))


def unassign_role(
    accounts: Accounts, who: Who, role: RoleRef, *, account: str | None = None
) -> Steps[RoleResult]:
    """Takes a role from a member, or from an open invitation if the service can change it. Safe to
    repeat.

    Args:
        who: an address, the id of a member, or a value that guestlist returned.
        role: the role by id, name or `kind:name`.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Conflict: the person is not a member (yet), or holds the role only through a group or
            another role.
        UnknownRole: no role matches, or several do.
        Unsupported: the service cannot unassign roles.
    """
    return (yield from _change(accounts, who, role, account, give=False))


def access(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[Access]:
    """Returns the roles that a member effectively holds, directly and through other roles.

    The result also states whether they permit anything, and explains what is missing if not.

    Args:
        who: an address, the id of a member, or a value that guestlist returned.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Unsupported: the service does not show the roles of members.
        Conflict: it is unknown whether the person is a member.
    """
    call = yield from begin(accounts, who, account, support_check("access"))
    guest = yield from find_active_member(call)
    if guest.member is None or guest.state is not State.ACCEPTED:
        check_no_member(call, guest)
        return Access(
            guest=guest,
            is_member=False,
            explanation=f"No access: {guest.label} is not a member ({state_word(guest.state)}).",
        )
    grants = yield from run(call, call.provider.access(guest.member))
    effective, explanation = call.provider.explain_access(grants, guest.member)
    if guest.member.state is MemberState.SUSPENDED:
        effective, explanation = False, "Is suspended, and can access nothing until that ends."
    return Access(
        guest=guest, is_member=True, grants=grants, effective=effective, explanation=explanation
    )


def own_access(accounts: Accounts, *, account: str | None = None) -> Steps[OwnAccess]:
    """Returns the roles that the owner of the account's API key effectively holds.

    Args:
        account: the name of the account. May be omitted if there is only one.

    Raises:
        Unsupported: the service does not show the roles of the key's owner.
    """
    call = accounts.call(account)
    if not call.provider.supports("own_access"):
        title = call.provider.title
        raise call.about(Unsupported(f"{title} does not show the roles of a key's owner"))
    grants = yield from run(call, call.provider.own_access())
    effective, explanation = call.provider.explain_access(grants)
    return OwnAccess(
        account=call.account.name, grants=grants, effective=effective, explanation=explanation
    )


def resolve(call: Call, wanted: RoleRef) -> Steps[Role]:
    """Returns the role that a reference means.

    Raises:
        UnknownRole: no role matches (the hint lists the nearest names), or several do.
        InvalidArgument: the value is neither text nor a role.
    """
    if isinstance(wanted, Role):
        return wanted
    if not isinstance(wanted, str):
        raise call.about(not_a_role_error(wanted))
    if not call.provider.supports("roles"):
        return Role(id=wanted)
    now = call.account.clock.monotonic()
    known = yield from _known_roles(call, since=now - ROLE_CACHE_SECONDS)
    found = match_roles(known, wanted)
    if not found:
        known = yield from _known_roles(call, since=now)
        found = match_roles(known, wanted)
    if len(found) == 1:
        return found[0]
    raise call.about(unknown_role_error(wanted, found, known))


def resolve_to_assign(call: Call, wanted: RoleRef, *, by_invitation: bool = False) -> Steps[Role]:
    """Returns the role that a reference means, if it can be assigned.

    Args:
        by_invitation: whether an invitation may offer the role.

    Raises:
        Unsupported: the service does not assign the role to members.
        UnknownRole, InvalidArgument: as for `resolve`.
    """
    role = yield from resolve(call, wanted)
    if role.not_assignable and not (by_invitation and role.by_invitation):
        raise call.about(unassignable_role_error(role))
    return role


def unassignable_role_error(role: Role) -> Unsupported:
    """Returns the error for a role that the service does not assign to members."""
    return Unsupported(
        f"{role.label} cannot be assigned: {role.not_assignable}", hint="Choose another role."
    )


def mandatory_role_error(provider: Provider, role: Role) -> Unsupported:
    """Returns the error for taking away a role of a kind of which a member always has one."""
    return Unsupported(
        f"a member of {provider.title} always has one {role.kind}",
        hint=provider.substitutes.get("unassign_role", "Assign another one, or remove the member."),
    )


def not_a_role_error(given: object) -> InvalidArgument:
    """Returns the error for a value that is not a role."""
    return InvalidArgument(
        f"{given!r} is not a role", hint="Give an id, a name, kind:name, or a Role."
    )


def match_roles(roles: Iterable[Role], wanted: str) -> list[Role]:
    """Returns the roles that a text matches.

    It compares with the id, then kind and id, then the exact name, then the name without case. A
    role without a name matches only by its id.
    """
    candidates = list(roles)
    kind, colon, name = wanted.partition(":")
    tests: tuple[Callable[[Role], bool], ...] = (
        lambda role: role.id == wanted,
        lambda role: bool(colon) and role.kind == kind and role.id == name,
        lambda role: bool(colon) and role.kind == kind and role.name == name,
        lambda role: role.name == wanted,
        lambda role: wanted.casefold() in _names(role),
    )
    for test in tests:
        found = [role for role in candidates if test(role)]
        if found:
            return found
    return []


def _names(role: Role) -> tuple[str, ...]:
    name = (role.name or "").casefold()
    return (name, f"{role.kind}:{name}") if name else ()


def holds(held: Iterable[Role], role: Role) -> bool:
    """Returns whether a role is among those held."""
    return any(one.id == role.id and one.kind == role.kind for one in held)


def unknown_role_error(wanted: str, found: Sequence[Role], known: Sequence[Role]) -> UnknownRole:
    """Returns the error for a text that matches no role or several roles."""
    if found:
        each = " and ".join(f"{role.kind}:{role.name or role.id} ({role.id})" for role in found)
        return UnknownRole(
            f"{wanted!r} fits {each}", hint="Name one of them, by kind:name or by its id."
        )
    labels = [role.label for role in known]
    near = difflib.get_close_matches(wanted, labels, 3, cutoff=0.5)
    if near:
        hint = "The nearest are: " + ", ".join(near) + "."
    elif labels:
        hint = "There are: " + ", ".join(labels[:20]) + "."
    else:
        hint = "The organization has none."
    return UnknownRole(f"there is no role {wanted!r}", hint=hint)


def _known_roles(call: Call, *, since: float) -> Steps[list[Role]]:
    """Returns the account's roles, read at `since` (monotonic clock, seconds) or later."""
    account = call.account
    read_at, roles = account.roles or (float("-inf"), [])
    if read_at < since:
        pages, roles = Pages(call.provider.roles), list[Role]()
        while not pages.ended:
            roles += yield from pages.next(call)
        account.roles = (account.clock.monotonic(), roles)
    return roles


def _change(
    accounts: Accounts, who: Who, wanted: RoleRef, account: str | None, *, give: bool
) -> Steps[RoleResult]:
    operation = "assign_role" if give else "unassign_role"
    call = yield from begin(accounts, who, account, support_check(operation))
    role = yield from (resolve_to_assign if give else resolve)(call, wanted)
    if not give and role.kind in call.provider.mandatory_kinds:
        raise call.about(mandatory_role_error(call.provider, role))
    yield from lock_guest(call)
    guest = yield from find_active_member(call)
    earlier = yield from call.strategy.unresolved(call, role, give=give)
    if earlier is not None and guest.member is not None:
        yield from _settle_earlier(call, earlier, guest.member)
        guest = yield from find_active_member(call)
    changeable = guest.state in OPEN_STATES and call.provider.supports("change_invitation")
    several = set(call.provider.role_kinds) - set(call.provider.exclusive_kinds)
    if changeable and call.strategy.guest_before is not None and several:
        # An earlier change of the same run may have changed the invitation.
        guest = yield from look(call, again=True)
        changeable = guest.state in OPEN_STATES
    member, invitation = guest.member, guest.invitation
    if member is not None and guest.state is State.ACCEPTED:
        change = _give_or_take(call, guest, member, role, give=give)
    elif changeable and invitation is not None:
        change = _change_invitation(call, guest, invitation, role, give=give)
    else:
        check_no_member(call, guest)
        raise call.about(_no_member(guest))
    return (
        yield from call.strategy.record(
            call, Intent(operation, guest, (role,)), change, lambda done: (done.outcome, None)
        )
    )


def _settle_earlier(call: Call, earlier: EarlierCall, member: Member) -> Steps[None]:
    """Waits until an earlier change of a role has taken effect, or no longer can.

    Raises:
        OutcomeUnknown: the budget does not allow to wait so long; nothing was sent.
    """
    clock, role, happened = call.account.clock, earlier.role, None
    final = clock.monotonic() + earlier.seconds
    while True:
        left = final - clock.monotonic()
        if left <= 0 and not earlier.must_be_settled:
            break
        grants = yield from _grants(call, member, again=True)
        if grants is not None and role is not None:
            happened = holds(_direct(grants), role) is (earlier.action != "unassign_role")
        if happened or left <= 0:
            break
        left = max(0.0, final - clock.monotonic())
        yield from wait_for_effect(call, left, "an earlier change of the role")
    yield from call.strategy.settle(call, earlier, happened)


def _give_or_take(
    call: Call, guest: Guest, member: Member, role: Role, *, give: bool
) -> Steps[RoleResult]:
    grants = yield from _grants(call, member)
    if grants is not None and holds(_direct(grants), role) is give:
        inherited = _inherited(grants, role)
        if inherited is not None and not give:
            raise call.about(_held_through(guest, inherited, grants))
        unchanged = RoleOutcome.ALREADY_ASSIGNED if give else RoleOutcome.NOT_ASSIGNED
        return RoleResult(outcome=unchanged, guest=guest, role=role)
    operation = "assign_role" if give else "unassign_role"
    change: Flow[None] = getattr(call.provider, operation)(member, role)
    refusal: GuestlistError | None = None
    try:
        yield from run(call, change)
    except ServiceRefusal as error:
        if error.happened is False:
            raise
        refusal = error  # an earlier attempt of this call may have made the change
    try:
        grants = yield from _grants(call, member, again=True)
    except GuestlistError as error:
        error.happened = True if refusal is None else None
        raise
    after = None if grants is None else _direct(grants)
    if (after is None and refusal) or (after is not None and holds(after, role) is not give):
        undone = Rejected(
            f"the service confirmed the change, but the member"
            f" {'does not hold' if give else 'still holds'} {role.label}"
        )
        undone.happened = None  # another person or program may have reverted the change
        raise refusal or call.about(undone)
    done = RoleOutcome.ASSIGNED if give else RoleOutcome.UNASSIGNED
    call.account.emit(EventName.OUTCOME, email=guest.email, detail=f"{done} {role.label}")
    if after is not None and member.roles is not None:
        guest = guest.model_copy(
            update={"member": member.model_copy(update={"roles": tuple(after)})}
        )
    inherited = None if give else _inherited(grants or (), role)
    warnings = (f"{role.label} is still held through {_sources(inherited)}",) if inherited else ()
    return RoleResult(outcome=done, guest=guest, role=role, warnings=warnings)


def _change_invitation(
    call: Call, guest: Guest, invitation: Invitation, role: Role, *, give: bool
) -> Steps[RoleResult]:
    """Makes an open invitation offer a role, or no longer offer it.

    Raises:
        Conflict: there are several open invitations, or an invitation cannot have that number of
            roles. Nothing was sent.
    """
    provider, offered = call.provider, invitation.roles
    if holds(offered, role) is give and len(guest.invitations) < 2:
        unchanged = RoleOutcome.ALREADY_ASSIGNED if give else RoleOutcome.NOT_ASSIGNED
        return RoleResult(outcome=unchanged, guest=guest, role=role)
    if give:
        replaced = provider.replaced_by(role, offered)
        wanted = (*(one for one in offered if one not in replaced), role)
    else:
        wanted = tuple(one for one in offered if not holds([one], role))
    refusal = _unchangeable(provider, guest, wanted)
    if refusal is not None:
        raise call.about(refusal)
    changed = yield from run(call, provider.change_invitation(invitation, wanted))
    changed = current(changed, provider, call.account.now())
    done = RoleOutcome.ASSIGNED if give else RoleOutcome.UNASSIGNED
    if changed.roles and holds(changed.roles, role) is not give:
        undone = Rejected(
            f"the service confirmed the change, but the invitation"
            f" {'does not offer' if give else 'still offers'} {role.label}"
        )
        undone.happened = None  # another person or program may have reverted the change
        raise call.about(undone)
    call.account.emit(EventName.OUTCOME, email=guest.email, detail=f"{done} {role.label}")
    after = conclude_from(call.account, guest.email, [changed], guest.member, login=guest.login)
    if guest.email and call.account.just_made(guest.email) is not None:
        call.account.recent_writes.add(after, call.account.clock.monotonic())
    return RoleResult(outcome=done, guest=after, role=role)


def _unchangeable(provider: Provider, guest: Guest, wanted: tuple[Role, ...]) -> Conflict | None:
    """Returns the error if an open invitation cannot be changed to offer the wanted roles."""
    if len(guest.invitations) > 1:
        return Conflict(
            f"{guest.label} has several open invitations ({offers(guest.invitations)})",
            hint="Revoke all but one of them.",
        )
    if lacking := provider.lacks(wanted):
        return Conflict(
            f"an invitation to {provider.title} needs {lacking}",
            hint="Assign another role first, or revoke the invitation.",
        )
    if provider.split_roles(wanted)[1]:
        return _no_member(guest)
    return None


def _grants(call: Call, member: Member, *, again: bool = False) -> Steps[Sequence[Grant] | None]:
    """Returns the roles that a member holds; None if the service does not show them."""
    provider = call.provider
    if member.roles is None:
        if not provider.supports("access"):
            return None
        return (yield from run(call, provider.access(member)))
    roles: Sequence[Role] | None = member.roles
    if again and provider.supports("get_member"):
        roles = (yield from run(call, provider.get_member(member.id))).roles
    elif again and call.strategy.guest_before is not None:
        roles = None
    elif again:
        guest = yield from find_active_member(call)
        roles = guest.member.roles if guest.member else None
    return None if roles is None else [Grant(role=role) for role in roles]


def _direct(grants: Iterable[Grant]) -> list[Role]:
    return [grant.role for grant in grants if grant.direct]


def _inherited(grants: Iterable[Grant], role: Role) -> Grant | None:
    """Returns the grant of a role that is held only through a group or another role."""
    return next((one for one in grants if not one.direct and holds([one.role], role)), None)


def _sources(grant: Grant) -> str:
    return " and ".join(role.label for role in grant.via) or "a group or another role"


def _held_through(guest: Guest, grant: Grant, grants: Sequence[Grant]) -> Conflict:
    groups = grant.via or [one.role for one in grants if one.role.kind == "group"]
    names = " or ".join(role.label for role in groups) or "the group or role it comes through"
    return Conflict(
        f"{guest.label} holds {grant.role.label} through {_sources(grant)}, not directly",
        hint=f"Unassign {names}, or detach {grant.role.label} from it in the service.",
    )


def _no_member(guest: Guest) -> Conflict:
    hint = {
        State.PENDING: "Wait until the invitation is accepted (`guestlist wait`).",
        State.AWAITING_APPROVAL: "Wait until the organization has approved the invitation.",
        State.EXPIRED: "The invitation has expired: resend it first.",
    }.get(guest.state, "Invite the person first.")
    return Conflict(f"{guest.label} is not a member: {state_word(guest.state)}", hint=hint)
