"""Groups, roles and policies, what is attached to what, and what that allows. No HTTP here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

from guestlist.sandbox.organization import Key, Member, Organization, Record
from guestlist.sandbox.refusals import NotFound

ASSIGNABLE, ASSUMABLE = "assignable", "assumable"
"""The types of roles: attached for good, or assumed for a time through a role trust (guide "How to
create a role")."""


@dataclass(eq=False, kw_only=True)
class Entity(Record):
    """A group, a role or a policy.

    `fields` of a role: `role_type` and `max_session_duration` (seconds). Of a policy:
    `policy_document`, and `system` for Vultr's own, which cannot be changed.
    """

    kind: str
    name: str
    description: str
    deleted: bool = False


@dataclass
class Tie:
    """The attachment of one record to another: since when, by whom (a person's id), and whether it
    was removed."""

    since: datetime
    by: str
    ended: bool = False


RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True)
class Grant(Generic[RecordT]):
    """A record that is attached to a person or group, and where it comes from."""

    record: RecordT
    tie: Tie
    source: str = "direct"
    """`direct`, `group` or `role`. The service's words are not known (unverified choice)."""
    role: str = ""
    """The id of the role that the grant comes from; empty if it comes from none."""

    @property
    def number(self) -> int:
        return self.record.number


@dataclass(frozen=True)
class Effective:
    """The direct and inherited grants of a person or group. Each list is free of repetitions; `all`
    contains each record once, even if it is in both lists."""

    direct: list[Grant[Entity]]
    inherited: list[Grant[Entity]]

    @property
    def all(self) -> list[Grant[Entity]]:
        return _once([*self.direct, *self.inherited])


@dataclass
class Access:
    """The groups, roles and policies of an organization."""

    organization: Organization
    entities: dict[str, Entity] = field(default_factory=dict)
    ties: dict[tuple[str, str], Tie] = field(default_factory=dict)
    """The attachments by the ids of both records: the role or policy (or the group of a member)
    first."""

    def add(self, kind: str, name: str, description: str = "", **fields: Any) -> Entity:
        """Creates a group, role or policy."""
        identity = self.organization.identity(kind)
        entity = Entity(**identity, kind=kind, name=name, description=description, fields=fields)
        self.entities[entity.id] = entity
        return entity

    def all(self, kind: str) -> list[Entity]:
        """Returns the groups, roles or policies that are not deleted."""
        return [one for one in self.entities.values() if one.kind == kind and not one.deleted]

    def get(self, kind: str, id: str, *, even_deleted: bool = False) -> Entity:
        """Returns a group, role or policy."""
        entity = self.entities.get(id)
        if entity is None or entity.kind != kind or (entity.deleted and not even_deleted):
            raise NotFound(kind)
        return entity

    def attach(self, left: Entity, right: Record, by: str) -> Tie:
        """Attaches a record to another. If it is attached already, nothing changes."""
        tie = self.tie(left, right)
        if tie is None:
            tie = self.ties[left.id, right.id] = Tie(self.organization.clock.now(), by)
        return tie

    def tie(self, left: Record, right: Record, *, even_ended: bool = False) -> Tie | None:
        """Returns the attachment of two records, or None if there is none or it was removed."""
        tie = self.ties.get((left.id, right.id))
        if tie is not None and tie.ended and not even_ended:
            return None
        return tie

    def forget(self, right: Record) -> None:
        """Deletes everything that is attached to a record, so that it cannot be restored."""
        self.ties = {pair: tie for pair, tie in self.ties.items() if pair[1] != right.id}

    def of(self, right: Record, kind: str, source: str = "direct") -> list[Grant[Entity]]:
        """Returns the records of a kind that are attached to a person, group or role."""
        pairs = ((left, self.tie(left, right)) for left in self.all(kind))
        return [Grant(left, tie, source) for left, tie in pairs if tie is not None]

    def to(self, left: Entity, rights: Iterable[RecordT]) -> list[Grant[RecordT]]:
        """Returns those of `rights` that a role or policy is attached to, or a group contains."""
        pairs = ((right, self.tie(left, right)) for right in rights)
        return [Grant(right, tie) for right, tie in pairs if tie is not None]

    def policies_of_role(self, role: Entity) -> list[Grant[Entity]]:
        return [
            Grant(one.record, one.tie, "role", role.id) for one in self.to(role, self.all("policy"))
        ]

    def roles_of(self, holder: Record) -> Effective:
        """Returns the roles of a member or group. A member inherits roles from groups."""
        groups = self.of(holder, "group")
        inherited = [role for one in groups for role in self.of(one.record, "role", "group")]
        return Effective(self.of(holder, "role"), _once(inherited))

    def policies_of(self, holder: Record) -> Effective:
        """Returns the policies of a member or group. They are inherited from groups, and from
        direct or inherited roles."""
        groups = self.of(holder, "group")
        inherited = [policy for one in groups for policy in self.of(one.record, "policy", "group")]
        for role in self.roles_of(holder).all:
            inherited += self.policies_of_role(role.record)
        return Effective(self.of(holder, "policy"), _once(inherited))

    def may(self, key: Key, action: str, *, reads: bool) -> bool:
        """Returns whether an API key may perform an action, such as `iam.role.AttachUser` (docs
        D-actions).

        The root user may do everything, and so may a user with the ACL `manage_users` (Vultr's
        guides to users). All other users need a policy that allows the action, and no policy that
        denies it. The resources in policies are ignored.
        """
        if key.read_only and not reads:
            return False
        member: Member | None = self.organization.record_of(key.person)
        if member is self.organization.owner or "manage_users" in key.person.fields["acls"]:
            return True
        effects = {
            statement["Effect"]
            for grant in (self.policies_of(member).all if member else [])
            for statement in grant.record.fields["policy_document"]["Statement"]
            if any(fnmatchcase(action, pattern) for pattern in _listed(statement["Action"]))
        }
        return "Allow" in effects and "Deny" not in effects


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _once(grants: Iterable[Grant[Entity]]) -> list[Grant[Entity]]:
    first: dict[str, Grant[Entity]] = {}
    for grant in grants:
        first.setdefault(grant.record.id, grant)
    return list(first.values())
