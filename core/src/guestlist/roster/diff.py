"""Computes the changes for one person from the roster and the current state. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from guestlist.address import login_key
from guestlist.changes import Action, Change, reference, without_secrets
from guestlist.errors import GuestlistError
from guestlist.models import (
    OPEN_STATES,
    Basis,
    Guest,
    Invitation,
    Member,
    NewInvitation,
    Role,
    State,
)
from guestlist.provider import Provider
from guestlist.roster.desired import DesiredAccess
from guestlist.roster.reading import InvitationBrief, ids_of
from guestlist.verbs.roles import holds, mandatory_role_error, unassignable_role_error


class Note(StrEnum):
    """A fact about a person that a plan counts and that is not a change."""

    FITS = "fits"
    """Members who match the roster."""
    INVITED = "invited"
    """People whose open invitation matches the roster."""
    DEFERRED = "deferred"
    """Deferred grants: roles that the service accepts only after the invitation was accepted."""
    NOT_YET = "not yet"
    """People whose `from` is in the future."""
    UNLISTED = "unlisted"
    """Members and invited people who are not in the roster. Only pruning removes them."""
    KEPT = "kept"
    """People who are not in the roster, but are protected from removal."""
    PROGRAMS = "programs"
    """Members that are service accounts."""
    UNNAMED = "unnamed"
    """Members whom a roster cannot name, because their records have no address."""
    CANDIDATES = "candidates"
    """Members who are not in the roster, but may be a person of the roster under another address or
    with an unknown login. They are not removed."""
    SUSPENDED = "suspended"
    """Members who match the roster, but are locked out."""
    UNSEEN = "unseen"
    """Members whose roles the service does not show."""
    HELD_BACK = "held back"
    """People who are left alone because their roster entry is impossible in the account."""


@dataclass(frozen=True)
class AccountRules:
    """Settings that apply to all people of one account.

    Attributes:
        account: the account's name.
        roles: the roles that the account can grant. Other roles of members are never revoked.
        check: checks an invitation against the policies, and raises `InvalidArgument` to refuse it.
        prune: whether people who are not in the roster are removed.
        invite_declined: whether people who declined are invited again.
        protected: people who lose neither membership nor roles: keys of addresses, and logins or
            ids of members.
    """

    account: str
    provider: Provider
    roles: Collection[Role] = ()
    check: Callable[[NewInvitation], None] = lambda _order: None
    prune: bool = False
    invite_declined: bool = False
    protected: frozenset[str] = frozenset()

    def protects(self, key: str, member: Member | None) -> bool:
        """Returns whether a person is protected, by any of their names."""
        if not self.protected:
            return False
        return (
            key in self.protected
            or (key.startswith("@") and any(login_key(one) == key for one in self.protected))
            or (member is not None and any(map(member.is_called, self.protected)))
        )

    def known(self, role: Role) -> Role | None:
        """Returns the role from the account's list, because other records may have only its id."""
        same = (one for one in self.roles if (one.kind, one.id) == (role.kind, role.id))
        return next(same, None)


@dataclass(frozen=True)
class DesiredState:
    """The roster's requirements for one person.

    Attributes:
        desired: the desired access; None if the roster does not want the person in the account.
        deferred: kind and id of each role whose grant was deferred by an earlier invitation.
        ended: the last day of the membership, if it is over.
        until: the next moment at which the requirements change; None for never.
        may_be: whether a person whom the roster does not name may be in it under another address,
            or with an unknown login.
    """

    key: str
    email: str
    desired: DesiredAccess | None = None
    deferred: Collection[tuple[str, str]] = frozenset()
    ended: str = ""
    until: datetime | None = None
    may_be: bool = False


def differences(
    rules: AccountRules,
    wanted: DesiredState,
    guest: Guest,
    current_options: Mapping[str, Any] | None = None,
    options: Sequence[Mapping[str, Any] | None] = (),
) -> Iterator[Change | Note]:
    """Yields the changes for a person, and the notes to count.

    Args:
        guest: the current state of the person.
        current_options: the options of the invitation; None if they are unknown.
        options: the options of each open invitation, if there are several.
    """
    person = _Person(rules, wanted, guest)
    if wanted.desired is None:
        yield from _for_unwanted(person)
    elif guest.state is State.ACCEPTED:
        for found in _for_member(person, wanted.desired):
            if found is not Note.FITS or not guest.suspended:
                yield found
        if guest.suspended:
            yield Note.SUSPENDED
    elif wanted.desired.problems:
        yield Note.HELD_BACK
    elif guest.state in OPEN_STATES and guest.invitation is not None:
        several = dict(zip(map(id, guest.invitations), options, strict=False))
        surplus = _surplus_invitations(person, wanted.desired)
        kept = [one for one in guest.invitations if one not in surplus]
        if kept and surplus:
            yield _without(person, wanted.desired, surplus)
        invitation = kept[0] if kept else guest.invitation
        current = several.get(id(invitation), current_options)
        yield from _for_invited(person, wanted.desired, invitation, current, kept)
    else:
        yield _for_absent(person, wanted.desired, current_options)


@dataclass(frozen=True)
class _Person:
    rules: AccountRules
    wanted: DesiredState
    guest: Guest

    def change(self, action: Action, reason: str, **more: Any) -> Change:
        invitation = self.guest.invitation
        return Change(
            action=action,
            account=self.rules.account,
            email=self.wanted.email,
            key=self.wanted.key,
            login=self.guest.login,
            reason=reason,
            state=self.guest.state,
            invitation=invitation and without_secrets(invitation),
            member=self.guest.member,
            until=self.wanted.until,
            **more,
        )

    def cannot(self, why: str | GuestlistError, **more: Any) -> Change:
        return self.change(Action.CANNOT, str(why), **more)

    def if_possible(self, operation: str, action: Action, reason: str, **more: Any) -> Change:
        """Returns the change, or a `cannot` change if the provider lacks the operation."""
        provider = self.rules.provider
        if provider.supports(operation):
            return self.change(action, reason, **more)
        return self.cannot(provider.unsupported(operation), **more)


# ---------------------------------------------------------------------------- not wanted


def _for_unwanted(person: _Person) -> Iterator[Change | Note]:
    rules, wanted, guest = person.rules, person.wanted, person.guest
    if guest.state is not State.ACCEPTED and guest.state not in OPEN_STATES:
        return
    member = guest.member if guest.state is State.ACCEPTED else None
    if rules.protects(wanted.key, guest.member):
        yield Note.KEPT
    elif member and not member.address and rules.provider.members_show_emails:
        yield Note.UNNAMED
    elif not rules.prune and wanted.ended:
        where = "a member" if guest.state is State.ACCEPTED else "invited"
        yield person.cannot(
            f"was wanted until {wanted.ended} and is still {where}: only pruning removes people"
        )
    elif not rules.prune:
        yield Note.UNLISTED
    elif wanted.may_be:
        yield Note.CANDIDATES
    else:
        reason = f"wanted until {wanted.ended}" if wanted.ended else "not in the roster"
        inside = guest.state is State.ACCEPTED
        operation, action = ("remove", Action.REMOVE) if inside else ("revoke", Action.REVOKE)
        withdrawn = tuple(map(without_secrets, guest.invitations))
        frees_seat = person.rules.provider.counts_seats
        yield person.if_possible(
            operation, action, reason, invitations=withdrawn, frees_seat=frees_seat
        )


def _surplus_invitations(person: _Person, desired: DesiredAccess) -> list[Invitation]:
    """Returns the open invitations that offer a role that the roster does not want."""
    wanted = desired.ids
    if wanted is None or desired.problems or person.rules.provider.most_roles == 0:
        return []
    return [one for one in person.guest.invitations if ids_of(one.roles) - wanted]


def _without(person: _Person, desired: DesiredAccess, surplus: Sequence[Invitation]) -> Change:
    """Returns the change that withdraws the open invitations that offer too much."""
    offered = _labels(person.rules, [role for one in surplus for role in one.roles])
    wanted = _labels(person.rules, desired.roles or ()) or "no role"
    besides = "a member has" if person.guest.state is State.ACCEPTED else "there is"
    reason = (
        f"{besides} another open invitation: it offers {offered}, but the roster wants {wanted}"
    )
    withdrawn = tuple(map(without_secrets, surplus))
    return person.if_possible("revoke", Action.REVOKE, reason, invitations=withdrawn)


# ---------------------------------------------------------------------------- members


def _for_member(person: _Person, desired: DesiredAccess) -> Iterator[Change | Note]:
    member = person.guest.member
    if desired.roles is None or member is None:  # a new member may not be listed yet
        yield Note.FITS
        return
    if not person.rules.protects(person.wanted.key, member) and (
        surplus := _surplus_invitations(person, desired)
    ):
        yield _without(person, desired, surplus)
    if member.roles is None:
        yield from _settle_hidden_roles(person, desired)
        return
    if any(
        person.rules.provider.replaced_by(role, member.roles)
        for role in desired.roles
        if not holds(member.roles, role)
    ):  # assigning a role takes another one away
        if person.rules.protects(person.wanted.key, member):
            yield Note.KEPT
            return
        if desired.problems:
            yield Note.HELD_BACK
            return
    found = [*_missing_roles(person, desired, member.roles)]
    if all(change.action is not Action.CANNOT for change in found):
        # Roles are revoked only if the desired ones can be granted.
        found += _surplus_roles(person, desired, member.roles)
    yield from found
    if not found:
        yield Note.HELD_BACK if desired.problems else Note.FITS


def _settle_hidden_roles(person: _Person, desired: DesiredAccess) -> Iterator[Change | Note]:
    """Yields a change for each deferred grant of a member whose roles the service does not show.

    Granting a role that the member already has does no harm.
    """
    for role in desired.roles or ():
        if (role.kind, role.id) in person.wanted.deferred:
            yield person.if_possible("assign_role", Action.SETTLE, "has accepted", roles=(role,))
    yield Note.UNSEEN


def _missing_roles(
    person: _Person, desired: DesiredAccess, held: Sequence[Role]
) -> Iterator[Change]:
    for role in desired.roles or ():
        known = person.rules.known(role)
        if holds(held, role):
            continue
        if known is not None and known.not_assignable:
            yield person.cannot(unassignable_role_error(known))
            continue
        replaced = person.rules.provider.replaced_by(role, held)
        step = f"{_labels(person.rules, replaced)} -> {role.label}" if replaced else ""
        if (role.kind, role.id) in person.wanted.deferred:
            action, reason = Action.SETTLE, ", ".join(filter(None, ["has accepted", step]))
        else:
            action, reason = Action.ASSIGN_ROLE, step or "does not hold it"
        yield person.if_possible("assign_role", action, reason, roles=(role,))


def _surplus_roles(
    person: _Person, desired: DesiredAccess, held: Sequence[Role]
) -> Iterator[Change]:
    rules, wanted = person.rules, desired.roles or ()
    if desired.problems or rules.protects(person.wanted.key, person.guest.member):
        return
    replaced = [one for role in wanted for one in rules.provider.replaced_by(role, held)]
    for role in map(rules.known, held):
        if role is None or holds((*wanted, *replaced), role):
            continue
        if role.kind in rules.provider.mandatory_kinds:
            error = mandatory_role_error(rules.provider, role)
            yield person.cannot(error, roles=(reference(role),))
        else:
            yield person.if_possible(
                "unassign_role",
                Action.UNASSIGN_ROLE,
                "not in the roster",
                roles=(reference(role),),
            )


# ---------------------------------------------------------------------------- invited


def _for_invited(
    person: _Person,
    desired: DesiredAccess,
    invitation: Invitation,
    current_options: Mapping[str, Any] | None,
    kept: Sequence[Invitation],
) -> Iterator[Change | Note]:
    """Yields the changes for an invited person.

    Args:
        kept: the open invitations that offer nothing that the roster does not want. They are
            compared together: some services have an invitation for each role.
    """
    provider = person.rules.provider
    offered = ids_of(role for one in kept or [invitation] for role in one.roles)
    current = InvitationBrief(invitation.state, offered, current_options)
    unlike = differing_parts(provider, desired, current)
    if not unlike:
        yield Note.INVITED
        deferred = deferred_roles(provider, desired, current)
        for _ in deferred:
            yield Note.DEFERRED
        yield from _unrecorded(person, deferred)
        return
    reason = _in_words(person.rules, unlike, desired, invitation, current_options)
    if unlike == ["roles"] and (changes := _in_place(person, desired, invitation, reason)):
        yield from changes
        yield from _unrecorded(person, provider.split_roles(desired.roles or ())[1])
    elif provider.supports("revoke"):
        yield _with_invitation(
            person,
            desired,
            Action.REPLACE,
            reason,
            invitations=tuple(map(without_secrets, person.guest.invitations)),
        )
    else:
        yield person.cannot(f"{reason}. {provider.unsupported('revoke')}", options=desired.given)


def _unrecorded(person: _Person, deferred: Iterable[Role]) -> Iterator[Change]:
    """Yields the change that records the deferred grants which the ledger does not have."""
    recorded = person.wanted.deferred
    unrecorded = tuple(role for role in deferred if (role.kind, role.id) not in recorded)
    if unrecorded:
        reason = "the ledger has no record of this deferred grant"
        yield person.change(Action.DEFER, reason, deferred=unrecorded)


def _in_place(
    person: _Person, desired: DesiredAccess, invitation: Invitation, reason: str
) -> list[Change]:
    """Returns the changes that make the only open invitation offer the desired roles, without a new
    email. Empty if the service cannot change an invitation, or not in this way."""
    provider, offered = person.rules.provider, invitation.roles
    wanted, _ = provider.split_roles(desired.roles or ())
    gained = [role for role in wanted if not holds(offered, role)]
    replaced = [one for role in gained for one in provider.replaced_by(role, offered)]
    kept = [role for role in offered if not holds(replaced, role)]
    lost = [role for role in kept if not holds(desired.roles or (), role)]
    possible = not provider.split_roles((*kept, *gained))[1]
    needed = {"change_invitation"}
    needed |= {"assign_role"} if gained else set()
    needed |= {"unassign_role"} if lost else set()
    if (
        not possible
        or provider.lacks(wanted)
        or len(person.guest.invitations) > 1
        or not all(map(provider.supports, needed))
    ):
        return []
    return [
        person.change(action, reason, roles=(reference(role),))
        for action, roles in ((Action.ASSIGN_ROLE, gained), (Action.UNASSIGN_ROLE, lost))
        for role in roles
    ]


def differing_parts(
    provider: Provider, desired: DesiredAccess, current: InvitationBrief
) -> list[str]:
    """Returns the parts of an invitation that differ from the roster: option names and `roles`."""
    different = []
    if current.current_options is not None:
        different = [
            name
            for name in desired.given
            if current.current_options.get(name) != desired.given[name]
        ]
    are_shown = bool(current.offered) or provider.supports("change_invitation")
    if desired.ids is not None and provider.most_roles != 0 and are_shown:
        wanted, _ = provider.split_roles(desired.roles or ())
        if not (len(current.offered) >= len(wanted) and current.offered <= desired.ids):
            different.append("roles")
    return different


def deferred_roles(
    provider: Provider, desired: DesiredAccess, current: InvitationBrief
) -> tuple[Role, ...]:
    """Returns the desired roles that an open invitation does not offer.

    If the service does not show the offered roles, `invite` is assumed to have sent them.
    """
    wanted = desired.roles or ()
    if current.offered:
        return tuple(role for role in wanted if (role.kind, role.id) not in current.offered)
    return provider.split_roles(wanted)[1]


def replacement_grants(rules: AccountRules, wanted: DesiredState, guest: Guest) -> tuple[Role, ...]:
    """Returns roles to defer in place of deferred grants that the roster no longer wants.

    These are desired roles that the open invitation does not offer, or that a member may lack
    because the service does not show the member's roles.
    """
    desired, member = wanted.desired, guest.member
    if desired is None or desired.problems:
        return ()
    if guest.state is State.ACCEPTED:
        if member is None or member.roles is not None:
            return ()
        offered: Collection[tuple[str, str]] = ()
    elif guest.state in OPEN_STATES and guest.invitation is not None:
        offered = ids_of(guest.invitation.roles)
        if (
            not offered and rules.provider.most_roles != 0
        ):  # the service may have stored the roles without showing them
            return ()
    else:
        return ()  # a new invitation defers its own grants
    return tuple(
        role
        for role in desired.roles or ()
        if (role.kind, role.id) not in {*offered, *wanted.deferred}
    )


def _in_words(
    rules: AccountRules,
    unlike: Iterable[str],
    desired: DesiredAccess,
    invitation: Invitation,
    current_options: Mapping[str, Any] | None,
) -> str:
    texts = []
    for name in unlike:
        if name == "roles":
            here = _labels(rules, desired.roles or ()) or "no role"
            there = _labels(rules, invitation.roles)
            texts.append(f"offers {there}, but the roster wants {here}")
        else:
            here, there = _value(desired.given[name]), _value((current_options or {}).get(name))
            texts.append(f"has {name} = {there}, but the roster wants {here}")
    return "the invitation " + "; it ".join(texts)


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _labels(rules: AccountRules, roles: Iterable[Role]) -> str:
    return ", ".join((rules.known(role) or role).label for role in roles)


# ---------------------------------------------------------------------------- absent


def _for_absent(
    person: _Person, desired: DesiredAccess, current_options: Mapping[str, Any] | None
) -> Change:
    guest, rules = person.guest, person.rules
    state, invitation = guest.state, guest.invitation
    if guest.incomplete is not None:
        return person.cannot(f"it is unknown whether the person is a member: {guest.incomplete}")
    if guest.unidentified is not None:
        return person.cannot(
            f"it is unknown whether the person is a member: {guest.unidentified}."
            f" {_how_to_identify(person)}"
        )
    if not person.wanted.email:
        return person.cannot("is not a member, and the roster has no email address to invite")
    if state is State.DECLINED and not rules.invite_declined:
        return person.cannot(_declined(invitation))
    if state is State.UNKNOWN and guest.basis is Basis.REPORTED:
        word = f" as {guest.raw_state!r}" if guest.raw_state else ""
        return person.cannot(
            f"the service reports the invitation's state{word}, which guestlist does not know."
            ' To send another email, use `resend`, or `invite` with if_exists="replace".'
        )
    if state is State.EXPIRED and invitation is not None:
        current = InvitationBrief(state, ids_of(invitation.roles), current_options)
        if _can_resend(rules.provider, invitation) and not differing_parts(
            rules.provider, desired, current
        ):
            deferred = tuple(
                role for role in desired.roles or () if not holds(invitation.roles, role)
            )
            return person.change(Action.RESEND, _expired(invitation), deferred=deferred)
    return _with_invitation(person, desired, Action.INVITE, _absence(guest))


def _with_invitation(
    person: _Person, desired: DesiredAccess, action: Action, reason: str, **more: Any
) -> Change:
    """Returns a change that sends an invitation, or a `cannot` change with the reason."""
    provider = person.rules.provider
    roles, deferred = provider.split_roles(desired.roles or ())
    if not provider.supports("invite"):
        return person.cannot(provider.unsupported("invite"))
    if lacking := provider.lacks(roles):
        return person.cannot(
            f"{provider.title} needs {lacking} for an invitation, and the roster names none."
        )
    try:
        order = NewInvitation(
            email=person.wanted.email,
            login=person.guest.login,
            roles=roles,
            options=desired.options,
        )
        person.rules.check(order)
    except GuestlistError as refusal:
        return person.cannot(refusal)
    given = dict(desired.given)
    return person.change(action, reason, roles=roles, deferred=deferred, options=given, **more)


def _can_resend(provider: Provider, invitation: Invitation) -> bool:
    """Returns whether `resend` works: natively, or by revoking and inviting again."""
    if provider.supports("resend"):
        return True
    enough = not provider.lacks(invitation.roles)
    return enough and provider.supports("revoke") and provider.supports("invite")


def _how_to_identify(person: _Person) -> str:
    """Returns what to write into the roster, so that the person is recognized."""
    if person.guest.candidates and person.rules.provider.members_show_emails:
        return (
            'Not invited again. If one of these is the person, write also = ["…"] with that address'
            ' into the roster. If the person has left, use `invite` with if_exists="replace".'
        )
    return f'Write logins.{person.rules.account} = "…" into the roster.'


def _declined(invitation: Invitation | None) -> str:
    when = invitation.responded_at if invitation else None
    day = f" on {when:%Y-%m-%d}" if when else ""
    return f"declined{day}. `invite_declined=True` invites again."


def _expired(invitation: Invitation) -> str:
    when = invitation.expires_at
    return f"the invitation expired{f' on {when:%Y-%m-%d}' if when else ''}"


def _absence(guest: Guest) -> str:
    invitation = guest.invitation
    if guest.state is State.EXPIRED and invitation is not None:
        return _expired(invitation)
    if guest.state in (State.REVOKED, State.DECLINED):
        return f"the invitation was {guest.state}"
    if guest.state is State.UNKNOWN:
        return "was invited, but the invitation is not listed any more"
    if invitation is not None and invitation.state is State.ACCEPTED:
        return "was a member and has left"
    return "is not there"
