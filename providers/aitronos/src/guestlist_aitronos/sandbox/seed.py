"""The records that every sandbox of Aitronos starts with."""

from __future__ import annotations

from datetime import datetime
from random import Random

from guestlist_aitronos.sandbox.records import (
    ACTIVE,
    ADMIN,
    DELETED,
    INACTIVE,
    INVITED,
    MEMBER,
    OWNER,
    ApiKey,
    Membership,
    Organization,
    Records,
    Role,
    Status,
    User,
)

ORGANIZATION = "org_5a1d0b0c000000000000000000000001"
ORGANIZATION_NAME = "Example Works"

# Keys have 42 characters, as described on the authentication page.
OWNER_KEY = "ak_sandboxowner000000000000000000000000000"
READ_ONLY_KEY = "ak_sandboxreadonly000000000000000000000000"
OUTSIDER_KEY = "ak_sandboxoutsider000000000000000000000000"
EXPIRED_KEY = "ak_sandboxexpired0000000000000000000000000"
DEACTIVATED_KEY = "ak_sandboxdeactivated000000000000000000000"
PAUSED_KEY = "ak_sandboxpaused00000000000000000000000000"

OWNER_EMAIL = "olga.owner@works.example"
READ_ONLY_EMAIL = "rita.reader@works.example"
SUPPORT_EMAIL = "sam.support@works.example"
OUTSIDER_EMAIL = "otto.outsider@elsewhere.example"
PASSWORD = "sandbox-password"
"""The password of the people in the seed, and of people who accept through the mailbox."""

CAPABILITIES = (
    "manage_organization",
    "delete_organization",
    "manage_billing",
    "manage_roles",
    "manage_members",
    "invite_members",
    "manage_departments",
    "manage_knowledge",
    "view_members",
)
"""Only `manage_roles` is documented (OR-create-role); the other names are unverified choices."""

SYSTEM_ROLES = {
    OWNER: CAPABILITIES,
    ADMIN: tuple(c for c in CAPABILITIES if c not in ("delete_organization", "manage_billing")),
    MEMBER: ("view_members",),
    "Department Manager": ("manage_departments", "view_members"),
    "Knowledge Manager": ("manage_knowledge", "view_members"),
    "Billing Manager": ("manage_billing", "view_members"),
}
"""The system roles with their capabilities. Names and order are those of the roles page
(OR-list-roles)."""

STATUSES = (
    (ACTIVE, "Can use the organization", "#2e7d32", True),
    (INACTIVE, "Suspended", "#757575", True),
    (INVITED, "Was invited and has not accepted yet", "#f9a825", False),
    (DELETED, "Was removed", "#c62828", False),
)
"""The statuses: name, description, color, and whether users can set it. The names are those of the
status object (OBJ-status); the rest is unverified."""


def seed(random: Random, now: datetime) -> Records:
    """Creates an organization with an owner, a plain member and a third member, and a user outside
    of it."""
    records = Records(random)
    for name, capabilities in SYSTEM_ROLES.items():
        add_role(records, name, f"System role {name}", capabilities, None, now)

    owner = add_user(records, OWNER_EMAIL, "Olga Owner", "olga", now)
    add_organization(records, owner, ORGANIZATION_NAME, "Work", now, id=ORGANIZATION)
    support = add_role(
        records, "Support", "Answers questions", ("view_members",), ORGANIZATION, now
    )

    reader = add_user(records, READ_ONLY_EMAIL, "Rita Reader", "rita", now)
    third = add_user(records, SUPPORT_EMAIL, "Sam Support", "sam", now)
    outsider = add_user(records, OUTSIDER_EMAIL, "Otto Outsider", "otto", now)
    member = records.system_role(MEMBER)
    add_membership(records, ORGANIZATION, reader, [member.id], ACTIVE, now)
    add_membership(records, ORGANIZATION, third, [support.id], ACTIVE, now)

    records.api_keys = {
        OWNER_KEY: ApiKey(owner.id),
        READ_ONLY_KEY: ApiKey(reader.id),
        OUTSIDER_KEY: ApiKey(outsider.id),
        EXPIRED_KEY: ApiKey(owner.id, "API_KEY_EXPIRED"),
        DEACTIVATED_KEY: ApiKey(owner.id, "API_KEY_DEACTIVATED"),
        PAUSED_KEY: ApiKey(owner.id, "API_KEY_PAUSED"),
    }
    return records


def add_user(
    records: Records, email: str, full_name: str | None, username: str | None, now: datetime
) -> User:
    """Adds a user. A user with a name is registered."""
    user = User(
        id=records.new_id("usr"),
        email=email,
        created_at=now,
        updated_at=now,
        full_name=full_name,
        username=username,
        password=None if full_name is None else PASSWORD,
    )
    records.users[user.id] = user
    return user


def add_role(
    records: Records,
    name: str,
    description: str | None,
    capabilities: tuple[str, ...],
    organization_id: str | None,
    now: datetime,
) -> Role:
    """Adds a system role (without organization) or a role of one organization.

    The page on inviting uses `role_member` and `role_admin` as ids. The ids of the other system
    roles are formed in the same way (unverified).
    """
    id = records.new_id("role")
    if organization_id is None:
        id = f"role_{name.lower().replace(' ', '_')}"
    role = Role(id, name, description, capabilities, organization_id, now)
    records.roles[role.id] = role
    return role


def add_organization(
    records: Records, owner: User, name: str, type: str, now: datetime, *, id: str | None = None
) -> Organization:
    """Adds an organization with its statuses and its owner."""
    organization = Organization(
        id=id or records.new_id("org"),
        name=name,
        type=type,
        owner_id=owner.id,
        created_at=now,
        updated_at=now,
    )
    records.organizations[organization.id] = organization
    records.statuses += [
        Status(records.new_id("status"), word, text, color, order, organization.id, selectable)
        for order, (word, text, color, selectable) in enumerate(STATUSES, start=1)
    ]
    role = records.system_role(OWNER)
    add_membership(records, organization.id, owner, [role.id], ACTIVE, now)
    return organization


def add_membership(
    records: Records,
    organization_id: str,
    user: User,
    role_ids: list[str],
    status: str,
    now: datetime,
) -> Membership:
    """Adds a person's row to an organization."""
    row = Membership(
        id=records.new_id("orgusr"),
        user_id=user.id,
        organization_id=organization_id,
        role_ids=role_ids,
        status=status,
        joined_at=now,
        created_at=now,
        last_modified_at=now,
        was_active=status == ACTIVE,
    )
    records.memberships[row.id] = row
    return row
