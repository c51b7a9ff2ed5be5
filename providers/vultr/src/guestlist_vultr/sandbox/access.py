"""Computes effective grants: direct ones, and those through groups and roles; and what they
allow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic

from .state import Group, Key, Person, Policy, RecordT, Role, Tie, Ties, World


@dataclass(frozen=True)
class Grant(Generic[RecordT]):
    """A role, policy or group of a person or group, and where it comes from."""

    record: RecordT
    tie: Tie
    source: str = "direct"
    """`direct`, `group` or `role`. The service's words are not known (unverified choice)."""
    role: str = ""
    """The id of the role that the grant comes from; empty if it comes from none."""


@dataclass(frozen=True)
class Effective(Generic[RecordT]):
    """The direct and inherited grants of a person or group. Each list is free of repetitions; `all`
    contains each record once, even if it is in both lists."""

    direct: list[Grant[RecordT]]
    inherited: list[Grant[RecordT]]

    @property
    def all(self) -> list[Grant[RecordT]]:
        return _once([*self.direct, *self.inherited])


def attached(
    lefts: Iterable[RecordT], ties: Ties, right: str, source: str = "direct"
) -> list[Grant[RecordT]]:
    """Returns grants of those `lefts` that are attached to the record with the id `right`."""
    found = ((left, ties.get(left.id, right)) for left in lefts)
    return [Grant(left, tie, source) for left, tie in found if tie is not None]


def groups_of(world: World, person: Person) -> list[Grant[Group]]:
    """Returns the groups of a person."""
    return attached(world.groups, world.group_members, person.id)


def roles_of(world: World, person: Person) -> Effective[Role]:
    """Returns a person's roles. Inherited roles come from groups."""
    inherited = [
        role
        for group in groups_of(world, person)
        for role in attached(world.roles, world.role_groups, group.record.id, "group")
    ]
    return Effective(attached(world.roles, world.role_users, person.id), _once(inherited))


def policies_of(world: World, person: Person) -> Effective[Policy]:
    """Returns a person's policies. Inherited policies come from groups, and from direct or
    inherited roles."""
    from_groups = [
        policy
        for group in groups_of(world, person)
        for policy in attached(world.policies, world.policy_groups, group.record.id, "group")
    ]
    from_roles = policies_of_roles(world, roles_of(world, person).all)
    direct = attached(world.policies, world.policy_users, person.id)
    return Effective(direct, _once([*from_groups, *from_roles]))


def roles_of_group(world: World, group: Group) -> Effective[Role]:
    """Returns a group's roles. Groups cannot contain groups, so no role is inherited."""
    return Effective(attached(world.roles, world.role_groups, group.id), [])


def policies_of_group(world: World, group: Group) -> Effective[Policy]:
    """Returns a group's policies. Inherited policies come from its roles."""
    direct = attached(world.policies, world.policy_groups, group.id)
    return Effective(direct, policies_of_roles(world, roles_of_group(world, group).all))


def policies_of_role(world: World, role: Role) -> list[Grant[Policy]]:
    """Returns the policies of a role."""
    pairs = ((policy, world.role_policies.get(role.id, policy.id)) for policy in world.policies)
    return [Grant(policy, tie, "role", role.id) for policy, tie in pairs if tie is not None]


def policies_of_roles(world: World, roles: Iterable[Grant[Role]]) -> list[Grant[Policy]]:
    """Returns the policies of several roles, each once."""
    return _once(p for role in roles for p in policies_of_role(world, role.record))


def may(world: World, person: Person, key: Key, action: str, *, reads: bool) -> bool:
    """Returns whether an API key may perform an action, such as `iam.role.AttachUser` (docs
    D-actions).

    The root user may do everything, and so may a user with the ACL `manage_users` (Vultr's guides
    to users). All other users need a policy that allows the action, and no policy that denies it.
    The resources in policies are ignored.
    """
    if key.read_only and not reads:
        return False
    if person.id == world.home.owner or "manage_users" in person.acls:
        return True
    effects = {
        statement["Effect"]
        for grant in policies_of(world, person).all
        for statement in grant.record.document["Statement"]
        if any(fnmatchcase(action, pattern) for pattern in _listed(statement["Action"]))
    }
    return "Allow" in effects and "Deny" not in effects


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _once(grants: Iterable[Grant[RecordT]]) -> list[Grant[RecordT]]:
    first: dict[str, Grant[RecordT]] = {}
    for grant in grants:
        first.setdefault(grant.record.id, grant)
    return list(first.values())
