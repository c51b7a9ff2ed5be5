"""The difference between what is wanted of a person and what is there. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from guestlist.changes import Action, Change, reference, without_secrets
from guestlist.errors import GuestlistError
from guestlist.models import OPEN_STATES, Basis, Guest, Invitation, Order, Role, State
from guestlist.provider import Provider
from guestlist.roster.desired import DesiredAccess
from guestlist.roster.reading import InvitationBrief, ids_of
from guestlist.verbs.roles import holds


class Note(StrEnum):
    """What is counted and is no change."""

    FITS = "fits"
    """Members who are as the roster wants them."""
    INVITED = "invited"
    """People whose open invitation is as the roster wants it."""
    OWED = "owed"
    """Roles that the service takes only once somebody has accepted."""
    NOT_YET = "not yet"
    """People who are wanted from a later day on."""
    UNLISTED = "unlisted"
    """People who are there and not in the roster; only pruning takes them out."""
    KEPT = "kept"
    """People whom the roster does not name and whom nobody may take out."""
    PROGRAMS = "programs"
    """Members that are logins of programs, or have no address."""
    UNSEEN = "unseen"
    """Members of whom the service does not show what they hold."""
    HELD_BACK = "held back"
    """People for whom nothing is done because nobody could have what is wanted for them."""


@dataclass(frozen=True)
class Rules:
    """What holds for everybody in one account.

    Attributes:
        account: its name.
        roles: what can be granted; what else somebody holds is never taken away.
        check: lets the policy refuse an order, with `InvalidOrder`.
        prune: whether those who are not wanted are taken out.
        invite_declined: whether those who have declined are asked again.
        protected: keys of people from whom nothing is taken.
    """

    account: str
    provider: Provider
    roles: Collection[Role] = ()
    check: Callable[[Order], None] = lambda _order: None
    prune: bool = False
    invite_declined: bool = False
    protected: frozenset[str] = frozenset()

    def known(self, role: Role) -> Role | None:
        """The same role as the account's list has it: other records may tell its id alone."""
        same = (one for one in self.roles if (one.kind, one.id) == (role.kind, role.id))
        return next(same, None)


@dataclass(frozen=True)
class Entry:
    """What the roster says of one person.

    Attributes:
        wish: None for somebody who is not wanted.
        owed: kinds and ids of the roles that are owed since an earlier invitation.
        ended: the last day, for somebody who was wanted until then.
        until: the moment from which on it does not hold any more; None for never.
    """

    key: str
    email: str
    desired: DesiredAccess | None = None
    owed: Collection[tuple[str, str]] = frozenset()
    ended: str = ""
    until: datetime | None = None


def differences(
    rules: Rules, entry: Entry, guest: Guest, current_options: Mapping[str, Any] | None = None
) -> Iterator[Change | Note]:
    """What is to be done about a person, and what is to be counted.

    Args:
        guest: where the person stands.
        carried: the options of the invitation; None where nobody can tell.
    """
    person = _Person(rules, entry, guest)
    if entry.desired is None:
        yield from _for_unwanted(person)
    elif guest.state is State.ACCEPTED:
        yield from _for_member(person, entry.desired)
    elif entry.desired.problems:
        yield Note.HELD_BACK
    elif guest.state in OPEN_STATES and guest.invitation is not None:
        yield from _for_invited(person, entry.desired, guest.invitation, current_options)
    else:
        yield _for_absent(person, entry.desired, current_options)


@dataclass(frozen=True)
class _Person:
    rules: Rules
    entry: Entry
    guest: Guest

    def change(self, action: Action, reason: str, **more: Any) -> Change:
        invitation = self.guest.invitation
        return Change(
            action=action,
            account=self.rules.account,
            email=self.entry.email,
            key=self.entry.key,
            reason=reason,
            state=self.guest.state,
            invitation=invitation and without_secrets(invitation),
            member=self.guest.member,
            until=self.entry.until,
            **more,
        )

    def cannot(self, why: str | GuestlistError, **more: Any) -> Change:
        return self.change(Action.CANNOT, str(why), **more)

    def if_possible(self, operation: str, action: Action, reason: str, **more: Any) -> Change:
        """The change, where the provider has the operation."""
        provider = self.rules.provider
        if provider.supports(operation):
            return self.change(action, reason, **more)
        return self.cannot(provider.unsupported(operation), **more)


# ---------------------------------------------------------------------------- not wanted


def _for_unwanted(person: _Person) -> Iterator[Change | Note]:
    rules, entry, guest = person.rules, person.entry, person.guest
    if guest.state is not State.ACCEPTED and guest.state not in OPEN_STATES:
        return
    if entry.key in rules.protected:
        yield Note.KEPT
    elif not rules.prune and entry.ended:
        where = "a member" if guest.state is State.ACCEPTED else "invited"
        yield person.cannot(
            f"was wanted until {entry.ended} and is still {where}: only pruning takes people out"
        )
    elif not rules.prune:
        yield Note.UNLISTED
    else:
        reason = f"wanted until {entry.ended}" if entry.ended else "not in the roster"
        inside = guest.state is State.ACCEPTED
        operation, action = ("remove", Action.REMOVE) if inside else ("revoke", Action.REVOKE)
        yield person.if_possible(operation, action, reason)


# ---------------------------------------------------------------------------- members


def _for_member(person: _Person, desired: DesiredAccess) -> Iterator[Change | Note]:
    member = person.guest.member
    if desired.roles is None or member is None:  # who has accepted just now may not be listed yet
        yield Note.FITS
        return
    if member.roles is None:
        yield from _settle_hidden_roles(person, desired)
        return
    replaced = person.rules.provider.one_role and member.roles
    if replaced and person.entry.key in person.rules.protected:
        yield Note.FITS if all(holds(member.roles, role) for role in desired.roles) else Note.KEPT
        return
    if replaced and desired.problems:  # to give one is to take the other away
        yield Note.HELD_BACK
        return
    found = [*_missing_roles(person, desired, member.roles)]
    if all(change.action is not Action.CANNOT for change in found):
        # a role is taken away only if what is wanted instead can be given
        found += _surplus_roles(person, desired, member.roles)
    yield from found
    if not found:
        yield Note.HELD_BACK if desired.problems else Note.FITS


def _settle_hidden_roles(person: _Person, desired: DesiredAccess) -> Iterator[Change | Note]:
    """Where nobody sees what members hold, what is owed is given all the same: it is safe to
    repeat."""
    for role in desired.roles or ():
        if (role.kind, role.id) in person.entry.owed:
            yield person.if_possible("assign_role", Action.SETTLE, "has accepted", roles=(role,))
    yield Note.UNSEEN


def _missing_roles(
    person: _Person, desired: DesiredAccess, held: Sequence[Role]
) -> Iterator[Change]:
    for role in desired.roles or ():
        if holds(held, role):
            continue
        if (role.kind, role.id) in person.entry.owed:
            action, reason = Action.SETTLE, "has accepted"
        elif person.rules.provider.one_role and held:
            action, reason = Action.ASSIGN, f"in place of {_labels(person.rules, held)}"
        else:
            action, reason = Action.ASSIGN, "does not hold it"
        yield person.if_possible("assign_role", action, reason, roles=(role,))


def _surplus_roles(
    person: _Person, desired: DesiredAccess, held: Sequence[Role]
) -> Iterator[Change]:
    rules = person.rules
    replaced = rules.provider.one_role and desired.roles
    if replaced or desired.problems or person.entry.key in rules.protected:
        return
    for role in map(rules.known, held):
        if role is not None and not holds(desired.roles or (), role):
            yield person.if_possible(
                "unassign_role",
                Action.UNASSIGN,
                "not in the roster",
                roles=(reference(role),),
            )


# ---------------------------------------------------------------------------- invited


def _for_invited(
    person: _Person,
    desired: DesiredAccess,
    invitation: Invitation,
    current_options: Mapping[str, Any] | None,
) -> Iterator[Change | Note]:
    provider = person.rules.provider
    told = InvitationBrief(invitation.state, ids_of(invitation.roles), current_options)
    unlike = differing_parts(provider, desired, told)
    if not unlike:
        yield Note.INVITED
        deferred = deferred_roles(provider, desired, told)
        for _ in deferred:
            yield Note.OWED
        owed = person.entry.owed
        unrecorded = tuple(role for role in deferred if (role.kind, role.id) not in owed)
        if unrecorded:
            reason = "is invited, and the ledger does not know of it"
            yield person.change(Action.DEFER, reason, owed=unrecorded)
        return
    reason = _in_words(person.rules, unlike, desired, invitation, current_options)
    if provider.supports("revoke"):
        yield _with_invitation(person, desired, Action.REPLACE, reason)
    else:
        yield person.cannot(f"{reason}. {provider.unsupported('revoke')}", options=desired.given)


def differing_parts(provider: Provider, desired: DesiredAccess, told: InvitationBrief) -> list[str]:
    """In what an invitation is not as it is wanted: names of options, and `roles`."""
    different = []
    if told.current_options is not None:
        different = [
            name for name in desired.given if told.current_options.get(name) != desired.given[name]
        ]
    if desired.ids is not None and provider.most_roles != 0 and told.offered:
        most = len(desired.ids) if provider.most_roles is None else provider.most_roles
        as_many = len(told.offered) >= min(most, len(desired.ids))
        if not (as_many and told.offered <= desired.ids):
            different.append("roles")
    return different


def deferred_roles(
    provider: Provider, desired: DesiredAccess, told: InvitationBrief
) -> tuple[Role, ...]:
    """Returns the wanted roles that an open invitation does not bring. If the service does not show
    what it brings, it is what `invite` would have sent."""
    wanted = desired.roles or ()
    if told.offered:
        return tuple(role for role in wanted if (role.kind, role.id) not in told.offered)
    return () if provider.most_roles is None else wanted[provider.most_roles :]


def replacement_grants(rules: Rules, entry: Entry, guest: Guest) -> tuple[Role, ...]:
    """The roles that are owed instead of others, which the roster does not want any more: what
    neither the invitation brings, nor anybody can see that the member lacks."""
    desired, member = entry.desired, guest.member
    if desired is None or desired.problems:
        return ()
    if guest.state is State.ACCEPTED:
        if member is None or member.roles is not None:
            return ()
        offered: Collection[tuple[str, str]] = ()
    elif guest.state in OPEN_STATES and guest.invitation is not None:
        offered = ids_of(guest.invitation.roles)
        if not offered and rules.provider.most_roles != 0:  # it may bring them, untold
            return ()
    else:
        return ()  # a new invitation says what is owed after it
    return tuple(
        role for role in desired.roles or () if (role.kind, role.id) not in {*offered, *entry.owed}
    )


def _in_words(
    rules: Rules,
    unlike: Iterable[str],
    desired: DesiredAccess,
    invitation: Invitation,
    current_options: Mapping[str, Any] | None,
) -> str:
    told = []
    for name in unlike:
        if name == "roles":
            here = _labels(rules, desired.roles or ()) or "no role"
            there = _labels(rules, invitation.roles)
            told.append(f"offers {there}, and {here} is wanted")
        else:
            here, there = _value(desired.given[name]), _value((current_options or {}).get(name))
            told.append(f"has {name} = {there}, and {here} is wanted")
    return "the invitation " + "; it ".join(told)


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _labels(rules: Rules, roles: Iterable[Role]) -> str:
    return ", ".join((rules.known(role) or role).label for role in roles)


# ---------------------------------------------------------------------------- absent


def _for_absent(
    person: _Person, desired: DesiredAccess, current_options: Mapping[str, Any] | None
) -> Change:
    guest, rules = person.guest, person.rules
    state, invitation = guest.state, guest.invitation
    if guest.incomplete is not None:
        return person.cannot(f"nobody can tell whether the person is there: {guest.incomplete}")
    if state is State.DECLINED and not rules.invite_declined:
        return person.cannot(_declined(invitation))
    if state is State.UNKNOWN and guest.basis is Basis.REPORTED:
        word = f" {guest.raw_state!r}" if guest.raw_state else ""
        return person.cannot(
            f"the service calls the invitation{word}, and what that means is not known."
            " `guestlist resend`, or `invite --if-exists replace`, sends again."
        )
    if state is State.EXPIRED and invitation is not None:
        told = InvitationBrief(state, ids_of(invitation.roles), current_options)
        if _can_resend(rules.provider, invitation) and not differing_parts(
            rules.provider, desired, told
        ):
            owed = tuple(role for role in desired.roles or () if not holds(invitation.roles, role))
            return person.change(Action.RESEND, _expired(invitation), owed=owed)
    return _with_invitation(person, desired, Action.INVITE, _absence(guest))


def _with_invitation(
    person: _Person, desired: DesiredAccess, action: Action, reason: str
) -> Change:
    """A change that makes an invitation; or why it cannot be made."""
    provider = person.rules.provider
    wanted, most = desired.roles or (), provider.most_roles
    roles = wanted if most is None else wanted[:most]
    if not provider.supports("invite"):
        return person.cannot(provider.unsupported("invite"))
    if len(roles) < provider.least_roles:
        return person.cannot(
            f"{provider.title} needs a role for an invitation, and the roster names none."
        )
    try:
        person.rules.check(Order(email=person.entry.email, roles=roles, options=desired.options))
    except GuestlistError as refusal:
        return person.cannot(refusal)
    owed = wanted[len(roles) :]
    return person.change(action, reason, roles=roles, owed=owed, options=dict(desired.given))


def _can_resend(provider: Provider, invitation: Invitation) -> bool:
    """Whether the verb `resend` will manage: natively, or by making the invitation anew."""
    if provider.supports("resend"):
        return True
    enough = len(invitation.roles) >= provider.least_roles
    return enough and provider.supports("revoke") and provider.supports("invite")


def _declined(invitation: Invitation | None) -> str:
    when = invitation.responded_at if invitation else None
    return f"declined{f' on {when:%Y-%m-%d}' if when else ''}. `--invite-declined` asks again."


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
        return "was invited, and the invitation is not to be seen"
    if invitation is not None and invitation.state is State.ACCEPTED:
        return "was a member and has left"
    return "is not there"
