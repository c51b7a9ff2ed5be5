"""What the imitation holds: people, organizations, groups, roles, policies, invitations."""

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
"""How long an invitation can be accepted after it was sent: three days (docs D-valid)."""


@dataclass(eq=False, kw_only=True)
class Record:
    """Anything with an id. `number` counts up over all records and is their order in every list."""

    id: str
    number: int
    created: datetime
    updated: datetime
    deleted: datetime | None = None


@dataclass(eq=False, kw_only=True)
class Person(Record):
    """A platform account. It survives its removal from an organization (docs D-suspend, S)."""

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
    """A person's place in an organization."""

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
    """A named set of members."""

    name: str
    description: str


ASSIGNABLE, ASSUMABLE = "assignable", "assumable"
"""The types of roles: attached for good, or assumed for a time through a role trust (guide "How to
create a role")."""


@dataclass(eq=False, kw_only=True)
class Role(Record):
    """A bundle of policies; `max_session_duration` is in seconds."""

    name: str
    description: str
    role_type: str
    max_session_duration: int


@dataclass(eq=False, kw_only=True)
class Policy(Record):
    """A document of allowed and denied actions; a system policy is Vultr's own and read-only."""

    name: str
    description: str
    document: dict[str, Any]
    system: bool = False


@dataclass(eq=False, kw_only=True)
class Invitation(Record):
    """An offer to one address. `responded` is set by acceptance and by nothing else."""

    inviter_name: str
    inviter_email: str
    email: str
    api_enabled: bool
    expires: datetime
    registered: str = ""
    responded: datetime | None = None

    def state(self, now: datetime) -> str:
        """`pending`, `expired` or `accepted`: the truth, whatever the service calls it."""
        if self.responded is not None:
            return "accepted"
        return "pending" if now < self.expires else "expired"


RecordT = TypeVar("RecordT", bound=Record)


class Table(Generic[RecordT]):
    """The records of one kind. `missing` is the text of the 404 that Terraform looks for."""

    def __init__(self, missing: str) -> None:
        self.missing = missing
        self._records: dict[str, RecordT] = {}

    def add(self, record: RecordT) -> RecordT:
        self._records[record.id] = record
        return record

    def __iter__(self) -> Iterator[RecordT]:
        """The records that are not deleted."""
        return (record for record in self._records.values() if record.deleted is None)

    def get(self, id: str) -> RecordT:
        """Raises Refused (404) for an id that is unknown or deleted."""
        record = self.even_deleted(id)
        if record.deleted is not None:
            raise Refused(404, self.missing)
        return record

    @contextmanager
    def without(self, ids: Collection[str]) -> Iterator[None]:
        """Knows nothing of some records meanwhile. None may be added meanwhile."""
        everything = self._records
        self._records = {id: one for id, one in everything.items() if id not in ids}
        try:
            yield
        finally:
            self._records = everything

    def even_deleted(self, id: str) -> RecordT:
        """Raises Refused (404) for an id that never was."""
        try:
            return self._records[id]
        except KeyError:
            raise Refused(404, self.missing) from None


@dataclass
class Tie:
    """Since when something is attached, by whom (a person's id), and whether it was taken away."""

    since: datetime
    by: str
    ended: bool = False


class Ties:
    """Which left ids are attached to which right ids, such as roles to users."""

    def __init__(self) -> None:
        self._ties: dict[tuple[str, str], Tie] = {}

    def attach(self, left: str, right: str, tie: Tie) -> None:
        self._ties[left, right] = tie

    def get(self, left: str, right: str) -> Tie | None:
        """The tie, unless there is none or it was taken away."""
        tie = self.even_ended(left, right)
        return None if tie is None or tie.ended else tie

    def even_ended(self, left: str, right: str) -> Tie | None:
        return self._ties.get((left, right))

    def forget(self, right: str) -> None:
        """Drops everything that is attached to `right`, beyond restoring."""
        self._ties = {pair: tie for pair, tie in self._ties.items() if pair[1] != right}


@dataclass(frozen=True)
class Key:
    """Whose API key it is (a person's id), whether it may only read, and when it expires."""

    person: str
    read_only: bool = False
    expires: datetime | None = None


class World:
    """Everything there is. API keys speak for `home`, the organization that they select."""

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
        """The fields of a new `Record`; ids are UUIDs (examples in T and S)."""
        self._count += 1
        now = self.clock.now()
        id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        return {"id": id, "number": self._count, "created": now, "updated": now}

    def new_key(self) -> str:
        """A fresh API key, which nobody owns yet."""
        return f"VULTR-SANDBOX-{self._random.getrandbits(128):032X}"

    def add_person(self, **fields: Any) -> Person:
        """A new account whose key works; `fields` are those of `Person` that are its own."""
        key = fields.pop("api_key", None) or self.new_key()
        person = self.people.add(Person(**self.identity(), api_key=key, **fields))
        self.keys[key] = Key(person.id)
        return person

    def members(self) -> list[Person]:
        """The people of `home`, suspended ones included."""
        return [person for person in self.people if person.id in self.home.members]

    def pending(self) -> list[Person]:
        """Users as a service that lists invited people would show them: one for each address with
        an open invitation that is no member's. Nothing can be done with such a user (unverified).
        """
        now, known = self.clock.now(), {one.email.casefold() for one in self.members()}
        found: dict[str, Person] = {}
        for invitation in self.invitations:
            address = invitation.email.casefold()
            if address not in known and invitation.state(now) == "pending":
                found.setdefault(address, _invited(invitation))
        return list(found.values())

    def member(self, id: str) -> Person:
        """Raises Refused (404) for one who is not in `home`."""
        person = self.people.get(id)
        if person.id not in self.home.members:
            raise Refused(404, self.people.missing)
        return person

    def find_person(self, email: str) -> Person | None:
        """The account with an address, compared without case."""
        wanted = email.casefold()
        return next((p for p in self.people if p.email.casefold() == wanted), None)

    def leave(self, person: Person, organization: Organization) -> None:
        """Ends a membership. Whoever comes back starts with nothing (dossier 8, item 9)."""
        del organization.members[person.id]
        if organization is self.home:
            for ties in (self.group_members, self.role_users, self.policy_users):
                ties.forget(person.id)

    def owner_of(self, key: str) -> Person | None:
        """Who speaks with a key, or None for a key that does not work."""
        known = self.keys.get(key)
        if known is None or (known.expires is not None and known.expires <= self.clock.now()):
            return None
        person = self.people.even_deleted(known.person)
        membership = self.home.members.get(person.id)
        # That a suspended person's key answers 401 and not 403 is an unverified choice.
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
