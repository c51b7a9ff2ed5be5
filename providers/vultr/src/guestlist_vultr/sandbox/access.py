"""Who effectively has what: directly, through a group, through a role; and what that allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic

from .state import Group, Key, Person, Policy, RecordT, Role, Tie, Ties, World


@dataclass(frozen=True)
class Grant(Generic[RecordT]):
    """A role, policy or group that somebody has, and how it came about."""

    what: RecordT
    tie: Tie
    source: str = "direct"
    """`direct`, `group` or `role`; the service's own words are not known (unverified choice)."""
    role: str = ""
    """The id of the role it comes from, if it comes from one."""


@dataclass(frozen=True)
class Effective(Generic[RecordT]):
    """What somebody has: each part without repetitions, `all` without those between the parts."""

    direct: list[Grant[RecordT]]
    inherited: list[Grant[RecordT]]

    @property
    def all(self) -> list[Grant[RecordT]]:
        return _once([*self.direct, *self.inherited])


def attached(
    lefts: Iterable[RecordT], ties: Ties, right: str, source: str = "direct"
) -> list[Grant[RecordT]]:
    """Those of `lefts` that are attached to the id `right`."""
    found = ((left, ties.get(left.id, right)) for left in lefts)
    return [Grant(left, tie, source) for left, tie in found if tie is not None]


def groups_of(world: World, person: Person) -> list[Grant[Group]]:
    """The groups a person is a member of."""
    return attached(world.groups, world.group_members, person.id)


def roles_of(world: World, person: Person) -> Effective[Role]:
    """A person's roles; inherited ones come from groups."""
    inherited = [
        role
        for group in groups_of(world, person)
        for role in attached(world.roles, world.role_groups, group.what.id, "group")
    ]
    return Effective(attached(world.roles, world.role_users, person.id), _once(inherited))


def policies_of(world: World, person: Person) -> Effective[Policy]:
    """A person's policies; inherited ones come from groups, and from roles of either kind."""
    from_groups = [
        policy
        for group in groups_of(world, person)
        for policy in attached(world.policies, world.policy_groups, group.what.id, "group")
    ]
    from_roles = policies_of_roles(world, roles_of(world, person).all)
    direct = attached(world.policies, world.policy_users, person.id)
    return Effective(direct, _once([*from_groups, *from_roles]))


def roles_of_group(world: World, group: Group) -> Effective[Role]:
    """A group's roles. Groups do not nest, so none is inherited."""
    return Effective(attached(world.roles, world.role_groups, group.id), [])


def policies_of_group(world: World, group: Group) -> Effective[Policy]:
    """A group's policies; inherited ones come from its roles."""
    direct = attached(world.policies, world.policy_groups, group.id)
    return Effective(direct, policies_of_roles(world, roles_of_group(world, group).all))


def policies_of_role(world: World, role: Role) -> list[Grant[Policy]]:
    """The policies that a role bundles."""
    pairs = ((policy, world.role_policies.get(role.id, policy.id)) for policy in world.policies)
    return [Grant(policy, tie, "role", role.id) for policy, tie in pairs if tie is not None]


def policies_of_roles(world: World, roles: Iterable[Grant[Role]]) -> list[Grant[Policy]]:
    """The policies that several roles bundle."""
    return _once(p for role in roles for p in policies_of_role(world, role.what))


def may(world: World, person: Person, key: Key, action: str, *, reads: bool) -> bool:
    """Whether a key may do an action, such as `iam.role.AttachUser` (docs D-actions).

    The root user may do everything, and so may a user with the ACL `manage_users` (Vultr's guides
    to users). Everybody else may do what a policy allows and none denies. Resources are not looked
    at.
    """
    if key.read_only and not reads:
        return False
    if person.id == world.home.owner or "manage_users" in person.acls:
        return True
    effects = {
        statement["Effect"]
        for grant in policies_of(world, person).all
        for statement in grant.what.document["Statement"]
        if any(fnmatchcase(action, pattern) for pattern in _listed(statement["Action"]))
    }
    return "Allow" in effects and "Deny" not in effects


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _once(grants: Iterable[Grant[RecordT]]) -> list[Grant[RecordT]]:
    first: dict[str, Grant[RecordT]] = {}
    for grant in grants:
        first.setdefault(grant.what.id, grant)
    return list(first.values())
