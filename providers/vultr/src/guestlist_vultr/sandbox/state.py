"""The records of the sandbox: people, organizations, groups, roles, policies and invitations."""

from __future__ import annotations

import random
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from guestlist.sandbox.service import Clock, Outbox

from .refusal import Refused

VALIDITY = timedelta(hours=72)
"""How long an invitation can be accepted after it is sent: three days (docs D-valid)."""


@dataclass(eq=False, kw_only=True)
class Record:
    """The base class of all records. `number` counts up over all records and is their order in
    every list."""

    id: str
    number: int
    created: datetime
    updated: datetime
    deleted: datetime | None = None


@dataclass(eq=False, kw_only=True)
class Person(Record):
    """A Vultr account. It is not deleted when the person is removed from an organization (docs
    D-suspend, S)."""

    email: str
    first_name: str
    last_name: str
    name: str
    api_enabled: bool
    api_key: str
    acls: list[str] = field(default_factory=list)
    service_user: bool = False


@dataclass
class Membership:
    """The membership of a person in an organization; `suspended` is the time of the suspension, if
    any."""

    suspended: datetime | None = None


@dataclass(eq=False, kw_only=True)
class Organization(Record):
    """An organization; `owner` is the id of its root user."""

    name: str
    type: str
    owner: str
    members: dict[str, Membership] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Group(Record):
    """A named group of members."""

    name: str
    description: str


ASSIGNABLE, ASSUMABLE = "assignable", "assumable"
"""The types of roles: attached for good, or assumed for a time through a role trust (guide "How to
create a role")."""


@dataclass(eq=False, kw_only=True)
class Role(Record):
    """A role, which groups policies; `max_session_duration` is in seconds."""

    name: str
    description: str
    role_type: str
    max_session_duration: int


@dataclass(eq=False, kw_only=True)
class Policy(Record):
    """A policy: a document of allowed and denied actions. A system policy is Vultr's own and
    read-only."""

    name: str
    description: str
    document: dict[str, Any]
    system: bool = False


@dataclass(eq=False, kw_only=True)
class Invitation(Record):
    """An invitation of one email address. `responded` is only set by acceptance."""

    inviter_name: str
    inviter_email: str
    email: str
    api_enabled: bool
    expires: datetime
    registered: str = ""
    responded: datetime | None = None

    def state(self, now: datetime) -> str:
        """Returns the real state, `pending`, `expired` or `accepted`. The service may report an
        expired invitation as pending."""
        if self.responded is not None:
            return "accepted"
        return "pending" if now < self.expires else "expired"


RecordT = TypeVar("RecordT", bound=Record)


class Table(Generic[RecordT]):
    """The records of one kind. `missing` is the text of the 404, which the Terraform provider looks
    for."""

    def __init__(self, missing: str) -> None:
        self.missing = missing
        self._records: dict[str, RecordT] = {}

    def add(self, record: RecordT) -> RecordT:
        self._records[record.id] = record
        return record

    def __iter__(self) -> Iterator[RecordT]:
        """Yields the records that are not deleted."""
        return (record for record in self._records.values() if record.deleted is None)

    def get(self, id: str) -> RecordT:
        """Returns the record with this id. Raises Refused (404) if it is unknown or deleted."""
        record = self.even_deleted(id)
        if record.deleted is not None:
            raise Refused(404, self.missing)
        return record

    @contextmanager
    def without(self, ids: Collection[str]) -> Iterator[None]:
        """Hides some records during the `with` block. No record may be added in the block."""
        everything = self._records
        self._records = {id: one for id, one in everything.items() if id not in ids}
        try:
            yield
        finally:
            self._records = everything

    def even_deleted(self, id: str) -> RecordT:
        """Returns the record with this id, deleted or not. Raises Refused (404) if it never
        existed."""
        try:
            return self._records[id]
        except KeyError:
            raise Refused(404, self.missing) from None


@dataclass
class Tie:
    """The attachment of one record to another: since when, by whom (a person's id), and whether it
    was removed."""

    since: datetime
    by: str
    ended: bool = False


class Ties:
    """The attachments between two kinds of records, by the ids of both, such as roles (left) to
    users (right)."""

    def __init__(self) -> None:
        self._ties: dict[tuple[str, str], Tie] = {}

    def attach(self, left: str, right: str, tie: Tie) -> None:
        self._ties[left, right] = tie

    def get(self, left: str, right: str) -> Tie | None:
        """Returns the attachment, or None if there is none or it was removed."""
        tie = self.even_ended(left, right)
        return None if tie is None or tie.ended else tie

    def even_ended(self, left: str, right: str) -> Tie | None:
        return self._ties.get((left, right))

    def forget(self, right: str) -> None:
        """Deletes everything that is attached to `right`, so that it cannot be restored."""
        self._ties = {pair: tie for pair, tie in self._ties.items() if pair[1] != right}


@dataclass(frozen=True)
class Key:
    """An API key: its owner (a person's id), whether it can only read, and when it expires."""

    person: str
    read_only: bool = False
    expires: datetime | None = None


class World:
    """All records. API keys give access to one organization, `home`."""

    home: Organization

    def __init__(self, clock: Clock, outbox: Outbox, source: random.Random) -> None:
        self.clock = clock
        self.outbox = outbox
        self._random = source
        self._count = 0
        self.keys: dict[str, Key] = {}
        self.people: Table[Person] = Table("Invalid user")
        self.organizations: Table[Organization] = Table("Organization not found.")
        self.groups: Table[Group] = Table("Group not found")
        self.roles: Table[Role] = Table("Role not found")
        self.policies: Table[Policy] = Table("Policy not found")
        self.invitations: Table[Invitation] = Table("Invite not found")
        self.group_members = Ties()
        self.role_users = Ties()
        self.role_groups = Ties()
        self.role_policies = Ties()
        self.policy_users = Ties()
        self.policy_groups = Ties()

    def identity(self) -> dict[str, Any]:
        """Returns the common fields of a new `Record`. Ids are UUIDs (examples in T and S)."""
        self._count += 1
        now = self.clock.now()
        id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        return {"id": id, "number": self._count, "created": now, "updated": now}

    def new_key(self) -> str:
        """Returns a new API key that has no owner yet."""
        return f"VULTR-SANDBOX-{self._random.getrandbits(128):032X}"

    def add_person(self, **fields: Any) -> Person:
        """Creates an account with a valid API key. `fields` are the fields of `Person` without
        those of `Record`."""
        key = fields.pop("api_key", None) or self.new_key()
        person = self.people.add(Person(**self.identity(), api_key=key, **fields))
        self.keys[key] = Key(person.id)
        return person

    def members(self) -> list[Person]:
        """Returns the members of `home`, including suspended ones."""
        return [person for person in self.people if person.id in self.home.members]

    def pending(self) -> list[Person]:
        """Returns the users that a service would list for invited people: one for each address that
        has an open invitation and is not a member's. No other request accepts such a user
        (unverified)."""
        now, known = self.clock.now(), {one.email.casefold() for one in self.members()}
        found: dict[str, Person] = {}
        for invitation in self.invitations:
            address = invitation.email.casefold()
            if address not in known and invitation.state(now) == "pending":
                found.setdefault(address, _invited(invitation))
        return list(found.values())

    def member(self, id: str) -> Person:
        """Returns the member of `home` with this id. Raises Refused (404) if there is none."""
        person = self.people.get(id)
        if person.id not in self.home.members:
            raise Refused(404, self.people.missing)
        return person

    def find_person(self, email: str) -> Person | None:
        """Returns the account with an email address, ignoring case."""
        wanted = email.casefold()
        return next((p for p in self.people if p.email.casefold() == wanted), None)

    def leave(self, person: Person, organization: Organization) -> None:
        """Ends a membership. A person who joins again has no roles, groups or policies (dossier 8,
        item 9)."""
        del organization.members[person.id]
        if organization is self.home:
            for ties in (self.group_members, self.role_users, self.policy_users):
                ties.forget(person.id)

    def owner_of(self, key: str) -> Person | None:
        """Returns the owner of an API key, or None if the key is not valid."""
        known = self.keys.get(key)
        if known is None or (known.expires is not None and known.expires <= self.clock.now()):
            return None
        person = self.people.even_deleted(known.person)
        membership = self.home.members.get(person.id)
        # It is unverified that the key of a suspended person gets a 401 instead of a 403.
        usable = membership is not None and membership.suspended is None and person.api_enabled
        return person if usable else None


def _invited(invitation: Invitation) -> Person:
    return Person(
        id=str(uuid.uuid5(uuid.UUID(invitation.id), "user")),
        number=invitation.number,
        created=invitation.created,
        updated=invitation.created,
        email=invitation.email,
        first_name="",
        last_name="",
        name="",
        api_enabled=invitation.api_enabled,
        api_key="",
    )
