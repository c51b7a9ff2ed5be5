"""A local imitation of Anthropic's Admin API, with one organization of the Claude Console.

Records and error codes are those of the official SDK (anthropic 2.11), which can use the sandbox.
Requests that are not imitated (API keys, RBAC groups, usage reports) get a 404.
"""

from __future__ import annotations

import string
from datetime import datetime, timedelta
from typing import Any, ClassVar

from starlette.responses import Response

from guestlist.sandbox.limits import RateLimitResult
from guestlist.sandbox.organization import (
    SWITCHES,
    InvitationRecord,
    MemberRecord,
    Record,
    RoleRecord,
)
from guestlist.sandbox.paging import page_after_id
from guestlist.sandbox.refusals import (
    DuplicateInvitation,
    DuplicateMember,
    HttpRefusal,
    InvalidValue,
    NoSeatLeft,
    NotAuthenticated,
    NotOpen,
    NotPermitted,
    ProtectedMember,
    RecordNotFound,
    RoleNotFound,
)
from guestlist.sandbox.routing import IncomingRequest, OrganizationService, Routes, bearer
from guestlist.sandbox.service import SandboxRefusal, Switch

ADMIN_KEY = "sk-ant-admin01-SANDBOX-ADMIN"
READER_KEY = "sk-ant-admin01-SANDBOX-READER"
ORGANIZATION = "/v1/organizations"
INVITES, USERS = f"{ORGANIZATION}/invites", f"{ORGANIZATION}/users"
WORKSPACES = f"{ORGANIZATION}/workspaces"
WORKSPACE_MEMBERS = f"{WORKSPACES}/{{workspace}}/members"

PEOPLE = {
    "ines@example.org": ("Ines Admin", "admin"),
    "dana@example.org": ("Dana Developer", "developer"),
    "bela@example.org": ("Bela Billing", "billing"),
}
"""The members at the start: by email address, the name and the role."""
GRANTED = {
    "console": ("user", "developer", "billing", "claude_code_user"),
    "enterprise": ("user", "managed"),
}
"""The roles that the API grants, by the type of the organization."""
ROLES = (*GRANTED["console"], "managed", "admin", "owner", "primary_owner", "membership_admin")
IMPLICIT = ("admin", "billing")
"""The roles whose holders are in every workspace without a membership."""
RANKS = (
    "workspace_user",
    "workspace_developer",
    "workspace_restricted_developer",
    "workspace_admin",
)
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
"""The service's word for the broad category of an error, by the status."""


class AnthropicService(OrganizationService):
    """Anthropic's Admin API."""

    name = "anthropic"
    title = "Anthropic"
    organization_id = "1f6e8a52-93c4-4d7b-a1e0-5b2c9d8e4f37"
    lifetime = timedelta(days=21)
    behavior: ClassVar[dict[str, str]] = {"member_ids": "person"}
    switches: ClassVar[dict[str, Switch]] = {
        "seats": SWITCHES["seats"],
        "revoked": SWITCHES["revoked"],
        "plan": Switch(
            ("console", "enterprise"),
            "the type of the organization, which decides about the roles that the API grants",
        ),
        "domains": Switch(
            ("any", "example"), "the allowed email domains: any, or only example.com and .org"
        ),
    }
    errors: ClassVar[dict[type[SandboxRefusal], int | tuple[int, str]]] = {
        DuplicateMember: (400, "already_member"),
        DuplicateInvitation: (400, "invite_already_exists"),
        NoSeatLeft: (400, "org_member_limit_exceeded"),
        InvalidValue: 400,
        NotOpen: 400,
        ProtectedMember: 400,
        RoleNotFound: 400,
    }
    routes = Routes()

    def seed(self) -> None:
        organization = self.organization
        for name in ROLES:
            organization.add_role(name, id=name, manages=name == "admin")
        for email, (name, role) in PEOPLE.items():
            organization.add_member(email, name, [organization.role(role)])
        admin = organization.members()[0].person
        organization.add_key(admin, ADMIN_KEY)
        organization.add_key(admin, READER_KEY, read_only=True)
        for name in ("Research", "Production"):
            organization.add_role(name, "workspace")
        self.in_workspaces: dict[str, dict[str, str]] = {}
        """The role of each explicit member in each workspace: by workspace and user id."""

    # ------------------------------------------------------------------ the endpoints

    @routes.get(f"{ORGANIZATION}/me")
    def me(self, request: IncomingRequest) -> Any:
        return {
            "id": self.organization.id,
            "name": self.organization.name,
            "type": "organization",
        }

    @routes.post(INVITES)
    def invite(self, request: IncomingRequest) -> Any:
        email, role = request.text("email"), self.granted_role(request)
        domain = email.partition("@")[2]
        if self.chosen["domains"] != "any" and domain not in ("example.com", "example.org"):
            code = "email_domain_not_allowed"
            raise HttpRefusal(400, "The email domain is not allowed.", code)
        invitation = self.organization.invite(email.lower(), [role], inviter=request.caller)
        return self.invitation(invitation)

    @routes.get(INVITES)
    def list_invites(self, request: IncomingRequest) -> Any:
        now, statuses = self.clock.now(), listed(request, "statuses")
        found = [
            one
            for one in self.organization.listed(self.organization.shown_invitations())
            if one.ended != "revoked"
            and (not statuses or one.state(now) in statuses)
            and self.fits(request, one.email, one.roles[0])
        ]
        return self.page(request, found, self.invitation)

    @routes.get(f"{INVITES}/{{id}}")
    def get_invite(self, request: IncomingRequest) -> Any:
        return self.invitation(self.organization.invitation(request.path["id"]))

    @routes.delete(f"{INVITES}/{{id}}", status=200)
    def delete_invite(self, request: IncomingRequest) -> Any:
        invitation = self.organization.invitation(request.path["id"])
        self.organization.revoke(invitation)
        return {"id": invitation.id, "type": "invite_deleted"}

    @routes.get(USERS)
    def list_users(self, request: IncomingRequest) -> Any:
        found = [
            one
            for one in self.organization.listed(self.organization.members())
            if self.fits(request, one.person.email, one.roles[0])
        ]
        return self.page(request, found, self.user)

    @routes.get(f"{USERS}/{{id}}")
    def get_user(self, request: IncomingRequest) -> Any:
        return self.user(self.organization.member(request.path["id"]))

    @routes.post(f"{USERS}/{{id}}")
    def update_user(self, request: IncomingRequest) -> Any:
        member = self.organization.member(request.path["id"])
        self.organization.set_roles(member, [self.granted_role(request)])
        return self.user(member)

    @routes.delete(f"{USERS}/{{id}}", status=200)
    def remove_user(self, request: IncomingRequest) -> Any:
        member = self.organization.member(request.path["id"])
        if member.manages:
            raise ProtectedMember("remove")
        if len(self.organization.members()) == 1:
            code = "cannot_remove_last_member"
            raise HttpRefusal(400, "The user is the organization's only member.", code)
        self.organization.remove(member)
        for members in self.in_workspaces.values():
            members.pop(member.id, None)
        return {"id": member.id, "type": "user_deleted"}

    @routes.get(WORKSPACES)
    def list_workspaces(self, request: IncomingRequest) -> Any:
        workspaces = self.organization.roles_of_kind("workspace")
        return self.page(request, workspaces, self.workspace)

    @routes.get(WORKSPACE_MEMBERS)
    def list_workspace_members(self, request: IncomingRequest) -> Any:
        workspace = self.workspace_of(request)
        members = [self.organization.member(id) for id in self.members_of(workspace)]
        return self.page(request, members, lambda one: self.workspace_member(workspace, one))

    @routes.post(WORKSPACE_MEMBERS)
    def add_workspace_member(self, request: IncomingRequest) -> Any:
        workspace, member = (
            self.workspace_of(request),
            self.organization.member(request.text("user_id")),
        )
        return self.set_rank(request, workspace, member)

    @routes.get(f"{WORKSPACE_MEMBERS}/{{id}}")
    def get_workspace_member(self, request: IncomingRequest) -> Any:
        return self.workspace_member(*self.existing(request))

    @routes.post(f"{WORKSPACE_MEMBERS}/{{id}}")
    def update_workspace_member(self, request: IncomingRequest) -> Any:
        return self.set_rank(request, *self.existing(request))

    @routes.delete(f"{WORKSPACE_MEMBERS}/{{id}}", status=200)
    def remove_workspace_member(self, request: IncomingRequest) -> Any:
        workspace, member = self.existing(request)
        del self.members_of(workspace)[member.id]
        return {
            "type": "workspace_member_deleted",
            "user_id": member.id,
            "workspace_id": workspace.id,
        }

    # ------------------------------------------------------------------ records

    def invitation(self, invitation: InvitationRecord) -> dict[str, Any]:
        state = invitation.state(self.clock.now())
        accepted = invitation.ended_at if state == "accepted" else None
        return {
            "id": invitation.id,
            "type": "invite",
            "email": invitation.email,
            "role": invitation.roles[0].id,
            "status": "deleted" if state == "revoked" else state,
            "invited_at": written(invitation.created_at),
            "expires_at": written(invitation.expires_at),
            "accepted_at": written(accepted),
            "rbac_group_ids": [],
        }

    def user(self, member: MemberRecord) -> dict[str, Any]:
        return {
            "id": member.id,
            "type": "user",
            "email": member.person.email,
            "name": member.person.name,
            "role": member.roles[0].id,
            "added_at": written(member.joined_at),
        }

    def workspace(self, workspace: RoleRecord) -> dict[str, Any]:
        return {
            "id": workspace.id,
            "type": "workspace",
            "name": workspace.name,
            "created_at": written(workspace.created_at),
            "archived_at": None,
            "compartment_id": f"cmpt_{workspace.number}",
            "display_color": "#6C5BB9",
            "data_residency": {
                "workspace_geo": "us",
                "allowed_inference_geos": "unrestricted",
                "default_inference_geo": "global",
            },
            "external_key_id": None,
            "tags": {},
            "user_profile_id": None,
        }

    def workspace_member(self, workspace: RoleRecord, member: MemberRecord) -> dict[str, Any]:
        return {
            "type": "workspace_member",
            "user_id": member.id,
            "workspace_id": workspace.id,
            "workspace_role": self.members_of(workspace)[member.id],
        }

    def page(self, request: IncomingRequest, records: list[Any], shape: Any) -> Any:
        query = dict(request.query)
        backwards = bool(query.get("before_id"))
        if backwards:
            records, query["after_id"] = records[::-1], query["before_id"]
        page = page_after_id(records, query, after="after_id", default=20, maximum=1000)
        items: list[Record] = list(page.items)[:: -1 if backwards else 1]
        return {
            "data": [shape(one) for one in items],
            "has_more": bool(page.next),
            "first_id": items[0].id if items else None,
            "last_id": items[-1].id if items else None,
        }

    # ------------------------------------------------------------------ helpers of the endpoints

    def granted_role(self, request: IncomingRequest) -> RoleRecord:
        name = request.text("role")
        if name not in GRANTED[self.chosen["plan"]]:
            raise InvalidValue("role", f"role: {name} cannot be assigned through the API")
        return self.organization.role(name)

    def fits(self, request: IncomingRequest, email: str, role: RoleRecord) -> bool:
        """Returns whether a record passes the filters `email` and `roles`."""
        wanted, roles = request.query.get("email"), listed(request, "roles")
        right_email = wanted is None or wanted.strip().casefold() == email.casefold()
        return right_email and (not roles or role.id in roles)

    def workspace_of(self, request: IncomingRequest) -> RoleRecord:
        return self.organization.role_of_kind("workspace", request.path["workspace"])

    def members_of(self, workspace: RoleRecord) -> dict[str, str]:
        return self.in_workspaces.setdefault(workspace.id, {})

    def existing(self, request: IncomingRequest) -> tuple[RoleRecord, MemberRecord]:
        workspace, id = self.workspace_of(request), request.path["id"]
        if id not in self.members_of(workspace):
            raise RecordNotFound("workspace member")
        return workspace, self.organization.member(id)

    def set_rank(
        self, request: IncomingRequest, workspace: RoleRecord, member: MemberRecord
    ) -> Any:
        rank = request.text("workspace_role")
        if rank not in RANKS:
            raise InvalidValue("workspace_role")
        role = member.roles[0].id
        if role in IMPLICIT and (role, rank) != ("billing", "workspace_admin"):
            raise InvalidValue("user_id", "The user has access to all workspaces already.")
        self.members_of(workspace)[member.id] = rank
        return self.workspace_member(workspace, member)

    # ------------------------------------------------------------------ the form of answers

    def credentials(self, request: IncomingRequest) -> str:
        """The documents send `x-api-key`, and the official SDK sends `Authorization`."""
        return request.headers.get("x-api-key") or bearer(request.headers)

    def permit(self, request: IncomingRequest) -> None:
        if "anthropic-version" not in request.headers:
            raise InvalidValue("anthropic-version", "anthropic-version: header is required")
        super().permit(request)

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        message = str(refusal) or type(refusal).__name__
        if isinstance(refusal, NotAuthenticated):
            message = "invalid x-api-key"
        elif isinstance(refusal, NotPermitted):
            message = "The API key does not have the required scope write:members."
        elif isinstance(refusal, RecordNotFound):
            message = f"{refusal.kind.capitalize()} not found."
        elif isinstance(refusal, DuplicateInvitation):
            message = f"A pending invite already exists: {refusal.invitation}"
        elif isinstance(refusal, NoSeatLeft):
            message = "The organization has reached its member limit."
        elif isinstance(refusal, ProtectedMember):
            message = "Members with the admin role cannot be changed or removed via the API."
        details = {"details": {"error_code": code}} if code else {}
        error = {"type": TYPES[status], "message": message, **details}
        return {"type": "error", "error": error, "request_id": self.request_id}

    def finish(
        self, response: Response, request: IncomingRequest, limit_result: RateLimitResult | None
    ) -> None:
        response.headers["request-id"] = self.request_id
        self.requests += 1

    requests = 0

    @property
    def request_id(self) -> str:
        return f"req_{self.requests:08d}"

    def new_id(self, kind: str) -> str:
        prefix = {"invitation": "invite", "person": "user", "role": "wrkspc"}.get(kind, kind)
        letters = string.ascii_letters + string.digits
        return f"{prefix}_01{''.join(self.random.choices(letters, k=22))}"

    def settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "admin_api_key": ADMIN_KEY}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "admin_api_key": READER_KEY}


def listed(request: IncomingRequest, name: str) -> list[str]:
    """Returns the values of a filter that may be repeated, as the official SDK sends it."""
    return request.http.query_params.getlist(f"{name}[]")


def written(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
