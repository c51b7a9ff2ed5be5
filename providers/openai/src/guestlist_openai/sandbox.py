"""A local imitation of OpenAI's Administration API, with one organization and its projects.

Records are those of OpenAI's description of the API and of the official SDK (openai 3.57), which
can use the sandbox. Requests that are not imitated (groups, custom roles, keys, usage) get a 404.
"""

from __future__ import annotations

import string
from datetime import datetime, timedelta
from typing import Any, ClassVar

from starlette.responses import Response

from guestlist.sandbox.limits import RateLimitResult
from guestlist.sandbox.organization import SWITCHES, InvitationRecord, MemberRecord, RoleRecord
from guestlist.sandbox.paging import page_after_id
from guestlist.sandbox.refusals import (
    InvalidValue,
    MethodNotAllowed,
    NotAuthenticated,
    NotPermitted,
    ProtectedMember,
    RecordNotFound,
    RoleNotFound,
)
from guestlist.sandbox.routing import IncomingRequest, OrganizationService, Routes
from guestlist.sandbox.service import SandboxRefusal, Switch

ADMIN_KEY = "sk-admin-SANDBOX-OWNER"
READER_KEY = "sk-admin-SANDBOX-READER"
ORGANIZATION = "/v1/organization"
INVITES, USERS = f"{ORGANIZATION}/invites", f"{ORGANIZATION}/users"
PROJECTS = f"{ORGANIZATION}/projects"
PROJECT_USERS = f"{PROJECTS}/{{project}}/users"

PEOPLE = {
    "olga@example.org": ("Olga Owner", "owner"),
    "rolf@example.org": ("Rolf Reader", "reader"),
}
"""The members at the start: by email address, the name and the role."""
BOT = "Nightly Build"
"""The name of a service account. It has no address."""
RANKS = ("member", "owner")


class OpenAIService(OrganizationService):
    """OpenAI's Administration API."""

    name = "openai"
    title = "OpenAI"
    organization_id = "org-4f2a9d81c3"
    lifetime = timedelta(days=7)
    behavior: ClassVar[dict[str, str]] = {"member_ids": "person", "revoked": "vanish"}
    switches: ClassVar[dict[str, Switch]] = {
        "duplicates": SWITCHES["duplicates"],
        "inviting_members": SWITCHES["inviting_members"],
        "expiry": Switch(("shown", "null"), "whether an invite shows when it expires"),
        "scopes": Switch(
            ("403", "401"), "the status if a key lacks a permission; users report both"
        ),
    }
    errors: ClassVar[dict[type[SandboxRefusal], int | tuple[int, str]]] = {
        NotAuthenticated: (401, "invalid_api_key"),
        InvalidValue: 400,
        RoleNotFound: 400,
        ProtectedMember: 400,
    }
    routes = Routes()

    def seed(self) -> None:
        organization = self.organization
        for name in ("reader", "owner"):
            organization.add_role(name, id=name, manages=name == "owner")
        organization.owner_role = organization.role("owner")
        for email, (name, role) in PEOPLE.items():
            organization.add_member(email, name, [organization.role(role)])
        organization.add_member("", BOT, [organization.role("reader")], service=True)
        owner = organization.members()[0].person
        organization.add_key(owner, ADMIN_KEY)
        organization.add_key(owner, READER_KEY, read_only=True)
        for name in ("Default project", "Web"):
            organization.add_role(name, "project")
        self.in_projects: dict[str, dict[str, tuple[str, datetime]]] = {}
        """The role of each member in each project, and since when: by project and user id."""

    # ------------------------------------------------------------------ the endpoints

    @routes.post(INVITES)
    def invite(self, request: IncomingRequest) -> Any:
        body, role = request.json(), self.organization_role(request)
        wanted = body.get("projects")
        if wanted is None:  # omitted: the default project, for compatibility
            wanted = [{"id": self.organization.roles_of_kind("project")[0].id, "role": "member"}]
        projects: dict[str, str] = {}
        for one in wanted if isinstance(wanted, list) else [None]:
            if not isinstance(one, dict) or one.get("role") not in RANKS:
                raise InvalidValue("projects")
            projects[self.organization.role_of_kind("project", str(one.get("id"))).id] = one["role"]
        invitation = self.organization.invite(
            request.text("email"), [role], inviter=request.caller, projects=projects
        )
        return self.invitation(invitation)

    @routes.get(INVITES)
    def list_invites(self, request: IncomingRequest) -> Any:
        found = self.organization.listed(self.organization.shown_invitations())
        return self.page(request, found, self.invitation)

    @routes.get(f"{INVITES}/{{id}}")
    def get_invite(self, request: IncomingRequest) -> Any:
        return self.invitation(self.organization.invitation(request.path["id"]))

    @routes.delete(f"{INVITES}/{{id}}", status=200)
    def delete_invite(self, request: IncomingRequest) -> Any:
        invitation = self.organization.invitation(request.path["id"])
        if invitation.ended:
            raise InvalidValue("invite_id", "Invites that were accepted cannot be deleted.")
        self.organization.revoke(invitation)
        return {"object": "organization.invite.deleted", "id": invitation.id, "deleted": True}

    @routes.get(USERS)
    def list_users(self, request: IncomingRequest) -> Any:
        query = request.http.query_params
        emails = [one.casefold() for one in query.getlist("emails[]") + query.getlist("emails")]
        found = [
            one
            for one in self.organization.listed(self.organization.members())
            if not emails or one.person.email.casefold() in emails
        ]
        return self.page(request, found, self.user)

    @routes.get(f"{USERS}/{{id}}")
    def get_user(self, request: IncomingRequest) -> Any:
        return self.user(self.organization.member(request.path["id"]))

    @routes.post(f"{USERS}/{{id}}")
    def update_user(self, request: IncomingRequest) -> Any:
        member = self.organization.member(request.path["id"])
        self.organization.set_roles(member, [self.organization_role(request)])
        return self.user(member)

    @routes.delete(f"{USERS}/{{id}}", status=200)
    def delete_user(self, request: IncomingRequest) -> Any:
        member = self.organization.member(request.path["id"])
        self.organization.remove(member)
        for members in self.in_projects.values():
            members.pop(member.id, None)
        return {"object": "organization.user.deleted", "id": member.id, "deleted": True}

    @routes.get(PROJECTS)
    def list_projects(self, request: IncomingRequest) -> Any:
        return self.page(request, self.organization.roles_of_kind("project"), self.project)

    @routes.get(PROJECT_USERS)
    def list_project_users(self, request: IncomingRequest) -> Any:
        project = self.organization.role_of_kind("project", request.path["project"])
        members = [self.organization.member(id) for id in self.members_of(project)]
        return self.page(request, members, lambda one: self.project_user(project, one))

    @routes.post(PROJECT_USERS)
    def add_project_user(self, request: IncomingRequest) -> Any:
        project = self.organization.role_of_kind("project", request.path["project"])
        return self.set_rank(request, project, self.organization.member(request.text("user_id")))

    @routes.get(f"{PROJECT_USERS}/{{id}}")
    def get_project_user(self, request: IncomingRequest) -> Any:
        return self.project_user(*self.existing(request))

    @routes.post(f"{PROJECT_USERS}/{{id}}")
    def update_project_user(self, request: IncomingRequest) -> Any:
        return self.set_rank(request, *self.existing(request))

    @routes.delete(f"{PROJECT_USERS}/{{id}}", status=200)
    def delete_project_user(self, request: IncomingRequest) -> Any:
        project, member = self.existing(request)
        del self.members_of(project)[member.id]
        return {"object": "organization.project.user.deleted", "id": member.id, "deleted": True}

    # ------------------------------------------------------------------ records

    def invitation(self, invitation: InvitationRecord) -> dict[str, Any]:
        state = invitation.state(self.clock.now())
        accepted = invitation.ended_at if state == "accepted" else None
        shown = self.chosen["expiry"] == "shown"
        return {
            "object": "organization.invite",
            "id": invitation.id,
            "email": invitation.email,
            "role": invitation.roles[0].id,
            "status": state,
            "created_at": written(invitation.created_at),
            "expires_at": written(invitation.expires_at) if shown else None,
            "accepted_at": written(accepted),
            "projects": [
                {"id": id, "role": rank} for id, rank in invitation.fields["projects"].items()
            ],
        }

    def user(self, member: MemberRecord) -> dict[str, Any]:
        person = member.person
        is_program = bool(person.fields.get("service"))
        return {
            "object": "organization.user",
            "id": member.id,
            "name": person.name,
            "email": None if is_program else person.email,
            "role": member.roles[0].id,
            "added_at": written(member.joined_at),
            "is_service_account": is_program,
        }

    def project(self, project: RoleRecord) -> dict[str, Any]:
        return {
            "object": "organization.project",
            "id": project.id,
            "name": project.name,
            "created_at": written(project.created_at),
            "archived_at": None,
            "status": "active",
        }

    def project_user(self, project: RoleRecord, member: MemberRecord) -> dict[str, Any]:
        rank, since = self.members_of(project)[member.id]
        return {
            "object": "organization.project.user",
            "id": member.id,
            "name": member.person.name,
            "email": member.person.email or None,
            "role": rank,
            "added_at": written(since),
        }

    def page(self, request: IncomingRequest, records: list[Any], shape: Any) -> Any:
        page = page_after_id(records, request.query, default=20, maximum=100)
        return {
            "object": "list",
            "data": [shape(one) for one in page.items],
            "first_id": page.items[0].id if page.items else None,
            "last_id": page.items[-1].id if page.items else None,
            "has_more": bool(page.next),
        }

    # ------------------------------------------------------------------ helpers of the endpoints

    def organization_role(self, request: IncomingRequest) -> RoleRecord:
        name = request.text("role")
        if name not in ("reader", "owner"):
            raise InvalidValue("role", f"Invalid value: '{name}'. Use 'owner' or 'reader'.")
        return self.organization.role(name)

    def members_of(self, project: RoleRecord) -> dict[str, tuple[str, datetime]]:
        return self.in_projects.setdefault(project.id, {})

    def existing(self, request: IncomingRequest) -> tuple[RoleRecord, MemberRecord]:
        project = self.organization.role_of_kind("project", request.path["project"])
        id = request.path["id"]
        if id not in self.members_of(project):
            raise RecordNotFound("project user")
        return project, self.organization.member(id)

    def set_rank(self, request: IncomingRequest, project: RoleRecord, member: MemberRecord) -> Any:
        rank = request.text("role")
        if rank not in RANKS:
            raise InvalidValue("role")
        _, since = self.members_of(project).get(member.id, ("", self.clock.now()))
        self.members_of(project)[member.id] = rank, since
        return self.project_user(project, member)

    def accept(self, invitation: str, *, email: str = "") -> None:
        """Accepts an invitation, which also adds the person to its projects."""
        super().accept(invitation, email=email)
        accepted = self.organization.any_invitation(invitation)
        for id, rank in accepted.fields["projects"].items():
            if accepted.member is not None:
                members = self.in_projects.setdefault(id, {})
                members[accepted.member.id] = rank, self.clock.now()

    # ------------------------------------------------------------------ the form of answers

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        message = str(refusal) or type(refusal).__name__
        if isinstance(refusal, NotAuthenticated):
            message = "Incorrect API key provided."
        elif isinstance(refusal, NotPermitted):
            message = (
                "You have insufficient permissions for this operation. Missing scopes:"
                " api.management.write."
            )
        elif isinstance(refusal, RecordNotFound):
            message = f"No such {refusal.kind}."
        elif isinstance(refusal, MethodNotAllowed):
            message = "Not allowed with this method."
        field = refusal.field if isinstance(refusal, InvalidValue) else None
        error = {"message": message, "type": "invalid_request_error", "param": field}
        return {"error": {**error, "code": code or None}}

    def refused(self, refusal: SandboxRefusal) -> Response:
        response = super().refused(refusal)
        if isinstance(refusal, NotPermitted):
            response.status_code = int(self.chosen["scopes"])
        return response

    def finish(
        self, response: Response, request: IncomingRequest, limit_result: RateLimitResult | None
    ) -> None:
        response.headers["openai-organization"] = self.organization.id
        response.headers["x-request-id"] = f"req_{self.random.getrandbits(64):016x}"

    def new_id(self, kind: str) -> str:
        prefix = {"invitation": "invite-", "person": "user-", "role": "proj_"}.get(kind, f"{kind}-")
        letters = string.ascii_letters + string.digits
        return f"{prefix}{''.join(self.random.choices(letters, k=24))}"

    def described(self, member: MemberRecord) -> dict[str, Any]:
        """Returns a member of the snapshot. A service account has no address."""
        return {"id": member.id, "email": member.person.email or f"{member.id}@service.invalid"}

    def settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": f"{base_url}/v1", "admin_key": ADMIN_KEY}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": f"{base_url}/v1", "admin_key": READER_KEY}


def written(moment: datetime | None) -> int | None:
    """Returns a moment as the service writes it: whole seconds since 1970."""
    return None if moment is None else int(moment.timestamp())
