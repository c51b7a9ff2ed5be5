"""A local imitation of a better-auth server with one organization.

The answers were copied from a running better-auth 1.6.25. The tests send the same requests to both
and compare the answers. Requests that are not imitated (sessions, teams, hooks, roles created at
run time) get a 404.
"""

from __future__ import annotations

import json
import string
from datetime import datetime, timedelta
from typing import Any, ClassVar

from guestlist.sandbox.limits import RateLimit, RateLimitResult, SlidingWindow, client_address
from guestlist.sandbox.organization import InvitationRecord, MemberRecord, RoleRecord
from guestlist.sandbox.refusals import (
    DuplicateInvitation,
    DuplicateMember,
    HttpRefusal,
    MethodNotAllowed,
    NotAuthenticated,
    PathNotFound,
    ProtectedMember,
    RecordNotFound,
    TooManyRequests,
)
from guestlist.sandbox.routing import IncomingRequest, OrganizationService, Routes
from guestlist.sandbox.service import SandboxRefusal, Switch

MOUNT = "/api/auth"
OWNER_TOKEN = "BETTER-AUTH-SANDBOX-OWNER-TOKEN"
READ_ONLY_TOKEN = "BETTER-AUTH-SANDBOX-MEMBER-TOKEN"
PEOPLE = {
    "ines@example.org": ("Ines Owner", "owner", OWNER_TOKEN),
    "lena@example.org": ("Lena Admin", "admin", ""),
    "omar@example.org": ("Omar Member", "member", READ_ONLY_TOKEN),
}
"""The members at the start: by email address, the name, the role and the token."""
MANAGERS = ("owner", "admin")
"""The roles that may invite, cancel invitations and change members."""
LIST_LIMIT = 100
"""The maximum number of records in a list without a `limit`. The server cuts the list off without
notice."""
STATUSES = {"declined": "rejected", "revoked": "canceled", "expired": "pending"}
"""The server's words, where they differ. It reports an expired invitation as pending for ever."""

BODY_TYPES = {
    "invite-member": {
        "email": "string",
        "role": "",
        "organizationId": "string?",
        "resend": "boolean?",
    },
    "cancel-invitation": {"invitationId": "string"},
    "update-member-role": {"role": "", "memberId": "string", "organizationId": "string?"},
    "remove-member": {"memberIdOrEmail": "string", "organizationId": "string?"},
    "has-permission": {"organizationId": "string?", "permissions": "object"},
}
"""The fields of each request body and their types; `?` marks an optional field. The field `role`
has no type: it is a string or a list of strings. The server reports errors in this order."""

TYPES: dict[type, str] = {
    type(...): "undefined",
    type(None): "null",
    bool: "boolean",
    str: "string",
    list: "array",
    dict: "object",
}
"""JavaScript's names of the types."""

Body = dict[str, Any]
UPDATE_REFUSED = "You are not allowed to update this member"


class BetterAuthService(OrganizationService):
    """better-auth with its organization and bearer plugins, and their defaults."""

    name = "betterauth"
    title = "better-auth"
    profiles = ("1.6",)
    organization_id = "zJ4vU8sQm2Wn6Lc0RkTy1HbX9dPfGe7A"
    lifetime = timedelta(hours=48)
    invitees_can_decline = True
    behavior: ClassVar[dict[str, str]] = {"duplicates": "refuse"}
    switches: ClassVar[dict[str, Switch]] = {
        "rate": Switch(
            ("off", "window"),
            "whether requests are limited to 100 in 10 s per path and network address, as in"
            " production",
        )
    }
    errors: ClassVar[dict[type[SandboxRefusal], int | tuple[int, str]]] = {
        NotAuthenticated: (401, "Unauthorized"),
        PathNotFound: 404,
        MethodNotAllowed: 404,
        RecordNotFound: 400,
        DuplicateMember: (400, "User is already a member of this organization"),
        DuplicateInvitation: (400, "User is already invited to this organization"),
    }
    routes = Routes()

    def seed(self) -> None:
        self.window = SlidingWindow(LIST_LIMIT, 10.0)
        roles = {
            name: self.organization.add_role(name, id=name, manages=name in MANAGERS)
            for name in ("owner", "admin", "member")
        }
        self.organization.owner_role = roles["owner"]
        for email, (name, role, token) in PEOPLE.items():
            self.organization.add_member(email, name, [roles[role]], key=token)

    # ------------------------------------------------------------------ the endpoints

    @routes.get(f"{MOUNT}/organization/list")
    def list_organizations(self, request: IncomingRequest) -> Any:
        organization = {
            "name": self.organization_name,
            "slug": "example-works",
            "logo": None,
            "createdAt": written(self.organization.created_at),
            "metadata": None,
            "id": self.organization_id,
        }
        return [organization]

    @routes.post(f"{MOUNT}/organization/has-permission")
    def has_permission(self, request: IncomingRequest) -> Any:
        """Answers whether the caller may manage people. The permissions in the body are ignored."""
        caller = self.organization.record_of(request.caller)
        if self.is_foreign(request.body) or caller is None:
            raise coded("User is not a member of the organization", 401)
        return {"error": None, "success": caller.manages}

    @routes.get(f"{MOUNT}/organization/list-invitations")
    def list_invitations(self, request: IncomingRequest) -> Any:
        if self.is_foreign(request.query):
            raise HttpRefusal(403, "You are not a member of this organization")
        invitations = self.organization.listed(self.organization.shown_invitations())
        return [self.invitation(one) for one in invitations[:LIST_LIMIT]]

    @routes.get(f"{MOUNT}/organization/list-members")
    def list_members(self, request: IncomingRequest) -> Any:
        query = request.query
        if self.is_foreign(query):
            raise coded("You are not a member of this organization", 403)
        wanted = [
            self.member(member) | {"user": self.user(member)}
            for member in self.organization.listed(self.organization.members())
            if query.get("filterField") != "id" or member.id == query.get("filterValue")
        ]
        start = number(query.get("offset", ""), 0)
        end = start + number(query.get("limit", ""), LIST_LIMIT)
        return {"members": wanted[start:end], "total": len(wanted)}

    @routes.post(f"{MOUNT}/organization/invite-member")
    def invite(self, request: IncomingRequest) -> Any:
        body, organization = request.body, self.organization
        email = body["email"].lower()
        if "@" not in email:
            raise coded("Invalid email")
        caller = self.manager(request, "You are not allowed to invite users to this organization")
        roles = self.named_roles(listed(body["role"]), code="")
        if organization.owner_role in roles and organization.owner_role not in caller.roles:
            raise coded("You are not allowed to invite a user with this role", 403)
        open_ones = [one for one in organization.shown_invitations() if organization.is_open(one)]
        of_address = [one for one in open_ones if one.email == email]
        if of_address and body.get("resend") and not organization.member_with(email):
            # The role in this request is ignored.
            return self.invitation(organization.resend(of_address[0]))
        if not of_address and len(open_ones) >= LIST_LIMIT:
            raise coded("Invitation limit reached", 403)
        return self.invitation(organization.invite(email, roles, inviter=request.caller))

    @routes.post(f"{MOUNT}/organization/cancel-invitation")
    def cancel(self, request: IncomingRequest) -> Any:
        """Cancels an invitation in any state. If it was accepted, the person remains a member."""
        invitation = self.organization.invitation(request.body["invitationId"])
        self.manager(request, "You are not allowed to cancel this invitation")
        invitation.ended = "revoked"
        return self.invitation(invitation)

    @routes.post(f"{MOUNT}/organization/update-member-role")
    def update_roles(self, request: IncomingRequest) -> Any:
        names = listed(request.body["role"])
        if not names:
            raise HttpRefusal(400, "")
        roles = self.named_roles(names, code="ROLE_NOT_FOUND")
        member = self.existing(request.body, request.body["memberId"])
        owner = self.organization.owner_role
        caller = self.organization.record_of(request.caller)
        if owner in [*roles, *member.roles] and caller and owner not in caller.roles:
            raise coded(UPDATE_REFUSED, 403)
        self.manager(request, UPDATE_REFUSED)
        try:
            self.organization.set_roles(member, roles)
        except ProtectedMember:
            raise coded("You cannot leave the organization without an owner") from None
        return self.member(member)

    @routes.post(f"{MOUNT}/organization/remove-member")
    def remove(self, request: IncomingRequest) -> Any:
        who = request.body["memberIdOrEmail"]
        found = self.organization.member_with(who) if "@" in who else None
        member = self.existing(request.body, found.id if found else who)
        owner = self.organization.owner_role
        caller = self.organization.record_of(request.caller)
        try:
            if owner in member.roles and caller and owner not in caller.roles:
                raise ProtectedMember("remove")
            self.organization.refuse_if_protected(member, "remove")
        except ProtectedMember:
            raise coded("You cannot leave the organization as the only owner") from None
        # The server answers 401 here, not 403.
        self.manager(request, "You are not allowed to delete this member", status=401)
        self.organization.remove(member)
        return {"member": self.member(member) | ({"user": self.user(member)} if found else {})}

    # ------------------------------------------------------------------ records

    def invitation(self, invitation: InvitationRecord) -> Body:
        state = invitation.state(self.clock.now())
        return {
            "organizationId": self.organization_id,
            "email": invitation.email,
            "role": joined(invitation.roles),
            "status": STATUSES.get(state, state),
            "expiresAt": written(invitation.expires_at),
            "createdAt": written(invitation.created_at),
            "inviterId": invitation.inviter.id if invitation.inviter else None,
            "id": invitation.id,
        }

    def member(self, member: MemberRecord) -> Body:
        return {
            "organizationId": self.organization_id,
            "userId": member.person.id,
            "role": joined(member.roles),
            "createdAt": written(member.created_at),
            "id": member.id,
        }

    def user(self, member: MemberRecord) -> Body:
        person = member.person
        return {
            "id": person.id,
            "name": person.name,
            "email": self.organization.address_of(member),
            "image": None,
        }

    # ------------------------------------------------------------------ helpers of the endpoints

    def is_foreign(self, body: Any) -> bool:
        return bool((body.get("organizationId") or self.organization_id) != self.organization_id)

    def manager(self, request: IncomingRequest, refusal: str, *, status: int = 403) -> MemberRecord:
        """Returns the caller's record. Refuses callers who may not manage people."""
        if self.is_foreign(request.body):
            raise coded("Member not found")
        caller = self.organization.record_of(request.caller)
        if caller is None or not caller.manages:
            raise coded(refusal, status)
        return caller

    def named_roles(self, names: list[str], *, code: str) -> list[RoleRecord]:
        unknown = [name for name in names if name not in self.organization.roles]
        if unknown:
            raise HttpRefusal(400, f"ROLE_NOT_FOUND: {', '.join(unknown)}", code)
        return [self.organization.roles[name] for name in names]

    def existing(self, body: Body, id: str) -> MemberRecord:
        if self.is_foreign(body):
            raise RecordNotFound("member")
        return self.organization.member(id)

    # ------------------------------------------------------------------ the form of answers

    def validate(self, request: IncomingRequest) -> None:
        """Reads the body. The server does so before it checks the token."""
        if request.reads:
            return
        path = request.http.scope["path"].rpartition("/")[2]
        try:
            body: Any = json.loads(request.content) if request.content else ...
        except (ValueError, RecursionError):
            raise HttpRefusal(400, "Invalid JSON in request body", "BAD_REQUEST") from None
        wrong = [expected("body", "object", body)]
        if isinstance(body, dict):
            fields = BODY_TYPES[path].items()
            wrong = [expected(f"body.{name}", kind, body.get(name, ...)) for name, kind in fields]
        if any(wrong):
            raise HttpRefusal(400, "; ".join(filter(None, wrong)), "VALIDATION_ERROR")
        request.body = body

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        """Returns a message and a code, only a message, or None for an answer without a body."""
        message = code
        if isinstance(refusal, HttpRefusal):
            message, code = str(refusal), refusal.code
        elif isinstance(refusal, TooManyRequests):
            message = "Too many requests. Please try again later."
        elif isinstance(refusal, RecordNotFound) and status == 400:
            message = code = f"{refusal.kind.capitalize()} not found"
        body = {"message": message, "code": code.upper().replace(" ", "_")}
        return {name: text for name, text in body.items() if text} or None

    def limit(self, request: IncomingRequest) -> RateLimit | None:
        return self.window if self.chosen["rate"] == "window" else None

    def limit_key(self, request: IncomingRequest) -> str:
        return f"{client_address(request.http.scope)}|{request.http.scope['path']}"

    def limit_headers(self, limit_result: RateLimitResult) -> dict[str, str]:
        return {"X-Retry-After": limit_result.retry_after_header}

    def new_id(self, kind: str) -> str:
        return "".join(self.random.choices(string.ascii_letters + string.digits, k=32))

    def link(self, invitation: InvitationRecord) -> str:
        return f"https://app.example.org/accept-invitation/{invitation.id}"

    def email(self, invitation: InvitationRecord) -> dict[str, Any]:
        name, link = self.organization_name, self.link(invitation)
        return {
            "sender": "auth@app.example.org",
            "subject": f"Join {name}",
            "text": f"You are invited to {name} as {joined(invitation.roles)}.\n\nAccept: {link}\n",
            "link": link,
        }

    def settings(self, base_url: str) -> dict[str, str]:
        return {
            "base_url": base_url + MOUNT,
            "token": OWNER_TOKEN,
            "organization_id": self.organization_id,
        }

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {**self.settings(base_url), "token": READ_ONLY_TOKEN}


def coded(message: str, status: int = 400) -> HttpRefusal:
    """Returns the usual error answer, whose code is its message in capitals."""
    return HttpRefusal(status, message, message)


def expected(where: str, kind: str, value: Any) -> str:
    """Returns the error message for a value; empty if the value is valid. `...` stands for a
    missing value."""
    if not kind:
        several = value if isinstance(value, list) else [value]
        good = all(isinstance(one, str) for one in several)
        return "" if good else f"[{where}] Invalid input"
    received = TYPES.get(type(value), "number")
    if received == kind.removesuffix("?") or (received == "undefined" and kind.endswith("?")):
        return ""
    return f"[{where}] Invalid input: expected {kind.removesuffix('?')}, received {received}"


def number(text: str, default: int) -> int:
    """Parses a number of the query. Returns the default if it is not a number, or less than one."""
    return int(text) if text.isdecimal() and int(text) else default


def listed(roles: str | list[str]) -> list[str]:
    """Returns the names in a role: a string with commas, or a list."""
    text = roles if isinstance(roles, str) else ",".join(roles)
    return [name.strip() for name in text.split(",") if name.strip()]


def joined(roles: list[RoleRecord]) -> str:
    return ",".join(role.name for role in roles)


def written(moment: datetime | None) -> str | None:
    """Formats a date and time as JavaScript does: with milliseconds and `Z`."""
    if moment is None:
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
