"""Aitronos' organizations API as a table.

Docstrings of endpoints begin with their sources: CM, OI, OM, OR, OS, U and OBJ are groups of pages
in Aitronos' documentation, SDK is the official client, GUIDE its guide to users.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from pydantic import ValidationError
from starlette.responses import Response

from guestlist.sandbox.limits import (
    AllOf,
    Limit,
    SlidingWindow,
    TokenBucket,
    Verdict,
    client_address,
)
from guestlist.sandbox.organization import (
    ACTIVE,
    INVITED,
    REMOVED,
    SUSPENDED,
    Invitation,
    Member,
    Person,
    Role,
)
from guestlist.sandbox.refusals import (
    AlreadyInvited,
    AlreadyMember,
    InvalidValue,
    NotAuthenticated,
    NotFound,
    NotOpen,
    ProtectedMember,
    RoleNotHeld,
    ServiceRefusal,
    TooManyRequests,
    WrongAddress,
)
from guestlist.sandbox.routing import Call, OrganizationService, Routes, bearer
from guestlist.sandbox.service import SandboxRefusal, Switch
from guestlist_aitronos.sandbox.bodies import (
    Bulk,
    BulkStatus,
    Complete,
    EmailKey,
    Fields,
    IncludeDeleted,
    IncludeGlobal,
    Invite,
    LenientInvite,
    ListMembers,
    Selector,
    UpdateMember,
)

F = TypeVar("F", bound=Fields)
Json = dict[str, Any]

ORGANIZATION = "org_5a1d0b0c000000000000000000000001"
# Keys have 42 characters, as described on the authentication page.
OWNER_KEY = "ak_sandboxowner000000000000000000000000000"
READ_ONLY_KEY = "ak_sandboxreadonly000000000000000000000000"
OUTSIDER_KEY = "ak_sandboxoutsider000000000000000000000000"
BROKEN_KEYS = {
    "ak_sandboxexpired0000000000000000000000000": "API_KEY_EXPIRED",
    "ak_sandboxdeactivated000000000000000000000": "API_KEY_DEACTIVATED",
    "ak_sandboxpaused00000000000000000000000000": "API_KEY_PAUSED",
}
"""Keys that cannot be used, with the codes of the refusals."""

OWNER_EMAIL = "olga.owner@works.example"
READ_ONLY_EMAIL = "rita.reader@works.example"
SUPPORT_EMAIL = "sam.support@works.example"
OUTSIDER_EMAIL = "otto.outsider@elsewhere.example"

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
    "Owner": CAPABILITIES,
    "Admin": tuple(c for c in CAPABILITIES if c not in ("delete_organization", "manage_billing")),
    "Member": ("view_members",),
    "Department Manager": ("manage_departments", "view_members"),
    "Knowledge Manager": ("manage_knowledge", "view_members"),
    "Billing Manager": ("manage_billing", "view_members"),
}
"""The system roles with their capabilities. Names and order are those of the roles page
(OR-list-roles)."""
STATUSES = {
    ACTIVE: ("Active", "Can use the organization", "#2e7d32", True),
    SUSPENDED: ("Inactive", "Suspended", "#757575", True),
    INVITED: ("InvitationSent", "Was invited and has not accepted yet", "#f9a825", False),
    REMOVED: ("Deleted", "Was removed", "#c62828", False),
}
"""The statuses: name, description, color, and whether users can set it. The names are those of the
status object (OBJ-status); the rest is unverified."""
LIMITS = {"standard": (100, 10_000, 120), "premium": (1_000, 100_000, 1_200)}
"""By plan: requests per minute, per day, and in a burst (RATE)."""
TOKEN_LIFETIME = timedelta(hours=24)
"""How long an access token is valid (unverified)."""

ONE = "/v1/organizations/{organization}"
USERS = f"{ONE}/users"


class ApiError(ServiceRefusal):
    """An error answer, in the format of the error pages (ERR, ERRH).

    These codes are documented: `VALIDATION_ERROR`, `INVALID_EMAIL_FORMAT`, and all codes of 401 and
    403. `RESOURCE_NOT_FOUND`, `INVITATION_NOT_FOUND`, `RESOURCE_ALREADY_EXISTS`,
    `METHOD_NOT_ALLOWED` and `RATE_LIMIT_EXCEEDED` are unverified choices: the stored copies of the
    pages end before them.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        problems: Sequence[Mapping[str, Any]] = (),
        system_message: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, code, headers)
        self.problems = problems
        """The invalid fields, in the framework's format: `loc`, `msg`, `type`."""
        self.system_message = system_message or f"{code}: {message}"
        """The text for logs."""


class AitronosService(OrganizationService):
    """The imitated service. Each switch stands for a behavior that the pages leave open or describe
    in contradictory ways.

    The profiles are the two families of pages that describe the same endpoints: `crew` (the newer
    one, which the SDK's types match) and `organizations`.

    Documented: an invitation is valid for seven days (OBJ-inv, OI-validate); the user exists before
    the email is sent; a key works once; resending sends the email again. Unverified choices:
    resending keeps the key; cancelling removes the record of a person who never was a member; an
    invitation is withdrawn if the person is deleted, or invited again after it has expired.
    """

    name = "aitronos"
    title = "Aitronos"
    profiles = ("crew", "organizations")
    organization_id = ORGANIZATION
    behavior: ClassVar[dict[str, str]] = {
        "accepted": "vanish",
        "revoked": "vanish",
        "expired_invitations": "replace",
        "membership_starts": "invitation",
        "removed_members": "stay",
        "last_role": "default",
    }
    switches: ClassVar[dict[str, Switch]] = {
        "invite_reply": Switch(
            ("union", "profile"),
            "whether a new invitation has the fields of both families of pages",
        ),
        "duplicates": Switch(
            ("refuse", "resend"), "inviting an invited address: refused, or sent again"
        ),
        "who_may_invite": Switch(
            ("admin", "member"), "who may invite, resend and cancel: Admin and Owner, or any member"
        ),
        "validity_days": Switch(("7", "1", "30"), "how many days an invitation can be accepted"),
        "resend_moves_expiry": Switch(("yes", "no"), "whether a resend moves the expiry"),
        "expired_lookup": Switch(
            ("found", "missing"), "whether an expired invitation can still be read"
        ),
        "accept_address": Switch(
            ("must_match", "any"), "who may accept: the invited person, or any user"
        ),
        "members_include_invited": Switch(
            ("yes", "no"), "whether the members' endpoints include invited people"
        ),
        "invitee_status": Switch(
            ("InvitationSent", "Pending"), "the name of an invited person's status"
        ),
        "extra_fields": Switch(
            ("lenient", "strict"), "whether unknown fields of a body are ignored or refused"
        ),
        "validation_body": Switch(
            ("envelope", "detail"), "the form of a 422: the service's, or the framework's"
        ),
        "owner_refusal": Switch(
            ("validation", "forbidden"), "the status for a change of the owner: 400 or 403"
        ),
        "rate": Switch(("bucket", "window", "off"), "how requests per minute are counted"),
        "plan": Switch(("standard", "premium"), "the plan, which decides about the limits"),
    }
    routes = Routes()

    def seed(self) -> None:
        """Adds an owner, a plain member and a third member, and a user outside the organization."""
        organization = self.organization
        # A separate source, so that the ids of records do not depend on the number of requests.
        self._traces = Random(self.random.getrandbits(64))
        self.limits: dict[tuple[str, str], Limit] = {}
        for plan, (minute, day, burst) in LIMITS.items():
            per_day = SlidingWindow(day, 86_400.0)
            self.limits[plan, "bucket"] = AllOf(TokenBucket(minute, 60.0, burst), per_day)
            self.limits[plan, "window"] = AllOf(SlidingWindow(minute, 60.0), per_day)
        self.status_ids = {status: self.new_id("status") for status in STATUSES}
        # The page on inviting uses `role_member` and `role_admin` as ids. The ids of the other
        # system roles are formed in the same way (unverified).
        for name, capabilities in SYSTEM_ROLES.items():
            organization.add_role(
                name,
                id=f"role_{name.lower().replace(' ', '_')}",
                manages=name in ("Owner", "Admin"),
                description=f"System role {name}",
                capabilities=capabilities,
                is_system=True,
            )
        support = self.add_role("Support", "Answers questions")
        owner, member = organization.role_named("Owner"), organization.role_named("Member")
        organization.owner_role, organization.default_role = owner, member
        first = organization.add_member(
            OWNER_EMAIL, "Olga Owner", [owner], key=OWNER_KEY, username="olga"
        )
        organization.add_member(
            READ_ONLY_EMAIL, "Rita Reader", [member], key=READ_ONLY_KEY, username="rita"
        )
        organization.add_member(SUPPORT_EMAIL, "Sam Support", [support], username="sam")
        outsider = organization.add_person(OUTSIDER_EMAIL, "Otto Outsider", username="otto")
        organization.add_key(outsider, OUTSIDER_KEY)
        for key, reason in BROKEN_KEYS.items():
            organization.add_key(first.person, key, reason=reason)
        for row in organization.records.values():  # in lists they keep their order
            row.created_at = organization.created_at
        self.configure()

    def configure(self, *, profile: str | None = None, **switches: str) -> None:
        super().configure(profile=profile, **switches)
        if hasattr(self, "organization"):
            self.organization.lifetime = timedelta(days=int(self.chosen["validity_days"]))

    def add_role(self, name: str, description: str | None = None) -> Role:
        """Adds a role of the organization's own."""
        return self.organization.add_role(
            name, description=description, capabilities=("view_members",), is_system=False
        )

    # ------------------------------------------------------------------ invitations

    @routes.post(f"{ONE}/invite-user", status=201)
    def invite(self, call: Call) -> Any:
        """Invites an address (OI-send, CM-invite, SDK)."""
        caller = self.inviter(call)
        email, role, send = self.wanted_invitation(call)
        invitation = self.organization.invite(email, [role], inviter=caller.person, send=send)
        details = self.invitation(invitation) | {
            "invitation_key": invitation.secret,
            "is_new_user": invitation.fields.setdefault(
                "is_new_user", bool(invitation.member and not invitation.member.person.registered)
            ),
        }
        shown = {"invitation_id", "email", "user_id"}
        is_union = self.chosen["invite_reply"] == "union"
        if is_union or self.profile == "crew":  # CM-invite, SDK
            shown |= {"role_id", "invitation_link"}
        if is_union or self.profile == "organizations":  # OI-send
            shown |= {"invitation_key", "is_new_user", "expires_at"}
        return {name: value for name, value in details.items() if name in shown}

    @routes.get(f"{ONE}/invitation")
    def get_invitation(self, call: Call) -> Any:
        """Returns an invitation by exactly one selector (CM-get, SDK)."""
        self.caller(call)
        selector = self.query(call, Selector)
        given = [x for x in (selector.email, selector.user_id, selector.invitation_id) if x]
        if len(given) != 1:
            raise invalid("Provide exactly one of: email, user_id, invitation_id")
        invitation = self.selected(selector)
        if (
            invitation.state(self.clock.now()) == "expired"
            and self.chosen["expired_lookup"] == "missing"
        ):
            raise NotFound("invitation")
        return self.invitation(invitation)

    @routes.post(f"{USERS}/{{user}}/resend-invitation")
    def resend(self, call: Call) -> Any:
        """Sends an invitation again. Answers 204 (CM-resend, SDK), or 200 with a message in the
        profile `organizations` (OI-resend)."""
        self.inviter(call)
        self.resend_to(call.path["user"])
        if self.profile == "organizations":
            return {"success": True, "message": "Invitation sent again"}
        return Response(status_code=204)

    @routes.post(f"{USERS}/resend-invitation-bulk")
    def resend_bulk(self, call: Call) -> Any:
        """Sends many invitations again (CM-bulk, SDK). Reports the failures per person in a 200."""
        self.inviter(call)
        return self.bulk(self.body(call, Bulk).user_ids, self.resend_to)

    @routes.delete(f"{ONE}/invitations/{{invitation}}")
    def cancel(self, call: Call) -> Any:
        """Cancels an invitation (SDK). The 204 is unverified, and also that the answer for an
        accepted invitation is 404."""
        self.inviter(call)
        self.organization.revoke(self.organization.invitation(call.path["invitation"]))

    @routes.get("/v1/invitations/validate/{email_key}", needs_key=False)
    def validate_invitation(self, call: Call) -> Any:
        """Returns the invitation of a key (OI-validate). Needs no credentials."""
        invitation = self.organization.invitation_with_secret(call.path["email_key"])
        self.refuse_unless_pending(invitation)
        return {
            "valid": True,
            "invitation_id": invitation.id,
            "email": invitation.email,
            **self.joined(invitation),
            "expires_at": stamp(invitation.expires_at),
        }

    @routes.post("/v1/invitations/accept")
    def accept_invitation(self, call: Call) -> Any:
        """Accepts an invitation. The key is in the query (SDK) or in the body (CM-accept). The 200
        is unverified."""
        key = call.query.get("email_key") or self.body(call, EmailKey).email_key
        invitation, email = self.organization.invitation_with_secret(key), call.caller.email
        may = (
            self.chosen["accept_address"] == "any"
            or email.casefold() == invitation.email.casefold()
        )
        if may and self.organization.member_with(email):
            raise AlreadyMember
        self.organization.accept(invitation, email=email)
        return {"success": True, **self.joined(invitation)}

    @routes.post("/v1/invitations/complete", needs_key=False)
    def complete_invitation(self, call: Call) -> Any:
        """Registers the invited person and accepts the invitation (CM-complete, SDK). Needs no
        credentials.

        Refusing people who already have an account is a choice: a person who has only the key must
        not be able to change their password.
        """
        body = self.body(call, Complete, strict=False)
        invitation = self.organization.invitation_with_secret(body.email_key)
        self.refuse_unless_pending(invitation)
        person = self.organization.person_with(invitation.email)
        if person is not None and person.registered:
            raise invalid("The account exists: sign in and accept the invitation")
        member = self.organization.accept(invitation, name=body.full_name)
        expires = self.clock.now() + TOKEN_LIFETIME
        return {
            "success": True,
            "user_id": member.person.id,
            "email": member.person.email,
            "organization_id": ORGANIZATION,
            "token": self.organization.add_key(
                member.person, self.access_token(), expires_at=expires
            ),
            "refresh_token": {"token": self.new_id("rt"), "expires_at": stamp(expires)},
            "device_id": None,
            "recommended_username": member.person.email.partition("@")[0].lower(),
        }

    # ------------------------------------------------------------------ members

    @routes.post(USERS)
    def list_members(self, call: Call) -> Any:
        """Lists members (CM-list, SDK; in the profile `organizations` OM-list)."""
        self.caller(call)
        wanted = self.body(call, ListMembers)
        rows = [row for row in self.visible(wanted.include_deleted) if self.fits(row, wanted)]
        rows = self.organization.listed(rows)
        rows.sort(key=self.order(wanted.sort_field), reverse=wanted.sort_direction == "desc")
        page = [self.member(row) for row in rows[wanted.skip : wanted.skip + wanted.take]]
        if self.profile == "organizations":
            return {
                "members": page,
                "total": len(rows),
                "skip": wanted.skip,
                "limit": wanted.take,
            }
        return {
            "users": page,
            "total_users_count": len(rows),
            "skip": wanted.skip,
            "take": wanted.take,
        }

    @routes.post(f"{USERS}/ids")
    def member_ids(self, call: Call) -> Any:
        """Returns the user ids of the members (SDK)."""
        self.caller(call)
        rows = self.visible(self.query(call, IncludeDeleted).include_deleted)
        return [row.person.id for row in rows]

    @routes.post(f"{USERS}/by-ids")
    def members_by_ids(self, call: Call) -> Any:
        """Returns several members (SDK). The names of the three fields are unverified."""
        self.caller(call)
        ids = self.body(call, Bulk).user_ids
        rows = [row for row in self.visible() if {row.person.id, row.id} & set(ids)]
        return {
            "users": [self.member(row) for row in rows],
            "total": len(rows),
            "requested_ids": ids,
        }

    @routes.get(f"{USERS}/status-summary")
    def status_summary(self, call: Call) -> Any:
        """Counts members by status (SDK). That unused statuses have 0 is unverified."""
        self.caller(call)
        rows = self.visible(include_deleted=True)
        counts = [
            {
                "status_id": self.status_ids[status],
                "status_name": self.status_name(status),
                "count": sum(row.status == status for row in rows),
            }
            for status in STATUSES
        ]
        return {"status_counts": counts}

    @routes.get(f"{USERS}/{{user}}")
    def get_member(self, call: Call) -> Any:
        """Returns a member (CM, SDK). That deleted members are not found is unverified."""
        self.caller(call)
        return self.member(self.present(call.path["user"]))

    @routes.put(f"{USERS}/{{user}}")
    def update_member(self, call: Call) -> Any:
        """Changes the role or status of a member (CM-update, SDK, OM-update). Any member may change
        statuses; only Admin and Owner may change roles."""
        caller = self.caller(call)
        body = self.body(call, UpdateMember)
        if body.role_id and not caller.manages:
            raise insufficient()
        row = self.present(call.path["user"])
        role = self.organization.role(body.role_id) if body.role_id else None
        status = self.status(body.status_id) if body.status_id else None
        if status:
            self.refuse_status(row, status)
        if role:
            # The first role is replaced: endpoints that support a single role use that one.
            kept = [one for one in row.roles[1:] if one is not role]
            self.organization.set_roles(row, [role, *kept])
        if status:
            self.set_status(row, status)
        if self.profile == "crew":
            return self.member(row)
        return {
            "success": True,
            "message": "Member updated",
            "id": row.id,
            "user_id": row.person.id,
            "role_id": row.roles[0].id,
            "role_name": row.roles[0].name,
        }

    @routes.delete(f"{USERS}/{{user}}/delete")
    def delete_member(self, call: Call) -> Any:
        """Deletes a member (CM-delete, OM-remove, SDK)."""
        self.manager(call)
        self.organization.remove(self.present(call.path["user"]))

    @routes.post(f"{USERS}/delete-bulk")
    def delete_members(self, call: Call) -> Any:
        """Deletes several members (CM-bulkdel, SDK). The owner is reported as a failure."""
        self.manager(call)
        ids = self.body(call, Bulk).user_ids
        return self.bulk(ids, lambda id: self.organization.remove(self.present(id)))

    @routes.post(f"{USERS}/{{user}}/restore", status=204)
    def restore_member(self, call: Call) -> Any:
        """Restores a member (CM-restore, SDK). That a person who never was a member becomes invited
        again is unverified."""
        self.manager(call)
        row = self.row(call.path["user"])
        if row.status != REMOVED:
            raise invalid("Member is not deleted")
        self.organization.restore(row)

    @routes.post(f"{USERS}/change-status-bulk")
    def change_statuses(self, call: Call) -> Any:
        """Changes the status of several members (SDK). Needs Admin or Owner, unlike the change of
        one status."""
        self.manager(call)
        body = self.body(call, BulkStatus)
        status = self.status(body.status_id)

        def change(person: str) -> None:
            row = self.present(person)
            self.refuse_status(row, status)
            self.set_status(row, status)

        return self.bulk(body.user_ids, change)

    # ------------------------------------------------------------------ roles and the rest

    @routes.get(f"{ONE}/roles")
    def list_roles(self, call: Call) -> Any:
        """Lists roles as an array (OR-list-roles, SDK): the system's, then the organization's own
        by name."""
        self.caller(call)
        include_global = self.query(call, IncludeGlobal).include_global
        roles = [
            role
            for role in self.organization.roles.values()
            if include_global or not role.fields["is_system"]
        ]
        roles.sort(key=lambda role: "" if role.fields["is_system"] else role.name.casefold())
        return [self.role(role) for role in roles]

    @routes.delete(f"{ONE}/roles/{{role}}/members/{{user}}")
    def unassign_role(self, call: Call) -> Any:
        """Takes a role away (OR-remove-member). That a member who loses the only role becomes a
        plain Member is unverified."""
        self.manager(call)
        role = self.organization.role(call.path["role"])
        row = self.row(call.path["user"])
        if not row.is_in:
            raise NotFound("member")
        try:
            self.organization.unassign(row, role)
        except ProtectedMember:
            raise ApiError(
                403, "CANNOT_REMOVE_LAST_OWNER", "The last owner cannot be removed"
            ) from None

    @routes.get(f"{ONE}/statuses")
    def list_statuses(self, call: Call) -> Any:
        """Lists statuses as an array (OS-list, SDK). Every status of this sandbox is active."""
        self.caller(call)
        return [
            {
                "id": self.status_ids[status],
                "name": self.status_name(status),
                "description": description,
                "color": color,
                "is_base_status": True,
                "order": order,
                "organization_id": ORGANIZATION,
            }
            for order, (status, (_, description, color, _)) in enumerate(STATUSES.items(), start=1)
        ]

    @routes.get(ONE)
    def get_organization(self, call: Call) -> Any:
        """Returns the organization (SDK). Most fields are constants, because they do not affect
        invitations."""
        self.caller(call)
        created = stamp(self.organization.created_at)
        absent = ("description", "domain", "website", "industry", "company_size", "logo_image")
        owner = next(one for one in self.organization.members() if one.manages)
        return {
            "id": ORGANIZATION,
            "name": self.organization_name,
            "type": "Work",
            **dict.fromkeys((*absent, "image_url", "pricing_tier_id")),
            "domains": [],
            "is_active": True,
            "owner_id": owner.person.id,
            "api_usage_limit": 100.0,
            "total_usage_limit": 1000.0,
            "storage_free_bytes_allowance": 1_073_741_824,
            "created_at": created,
            "updated_at": created,
            "users_added_from_domains": 0,
        }

    @routes.get("/v1/user/current")
    def current_user(self, call: Call) -> Any:
        """Returns the caller (SDK)."""
        return self.user(call.caller)

    @routes.get("/v1/user/email/{email}")
    def user_by_email(self, call: Call) -> Any:
        """Returns a user by email address, independent of organizations (GUIDE, SDK)."""
        person = self.organization.person_with(call.path["email"])
        if person is None:
            raise NotFound("user")
        return self.user(person)

    # ------------------------------------------------------------------ records

    def invitation(self, invitation: Invitation) -> Json:
        """Returns an invitation as in CM-get."""
        person = self.organization.person_with(invitation.email)
        return {
            "invitation_id": invitation.id,
            "email": invitation.email,
            "user_id": person.id if person else None,
            "organization_id": ORGANIZATION,
            "role_id": invitation.roles[0].id,
            "invitation_link": self.link(invitation),
            "expires_at": stamp(invitation.expires_at),
            "created_at": stamp(invitation.created_at),
        }

    def joined(self, invitation: Invitation) -> Json:
        """Returns the organization and role of an invitation, by id and name."""
        return {
            "organization_id": ORGANIZATION,
            "organization_name": self.organization_name,
            "role_id": invitation.roles[0].id,
            "role_name": invitation.roles[0].name,
        }

    def member(self, row: Member) -> Json:
        """Returns a member as in CM and the SDK, with role and status nested. In the profile
        `organizations` they are flat, as in OM-list."""
        person, role = row.person, row.roles[0]
        status_id, status_name = self.status_ids[row.status], self.status_name(row.status)
        shape: Json = {
            "id": row.id,
            "user_id": person.id,
            "organization_id": ORGANIZATION,
            "full_name": person.name or None,
            "email": self.organization.address_of(row),
            "username": person.fields.get("username"),
            "profile_image": None,
        }
        if self.profile == "organizations":
            shape |= {"role_id": role.id, "role_name": role.name}
            shape |= {"status_id": status_id, "status_name": status_name}
        else:
            selectable = STATUSES[row.status][3]
            status = {"id": status_id, "name": status_name, "selectable_in_ui": selectable}
            shape |= {"role": {"id": role.id, "name": role.name}, "status": status}
        return shape | {
            "joined_at": stamp(row.joined_at or row.created_at),
            "created_at": stamp(row.created_at),
            "last_modified_at": stamp(row.updated_at),
        }

    def role(self, role: Role) -> Json:
        """Returns a role with the fields of the SDK and of the newer pages."""
        is_system, capabilities = role.fields["is_system"], role.fields["capabilities"]
        return {
            "id": role.id,
            "name": role.name,
            "description": role.fields["description"],
            "permissions": dict.fromkeys(capabilities, True),
            "is_base_role": is_system,
            "is_custom": not is_system,
            "is_system_role": is_system,
            "organization_id": None if is_system else ORGANIZATION,
            "capabilities": list(capabilities),
            "member_count": sum(role in row.roles for row in self.organization.members()),
            "knowledge_slice_ids": [],
            "created_at": stamp(role.created_at),
        }

    def user(self, person: Person) -> Json:
        """Returns a user as in U-list and the SDK."""
        first, _, last = person.name.partition(" ")
        return {
            "id": person.id,
            "email": person.email,
            "first_name": first or None,
            "last_name": last or None,
            "is_active": person.registered,
            "last_verified": stamp(person.created_at) if person.registered else None,
            "global_role_id": None,
            "created_at": stamp(person.created_at),
            "updated_at": stamp(person.updated_at),
        }

    # ------------------------------------------------------------------ callers and paths

    def caller(self, call: Call) -> Member:
        """Returns the caller's membership in the organization of the path.

        An organization that does not exist has no members, so the answer is the same as for a
        foreign one (unverified choice).
        """
        row = self.organization.record_of(call.caller)
        if call.path["organization"] != ORGANIZATION or row is None or row.status != ACTIVE:
            raise ApiError(403, "ORGANIZATION_ACCESS_DENIED", "No access to this organization")
        return row

    def manager(self, call: Call) -> Member:
        """Returns the membership of a caller who is an Admin or Owner."""
        caller = self.caller(call)
        if not caller.manages:
            raise insufficient()
        return caller

    def inviter(self, call: Call) -> Member:
        """Returns the membership of a caller who may invite: an Admin or Owner according to the
        pages, any member according to the SDK."""
        return (self.manager if self.chosen["who_may_invite"] == "admin" else self.caller)(call)

    def row(self, id: str) -> Member:
        """Returns a person's record by user id or membership id."""
        id = plain_id(id)
        for row in self.visible(include_deleted=True):
            if id in (row.id, row.person.id):
                return row
        raise NotFound("member")

    def present(self, id: str) -> Member:
        row = self.row(id)
        if row.status == REMOVED:
            raise NotFound("member")
        return row

    def visible(self, include_deleted: bool = False) -> list[Member]:
        """Returns the records that the members' endpoints include."""
        hidden = {REMOVED} if not include_deleted else set()
        if self.chosen["members_include_invited"] == "no":
            hidden.add(INVITED)
        return [row for row in self.organization.records.values() if row.status not in hidden]

    def fits(self, row: Member, wanted: ListMembers) -> bool:
        term = wanted.search_term.strip().casefold()
        texts = (row.person.name, row.person.email, row.person.fields.get("username") or "")
        return (
            any(term in text.casefold() for text in texts)
            and (wanted.role_id is None or wanted.role_id in [role.id for role in row.roles])
            and wanted.status_id in (None, self.status_ids[row.status])
        )

    def order(self, field: str) -> Callable[[Member], Any]:
        """Returns the sort key for a field by which lists can be sorted."""
        keys: dict[str, Callable[[Member], Any]] = {
            "full_name": lambda row: row.person.name.casefold(),
            "email": lambda row: row.person.email.casefold(),
            "role": lambda row: row.roles[0].name.casefold(),
            "status": lambda row: self.status_name(row.status).casefold(),
            "created_at": lambda row: row.created_at,
            "last_modified_at": lambda row: row.updated_at,
        }
        return keys[field]

    # ------------------------------------------------------------------ invitations and statuses

    def wanted_invitation(self, call: Call) -> tuple[str, Role, bool]:
        """Returns the address, the role and whether to send an email, from either family of field
        names."""
        if self.chosen["extra_fields"] == "strict":
            body = self.body(call, Invite)
            return body.email, self.organization.role(body.role_id), body.send_invitation
        lenient = self.body(call, LenientInvite)
        if lenient.role_id:
            role = self.organization.role(lenient.role_id)
        else:
            role = self.organization.role_named(lenient.role_name)
        send = lenient.send_email if lenient.send_invitation is None else lenient.send_invitation
        return lenient.email, role, send

    def selected(self, selector: Selector) -> Invitation:
        if selector.invitation_id:
            return self.organization.invitation(selector.invitation_id)
        for invitation in reversed(self.organization.shown_invitations()):
            person = invitation.member and invitation.member.person
            if person and (
                person.id == selector.user_id
                or person is self.organization.person_with(selector.email or "")
            ):
                return invitation
        raise NotFound("invitation")

    def resend_to(self, id: str) -> None:
        """Sends the newest invitation of a person again."""
        id = plain_id(id)
        for invitation in reversed(self.organization.invitations.values()):
            row = invitation.member
            if row is None or id not in (row.id, row.person.id):
                continue
            if invitation.ended == "accepted":
                raise invalid("Invitation already accepted")
            if not invitation.ended:
                self.organization.resend(invitation)
                return
            break
        raise NotFound("invitation")

    def refuse_unless_pending(self, invitation: Invitation) -> None:
        state = invitation.state(self.clock.now())
        if state != "pending":
            raise NotOpen(state)

    def status_name(self, status: str) -> str:
        return self.chosen["invitee_status"] if status == INVITED else STATUSES[status][0]

    def status(self, id: str) -> str:
        for status, known in self.status_ids.items():
            if known == id:
                return status
        raise NotFound("status")

    def refuse_status(self, row: Member, status: str) -> None:
        """Raises unless the status can be set. Apart from the owner's protection, the rules are
        unverified: only Active and Inactive can be set, and only for members."""
        if status not in (ACTIVE, SUSPENDED):
            raise invalid(f"The status {STATUSES[status][0]} cannot be set")
        if row.status == INVITED:
            raise invalid("The invitation has not been accepted yet")
        if status == SUSPENDED:
            self.organization.refuse_if_protected(row, "suspend")

    def set_status(self, row: Member, status: str) -> None:
        if status == SUSPENDED:
            self.organization.suspend(row)
        else:
            self.organization.unsuspend(row)

    def bulk(self, ids: Sequence[str], act: Callable[[str], object]) -> Json:
        """Calls `act` for each id. Returns the numbers of successes and failures, and the
        errors."""
        failed = []
        for id in ids:
            try:
                act(id)
            except SandboxRefusal as refusal:
                failed.append({"id": id, "error": str(self.api_error(refusal))})
        return {
            "success_count": len(ids) - len(failed),
            "failure_count": len(failed),
            "failed_operations": failed,
        }

    # ------------------------------------------------------------------ the form of requests

    def body(self, call: Call, kind: type[F], *, strict: bool | None = None) -> F:
        """Returns the JSON body. Answers 422 if it is invalid."""
        try:
            read = kind.model_validate_json(call.content)
        except ValidationError as error:
            raise unprocessable(problems(error, "body")) from error
        if strict is None:
            strict = self.chosen["extra_fields"] == "strict"
        if strict and read.unknown:
            wrong = {"msg": "Extra inputs are not permitted", "type": "extra_forbidden"}
            raise unprocessable([{"loc": ["body", name], **wrong} for name in read.unknown])
        return read

    def query(self, call: Call, kind: type[F]) -> F:
        """Returns the query. Answers 400 if it is invalid, as in CM-get."""
        try:
            return kind.model_validate(dict(call.query))
        except ValidationError as error:
            refusal = invalid("Invalid query parameters")
            refusal.problems = problems(error, "query")
            raise refusal from error

    def credentials(self, call: Call) -> str:
        """Returns the key or token of a request, after checking it.

        If both are sent, as the SDK does, the token decides (unverified choice): the SDK cannot be
        used without a key.
        """
        secret = bearer(call.headers)
        is_key = not secret or secret.startswith("ak_")
        secret = secret or call.headers.get("x-api-key") or call.headers.get("api-key") or ""
        if not secret:
            raise ApiError(401, "AUTHENTICATION_REQUIRED", "Authentication required")
        try:
            self.organization.key(secret)
        except NotAuthenticated as error:
            if is_key:
                raise ApiError(401, error.reason or "INVALID_API_KEY", "Invalid API key") from None
            code = "TOKEN_EXPIRED" if error.reason else "TOKEN_INVALID"
            raise ApiError(401, code, "Invalid token") from None
        return secret

    # ------------------------------------------------------------------ the form of answers

    def refused(self, refusal: SandboxRefusal) -> Response:
        return super().refused(self.api_error(refusal))

    def api_error(self, refusal: SandboxRefusal) -> ApiError:
        """Returns a refusal in the service's words."""
        match refusal:
            case ApiError():
                return refusal
            case AlreadyMember():
                return conflict("User is already a member of this organization")
            case AlreadyInvited():
                return conflict("User has already been invited to this organization")
            case NotFound():
                code = "INVITATION" if refusal.kind == "invitation" else "RESOURCE"
                text = f"{refusal.kind.capitalize()} not found"
                return ApiError(404, f"{code}_NOT_FOUND", text)
            case RoleNotHeld():
                return ApiError(404, "RESOURCE_NOT_FOUND", "Role assignment not found")
            case NotOpen():
                expired = refusal.state == "expired"
                return invalid(f"Invitation has {'expired' if expired else 'already been used'}")
            case WrongAddress():
                return ApiError(403, "ACCESS_DENIED", "This invitation is for another address")
            case InvalidValue():
                return bad_email()
            case ProtectedMember():
                return self.owner_refusal(refusal.action)
            case TooManyRequests():
                headers = self.limit_headers(refusal.verdict)
                return ApiError(429, "RATE_LIMIT_EXCEEDED", "Too many requests", headers=headers)
        return ApiError(405, "METHOD_NOT_ALLOWED", "Method Not Allowed")

    def owner_refusal(self, action: str) -> ApiError:
        """Returns the error for a change of the owner: the error list has codes with 403, the
        members' pages say that validation fails."""
        code = "CANNOT_DELETE_OWNER" if action == "remove" else "OPERATION_NOT_ALLOWED"
        message = {
            "remove": "The owner cannot be deleted",
            "suspend": "The owner cannot be made inactive",
            "role": "The owner's role cannot be changed",
        }[action]
        if self.chosen["owner_refusal"] == "forbidden":
            return ApiError(403, code, message)
        return invalid(message)

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        refusal = self.api_error(refusal)
        if status == 422 and self.chosen["validation_body"] == "detail":
            plain = {"loc": ["body"], "msg": str(refusal), "type": "value_error"}
            return {"detail": list(refusal.problems) or [plain]}
        errors = [
            {
                "field": ".".join(str(part) for part in problem["loc"][1:]),
                "message": problem["msg"],
                "type": problem["type"],
            }
            for problem in refusal.problems
        ]
        return {
            "success": False,
            "error": {
                "code": code,
                "message": str(refusal),
                "system_message": refusal.system_message,
                "type": "client_error",
                "status": status,
                "details": {"errors": errors} if errors else {},
                "trace_id": random_uuid(self._traces),
                "timestamp": stamp(self.clock.now()),
            },
        }

    def limit(self, call: Call) -> Limit | None:
        return self.limits.get((self.chosen["plan"], self.chosen["rate"]))

    def limit_key(self, call: Call) -> str:
        """Returns the API key or token, or the network address if the request has neither."""
        names = ("authorization", "x-api-key", "api-key")
        given = (call.headers.get(name, "").removeprefix("Bearer ") for name in names)
        return next((secret for secret in given if secret), client_address(call.request.scope))

    def finish(self, response: Response, call: Call, verdict: Verdict | None) -> None:
        """Adds the headers of the rate limit (RATE) and of tracing (DBG).

        The meaning of `X-RateLimit-Limit` with the token bucket is unverified: here it is the burst
        size, and `X-RateLimit-Remaining` counts down from it.
        """
        if verdict is not None:
            response.headers.update(
                {
                    "x-ratelimit-limit": str(verdict.limit),
                    "x-ratelimit-remaining": str(verdict.remaining),
                    "x-ratelimit-reset": verdict.reset_header,
                    "x-ratelimit-retry-after": verdict.retry_after_header,
                }
            )
        response.headers["x-request-id"] = random_uuid(self._traces)

    # ------------------------------------------------------------------ ids, emails, accounts

    def new_id(self, kind: str) -> str:
        """Returns an id in the service's format: a prefix, an underscore and 32 hexadecimal
        digits."""
        prefixes = {
            "person": "usr",
            "member": "orgusr",
            "invitation": "inv",
            "secret": "invkey",
        }
        return f"{prefixes.get(kind, kind)}_{self.random.getrandbits(128):032x}"

    def access_token(self) -> str:
        """Returns a new access token in the format of a JWT."""
        parts = [b'{"alg": "HS256", "typ": "JWT"}', self.random.randbytes(48)]
        texts = [urlsafe_b64encode(part).decode().rstrip("=") for part in parts]
        return ".".join([*texts, f"{self.random.getrandbits(256):064x}"])

    def link(self, invitation: Invitation) -> str:
        return f"https://chat.aitronos.com/user/register?invite={invitation.secret}"

    def email(self, invitation: Invitation) -> dict[str, Any]:
        inviter = invitation.inviter
        name = inviter.name or inviter.email if inviter else "Aitronos"
        until = f"{invitation.expires_at:%d %b %Y, %H:%M}"
        return {
            "sender": "no-reply@aitronos.com",
            "subject": f"Join {self.organization_name} on Aitronos",
            "text": f"{name} invites you to join {self.organization_name} on Aitronos.\n\n"
            f"The link in this email works once, until {until} UTC.",
            "link": self.link(invitation),
        }

    def settings(self, base_url: str) -> dict[str, str]:
        return {"api_key": OWNER_KEY, "organization_id": ORGANIZATION, "base_url": base_url}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {**self.settings(base_url), "api_key": READ_ONLY_KEY}

    def described(self, member: Member) -> Json:
        return super().described(member) | {"status": STATUSES[member.status][0]}


def plain_id(id: str) -> str:
    """Returns an id of a person. The prefixes `orguser_` and `orgusr_` are the same: the pages
    differ."""
    return f"orgusr_{id.removeprefix('orguser_')}" if id.startswith("orguser_") else id


def insufficient() -> ApiError:
    """Returns the 403 for a caller whose roles do not allow the action, with the text of
    OI-send."""
    return ApiError(
        403,
        "INSUFFICIENT_PERMISSIONS",
        "You don't have permission to perform this action.",
        system_message="Insufficient permissions for this operation",
    )


def conflict(message: str) -> ApiError:
    return ApiError(409, "RESOURCE_ALREADY_EXISTS", message)


def invalid(message: str) -> ApiError:
    """Returns the 400 for a well-formed request with values that the service does not accept.

    The pages use 400 in some places and 422 in others; the only sample with a body is a 400
    (CM-get).
    """
    return ApiError(400, "VALIDATION_ERROR", message)


def bad_email() -> ApiError:
    problem = {"loc": ["body", "email"], "msg": "not a valid email address", "type": "value_error"}
    return ApiError(422, "INVALID_EMAIL_FORMAT", "Invalid email format", [problem])


def unprocessable(problems: Sequence[Mapping[str, Any]]) -> ApiError:
    """Returns the 422 for a body that the endpoint does not accept."""
    return ApiError(422, "VALIDATION_ERROR", "Request validation failed", problems)


def problems(error: ValidationError, place: str) -> list[Json]:
    """Returns the problems of a validation error in the framework's format; `place` is `body` or
    `query`."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        {"loc": [place, *problem["loc"]], "msg": problem["msg"], "type": problem["type"]}
        for problem in found
    ]


def stamp(at: datetime | None) -> str | None:
    """Formats a date and time as the service does: ISO 8601 in UTC, ending in `Z`."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def random_uuid(random: Random) -> str:
    """Returns a UUID that only depends on the random source, so that it is reproducible."""
    return str(UUID(int=random.getrandbits(128), version=4))
