"""Converts records to JSON. The fields are the union of those in the pages and in the SDK's
types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from guestlist_aitronos.sandbox.records import (
    ACTIVE,
    DELETED,
    INACTIVE,
    INVITED,
    Invitation,
    Log,
    Membership,
    Organization,
    Role,
    Status,
    User,
)
from guestlist_aitronos.sandbox.state import ServiceState

ACCOUNT_STATES = {
    ACTIVE: "active",
    INACTIVE: "deactivated",
    INVITED: "invited",  # unverified
    DELETED: "deleted",  # unverified
}


def stamp(at: datetime) -> str:
    """Formats a date and time as the service does: ISO 8601 in UTC, ending in `Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def maybe_stamp(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)


def invitation_details(invitation: Invitation) -> dict[str, Any]:
    """Returns an invitation as in CM-get."""
    return {
        "invitation_id": invitation.id,
        "email": invitation.email,
        "user_id": invitation.user_id,
        "organization_id": invitation.organization_id,
        "role_id": invitation.role_ids[0],
        "invitation_link": invitation.link,
        "expires_at": stamp(invitation.expires_at),
        "created_at": stamp(invitation.created_at),
    }


def invitation_created(service: ServiceState, invitation: Invitation) -> dict[str, Any]:
    """Returns a new invitation, with the fields of both variants: A (OI-send) and B (CM-invite,
    SDK). With the switch `invite_reply` set to `profile`, returns variant A in the `organizations`
    profile and variant B otherwise."""
    details = invitation_details(invitation) | {
        "invitation_key": invitation.key,
        "is_new_user": invitation.is_new_user,
    }
    wanted = {"invitation_id", "email", "user_id"}
    is_union = service.chosen["invite_reply"] == "union"
    if is_union or service.profile == "crew":
        wanted |= {"role_id", "invitation_link"}
    if is_union or service.profile == "organizations":
        wanted |= {"invitation_key", "is_new_user", "expires_at"}
    return {name: value for name, value in details.items() if name in wanted}


def status_name(service: ServiceState, row: Membership) -> str:
    """Returns the name of a member's status, which a switch can change."""
    return shown_status_name(service, row.status)


def shown_status_name(service: ServiceState, name: str) -> str:
    return service.chosen["invitee_status"] if name == INVITED else name


def member(service: ServiceState, row: Membership) -> dict[str, Any]:
    """Returns a member as in CM and the SDK, with role and status nested. In the `organizations`
    profile they are flat, as in OM-list."""
    user = service.records.users[row.user_id]
    role = service.records.roles[row.role_ids[0]]
    status = service.records.status_of(row)
    shape: dict[str, Any] = {
        "id": row.id,
        "user_id": user.id,
        "organization_id": row.organization_id,
        "full_name": user.full_name,
        "email": user.email,
        "username": user.username,
        "profile_image": None,
    }
    if service.profile == "organizations":
        shape["role_id"], shape["role_name"] = role.id, role.name
        shape["status_id"], shape["status_name"] = status.id, status_name(service, row)
    else:
        shape["role"] = {"id": role.id, "name": role.name}
        shape["status"] = {
            "id": status.id,
            "name": status_name(service, row),
            "selectable_in_ui": status.is_selectable,
        }
    return shape | {
        "joined_at": stamp(row.joined_at),
        "created_at": stamp(row.created_at),
        "last_modified_at": stamp(row.last_modified_at),
    }


def account(service: ServiceState, row: Membership, departments: list[str]) -> dict[str, Any]:
    """Returns a user of the "users v2" family. Only `account_state` is documented completely."""
    user = service.records.users[row.user_id]
    roles = [service.records.roles[id] for id in row.role_ids]
    return {
        "id": user.id,
        "organization_user_id": row.id,
        "organization_id": row.organization_id,
        "email": user.email,
        "full_name": user.full_name,
        "avatar_url": None,
        "account_state": ACCOUNT_STATES[row.status],
        "roles": [{"id": role.id, "name": role.name} for role in roles],
        "departments": [{"id": id} for id in departments],
        "created_at": stamp(row.created_at),
    }


def role_member(service: ServiceState, row: Membership) -> dict[str, Any]:
    """Returns a member of a role as in OR-list-members."""
    user = service.records.users[row.user_id]
    return {
        "user_id": user.id,
        "full_name": user.full_name,
        "email": user.email,
        "account_state": ACCOUNT_STATES[row.status],
        "avatar_url": None,
    }


def role(role: Role, member_count: int) -> dict[str, Any]:
    """Returns a role with the fields of the SDK and of the newer pages."""
    return {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "permissions": dict.fromkeys(role.capabilities, True),
        "is_base_role": role.is_system,
        "is_custom": not role.is_system,
        "is_system_role": role.is_system,
        "organization_id": role.organization_id,
        "capabilities": list(role.capabilities),
        "member_count": member_count,
        "knowledge_slice_ids": [],
        "created_at": stamp(role.created_at),
    }


def status(service: ServiceState, status: Status) -> dict[str, Any]:
    """Returns a status as in OS-list."""
    return {
        "id": status.id,
        "name": shown_status_name(service, status.name),
        "description": status.description,
        "color": status.color,
        "is_base_status": True,
        "order": status.order,
        "organization_id": status.organization_id,
    }


def user(user: User) -> dict[str, Any]:
    """Returns a user as in U-list and the SDK."""
    first, _, last = (user.full_name or "").partition(" ")
    return {
        "id": user.id,
        "email": user.email,
        "first_name": first or None,
        "last_name": last or None,
        "is_active": user.is_active,
        "last_verified": stamp(user.created_at) if user.is_registered else None,
        "global_role_id": None,
        "created_at": stamp(user.created_at),
        "updated_at": stamp(user.updated_at),
    }


def profile(person: User, current_organization_id: str | None) -> dict[str, Any]:
    """Returns the SDK's user profile: a user with personal fields."""
    return user(person) | {
        "username": person.username,
        "full_name": person.full_name,
        "birthday": None,
        "profile_image": None,
        "timezone": "UTC",
        "country_id": None,
        "post_code": None,
        "gender": None,
        "last_login": maybe_stamp(person.last_login),
        "current_organization_id": current_organization_id,
    }


def organization(organization: Organization) -> dict[str, Any]:
    """Returns the SDK's organization. The limits are constants, because they do not affect
    invitations."""
    return {
        "id": organization.id,
        "name": organization.name,
        "type": organization.type,
        "description": organization.description,
        "domain": next(iter(organization.domains), None),
        "domains": organization.domains,
        "website": organization.website,
        "industry": organization.industry,
        "company_size": organization.company_size,
        "logo_image": organization.logo_image,
        "image_url": organization.image_url,
        "is_active": organization.is_active,
        "owner_id": organization.owner_id,
        "api_usage_limit": organization.api_usage_limit,
        "total_usage_limit": 1000.0,
        "storage_free_bytes_allowance": 1_073_741_824,
        "pricing_tier_id": None,
        "created_at": stamp(organization.created_at),
        "updated_at": stamp(organization.updated_at),
        "users_added_from_domains": organization.users_added_from_domains,
    }


def log(log: Log) -> dict[str, Any]:
    """Returns an entry of a change log, as in the SDK."""
    return {
        "id": log.id,
        "user_id": log.actor.id,
        "user_name": log.actor.full_name or log.actor.email,
        "user_email": log.actor.email,
        "action": log.action,
        "timestamp": stamp(log.at),
        "resource_type": "organization_user",
        "resource_id": log.membership_id,
        "resource_name": log.subject.full_name or log.subject.email,
        "changes": [
            {"field": c.field, "old_value": c.old_value, "new_value": c.new_value}
            for c in log.changes
        ],
    }
