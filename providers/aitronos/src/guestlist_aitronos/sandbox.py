"""A local imitation of Aitronos' organizations API, with one organization.

The profiles are the two families of pages that describe the same endpoints: `crew` (the newer one,
which the official SDK's types match) and `organizations`. Requests that are not imitated (exports,
change logs, most bulk requests, changes of roles and organizations) get a 404.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any, ClassVar
from uuid import UUID

from starlette.responses import Response

from guestlist.sandbox.limits import (
    AllOf,
    RateLimit,
    RateLimitResult,
    SlidingWindow,
    TokenBucket,
    client_address,
)
from guestlist.sandbox.organization import (
    ACTIVE,
    INVITED,
    REMOVED,
    SUSPENDED,
    SWITCHES,
    InvitationRecord,
    MemberRecord,
    RoleRecord,
)
from guestlist.sandbox.refusals import (
    DuplicateInvitation,
    DuplicateMember,
    HttpRefusal,
    InvalidValue,
    MethodNotAllowed,
    NotAuthenticated,
    NotOpen,
    NotPermitted,
    ProtectedMember,
    RecordNotFound,
    RoleNotHeld,
    TooManyRequests,
    WrongAddress,
)
from guestlist.sandbox.routing import IncomingRequest, OrganizationService, Routes, bearer
from guestlist.sandbox.service import SandboxRefusal, Switch

Json = dict[str, Any]

ORGANIZATION = "org_5a1d0b0c000000000000000000000001"
# Keys have 42 characters, as described on the authentication page.
OWNER_KEY = "ak_sandboxowner000000000000000000000000000"
READ_ONLY_KEY = "ak_sandboxreadonly000000000000000000000000"
OUTSIDER_KEY = "ak_sandboxoutsider000000000000000000000000"
OWNER_EMAIL = "olga.owner@works.example"
READ_ONLY_EMAIL = "rita.reader@works.example"
SUPPORT_EMAIL = "sam.support@works.example"
OUTSIDER_EMAIL = "otto.outsider@elsewhere.example"

SYSTEM_ROLES = {
    "Owner": ("delete_organization", "manage_billing", "manage_roles", "manage_members"),
    "Admin": ("manage_roles", "manage_members"),
    "Member": ("view_members",),
    "Department Manager": ("manage_departments", "view_members"),
    "Knowledge Manager": ("manage_knowledge", "view_members"),
    "Billing Manager": ("manage_billing", "view_members"),
}
"""The system roles in the order of the roles page, with capabilities. Only the name `manage_roles`
is documented; the others are unverified choices."""
STATUSES = {
    ACTIVE: ("Active", "Can use the organization", "#2e7d32", True),
    SUSPENDED: ("Inactive", "Suspended", "#757575", True),
    INVITED: ("InvitationSent", "Was invited and has not accepted yet", "#f9a825", False),
    REMOVED: ("Deleted", "Was removed", "#c62828", False),
}
"""The statuses: name, description, color, and whether users can set it. The names are those of the
status object; the rest is unverified."""
LIMITS = {"standard": (100, 10_000, 120), "premium": (1_000, 100_000, 1_200)}
"""By plan: requests per minute, per day, and in a burst."""
ONE = "/v1/organizations/{organization}"
USERS = f"{ONE}/users"
INVALID, MISSING = "VALIDATION_ERROR", "RESOURCE_NOT_FOUND"
MESSAGES: dict[type[SandboxRefusal], str] = {
    DuplicateMember: "User is already a member of this organization",
    DuplicateInvitation: "User has already been invited to this organization",
    NotPermitted: "You don't have permission to perform this action.",
    RoleNotHeld: "Role assignment not found",
    TooManyRequests: "Too many requests",
    MethodNotAllowed: "Method Not Allowed",
    WrongAddress: "This invitation is for another address",
}
"""The texts of refusals. That of `NotPermitted` is documented (page on inviting)."""
OWNER_REFUSALS = {
    "remove": "The owner cannot be deleted",
    "suspend": "The owner cannot be made inactive",
    "role": "The owner's role cannot be changed",
}


class AitronosService(OrganizationService):
    """The imitated service. Each switch stands for a behavior that the pages leave open or describe
    in contradictory ways.

    Documented: an invitation is valid for seven days; the user exists before the email is sent; a
    key works once; resending sends the email again. Unverified choices: resending keeps the key;
    cancelling removes the record of a person who never was a member; an invitation is withdrawn if
    the person is deleted, or invited again after it has expired.

    Documented codes of errors are `VALIDATION_ERROR`, `INVALID_EMAIL_FORMAT`, and all codes of 401
    and 403. The others are unverified choices: the stored copies of the pages end before them.
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
        "resend_moves_expiry": SWITCHES["resend_moves_expiry"],
        "expired_lookup": Switch(
            ("found", "missing"), "whether an expired invitation can still be read"
        ),
        "invitee_status": Switch(
            ("InvitationSent", "Pending"), "the name of an invited person's status"
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
    errors: ClassVar[dict[type[SandboxRefusal], int | tuple[int, str]]] = {
        DuplicateMember: (409, "RESOURCE_ALREADY_EXISTS"),
        DuplicateInvitation: (409, "RESOURCE_ALREADY_EXISTS"),
        InvalidValue: (422, INVALID),
        MethodNotAllowed: (405, "METHOD_NOT_ALLOWED"),
        RecordNotFound: (404, MISSING),
        NotOpen: (400, INVALID),
        NotPermitted: (403, "INSUFFICIENT_PERMISSIONS"),
        ProtectedMember: (400, INVALID),
        RoleNotHeld: (404, MISSING),
        TooManyRequests: (429, "RATE_LIMIT_EXCEEDED"),
        WrongAddress: (403, "ACCESS_DENIED"),
    }
    routes = Routes()

    def seed(self) -> None:
        """Adds an owner, a plain member and a third member, and a user outside the organization."""
        organization = self.organization
        # A separate source, so that the ids of records do not depend on the number of requests.
        self.traces = Random(self.random.getrandbits(64))
        self.limits: dict[tuple[str, str], RateLimit] = {}
        for plan, (minute, day, burst) in LIMITS.items():
            per_day = SlidingWindow(day, 86_400.0)
            self.limits[plan, "bucket"] = AllOf(TokenBucket(minute, 60.0, burst), per_day)
            self.limits[plan, "window"] = AllOf(SlidingWindow(minute, 60.0), per_day)
        self.status_ids = {status: self.new_id("status") for status in STATUSES}
        # The page on inviting uses `role_member` and `role_admin` as ids. The ids of the other
        # system roles are formed in the same way (unverified).
        for name in SYSTEM_ROLES:
            id = f"role_{name.lower().replace(' ', '_')}"
            organization.add_role(name, id=id, manages=name in ("Owner", "Admin"))
        support = organization.add_role("Support")
        owner, member = organization.role_named("Owner"), organization.role_named("Member")
        organization.owner_role, organization.default_role = owner, member
        organization.add_member(OWNER_EMAIL, "Olga Owner", [owner], key=OWNER_KEY)
        organization.add_member(READ_ONLY_EMAIL, "Rita Reader", [member], key=READ_ONLY_KEY)
        organization.add_member(SUPPORT_EMAIL, "Sam Support", [support])
        outsider = organization.add_person(OUTSIDER_EMAIL, "Otto Outsider")
        organization.add_key(outsider, OUTSIDER_KEY)
        for row in organization.records.values():  # in lists they keep their order
            row.created_at = organization.created_at

    # ------------------------------------------------------------------ invitations

    @routes.post(f"{ONE}/invite-user", status=201)
    def invite(self, request: IncomingRequest) -> Any:
        """Invites an address. Accepts the names of fields in the page's Python sample, too:
        `role_name`, `send_email`."""
        caller, body, email = self.manager(request), request.json(), request.text("email")
        if body.get("role_id") is None and body.get("role_name") is not None:
            role = self.organization.role_named(request.text("role_name"))
        else:
            role = self.organization.role(request.text("role_id"))
        send = body.get("send_invitation", body.get("send_email"))
        if not isinstance(send, bool | None):
            raise InvalidValue("send_invitation")
        invitation = self.organization.invite(
            email, [role], inviter=caller.person, send=send is not False
        )
        is_new_user = bool(invitation.member and not invitation.member.person.registered)
        details = self.invitation(invitation) | {
            "invitation_key": invitation.secret,
            "is_new_user": invitation.fields.setdefault("is_new_user", is_new_user),
        }
        shown = {"invitation_id", "email", "user_id"}
        is_union = self.chosen["invite_reply"] == "union"
        if is_union or self.profile == "crew":
            shown |= {"role_id", "invitation_link"}
        if is_union or self.profile == "organizations":
            shown |= {"invitation_key", "is_new_user", "expires_at"}
        return {name: value for name, value in details.items() if name in shown}

    @routes.get(f"{ONE}/invitation")
    def get_invitation(self, request: IncomingRequest) -> Any:
        """Returns an invitation by exactly one selector."""
        self.caller(request)
        given = [one for one in ("email", "user_id", "invitation_id") if request.query.get(one)]
        if len(given) != 1:
            raise invalid("Provide exactly one of: email, user_id, invitation_id")
        wanted = request.query[given[0]]
        for invitation in reversed(self.organization.shown_invitations()):
            shown = str(self.invitation(invitation)[given[0]])
            if shown == wanted or (given == ["email"] and shown.casefold() == wanted.casefold()):
                expired = not self.organization.is_open(invitation)
                if expired and self.chosen["expired_lookup"] == "missing":
                    break
                return self.invitation(invitation)
        raise RecordNotFound("invitation")

    @routes.post(f"{USERS}/{{user}}/resend-invitation")
    def resend(self, request: IncomingRequest) -> Any:
        """Sends an invitation again. Answers 204, or 200 with a message in the profile
        `organizations`."""
        self.manager(request)
        self.resend_to(request.path["user"])
        if self.profile == "organizations":
            return {"success": True, "message": "Invitation sent again"}
        return Response(status_code=204)

    @routes.post(f"{USERS}/resend-invitation-bulk")
    def resend_bulk(self, request: IncomingRequest) -> Any:
        """Sends many invitations again. Reports the failures per person in a 200."""
        self.manager(request)
        ids, failed = request.json().get("user_ids"), []
        if (
            not isinstance(ids, list)
            or len(ids) > 1_000
            or not all(isinstance(x, str) for x in ids)
        ):
            raise InvalidValue("user_ids")
        for id in ids:
            try:
                self.resend_to(id)
            except SandboxRefusal as refusal:
                failed.append({"id": id, "error": self.message(refusal)})
        return {
            "success_count": len(ids) - len(failed),
            "failure_count": len(failed),
            "failed_operations": failed,
        }

    def resend_to(self, id: str) -> None:
        """Sends the newest invitation of a person again."""
        for invitation in reversed(self.organization.invitations.values()):
            row = invitation.member
            if row is None or plain_id(id) not in (row.id, row.person.id):
                continue
            if invitation.ended == "accepted":
                raise invalid("Invitation already accepted")
            if not invitation.ended:
                self.organization.resend(invitation)
                return
            break
        raise RecordNotFound("invitation")

    @routes.delete(f"{ONE}/invitations/{{invitation}}")
    def cancel(self, request: IncomingRequest) -> Any:
        """Cancels an invitation. The 204 is unverified, and also that the answer for an accepted
        invitation is 404."""
        self.manager(request)
        self.organization.revoke(self.organization.invitation(request.path["invitation"]))

    @routes.get("/v1/invitations/validate/{email_key}", needs_key=False)
    def validate_invitation(self, request: IncomingRequest) -> Any:
        """Returns the invitation of a key. Needs no credentials."""
        invitation = self.organization.invitation_with_secret(request.path["email_key"])
        if not self.organization.is_open(invitation):
            raise NotOpen(invitation.state(self.clock.now()))
        shown = self.invitation(invitation)
        known = {name: shown[name] for name in ("invitation_id", "email", "expires_at")}
        return {"valid": True, **known, **self.joined(invitation)}

    @routes.post("/v1/invitations/accept")
    def accept_invitation(self, request: IncomingRequest) -> Any:
        """Accepts an invitation. The key is in the query (SDK) or in the body. The 200 is
        unverified."""
        key = request.query.get("email_key") or request.text("email_key")
        invitation, email = self.organization.invitation_with_secret(key), request.caller.email
        if email.casefold() == invitation.email.casefold() and self.organization.member_with(email):
            raise DuplicateMember
        self.organization.accept(invitation, email=email)
        return {"success": True, **self.joined(invitation)}

    @routes.post("/v1/invitations/complete", needs_key=False)
    def complete_invitation(self, request: IncomingRequest) -> Any:
        """Registers the invited person and accepts the invitation. Needs no credentials.

        Refusing people who already have an account is a choice: a person who has only the key must
        not be able to change their password.
        """
        key, name, password = (request.text(one) for one in ("email_key", "full_name", "password"))
        for field, wrong in (("full_name", len(name) > 255), ("password", len(password) < 8)):
            if wrong:
                raise InvalidValue(field)
        invitation = self.organization.invitation_with_secret(key)
        person = self.organization.person_with(invitation.email)
        if self.organization.is_open(invitation) and person and person.registered:
            raise invalid("The account exists: sign in and accept the invitation")
        person = self.organization.accept(invitation, name=name).person
        token = f"eyJhbGciOiJIUzI1NiJ9.{person.id}.{self.random.getrandbits(256):064x}"
        return {
            "success": True,
            "user_id": person.id,
            "email": person.email,
            "organization_id": ORGANIZATION,
            "token": self.organization.add_key(person, token),
            "refresh_token": {"token": self.new_id("rt"), "expires_at": None},
            "device_id": None,
            "recommended_username": person.email.partition("@")[0].lower(),
        }

    # ------------------------------------------------------------------ members

    @routes.post(USERS)
    def list_members(self, request: IncomingRequest) -> Any:
        self.caller(request)
        body = {name: value for name, value in request.json().items() if value is not None}
        take, skip = body.setdefault("take", 10), body.setdefault("skip", 0)
        for name, low, high in (("take", 1, 100), ("skip", 0, 10**9)):
            if type(body[name]) is not int or not low <= body[name] <= high:
                raise InvalidValue(name)
        sort = SORTS.get(str(body.get("sort_field", "created_at")))
        if sort is None or body.get("sort_direction", "desc") not in ("asc", "desc"):
            raise InvalidValue("sort_field" if sort is None else "sort_direction")
        term = request.text("search_term", "").strip().casefold()
        rows = [
            row
            for row in self.organization.listed(self.organization.records.values())
            if (body.get("include_deleted") is True or row.status != REMOVED)
            and any(term in text.casefold() for text in (row.person.name, row.person.email))
            and body.get("role_id") in (None, *(role.id for role in row.roles))
            and body.get("status_id") in (None, self.status_ids[row.status])
        ]
        rows.sort(key=sort, reverse=body.get("sort_direction") != "asc")
        page = [self.member(row) for row in rows[skip : skip + take]]
        if self.profile == "organizations":
            return {"members": page, "total": len(rows), "skip": skip, "limit": take}
        return {"users": page, "total_users_count": len(rows), "skip": skip, "take": take}

    @routes.get(f"{USERS}/{{user}}")
    def get_member(self, request: IncomingRequest) -> Any:
        """Returns a member. That deleted members are not found is unverified."""
        self.caller(request)
        return self.member(self.present(request))

    @routes.put(f"{USERS}/{{user}}")
    def update_member(self, request: IncomingRequest) -> Any:
        """Changes the role or status of a member. Any member may change statuses; only Admin and
        Owner may change roles.

        Apart from the owner's protection, the rules about statuses are unverified: only Active and
        Inactive can be set, and only for members.
        """
        caller, role_id, status_id = (
            self.caller(request),
            request.text("role_id", ""),
            request.text("status_id", ""),
        )
        if not role_id and not status_id:
            raise InvalidValue("role_id")
        if role_id and not caller.manages:
            raise NotPermitted
        row = self.present(request)
        role = self.organization.role(role_id) if role_id else None
        status = next((one for one, id in self.status_ids.items() if id == status_id), None)
        if status_id and status is None:
            raise RecordNotFound("status")
        if status in (INVITED, REMOVED) or (status and row.status == INVITED):
            raise invalid("This status cannot be set")
        if status == SUSPENDED:
            self.organization.suspend(row)
        elif status == ACTIVE:
            self.organization.unsuspend(row)
        if role:
            # The first role is replaced: endpoints that support a single role use that one.
            kept = [one for one in row.roles[1:] if one is not role]
            self.organization.set_roles(row, [role, *kept])
        if self.profile == "crew":
            return self.member(row)
        ids = {"id": row.id, "user_id": row.person.id}
        return {"success": True, "message": "Member updated", **ids, **self.role_of(row)}

    @routes.delete(f"{USERS}/{{user}}/delete")
    def delete_member(self, request: IncomingRequest) -> Any:
        self.manager(request)
        self.organization.remove(self.present(request))

    @routes.post(f"{USERS}/{{user}}/restore", status=204)
    def restore_member(self, request: IncomingRequest) -> Any:
        """Restores a member. That a person who never was a member becomes invited again is
        unverified."""
        self.manager(request)
        row = self.row(request)
        if row.status != REMOVED:
            raise invalid("Member is not deleted")
        self.organization.restore(row)

    @routes.delete(f"{ONE}/roles/{{role}}/members/{{user}}")
    def unassign_role(self, request: IncomingRequest) -> Any:
        """Takes a role away. That a member who loses the only role becomes a plain Member is
        unverified."""
        self.manager(request)
        role, row = self.organization.role(request.path["role"]), self.row(request)
        if not row.is_in:
            raise RecordNotFound("member")
        try:
            self.organization.unassign(row, role)
        except ProtectedMember:
            text = "The last owner cannot be removed"
            raise HttpRefusal(403, text, "CANNOT_REMOVE_LAST_OWNER") from None

    @routes.get(f"{ONE}/roles")
    def list_roles(self, request: IncomingRequest) -> Any:
        """Lists roles as an array: the system's, then the organization's own by name."""
        self.caller(request)
        roles = [self.role(role) for role in self.organization.roles.values()]
        own = [role for role in roles if role["is_custom"]]
        system = [role for role in roles if not role["is_custom"]]
        include_global = request.query.get("include_global", "true").lower() != "false"
        own.sort(key=lambda role: role["name"].casefold())
        return [*system, *own] if include_global else own

    @routes.get(f"{ONE}/statuses")
    def list_statuses(self, request: IncomingRequest) -> Any:
        """Lists statuses as an array. Every status of this sandbox is active."""
        self.caller(request)
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
    def get_organization(self, request: IncomingRequest) -> Any:
        """Returns the organization. Most fields are constants, because they do not affect
        invitations."""
        self.caller(request)
        created = written(self.organization.created_at)
        absent = ("description", "domain", "website", "industry", "company_size", "logo_image")
        return {
            "id": ORGANIZATION,
            "name": self.organization_name,
            "type": "Work",
            **dict.fromkeys((*absent, "image_url", "pricing_tier_id")),
            "domains": [],
            "is_active": True,
            "owner_id": self.organization.members()[0].person.id,
            "api_usage_limit": 100.0,
            "total_usage_limit": 1000.0,
            "storage_free_bytes_allowance": 1_073_741_824,
            "created_at": created,
            "updated_at": created,
            "users_added_from_domains": 0,
        }

    # ------------------------------------------------------------------ records

    def invitation(self, invitation: InvitationRecord) -> Json:
        person = self.organization.person_with(invitation.email)
        return {
            "invitation_id": invitation.id,
            "email": invitation.email,
            "user_id": person.id if person else None,
            "organization_id": ORGANIZATION,
            "role_id": invitation.roles[0].id,
            "invitation_link": self.link(invitation),
            "expires_at": written(invitation.expires_at),
            "created_at": written(invitation.created_at),
        }

    def joined(self, invitation: InvitationRecord) -> Json:
        """Returns the organization and role of an invitation, by id and name."""
        ids = {"organization_id": ORGANIZATION, "organization_name": self.organization_name}
        return {**ids, **self.role_of(invitation)}

    def role_of(self, record: MemberRecord | InvitationRecord) -> Json:
        return {"role_id": record.roles[0].id, "role_name": record.roles[0].name}

    def member(self, row: MemberRecord) -> Json:
        """Returns a member, with role and status nested. In the profile `organizations` they are
        flat."""
        person, role, status = row.person, self.role_of(row), self.status_name(row.status)
        shape: Json = {
            "id": row.id,
            "user_id": person.id,
            "organization_id": ORGANIZATION,
            "full_name": person.name or None,
            "email": person.email,
            "username": None,
            "profile_image": None,
        }
        status_id, selectable = self.status_ids[row.status], STATUSES[row.status][3]
        if self.profile == "organizations":
            shape |= {**role, "status_id": status_id, "status_name": status}
        else:
            shape["role"] = {"id": role["role_id"], "name": role["role_name"]}
            shape["status"] = {"id": status_id, "name": status, "selectable_in_ui": selectable}
        return shape | {
            "joined_at": written(row.joined_at or row.created_at),
            "created_at": written(row.created_at),
            "last_modified_at": written(row.updated_at),
        }

    def role(self, role: RoleRecord) -> Json:
        """Returns a role with the fields of the SDK and of the newer pages."""
        is_system = role.name in SYSTEM_ROLES
        capabilities = SYSTEM_ROLES.get(role.name, ("view_members",))
        return {
            "id": role.id,
            "name": role.name,
            "description": f"System role {role.name}" if is_system else None,
            "permissions": dict.fromkeys(capabilities, True),
            "is_base_role": is_system,
            "is_custom": not is_system,
            "is_system_role": is_system,
            "organization_id": None if is_system else ORGANIZATION,
            "capabilities": list(capabilities),
            "member_count": sum(role in row.roles for row in self.organization.members()),
            "knowledge_slice_ids": [],
            "created_at": written(role.created_at),
        }

    def status_name(self, status: str) -> str:
        return self.chosen["invitee_status"] if status == INVITED else STATUSES[status][0]

    # ------------------------------------------------------------------ callers and paths

    def caller(self, request: IncomingRequest) -> MemberRecord:
        """Returns the caller's membership in the organization of the path.

        An organization that does not exist has no members, so the answer is the same as for a
        foreign one (unverified choice).
        """
        row = self.organization.record_of(request.caller)
        if request.path["organization"] != ORGANIZATION or row is None or row.status != ACTIVE:
            text = "No access to this organization"
            raise HttpRefusal(403, text, "ORGANIZATION_ACCESS_DENIED")
        return row

    def manager(self, request: IncomingRequest) -> MemberRecord:
        """Returns the membership of a caller who is an Admin or Owner."""
        caller = self.caller(request)
        if not caller.manages:
            raise NotPermitted
        return caller

    def row(self, request: IncomingRequest) -> MemberRecord:
        """Returns the record of the person in the path, by user id or membership id."""
        id = plain_id(request.path["user"])
        for row in self.organization.records.values():
            if id in (row.id, row.person.id):
                return row
        raise RecordNotFound("member")

    def present(self, request: IncomingRequest) -> MemberRecord:
        row = self.row(request)
        if row.status == REMOVED:
            raise RecordNotFound("member")
        return row

    # ------------------------------------------------------------------ requests and answers

    def credentials(self, request: IncomingRequest) -> str:
        """Returns the key or token of a request, after checking it.

        If both are sent, as the SDK does, the token decides (unverified choice): the SDK cannot be
        used without a key.
        """
        token = bearer(request.headers)
        secret = token or request.headers.get("x-api-key") or request.headers.get("api-key") or ""
        if not secret:
            raise HttpRefusal(401, "Authentication required", "AUTHENTICATION_REQUIRED")
        try:
            self.organization.key(secret)
        except NotAuthenticated:
            if secret.startswith("ak_") or not token:
                raise HttpRefusal(401, "Invalid API key", "INVALID_API_KEY") from None
            raise HttpRefusal(401, "Invalid token", "TOKEN_INVALID") from None
        return secret

    def message(self, refusal: SandboxRefusal) -> str:
        """Returns a refusal in the service's words."""
        match refusal:
            case NotOpen(state=state):
                return f"Invitation has {'expired' if state == 'expired' else 'already been used'}"
            case RecordNotFound(kind=kind):
                return f"{kind.capitalize()} not found"
            case ProtectedMember(action=action):
                return OWNER_REFUSALS[action]
        return MESSAGES.get(type(refusal), str(refusal))

    def refused(self, refusal: SandboxRefusal) -> Response:
        """Returns the answer to a refusal. Changes of the owner are refused with a 403 in the error
        list, and with a 400 on the members' pages."""
        if isinstance(refusal, ProtectedMember) and self.chosen["owner_refusal"] == "forbidden":
            code = "CANNOT_DELETE_OWNER" if refusal.action == "remove" else "OPERATION_NOT_ALLOWED"
            refusal = HttpRefusal(403, self.message(refusal), code)
        return super().refused(refusal)

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        message, details = self.message(refusal), {}
        field = refusal.field if isinstance(refusal, InvalidValue) else ""
        if status == 422 and self.chosen["validation_body"] == "detail":
            return {"detail": [{"loc": ["body", field], "msg": message, "type": "value_error"}]}
        if field:
            problem = {"field": field, "message": message, "type": "value_error"}
            details, message = {"errors": [problem]}, "Request validation failed"
        if field == "email":
            code, message = "INVALID_EMAIL_FORMAT", "Invalid email format"
        if isinstance(refusal, RecordNotFound) and refusal.kind == "invitation":
            code = "INVITATION_NOT_FOUND"
        system = f"{code}: {message}"
        if isinstance(refusal, NotPermitted):
            system = "Insufficient permissions for this operation"
        return {
            "success": False,
            "error": {
                "code": code,
                "message": message,
                "system_message": system,
                "type": "client_error",
                "status": status,
                "details": details,
                "trace_id": self.trace(),
                "timestamp": written(self.clock.now()),
            },
        }

    def limit(self, request: IncomingRequest) -> RateLimit | None:
        return self.limits.get((self.chosen["plan"], self.chosen["rate"]))

    def limit_key(self, request: IncomingRequest) -> str:
        """Returns the API key or token, or the network address if the request has neither."""
        names = ("authorization", "x-api-key", "api-key")
        given = (request.headers.get(name, "").removeprefix("Bearer ") for name in names)
        return next((secret for secret in given if secret), client_address(request.http.scope))

    def finish(
        self, response: Response, request: IncomingRequest, limit_result: RateLimitResult | None
    ) -> None:
        """Adds the headers of the rate limit and of tracing.

        The meaning of `X-RateLimit-Limit` with the token bucket is unverified: here it is the burst
        size, and `X-RateLimit-Remaining` counts down from it.
        """
        if limit_result is not None:
            response.headers["x-ratelimit-limit"] = str(limit_result.limit)
            response.headers["x-ratelimit-remaining"] = str(limit_result.remaining)
            response.headers["x-ratelimit-reset"] = limit_result.reset_header
            response.headers["x-ratelimit-retry-after"] = limit_result.retry_after_header
        response.headers["x-request-id"] = self.trace()

    def trace(self) -> str:
        return str(UUID(int=self.traces.getrandbits(128), version=4))

    def new_id(self, kind: str) -> str:
        prefixes = {"person": "usr", "member": "orgusr", "invitation": "inv", "secret": "invkey"}
        return f"{prefixes.get(kind, kind)}_{self.random.getrandbits(128):032x}"

    def link(self, invitation: InvitationRecord) -> str:
        return f"https://chat.aitronos.com/user/register?invite={invitation.secret}"

    def settings(self, base_url: str) -> dict[str, str]:
        return {"api_key": OWNER_KEY, "organization_id": ORGANIZATION, "base_url": base_url}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {**self.settings(base_url), "api_key": READ_ONLY_KEY}

    def described(self, member: MemberRecord) -> Json:
        return super().described(member) | {"status": STATUSES[member.status][0]}


SORTS: dict[str, Callable[[MemberRecord], Any]] = {
    "full_name": lambda row: row.person.name.casefold(),
    "email": lambda row: row.person.email.casefold(),
    "role": lambda row: row.roles[0].name.casefold(),
    "status": lambda row: STATUSES[row.status][0],
    "created_at": lambda row: row.created_at,
    "last_modified_at": lambda row: row.updated_at,
}
"""The values by which members can be sorted."""


def plain_id(id: str) -> str:
    """Returns an id of a person. The prefixes `orguser_` and `orgusr_` are the same: the pages
    differ."""
    return f"orgusr_{id.removeprefix('orguser_')}" if id.startswith("orguser_") else id


def invalid(message: str) -> HttpRefusal:
    """Returns the 400 for a well-formed request with values that the service does not accept.

    The pages use 400 in some places and 422 in others; the only sample with a body is a 400.
    """
    return HttpRefusal(400, message, INVALID)


def written(at: datetime | None) -> str | None:
    """Formats a date and time as the service does: ISO 8601 in UTC, ending in `Z`."""
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
