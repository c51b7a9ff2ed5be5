"""One organization in memory: people, invitations, members and roles, by the rules of a service.

`SWITCHES` are the behaviors in which services differ. A service fixes what its documents say and
declares the rest as switches of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, count
from typing import Any, TypeVar

from guestlist.sandbox.refusals import (
    DuplicateInvitation,
    DuplicateMember,
    InvalidValue,
    LastRole,
    NoSeatLeft,
    NotAuthenticated,
    NotOpen,
    ProtectedMember,
    RecordNotFound,
    RoleAlreadyHeld,
    RoleNotFound,
    RoleNotHeld,
    WrongAddress,
)
from guestlist.sandbox.service import AdjustableClock, Switch

SWITCHES = {
    "duplicates": Switch(
        ("refuse", "allow", "resend", "per_role"),
        "inviting an address that has an open invitation: refused, a second invitation, the first"
        " one sent again, or refused only if it offers one of the same roles",
    ),
    "inviting_members": Switch(
        ("refuse", "allow"),
        "inviting a member: refused, or an invitation beside the membership",
    ),
    "expired_invitations": Switch(
        ("free", "block", "replace"),
        "what an expired invitation does to a new one for its address: nothing, it refuses it, or"
        " the new one withdraws it",
    ),
    "known_people": Switch(
        ("invite", "join"),
        "inviting a person who has an account: an invitation, or a member at once",
    ),
    "approval": Switch(
        ("none", "queue"), "whether an owner has to approve an invitation before it is sent"
    ),
    "invitation_ids": Switch(
        ("own", "address"), "an invitation's id: one of its own, or the address"
    ),
    "member_ids": Switch(
        ("own", "person", "invitation"),
        "a member's id: one of its own, the person's, or that of the invitation that was accepted",
    ),
    "membership_starts": Switch(
        ("acceptance", "invitation"),
        "when the record of a member is created: at acceptance, or with the invitation",
    ),
    "resend_id": Switch(("keep", "change"), "whether an invitation has a new id after a resend"),
    "resend_moves_expiry": Switch(
        ("yes", "no"), "whether an invitation is valid for its whole lifetime after a resend"
    ),
    "resend_expired": Switch(("allow", "refuse"), "resending an expired invitation"),
    "accepted": Switch(
        ("stay", "vanish"), "whether the record of an accepted invitation can still be read"
    ),
    "revoked": Switch(
        ("stay", "vanish"), "whether the record of a withdrawn invitation can still be read"
    ),
    "removed_members": Switch(
        ("vanish", "stay"), "whether the record of a removed member can still be read"
    ),
    "accept_address": Switch(
        ("must_match", "any"), "who may accept: the invited address only, or any person"
    ),
    "assigned_again": Switch(("allow", "refuse"), "assigning a role that the member holds"),
    "last_role": Switch(
        ("none", "default", "leave", "refuse"),
        "taking the last role away: the member holds no role, gets the default role, leaves the"
        " organization, or it is refused",
    ),
    "member_addresses": Switch(("shown", "hidden"), "whether the member list has addresses"),
    "seats": Switch(("0", "5"), "the number of seats; 0 for any number"),
    "seats_taken_by": Switch(
        ("invitations", "members"), "whether open invitations take seats, or members only"
    ),
    "list_lag": Switch(("0", "5"), "seconds until a new record is in the lists"),
}
"""The behaviors in which services differ; the first value of each is the default."""

_ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def is_address(text: str) -> bool:
    """Returns whether a text looks like an email address."""
    return len(text) <= 254 and text.isprintable() and _ADDRESS.fullmatch(text) is not None


@dataclass(eq=False, kw_only=True)
class Record:
    """The fields that people, roles, invitations and members have in common."""

    id: str
    """A string, even if the service's own ids are numbers."""
    number: int
    """The position among all records of the organization, oldest first."""
    created_at: datetime
    updated_at: datetime
    fields: dict[str, Any] = field(default_factory=dict)
    """Further values that only this service has: the unknown keywords of the method that created
    the record."""


@dataclass(eq=False, kw_only=True)
class PersonRecord(Record):
    """A person with an account on the service. The person need not be in the organization.
    Inherits the fields of `Record`."""

    email: str
    name: str = ""
    login: str = ""
    registered: bool = True
    """False for an account that an invitation created and nobody has used yet."""


@dataclass(eq=False, kw_only=True)
class RoleRecord(Record):
    """A role of any kind. Inherits the fields of `Record`."""

    name: str
    kind: str = "role"
    manages: bool = False
    """Whether its holders may invite, remove and assign. The service's endpoints check it."""


@dataclass(eq=False, kw_only=True)
class InvitationRecord(Record):
    """An invitation of one address to the organization. Inherits the fields of `Record`."""

    email: str
    roles: list[RoleRecord]
    """The offered roles."""
    inviter: PersonRecord | None
    """The person who invited, if the service passed one to `Organization.invite`."""
    secret: str = field(repr=False)
    """The part of the link that lets a person accept."""
    expires_at: datetime | None
    """None for an invitation that never expires."""
    waits: bool = False
    """Whether an owner has to approve it first."""
    ended: str = ""
    """`accepted`, `declined`, `rejected` or `revoked`; empty while it is open or expired."""
    ended_at: datetime | None = None
    """When it ended. None while `ended` is empty."""
    member: MemberRecord | None = None
    """The person's record as a member, if there is one."""
    before: InvitationRecord | None = None
    """The record before the last resend, if that changed the id."""

    def state(self, now: datetime) -> str:
        """Returns `pending`, `awaiting_approval`, `expired`, or how it ended."""
        if self.ended:
            return self.ended
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        return "awaiting_approval" if self.waits else "pending"


ACTIVE, SUSPENDED, INVITED, REMOVED = "active", "suspended", "invited", "removed"


@dataclass(eq=False, kw_only=True)
class MemberRecord(Record):
    """A person's record in the organization. Inherits the fields of `Record`."""

    person: PersonRecord
    """The account, which has the address and the name."""
    roles: list[RoleRecord]
    """The roles that the member holds."""
    status: str = ACTIVE
    """`active`, `suspended`, `invited` or `removed`."""
    joined_at: datetime | None = None
    """When the person became a member. None for a person who is only invited."""
    suspended_at: datetime | None = None
    """When the member was suspended. None for a member who is not."""

    @property
    def is_in(self) -> bool:
        """Whether the person is a member, suspended or not."""
        return self.status in (ACTIVE, SUSPENDED)

    @property
    def manages(self) -> bool:
        """Whether one of the roles allows managing people."""
        return any(role.manages for role in self.roles)


@dataclass(frozen=True)
class Key:
    """Credentials of a person. `Organization.add_key` creates them."""

    person: PersonRecord
    """The person whose requests they authenticate."""
    read_only: bool = False
    """Whether they may only read: see `OrganizationService.permit`."""
    expires_at: datetime | None = None
    """When they stop working. None for credentials that never expire."""
    reason: str = ""
    """Why they do not work, in the service's word. Empty if they work."""


RecordT = TypeVar("RecordT", bound=Record)


class Organization:
    """The records of one organization, and the operations that change them.

    Args:
        id: the id of the organization.
        name: the name of the organization.
        clock: the sandbox's clock.
        lifetime: how long an invitation can be accepted after it was sent; None for ever.
        new_id: returns a new id for a kind of record: `person`, `member`, `invitation`, `role`,
            `key` (credentials) or `secret` (the part of a link).
        send: sends the email of an invitation.
        behavior: the values of `SWITCHES` that differ from the defaults. The service may change
            the mapping at any time.
        is_address: returns whether the service accepts a text as an email address.
        logins: whether every account has a login. It is made from the address if none is given.

    Attributes:
        roles: the roles by their ids, oldest first.
        people: the accounts by their ids. Some people are not in the organization.
        records: the records of members, of invited people and of people who left, by their ids.
        invitations: all invitations by their ids, also those that the service no longer shows.
        keys: the credentials by their secrets.
        owner: a member who can be neither removed nor suspended. None if there is no such member.
        owner_role: a role whose last holder can neither lose it nor be removed or suspended.
        default_role: the role of a member who lost the last one, if the switch `last_role` is
            `default`.

    Every method raises a subclass of `SandboxRefusal` if the service refuses the change.
    """

    owner: MemberRecord | None = None
    owner_role: RoleRecord | None = None
    default_role: RoleRecord | None = None

    def __init__(
        self,
        *,
        id: str,
        name: str,
        clock: AdjustableClock,
        lifetime: timedelta | None,
        new_id: Callable[[str], str],
        send: Callable[[InvitationRecord], object],
        behavior: Mapping[str, str] | None = None,
        is_address: Callable[[str], bool] = is_address,
        logins: bool = False,
    ) -> None:
        self.id = id
        self.name = name
        self.clock = clock
        self.created_at = clock.now()
        self.lifetime = lifetime
        self.behavior: Mapping[str, str] = behavior if behavior is not None else {}
        self._new_id = new_id
        self._send = send
        self._is_address = is_address
        self._makes_logins = logins
        self._count = 0
        self.people: dict[str, PersonRecord] = {}
        self.records: dict[str, MemberRecord] = {}
        self.invitations: dict[str, InvitationRecord] = {}
        self.roles: dict[str, RoleRecord] = {}
        self.keys: dict[str, Key] = {}
        # Indexes, so that a request does not search thousands of records. They keep deleted ones.
        self._people_by_email: dict[str, list[PersonRecord]] = defaultdict(list)
        self._logins: set[str] = set()
        self._invitations_by_email: dict[str, list[InvitationRecord]] = defaultdict(list)
        self._records_by_person: dict[str, MemberRecord] = {}

    def is_set(self, switch: str, value: str) -> bool:
        """Returns whether a switch of `SWITCHES` has a value now."""
        return self.value(switch) == value

    def value(self, switch: str) -> str:
        """Returns the present value of a switch of `SWITCHES`."""
        return self.behavior.get(switch, SWITCHES[switch].values[0])

    # ------------------------------------------------------------------ people and credentials

    def add_person(self, email: str, name: str = "", **fields: Any) -> PersonRecord:
        """Creates an account. Unknown keywords become `fields` of the record."""
        known = {one: fields.pop(one) for one in ("login", "registered") if one in fields}
        if self._makes_logins and not known.get("login"):
            known["login"] = self._free_login(email)
        self._logins.add(str(known.get("login", "")).casefold())
        person = PersonRecord(
            **self.identity("person"), email=email, name=name, fields=fields, **known
        )
        self.people[person.id] = person
        self._people_by_email[_key(email)].append(person)
        return person

    def change_address(self, person: PersonRecord, email: str) -> None:
        """Gives a person another address."""
        self._people_by_email[_key(person.email)].remove(person)
        person.email = email
        self._people_by_email[_key(email)].append(person)

    def people_with(self, email: str) -> list[PersonRecord]:
        """Returns the accounts with an address, compared without case."""
        found = self._people_by_email.get(_key(email), ())
        return [one for one in found if one.id in self.people]

    def add_key(self, person: PersonRecord, secret: str = "", **how: Any) -> str:
        """Gives a person credentials, and returns them. `how` are the fields of `Key`."""
        secret = secret or self._new_id("key")
        self.keys[secret] = Key(person, **how)
        return secret

    def key(self, secret: str) -> Key:
        """Returns the credentials with which a request was sent.

        Raises:
            NotAuthenticated: they are unknown, expired or out of use.
        """
        key = self.keys.get(secret)
        if key is None:
            raise NotAuthenticated("unknown credentials")
        if key.reason:
            raise NotAuthenticated("these credentials cannot be used", key.reason)
        if key.expires_at is not None and key.expires_at <= self.clock.now():
            raise NotAuthenticated("these credentials have expired", "expired")
        return key

    def person_with(self, email: str) -> PersonRecord | None:
        """Returns the account with an address, compared without case, or None."""
        return next(iter(self.people_with(email)), None)

    # ------------------------------------------------------------------ roles

    def add_role(
        self, name: str, kind: str = "role", *, id: str = "", manages: bool = False, **fields: Any
    ) -> RoleRecord:
        """Creates a role. Unknown keywords become `fields` of the record."""
        identity = self.identity("role", id)
        role = RoleRecord(**identity, name=name, kind=kind, manages=manages, fields=fields)
        self.roles[role.id] = role
        return role

    def role(self, id: str) -> RoleRecord:
        """Returns a role by its id."""
        if id not in self.roles:
            raise RoleNotFound
        return self.roles[id]

    def roles_of_kind(self, kind: str) -> list[RoleRecord]:
        """Returns the roles of one kind, oldest first."""
        return [one for one in self.roles.values() if one.kind == kind]

    def role_of_kind(self, kind: str, id: str) -> RoleRecord:
        """Returns the role of a kind with an id. Raises RecordNotFound, for that kind, if there is
        none."""
        role = self.roles.get(id)
        if role is None or role.kind != kind:
            raise RecordNotFound(kind)
        return role

    def role_named(self, name: str) -> RoleRecord:
        """Returns a role by its name, compared without case."""
        for role in self.roles.values():
            if role.name.casefold() == name.casefold():
                return role
        raise RoleNotFound

    # ------------------------------------------------------------------ members

    def members(self) -> list[MemberRecord]:
        """Returns the members, oldest first, suspended ones included."""
        return [one for one in self.records.values() if one.is_in]

    def member(self, id: str) -> MemberRecord:
        """Returns a member by its id."""
        record = self.record(id)
        if not record.is_in:
            raise RecordNotFound("member")
        return record

    def record(self, id: str) -> MemberRecord:
        """Returns the record of a member, of an invited person, or of one who left."""
        return _found(self.records, id, "member")

    def record_of(self, person: PersonRecord) -> MemberRecord | None:
        """Returns a person's record in the organization, in any status."""
        record = self._records_by_person.get(person.id)
        return record if record is not None and record.id in self.records else None

    def member_with(self, email: str) -> MemberRecord | None:
        """Returns the member with an address, compared without case, or None."""
        records = map(self.record_of, self.people_with(email))
        return next((one for one in records if one is not None and one.is_in), None)

    def add_member(
        self,
        email: str,
        name: str = "",
        roles: Iterable[RoleRecord] = (),
        *,
        key: str = "",
        **fields: Any,
    ) -> MemberRecord:
        """Makes a person a member without an invitation; creates the account if there is none."""
        person = self.person_with(email) or self.add_person(email, name, **fields)
        if key:
            self.add_key(person, key)
        return self._join(person, list(roles))

    def remove(self, member: MemberRecord) -> None:
        """Ends a membership, and withdraws the invitation that belongs to the same record."""
        self.refuse_if_protected(member, "remove")
        for invitation in self.invitations.values():
            if invitation.member is member and not invitation.ended:
                self._end(invitation, "revoked")
        if self.is_set("removed_members", "stay"):
            self._set_status(member, REMOVED)
        else:
            del self.records[member.id]

    def restore(self, member: MemberRecord) -> None:
        """Makes a removed person a member again; or an invited person, if the person never
        accepted."""
        self._set_status(member, INVITED if member.joined_at is None else ACTIVE)

    def suspend(self, member: MemberRecord) -> None:
        """Suspends a member. Suspending again keeps the first date."""
        self.refuse_if_protected(member, "suspend")
        self._set_status(member, SUSPENDED)
        member.suspended_at = member.suspended_at or self.clock.now()

    def unsuspend(self, member: MemberRecord) -> None:
        """Ends a suspension."""
        self._set_status(member, ACTIVE)
        member.suspended_at = None

    def assign(self, member: MemberRecord, role: RoleRecord) -> None:
        """Adds a role to those of a member."""
        if role not in member.roles:
            self.set_roles(member, [*member.roles, role])
        elif self.is_set("assigned_again", "refuse"):
            raise RoleAlreadyHeld("the member has this role")

    def unassign(self, member: MemberRecord, role: RoleRecord) -> None:
        """Takes a role away. The switch `last_role` decides about the last one."""
        if role not in member.roles:
            raise RoleNotHeld("the member does not have this role")
        left = [one for one in member.roles if one is not role]
        rule = "" if left else self.value("last_role")
        if rule == "refuse":
            raise LastRole("a member needs a role")
        if rule == "default" and self.default_role is not None:
            left = [self.default_role]
        if rule == "leave":
            self.remove(member)
        else:
            self.set_roles(member, left)

    def set_roles(self, member: MemberRecord, roles: Iterable[RoleRecord]) -> None:
        """Replaces the roles of a member, and those that an open invitation of the same record
        offers."""
        roles = list(roles)
        if self.owner_role is not None and self.owner_role not in roles:
            self.refuse_if_protected(member, "role")
        member.roles, member.updated_at = roles, self.clock.now()
        for invitation in self.invitations.values():
            if invitation.member is member and not invitation.ended:
                invitation.roles = roles

    def refuse_if_protected(self, member: MemberRecord, action: str) -> None:
        """Raises ProtectedMember for the owner, and for the last holder of the owner's role."""
        holders = [one for one in self.members() if self.owner_role in one.roles]
        if member is self.owner or holders == [member]:
            raise ProtectedMember(action)

    # ------------------------------------------------------------------ invitations

    def invitation(self, id: str) -> InvitationRecord:
        """Returns an invitation that the service still shows, by its id."""
        invitation = self.any_invitation(id)
        if not self.shows(invitation):
            raise RecordNotFound("invitation")
        return invitation

    def any_invitation(self, id: str) -> InvitationRecord:
        """Returns an invitation by its id, even if the service does not show it any more."""
        return _found(self.invitations, _key(id) if self._by_address else id, "invitation")

    def invitation_with_secret(self, secret: str) -> InvitationRecord:
        """Returns the invitation whose link has this secret. It may have been used."""
        for invitation in self.invitations.values():
            if invitation.secret == secret and invitation.ended != "revoked":
                return invitation
        raise RecordNotFound("invitation")

    def invitations_to(self, email: str) -> list[InvitationRecord]:
        """Returns the invitations of an address that the service shows, newest first."""
        newest_first = reversed(self._invitations_by_email.get(_key(email), ()))
        versions = (one for now in newest_first for one in (now, now.before) if one is not None)
        return [one for one in versions if self._is_stored(one) and self.shows(one)]

    def _is_stored(self, invitation: InvitationRecord) -> bool:
        return self.invitations.get(invitation.id) is invitation

    def shows(self, invitation: InvitationRecord) -> bool:
        """Returns whether the service still shows an invitation. The switches `accepted` and
        `revoked` decide whether it shows one that was accepted or revoked."""
        switch = invitation.ended if invitation.ended in ("accepted", "revoked") else ""
        return not switch or not self.is_set(switch, "vanish")

    def shown_invitations(self) -> list[InvitationRecord]:
        """Returns the invitations that the service shows, oldest first."""
        return [one for one in self.invitations.values() if self.shows(one)]

    def is_open(self, invitation: InvitationRecord) -> bool:
        """Returns whether an invitation can still lead to membership without another email."""
        return invitation.state(self.clock.now()) in ("pending", "awaiting_approval")

    def invite(
        self,
        email: str,
        roles: Iterable[RoleRecord] = (),
        *,
        inviter: PersonRecord | None = None,
        send: bool = True,
        **fields: Any,
    ) -> InvitationRecord:
        """Invites an address, and sends the email unless `send` is false. Unknown keywords become
        `fields` of the invitation.

        Returns an accepted invitation without a record if the person joins at once.

        Raises:
            DuplicateMember, DuplicateInvitation, NoSeatLeft: depending on the switches.
            InvalidValue: the address is not one.
        """
        email, roles = email.strip(), list(roles)
        if self.member_with(email) and self.is_set("inviting_members", "refuse"):
            raise DuplicateMember("the person is a member")
        blocking = self._blocking(email, roles)
        if blocking is not None:
            if not self.is_set("duplicates", "resend"):
                raise DuplicateInvitation(blocking.id)
            blocking.roles = roles
            if blocking.member is not None:
                blocking.member.roles = roles
            return self.resend(blocking, send=send)
        if not self._is_address(email):
            raise InvalidValue("email")
        self._take_seat()
        person = self.person_with(email)
        invitation = InvitationRecord(
            **self.identity("invitation", _key(email) if self._by_address else ""),
            email=email,
            roles=roles,
            inviter=inviter,
            secret=self._new_id("secret"),
            expires_at=self._expiry(),
            waits=self.is_set("approval", "queue"),
            fields=fields,
        )
        if person is not None and person.registered and self.is_set("known_people", "join"):
            invitation.member = self._join(person, roles, invitation=invitation.id)
            invitation.ended, invitation.ended_at = "accepted", self.clock.now()
            return invitation
        self._replace_expired(email)
        if self.is_set("membership_starts", "invitation"):
            person = person or self.add_person(email, registered=False)
            invitation.member = self._join(person, roles, INVITED, invitation=invitation.id)
        self._store(invitation)
        if send and not invitation.waits:
            self._send(invitation)
        return invitation

    def resend(self, invitation: InvitationRecord, *, send: bool = True) -> InvitationRecord:
        """Sends the email again. The switches decide about the id and the expiry.

        Raises:
            NotOpen: it has ended, or it has expired and the service does not renew it.
        """
        state = invitation.state(self.clock.now())
        renews = state == "expired" and self.is_set("resend_expired", "allow")
        if state != "pending" and not renews:
            raise NotOpen(state)
        if self.is_set("resend_id", "change") and not self._by_address:
            del self.invitations[invitation.id]
            self._invitations_by_email[_key(invitation.email)].remove(invitation)
            invitation.before = replace(invitation)
            invitation.id = self._new_id("invitation")
            self._store(invitation)
        if self.is_set("resend_moves_expiry", "yes"):
            invitation.expires_at = self._expiry()
        invitation.updated_at = self.clock.now()
        if send:
            self._send(invitation)
        return invitation

    def change_invitation(self, invitation: InvitationRecord, roles: Iterable[RoleRecord]) -> None:
        """Replaces the roles that an open invitation offers, and those of the invited person's
        record. Sends no email.

        Raises:
            NotOpen: it has ended or expired.
        """
        if not self.is_open(invitation):
            raise NotOpen(invitation.state(self.clock.now()))
        invitation.roles, invitation.updated_at = list(roles), self.clock.now()
        if invitation.member is not None:
            invitation.member.roles = invitation.roles

    def revoke(self, invitation: InvitationRecord) -> None:
        """Withdraws an invitation that is open or has expired, and the invited person's record.

        Raises:
            NotOpen: it was accepted, declined or withdrawn.
        """
        if invitation.ended:
            raise NotOpen(invitation.ended)
        self._end(invitation, "revoked")
        self._drop_invited_record(invitation)

    def approve(self, invitation: InvitationRecord) -> None:
        """Approves an invitation that waits, and sends its email."""
        self._refuse_unless(invitation, "awaiting_approval")
        invitation.waits = False
        invitation.expires_at = self._expiry()
        self._send(invitation)

    def reject(self, invitation: InvitationRecord) -> None:
        """Refuses to approve an invitation that waits."""
        self._refuse_unless(invitation, "awaiting_approval")
        self._end(invitation, "rejected")

    def accept(
        self, invitation: InvitationRecord, *, email: str = "", name: str = ""
    ) -> MemberRecord:
        """Accepts an invitation as its invitee.

        Args:
            invitation: the invitation.
            email: the address of the account that accepts; by default the invited address.
            name: the name of a person who has no account yet; by default derived from the address.

        Raises:
            NotOpen: it has ended, expired, or waits for approval.
            WrongAddress: the service does not let another address accept.
            DuplicateMember: the person who accepts is a member.
        """
        email = email or invitation.email
        is_other = _key(email) != _key(invitation.email)
        if is_other and self.is_set("accept_address", "must_match"):
            raise WrongAddress("the invitation is for another address")
        self._refuse_unless(invitation, "pending")
        member = self.member_with(email)
        if member and (is_other or self.is_set("inviting_members", "refuse")):
            raise DuplicateMember("the person is a member")
        person = self.person_with(email) or self.add_person(email, registered=False)
        if not person.registered:
            person.name = name or person.name or _name_from(email)
            person.registered = True
        if is_other:
            self._drop_invited_record(invitation)
        self._end(invitation, "accepted")
        if member is not None:
            member.roles = list(dict.fromkeys([*member.roles, *invitation.roles]))
        invitation.member = member or self._join(person, invitation.roles, invitation=invitation.id)
        return invitation.member

    def decline(self, invitation: InvitationRecord) -> None:
        """Declines an invitation as its invitee. Raises NotOpen if it has ended."""
        state = invitation.state(self.clock.now())
        if state not in ("pending", "expired"):
            raise NotOpen(state)
        self._end(invitation, "declined")

    # ------------------------------------------------------------------ lists

    def listed(self, records: Iterable[RecordT]) -> list[RecordT]:
        """Returns the records that the lists show by now. The switch `list_lag` delays new
        records."""
        lag = timedelta(seconds=float(self.value("list_lag")))
        now = self.clock.now()
        return [one for one in records if one.created_at + lag <= now]

    def address_of(self, member: MemberRecord) -> str | None:
        """Returns the address that the member list shows. None if the switch `member_addresses`
        hides it."""
        return None if self.is_set("member_addresses", "hidden") else member.person.email

    @contextmanager
    def hidden(self, invitations: Collection[str]) -> Iterator[None]:
        """Hides invitations during the `with` block, with the records of people who are only
        invited. An open invitation whose id has changed is shown as it was before. Nothing may be
        changed in the block."""
        everything, records = self.invitations, self.records
        hidden = {
            id(one.member)
            for one in everything.values()
            if one.id in invitations and one.member is not None and one.member.status == INVITED
        }
        self.invitations = {id: one for id, one in everything.items() if id not in invitations}
        renewed = [one for key, one in everything.items() if key in invitations and not one.ended]
        self.invitations |= {one.before.id: one.before for one in renewed if one.before}
        self.records = {key: one for key, one in records.items() if id(one) not in hidden}
        try:
            yield
        finally:
            self.invitations, self.records = everything, records

    # ------------------------------------------------------------------ helpers

    def _free_login(self, email: str) -> str:
        base = re.sub(r"[^a-z0-9]+", "-", email.partition("@")[0].casefold()).strip("-") or "user"
        numbered = (f"{base}-{number}" for number in count(1))
        return next(one for one in chain([base], numbered) if one not in self._logins)

    def identity(self, kind: str, id: str = "") -> dict[str, Any]:
        """Returns the id, number and dates of a new record."""
        self._count += 1
        now = self.clock.now()
        return {
            "id": id or self._new_id(kind),
            "number": self._count,
            "created_at": now,
            "updated_at": now,
        }

    @property
    def _by_address(self) -> bool:
        return self.is_set("invitation_ids", "address")

    def _blocking(self, email: str, roles: list[RoleRecord]) -> InvitationRecord | None:
        if self.is_set("duplicates", "allow"):
            return None
        for invitation in self.invitations_to(email):
            expired = invitation.state(self.clock.now()) == "expired"
            if not self.is_open(invitation) and not (
                expired and self.is_set("expired_invitations", "block")
            ):
                continue
            if self.is_set("duplicates", "per_role") and set(roles).isdisjoint(invitation.roles):
                continue
            return invitation
        return None

    def _replace_expired(self, email: str) -> None:
        if self.is_set("expired_invitations", "replace"):
            for invitation in self.invitations_to(email):
                if invitation.state(self.clock.now()) == "expired":
                    self._end(invitation, "revoked")

    def _take_seat(self) -> None:
        seats = int(self.value("seats"))
        if not seats:
            return
        taken = len(self.members())
        if self.is_set("seats_taken_by", "invitations"):
            taken += sum(map(self.is_open, self.invitations.values()))
        if taken >= seats:
            raise NoSeatLeft(f"all {seats} seats are taken")

    def _join(
        self,
        person: PersonRecord,
        roles: list[RoleRecord],
        status: str = ACTIVE,
        *,
        invitation: str = "",
    ) -> MemberRecord:
        """Returns the person's record with these roles and this status; creates it if needed.

        Args:
            invitation: the id of the invitation that makes the person a member.
        """
        now = self.clock.now()
        member = self.record_of(person)
        if member is None:
            ids = {"person": person.id, "invitation": invitation}
            id = ids.get(self.value("member_ids"), "")
            member = MemberRecord(**self.identity("member", id), person=person, roles=[])
            self.records[member.id] = self._records_by_person[person.id] = member
        member.roles, member.status, member.updated_at = list(roles), status, now
        if status == ACTIVE:
            member.joined_at = now
        return member

    def _drop_invited_record(self, invitation: InvitationRecord) -> None:
        """Deletes the record of a person who is only invited. A person who was a member before is
        marked as removed again."""
        member = invitation.member
        if member is None or member.status != INVITED:
            return
        if member.joined_at is not None:
            self._set_status(member, REMOVED)
        else:
            del self.records[member.id]

    def _set_status(self, member: MemberRecord, status: str) -> None:
        member.status, member.updated_at = status, self.clock.now()

    def _store(self, invitation: InvitationRecord) -> None:
        self.invitations[invitation.id] = invitation
        self._invitations_by_email[_key(invitation.email)].append(invitation)

    def _expiry(self) -> datetime | None:
        return None if self.lifetime is None else self.clock.now() + self.lifetime

    def _end(self, invitation: InvitationRecord, how: str) -> None:
        invitation.ended = how
        invitation.ended_at = invitation.updated_at = self.clock.now()

    def _refuse_unless(self, invitation: InvitationRecord, state: str) -> None:
        present = invitation.state(self.clock.now())
        if present != state:
            raise NotOpen(present)


def _key(email: str) -> str:
    return email.strip().casefold()


def _name_from(email: str) -> str:
    return email.partition("@")[0].replace(".", " ").title()


def _found(records: Mapping[str, RecordT], id: str, kind: str) -> RecordT:
    if id not in records:
        raise RecordNotFound(kind)
    return records[id]
