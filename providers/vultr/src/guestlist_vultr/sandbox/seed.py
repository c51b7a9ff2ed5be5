"""The records that a sandbox starts with: the organization "Example Works" and its three people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .roles import SESSION_SECONDS
from .state import (
    ASSIGNABLE,
    ASSUMABLE,
    Group,
    Key,
    Membership,
    Organization,
    Person,
    Policy,
    Role,
    Tie,
    Ties,
    World,
)

OWNER_KEY = "VULTR-SANDBOX-OWNER-KEY"
READ_ONLY_KEY = "VULTR-SANDBOX-READONLY-KEY"
ENGINEER_KEY = "VULTR-SANDBOX-ENGINEER-KEY"
SUPPORTER_KEY = "VULTR-SANDBOX-SUPPORTER-KEY"


def plant(world: World) -> None:
    """Fills an empty world.

    Omar is in the group Support, and inherits the role "Support Engineer" and its policy from it.
    Lena has one policy through her group Engineering and another one directly. The name "Support"
    belongs to a group and to a role. The role "Incident Response" is assumable, so it is not
    attached to users.
    """
    add = world.add_person
    ines = add(**_person("ines@example.org", "Ines Admin"), api_key=OWNER_KEY)
    lena = add(**_person("lena@example.org", "Lena Engineer"), api_key=ENGINEER_KEY)
    omar = add(**_person("omar@example.org", "Omar Support"), api_key=SUPPORTER_KEY)
    world.keys[READ_ONLY_KEY] = Key(ines.id, read_only=True)
    world.home = world.organizations.add(
        Organization(
            **world.identity(),
            name="Example Works",
            type="Team",
            owner=ines.id,
            members={person.id: Membership() for person in (ines, lena, omar)},
        )
    )

    engineering = _group(world, "Engineering", "Builds what we sell")
    support = _group(world, "Support", "Answers customers")
    support_engineer = _role(world, "Support Engineer", "Works on tickets")
    billing_viewer = _role(world, "Billing Viewer", "Reads invoices")
    _role(world, "Support", "Has the same name as a group")
    everything = _policy(world, "Administrator Access", "All actions", "*", system=True)
    tickets = _policy(world, "Ticket Handling", "Reads and answers tickets", "support.*")
    invoices = _policy(world, "Invoice Reading", "Reads invoices", "billing.invoice.*")
    machines = _policy(world, "Compute", "Starts and stops machines", "compute.*")

    attach = _attacher(world, ines)
    attach(world.group_members, engineering, lena)
    attach(world.group_members, support, omar)
    attach(world.role_groups, support_engineer, support)
    attach(world.role_policies, support_engineer, tickets)
    attach(world.role_users, billing_viewer, omar)
    attach(world.role_policies, billing_viewer, invoices)
    attach(world.policy_groups, machines, engineering)
    attach(world.policy_users, invoices, lena)
    attach(world.policy_users, everything, ines)
    incidents = _role(world, "Incident Response", "Works on outages", ASSUMABLE)
    attach(world.role_policies, incidents, machines)


def _person(email: str, name: str) -> dict[str, Any]:
    first, _, last = name.partition(" ")
    return {
        "email": email,
        "name": name,
        "first_name": first,
        "last_name": last,
        "api_enabled": True,
    }


def _group(world: World, name: str, description: str) -> Group:
    return world.groups.add(Group(**world.identity(), name=name, description=description))


def _role(world: World, name: str, description: str, role_type: str = ASSIGNABLE) -> Role:
    role = Role(
        **world.identity(),
        name=name,
        description=description,
        role_type=role_type,
        max_session_duration=SESSION_SECONDS,
    )
    return world.roles.add(role)


def _policy(
    world: World, name: str, description: str, action: str, *, system: bool = False
) -> Policy:
    # System policies use a string where other policies use a list: both occur (dossier 2.5).
    listed: str | list[str] = action if system else [action]
    resource: str | list[str] = "*" if system else ["*"]
    statement = {"Effect": "Allow", "Action": listed, "Resource": resource}
    policy = Policy(
        **world.identity(),
        name=name,
        description=description,
        document={"Version": "2012-10-17", "Statement": [statement]},
        system=system,
    )
    return world.policies.add(policy)


def _attacher(world: World, by: Person) -> Callable[[Ties, Any, Any], None]:
    def attach(ties: Ties, left: Any, right: Any) -> None:
        ties.attach(left.id, right.id, Tie(world.clock.now(), by.id))

    return attach
