"""The records of an imitated Aitronos and their lookups. No HTTP in this module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from uuid import UUID

ACTIVE = "Active"
INACTIVE = "Inactive"
INVITED = "InvitationSent"
DELETED = "Deleted"
OWNER = "Owner"
ADMIN = "Admin"
MEMBER = "Member"


@dataclass
class User:
    """A person with an account on the service. Created before the first invitation email is
    sent."""

    id: str
    email: str
    created_at: datetime
    updated_at: datetime
    full_name: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    """None until the person has registered."""
    last_login: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def is_registered(self) -> bool:
        return self.password is not None

    @property
    def is_active(self) -> bool:
        return self.is_registered and self.deleted_at is None


@dataclass
class Organization:
    """An organization. Deleting one only sets `deleted_at`."""

    id: str
    name: str
    type: str
    owner_id: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    website: str | None = None
    industry: str | None = None
    company_size: str | None = None
    logo_image: str | None = None
    image_url: str | None = None
    is_active: bool = True
    api_usage_limit: float = 100.0
    domains: list[str] = field(default_factory=list)
    """People with an address in one of these domains become members without an invitation."""
    users_added_from_domains: int = 0
    deleted_at: datetime | None = None


@dataclass
class Role:
    """One of the six system roles, which all organizations have, or a role of one organization."""

    id: str
    name: str
    description: str | None
    capabilities: tuple[str, ...]
    organization_id: str | None
    created_at: datetime

    @property
    def is_system(self) -> bool:
        return self.organization_id is None


@dataclass
class Status:
    """One of the statuses that an organization has for its members."""

    id: str
    name: str
    description: str
    color: str
    order: int
    organization_id: str
    is_selectable: bool
    """Whether users can set it. The other statuses are set by the service."""


@dataclass
class Membership:
    """The row of a person in an organization, from the invitation on."""

    id: str
    user_id: str
    organization_id: str
    role_ids: list[str]
    """At least one role. Endpoints that support a single role use the first one."""
    status: str
    joined_at: datetime
    created_at: datetime
    last_modified_at: datetime
    was_active: bool = False
    """Whether the person has ever been a member. Decides the status after a restore."""

    @property
    def is_in(self) -> bool:
        """Whether the person is a member, and not invited or deleted."""
        return self.status in (ACTIVE, INACTIVE)


@dataclass
class Invitation:
    """An invitation. The service has no field for its state; it is derived, as clients have to
    do."""

    id: str
    key: str = field(repr=False)
    organization_id: str
    user_id: str
    email: str
    inviter_id: str
    is_new_user: bool
    created_at: datetime
    expires_at: datetime
    role_ids: list[str]
    custom_message: str | None = None
    used_at: datetime | None = None
    cancelled_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """Returns `accepted`, `cancelled`, `expired` or `pending`."""
        if self.used_at is not None:
            return "accepted"
        if self.cancelled_at is not None:
            return "cancelled"
        return "expired" if now >= self.expires_at else "pending"

    @property
    def is_closed(self) -> bool:
        """Whether it was accepted or cancelled. An expired invitation can still be sent again."""
        return self.used_at is not None or self.cancelled_at is not None

    @property
    def link(self) -> str:
        return f"https://chat.aitronos.com/user/register?invite={self.key}"


@dataclass(frozen=True)
class ApiKey:
    """An API key of a user."""

    user_id: str
    refusal: str | None = None
    """The error code for an expired, deactivated or paused key; None for a valid one."""


@dataclass(frozen=True)
class Token:
    """An access or refresh token."""

    user_id: str
    expires_at: datetime


@dataclass(frozen=True)
class Change:
    """One field of a change: its name, the value before and the value after."""

    field: str
    old_value: str | None
    new_value: str | None


@dataclass(frozen=True)
class Log:
    """An entry of the change log."""

    id: str
    organization_id: str
    actor: User
    action: str
    at: datetime
    subject: User
    membership_id: str
    changes: tuple[Change, ...]


@dataclass
class Records:
    """All records, oldest first. Keys and tokens are stored by their secret."""

    random: Random
    users: dict[str, User] = field(default_factory=dict)
    organizations: dict[str, Organization] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    memberships: dict[str, Membership] = field(default_factory=dict)
    invitations: dict[str, Invitation] = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)
    api_keys: dict[str, ApiKey] = field(default_factory=dict, repr=False)
    access_tokens: dict[str, Token] = field(default_factory=dict, repr=False)
    refresh_tokens: dict[str, Token] = field(default_factory=dict, repr=False)

    def new_id(self, prefix: str) -> str:
        """Returns an id in the service's format: the prefix, an underscore and 32 hexadecimal
        digits."""
        return f"{prefix}_{self.random.getrandbits(128):032x}"

    def user_by_email(self, email: str) -> User | None:
        """Returns the user with an email address, ignoring case. Deleted users are ignored."""
        wanted = email.strip().casefold()
        return next(
            (u for u in self.users.values() if u.email.casefold() == wanted and not u.deleted_at),
            None,
        )

    def organization(self, id: str) -> Organization | None:
        """Returns an organization that has not been deleted."""
        found = self.organizations.get(id)
        return found if found and not found.deleted_at else None

    def memberships_of(self, organization_id: str) -> list[Membership]:
        """Returns all rows of an organization, whatever their status."""
        return [m for m in self.memberships.values() if m.organization_id == organization_id]

    def membership(self, organization_id: str, person: str) -> Membership | None:
        """Returns a row by user id or membership id. The prefixes `orguser_` and `orgusr_` are the
        same: the pages differ."""
        if person.startswith("orguser_"):
            person = person.replace("orguser_", "orgusr_", 1)
        return next(
            (m for m in self.memberships_of(organization_id) if person in (m.user_id, m.id)), None
        )

    def roles_of(self, organization_id: str) -> list[Role]:
        """Returns the system roles in their documented order, then the organization's own roles by
        name."""
        system = [r for r in self.roles.values() if r.is_system]
        own = [r for r in self.roles.values() if r.organization_id == organization_id]
        return system + sorted(own, key=lambda role: role.name.casefold())

    def role(self, organization_id: str, id: str) -> Role | None:
        """Returns a role of an organization by id."""
        return next((r for r in self.roles_of(organization_id) if r.id == id), None)

    def system_role(self, name: str) -> Role:
        """Returns one of the six system roles by name."""
        return next(role for role in self.roles.values() if role.is_system and role.name == name)

    def role_named(self, organization_id: str, name: str) -> Role | None:
        """Returns a role of an organization by name, ignoring case."""
        wanted = name.casefold()
        return next(
            (r for r in self.roles_of(organization_id) if r.name.casefold() == wanted), None
        )

    def has_role(self, membership: Membership, names: Sequence[str]) -> bool:
        """Returns whether a row has one of these system roles."""
        roles = (self.roles[id] for id in membership.role_ids)
        return any(role.is_system and role.name in names for role in roles)

    def capabilities(self, membership: Membership) -> set[str]:
        """Returns the capabilities of all roles of a row."""
        return {word for id in membership.role_ids for word in self.roles[id].capabilities}

    def statuses_of(self, organization_id: str) -> list[Status]:
        """Returns an organization's statuses in their order."""
        return [s for s in self.statuses if s.organization_id == organization_id]

    def status_of(self, membership: Membership) -> Status:
        """Returns the status of a membership."""
        rows = self.statuses_of(membership.organization_id)
        return next(status for status in rows if status.name == membership.status)

    def invitations_to(self, membership: Membership) -> Iterator[Invitation]:
        """Returns the invitations of one person to one organization, newest first."""
        return (
            invitation
            for invitation in reversed(self.invitations.values())
            if invitation.organization_id == membership.organization_id
            and invitation.user_id == membership.user_id
        )

    def open_invitation(self, membership: Membership) -> Invitation | None:
        """Returns the newest invitation that was neither accepted nor cancelled. It may have
        expired."""
        return next((i for i in self.invitations_to(membership) if not i.is_closed), None)

    def invitation_by_key(self, key: str) -> Invitation | None:
        """Returns the invitation with this key, or None."""
        return next((i for i in self.invitations.values() if i.key == key), None)

    def log(
        self, actor: User, action: str, row: Membership, at: datetime, *changes: Change
    ) -> None:
        """Adds an entry about a membership to the change log."""
        self.logs.append(
            Log(
                id=self.new_id("log"),
                organization_id=row.organization_id,
                actor=actor,
                action=action,
                at=at,
                subject=self.users[row.user_id],
                membership_id=row.id,
                changes=changes,
            )
        )


def random_uuid(random: Random) -> str:
    """Returns a UUID that only depends on the random source, so that it is reproducible."""
    return str(UUID(int=random.getrandbits(128), version=4))
