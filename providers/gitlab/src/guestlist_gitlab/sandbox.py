"""A local imitation of GitLab with one group, one project in it, and a parent group.

The group and the project have the same direct members. The answers have the form of the examples
in GitLab's documentation and tests. Requests that are not imitated get a 404.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from starlette.responses import JSONResponse, PlainTextResponse, Response

from guestlist.sandbox.limits import AllOf, RateLimit, SlidingWindow
from guestlist.sandbox.organization import (
    ACTIVE,
    SUSPENDED,
    InvitationRecord,
    MemberRecord,
    RoleRecord,
)
from guestlist.sandbox.paging import link_header, page_by_number
from guestlist.sandbox.refusals import (
    HttpRefusal,
    InvalidValue,
    MethodNotAllowed,
    NoSeatLeft,
    NotAuthenticated,
    NotPermitted,
    PathNotFound,
    ProtectedMember,
    RecordNotFound,
    TooManyRequests,
)
from guestlist.sandbox.routing import IncomingRequest, OrganizationService, Routes, bearer
from guestlist.sandbox.service import SandboxRefusal, Switch

GROUP, PROJECT = ("42", "example-works"), ("77", "example-works-site")
OWNER_TOKEN = "glpat-SANDBOX-OWNER"
READ_ONLY_TOKEN = "glpat-SANDBOX-READER"
REPORTER_TOKEN = "glpat-SANDBOX-REPORTER"
EXPIRED_TOKEN = "glpat-SANDBOX-EXPIRED"
PEOPLE = {
    "olga@example.org": ("Olga Owner", "olga", 50, OWNER_TOKEN),
    "rita@example.org": ("Rita Reporter", "rita", 20, REPORTER_TOKEN),
}
"""The direct members at the start: by address, the name, login, access level and token."""
PARENT = ("pia@example.org", "Pia Parent", "pia", 40)
"""A member of the parent group, who inherits her membership here."""
KNOWN = ("kim@example.net", "Kim Known", "kim")
"""A person with an account who is not a member."""
LEVELS = {
    0: "No access",
    5: "Minimal access",
    10: "Guest",
    15: "Planner",
    20: "Reporter",
    25: "Security manager",
    30: "Developer",
    40: "Maintainer",
    50: "Owner",
}
AUDITOR = ("9", "Auditor", 20)
"""A custom role: the id, the name and the access level that it extends."""
QUEUED = "Request queued for administrator approval."

Body = dict[str, Any]
SOURCE = "/api/v4/{source}/{id}"


class GitLabService(OrganizationService):
    """GitLab's invitations, members and roles. The profile decides whether the account is of the
    group or of the project."""

    name = "gitlab"
    title = "GitLab"
    profiles = ("group", "project")
    organization_id = GROUP[0]
    lifetime = timedelta(days=90)
    people_have_logins = True
    invitees_can_decline = True
    behavior: ClassVar[dict[str, str]] = {
        "invitation_ids": "address",
        "member_ids": "person",
        "accepted": "vanish",
        "revoked": "vanish",
        "seats_taken_by": "members",
    }
    switches: ClassVar[dict[str, Switch]] = {
        "again": Switch(
            ("change", "refuse"),
            "inviting somebody who is invited or a member: changes the role without an email, as in"
            " the source, or is refused, as in the documentation",
        ),
        "known_people": Switch(
            ("join", "invite"),
            "inviting the address of an account: joins at once, or an invitation",
        ),
        "promotions": Switch(
            ("free", "queue"), "whether an administrator has to approve that an account joins"
        ),
        "member_addresses": Switch(
            ("hidden", "shown"), "whether members have addresses, as for an administrator"
        ),
        "seats": Switch(("0", "5"), "the number of seats; 0 for any number"),
        "plan": Switch(("ultimate", "free"), "whether there are custom roles"),
        "rate": Switch(("off", "on"), "whether requests are limited as on gitlab.com"),
    }
    errors: ClassVar[dict[type[SandboxRefusal], int | tuple[int, str]]] = {
        NotAuthenticated: (401, "401 Unauthorized"),
        NotPermitted: (403, "403 Forbidden"),
        ProtectedMember: (403, "403 Forbidden"),
        PathNotFound: (404, "404 Not Found"),
        MethodNotAllowed: (405, "405 Method Not Allowed"),
        InvalidValue: 400,
    }
    routes = Routes()

    def seed(self) -> None:
        organization = self.organization
        for number, name in LEVELS.items():
            organization.add_role(name, id=str(number), manages=number >= 50, level=number)
        id, name, base = AUDITOR
        self.auditor = organization.add_role(name, "custom_role", id=f"custom-{id}", level=base)
        organization.owner_role = organization.role("50")
        for email, (name, login, number, token) in PEOPLE.items():
            role = organization.role(str(number))
            organization.add_member(email, name, [role], key=token, login=login)
        olga = organization.members()[0].person
        organization.add_key(olga, READ_ONLY_TOKEN, read_only=True)
        organization.add_key(olga, EXPIRED_TOKEN, reason="expired")
        email, name, login, number = PARENT
        pia = organization.add_person(email, name, login=login)
        identity = organization.identity("member", pia.id)
        role = organization.role(str(number))
        self.inherited = MemberRecord(**identity, person=pia, roles=[role], status=ACTIVE)
        organization.add_person(KNOWN[0], KNOWN[1], login=KNOWN[2])
        self.queue: dict[str, RoleRecord] = {}
        self.all_requests = SlidingWindow(2000, 60.0)
        self.lists_of_members = AllOf(SlidingWindow(200, 60.0), self.all_requests)
        self.removals = AllOf(SlidingWindow(60, 60.0), self.all_requests)

    # ------------------------------------------------------------------ the endpoints

    @routes.get("/api/v4/personal_access_tokens/self")
    def show_token(self, request: IncomingRequest) -> Any:
        return {
            "id": 4,
            "name": "guestlist",
            "revoked": False,
            "created_at": written(self.organization.created_at),
            "description": None,
            "scopes": ["read_api" if request.key and request.key.read_only else "api"],
            "user_id": int(request.caller.id),
            "last_used_at": None,
            "active": True,
            "expires_at": None,
        }

    @routes.get(SOURCE)
    def show_source(self, request: IncomingRequest) -> Any:
        id, path = self.checked(request)
        key = "full_name" if request.path["source"] == "groups" else "name_with_namespace"
        return {"id": int(id), "name": self.organization_name, "path": path} | {
            key: f"Example Holding / {self.organization_name}"
        }

    @routes.post(f"{SOURCE}/invitations", status=201)
    def invite(self, request: IncomingRequest) -> Any:
        self.managed(request)
        body = request.json()
        who = str(body.get("email") or body.get("user_id") or "").split(",")
        if not any(who):
            raise InvalidValue("email", "email, user_id are missing, one must be provided")
        role = self.role_in(body)
        queued: dict[str, str] = {}
        wrong: dict[str, str] = {}
        try:
            for one in who:
                self.invite_one(one.strip(), role, request, queued, wrong)
        except NoSeatLeft:
            message = "There are not enough available seats to invite this many users."
            reason = "seat_limit_exceeded_error"
            return {"status": "error", "message": message, "reason": reason}
        if wrong:
            return {"status": "error", "message": wrong}
        return ({"queued_users": queued} if queued else {}) | {"status": "success"}

    @routes.get(f"{SOURCE}/invitations")
    def list_invitations(self, request: IncomingRequest) -> Any:
        self.checked(request)
        if query := request.query.get("query"):
            one = self.open_invitation_of(query)
            open_ones = [one] if one is not None else []
        else:
            open_ones = self.open_invitations()
        found = self.organization.listed(open_ones)
        return self.page(request, found, self.invitation)

    @routes.put(f"{SOURCE}/invitations/{{email}}")
    def change_invitation(self, request: IncomingRequest) -> Any:
        self.managed(request)
        invitation, body = self.open_invitation(request.path["email"]), request.json()
        if not {"access_level", "expires_at"} & body.keys():
            raise HttpRefusal(400, "", "400 Bad request")
        if "access_level" in body:
            self.organization.change_invitation(invitation, [self.role_in(body)])
        invitation.fields |= expiry(body)
        shown = self.invitation(invitation)
        return {name: shown[name] for name in ("expires_at", "access_level")}

    @routes.delete(f"{SOURCE}/invitations/{{email}}")
    def revoke(self, request: IncomingRequest) -> Any:
        self.managed(request)
        self.organization.revoke(self.open_invitation(request.path["email"]))

    @routes.get(f"{SOURCE}/members")
    def list_members(self, request: IncomingRequest) -> Any:
        self.checked(request)
        return self.page(
            request, self.members_for(request, self.organization.members()), self.member
        )

    @routes.get(f"{SOURCE}/members/all")
    def list_all_members(self, request: IncomingRequest) -> Any:
        self.checked(request)
        return self.page(request, self.members_for(request, self.everybody()), self.member)

    @routes.get(f"{SOURCE}/members/{{user}}")
    def show_member(self, request: IncomingRequest) -> Any:
        self.checked(request)
        return self.member(self.organization.member(request.path["user"]))

    @routes.get(f"{SOURCE}/members/all/{{user}}")
    def show_any_member(self, request: IncomingRequest) -> Any:
        self.checked(request)
        for one in self.everybody():
            if one.id == request.path["user"]:
                return self.member(one)
        raise RecordNotFound("member")

    @routes.post(f"{SOURCE}/members", status=201)
    def add_member(self, request: IncomingRequest) -> Any:
        self.managed(request)
        body = request.json()
        role = self.role_in(body)
        for person in self.organization.people.values():
            if person.registered and str(body.get("user_id", "")) == person.id:
                break
            if person.registered and body.get("username") == person.login:
                break
        else:
            raise HttpRefusal(404, "", "404 User Not Found")
        member = self.organization.record_of(person)
        if member is not None and member.is_in:
            raise HttpRefusal(409, "", "Member already exists")
        if self.chosen["promotions"] == "queue":
            self.queue[person.login] = role
            return {"message": {person.login: QUEUED}}
        return self.member(self.organization.add_member(person.email, roles=[role]))

    @routes.put(f"{SOURCE}/members/{{user}}")
    def change_member(self, request: IncomingRequest) -> Any:
        self.managed(request)
        member, body = self.organization.member(request.path["user"]), request.json()
        role = self.role_in(body)
        gains = role.fields["level"] > member.roles[0].fields["level"]
        if gains and self.chosen["promotions"] == "queue":
            return {"message": {member.person.login: QUEUED}}
        self.organization.set_roles(member, [role])
        return self.member(member)

    @routes.delete(f"{SOURCE}/members/{{user}}")
    def remove_member(self, request: IncomingRequest) -> Any:
        self.managed(request)
        self.organization.remove(self.organization.member(request.path["user"]))

    @routes.get(f"{SOURCE}/member_roles")
    def list_custom_roles(self, request: IncomingRequest) -> Any:
        self.managed(request)
        if self.chosen["plan"] == "free":
            raise NotPermitted("custom roles need Ultimate")
        return [self.custom_role()]

    @routes.get("/api/v4/member_roles")
    def list_roles_of_the_server(self, request: IncomingRequest) -> Any:
        raise NotPermitted("only for administrators")

    # ------------------------------------------------------------------ invitations and members

    def invite_one(
        self,
        who: str,
        role: RoleRecord,
        request: IncomingRequest,
        queued: dict[str, str],
        wrong: dict[str, str],
    ) -> None:
        """Invites an address or adds an account, and notes what was queued or went wrong."""
        organization = self.organization
        person = organization.people.get(who) or organization.person_with(who)
        member = organization.record_of(person) if person is not None else None
        email = person.email if person is not None else who.lower()
        changes = self.chosen["again"] == "change"
        if person is self.inherited.person:
            least = self.inherited.roles[0]
            if role.fields["level"] < least.fields["level"]:
                wrong[email] = (
                    f"Access level should be greater than or equal to {least.name} inherited"
                    " membership from group Example Holding"
                )
                return
        if member is not None and member.is_in:
            if not changes:
                wrong[email] = "User already exists in source"
            elif member.roles != [role]:
                organization.set_roles(member, [role])
            return
        if person is not None and person.registered and self.chosen["promotions"] == "queue":
            self.queue[person.login] = role
            queued[person.login] = QUEUED
            return
        invitation = self.open_invitation_of(email)
        if invitation is not None and changes:
            organization.change_invitation(invitation, [role])
            return
        if invitation is not None:
            wrong[email] = "Invite email has already been taken"
            return
        try:
            invitation = organization.invite(email, [role], inviter=request.caller)
            invitation.fields |= expiry(request.json())
        except InvalidValue:
            wrong[email] = "Invite email is invalid"

    def approve(self, login: str) -> None:
        """Approves, as an administrator, what is in the queue for a user."""
        role = self.queue.pop(login)
        [person] = [one for one in self.organization.people.values() if one.login == login]
        self.organization.add_member(person.email, roles=[role])

    def open_invitations(self) -> list[InvitationRecord]:
        """Returns the invitations that GitLab has not deleted: it keeps open ones only."""
        now = self.clock.now()
        return [
            one for one in self.organization.invitations.values() if one.state(now) == "pending"
        ]

    def open_invitation_of(self, email: str) -> InvitationRecord | None:
        """Returns the open invitation of an address, which is compared exactly."""
        found = self.organization.invitations.get(email.casefold())
        is_it = found is not None and found.email == email and self.organization.is_open(found)
        return found if is_it else None

    def open_invitation(self, email: str) -> InvitationRecord:
        found = self.open_invitation_of(email)
        if found is None:
            raise RecordNotFound("invitation")
        return found

    def everybody(self) -> list[MemberRecord]:
        """Returns the members with those who inherit their membership. Of two memberships of a
        person, the one with the higher level counts."""
        found = {one.id: one for one in self.organization.members()}
        own = found.get(self.inherited.id)
        if own is None or own.roles[0].fields["level"] < self.inherited.roles[0].fields["level"]:
            found[self.inherited.id] = self.inherited
        return list(found.values())

    def members_for(
        self, request: IncomingRequest, members: list[MemberRecord]
    ) -> list[MemberRecord]:
        """Returns the members that the query selects."""
        query = request.query.get("query", "").casefold()
        return [
            one
            for one in self.organization.listed(members)
            if query in one.person.name.casefold() or query in one.person.login
        ]

    def checked(self, request: IncomingRequest) -> tuple[str, str]:
        """Returns the id and path of the group or project in the URL."""
        known = {"groups": GROUP, "projects": PROJECT}.get(request.path["source"])
        if known is None:
            raise PathNotFound
        if request.path["id"] not in known:
            kind = request.path["source"].removesuffix("s").title()
            raise HttpRefusal(404, "", f"404 {kind} Not Found")
        return known

    def managed(self, request: IncomingRequest) -> None:
        """Refuses callers who may not manage members."""
        self.checked(request)
        caller = self.organization.record_of(request.caller)
        if caller is None or not caller.manages:
            raise NotPermitted("the role Owner is needed")

    def role_in(self, body: Body) -> RoleRecord:
        """Returns the role in a request."""
        if "access_level" not in body:
            raise InvalidValue("access_level", "access_level is missing")
        if body["access_level"] not in LEVELS:
            raise InvalidValue("access_level", "access_level does not have a valid value")
        if body.get("member_role_id") is not None:
            if str(body["member_role_id"]) != AUDITOR[0] or body["access_level"] != AUDITOR[2]:
                raise HttpRefusal(404, "", "404 Member Role Not Found")
            return self.auditor
        return self.organization.role(str(body["access_level"]))

    # ------------------------------------------------------------------ records

    def invitation(self, invitation: InvitationRecord) -> Body:
        return {
            "id": invitation.number,
            "invite_email": invitation.email,
            "created_at": written(invitation.created_at),
            "access_level": invitation.roles[0].fields["level"],
            "expires_at": invitation.fields.get("expires_at"),
            "user_name": None,
            "created_by_name": invitation.inviter.name if invitation.inviter else None,
        }

    def member(self, member: MemberRecord) -> Body:
        [role] = member.roles
        body: Body = {
            "id": int(member.id),
            "username": member.person.login,
            "name": member.person.name,
            "state": "blocked" if member.status == SUSPENDED else "active",
            "access_level": role.fields["level"],
            "created_at": written(member.created_at),
            "expires_at": None,
            "membership_state": "active",
        }
        if role is self.auditor:
            body["member_role"] = self.custom_role()
        if email := self.organization.address_of(member):
            body["email"] = email
        return body

    def custom_role(self) -> Body:
        id, name, base = AUDITOR
        return {
            "id": int(id),
            "name": name,
            "description": "Reads audit events",
            "group_id": int(GROUP[0]),
            "base_access_level": base,
        }

    def page(self, request: IncomingRequest, found: list[Any], shape: Any) -> Response:
        """Returns a page with GitLab's headers."""
        page = page_by_number(found, request.query)
        number = page.start // page.size + 1
        response = JSONResponse([shape(one) for one in page.items])
        pages = max(1, -(-page.total // page.size))
        url = str(request.http.url.replace(query=""))
        response.headers.update(
            {
                "x-total": str(page.total),
                "x-total-pages": str(pages),
                "x-page": str(number),
                "x-per-page": str(page.size),
                "x-next-page": str(number + 1) if page.next_start is not None else "",
                "link": link_header(page, url, request.query),
            }
        )
        return response

    # ------------------------------------------------------------------ the form of answers

    def credentials(self, request: IncomingRequest) -> str:
        return request.headers.get("private-token") or bearer(request.headers)

    def permit(self, request: IncomingRequest) -> None:
        if request.key is not None and request.key.read_only and not request.reads:
            raise HttpRefusal(403, "", "insufficient_scope")

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        """Returns the error in one of GitLab's forms, which depend on the layer that refuses."""
        if isinstance(refusal, TooManyRequests):
            return PlainTextResponse("Retry later\n", status)
        if isinstance(refusal, NotAuthenticated) and refusal.reason:
            text = "Token is expired. You can either do re-authorization or token refresh."
            return {"error": "invalid_token", "error_description": text}
        if code == "insufficient_scope":
            text = "The request requires higher privileges than provided by the access token."
            return {"error": code, "error_description": text, "scope": "api"}
        if isinstance(refusal, InvalidValue):
            return {"error": str(refusal)}
        return {"message": code or "404 Not found"}

    def limit(self, request: IncomingRequest) -> RateLimit | None:
        if self.chosen["rate"] == "off":
            return None
        path, method = request.http.scope["path"], request.http.method
        if method == "GET" and path.endswith(("/members", "/members/all")):
            return self.lists_of_members
        if method == "DELETE" and "/members/" in path:
            return self.removals
        return self.all_requests

    def limit_key(self, request: IncomingRequest) -> str:
        return self.credentials(request)

    def new_id(self, kind: str) -> str:
        if kind == "secret":
            return f"{self.random.getrandbits(80):020x}"
        return str(self.random.randrange(1_000_000, 99_999_999))

    def link(self, invitation: InvitationRecord) -> str:
        return f"https://gitlab.example.com/-/invites/{invitation.secret}?invite_type=initial_email"

    def email(self, invitation: InvitationRecord) -> dict[str, Any]:
        role, link = invitation.roles[0].name, self.link(invitation)
        return {
            "sender": "gitlab@gitlab.example.com",
            "subject": f"Invitation to join the {self.organization_name} {self.profile}",
            "text": f"You are invited to {self.organization_name} as {role}.\n\nJoin: {link}\n",
            "link": link,
        }

    def settings(self, base_url: str) -> dict[str, str]:
        settings = {
            "base_url": base_url,
            "token": OWNER_TOKEN,
            self.profile: GROUP[0] if self.profile == "group" else PROJECT[0],
            "invite_unknown": "true",
        }
        shown = self.chosen["member_addresses"] == "shown"
        return settings | ({"sees_addresses": "true"} if shown else {})

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {**self.settings(base_url), "token": READ_ONLY_TOKEN}


def expiry(body: Body) -> dict[str, str]:
    """Returns the day on which a membership ends, as a field of a record."""
    try:
        day = date.fromisoformat(str(body["expires_at"])[:10]) if body.get("expires_at") else None
    except ValueError:
        raise InvalidValue("expires_at", "expires_at is invalid") from None
    return {"expires_at": day.isoformat()} if day else {}


def written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
