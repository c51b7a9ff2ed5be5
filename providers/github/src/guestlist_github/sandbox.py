"""A local imitation of one organization on GitHub.

The paths and records are those of GitHub's OpenAPI description, which the tests check every answer
against. What neither that nor the documentation states is a switch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from starlette.responses import JSONResponse, Response

from guestlist.sandbox.limits import AllOf, RateLimit, RateLimitResult, SlidingWindow
from guestlist.sandbox.organization import (
    SWITCHES,
    InvitationRecord,
    MemberRecord,
    PersonRecord,
    RoleRecord,
)
from guestlist.sandbox.paging import link_header, page_by_number
from guestlist.sandbox.refusals import (
    DuplicateInvitation,
    DuplicateMember,
    HttpRefusal,
    InvalidValue,
    LastRole,
    NoSeatLeft,
    NotAuthenticated,
    NotPermitted,
    ProtectedMember,
    RecordNotFound,
    TooManyRequests,
)
from guestlist.sandbox.routing import IncomingRequest, OrganizationService, Routes
from guestlist.sandbox.service import SandboxRefusal, Switch

ORG = "octo-works"
OWNER_TOKEN = "github_pat_SANDBOX_OWNER"
READ_ONLY_TOKEN = "github_pat_SANDBOX_READ_ONLY"
CLASSIC_TOKENS = {"ghp_SANDBOX_OWNER": "admin:org, repo", "ghp_SANDBOX_READER": "read:org, repo"}
"""The scopes of classic tokens, which answers show."""
PEOPLE = {
    "olga@example.org": ("Olga Owner", "olga-octo", ("admin",)),
    "lena@example.org": ("Lena Lead", "lena-lead", ("member", "platform")),
    "omar@example.org": ("Omar Member", "omar-m", ("member",)),
}
"""The members at the start: by address, the name, the login and the roles."""
OUTSIDERS = {"nina@example.org": "nina-dev", "oskar@example.org": "oskar-out"}
"""Accounts that are not in the organization. The last one is an outside collaborator."""
TEAMS = {"platform": None, "on-call": "platform", "docs": None}
"""The teams at the start, by slug: the slug of the team above."""
INVITED_AS = {"direct_member": "member", "admin": "admin", "billing_manager": "billing_manager"}
"""The roles in the organization, by the word that invitations use."""
PERSON_URLS = (
    "followers",
    "subscriptions",
    "organizations",
    "repos",
    "received_events",
)
O = "/orgs/{org}"  # noqa: E741
T = "/organizations/{organization}/team/{number}"
"""A team's path by ids, as in the team's own record."""
SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
)
INVITED_AGAIN = "A user with this email addresss is already a part of this organization"
"""The misspelling is GitHub's (github/rest-api-description#4109)."""

Body = dict[str, Any]


class GitHubService(OrganizationService):
    """One organization, as seen by an owner with a personal access token."""

    name = "github"
    title = "GitHub"
    organization_id = "9919"
    organization_name = "Octo Works"
    lifetime = timedelta(days=7)
    people_have_logins = True
    behavior: ClassVar[Mapping[str, str]] = {
        "accepted": "vanish",
        "revoked": "vanish",
        "member_ids": "person",
        "member_addresses": "hidden",
    }
    switches: ClassVar[Mapping[str, Switch]] = {
        "duplicates": Switch(
            ("refuse", "allow"), "inviting an address that has an open invitation"
        ),
        "expired_invitations": Switch(
            ("free", "block"), "whether an expired invitation refuses a new one"
        ),
        "seats": SWITCHES["seats"],
        "addresses": Switch(
            ("hidden", "shown"), "whether an invitation by login shows the person's address"
        ),
        "rate": Switch(("off", "on"), "whether the documented rate limits apply"),
        "limit_status": Switch(("403", "429"), "the status of a refusal by a rate limit"),
        "retry_after": Switch(
            ("sent", "left_out"), "the header Retry-After of a secondary rate limit"
        ),
    }
    errors: ClassVar[Mapping[type[SandboxRefusal], int | tuple[int, str]]] = {
        NotPermitted: (403, "Resource not accessible by personal access token"),
        NotAuthenticated: (401, "Bad credentials"),
        RecordNotFound: (404, "Not Found"),
        DuplicateMember: (422, "unprocessable"),
        DuplicateInvitation: (422, "unprocessable"),
        NoSeatLeft: (422, "no_seat"),
        InvalidValue: (422, "invalid"),
        LastRole: (422, "invalid"),
        ProtectedMember: (403, "You can't remove the last owner of an organization"),
    }
    routes = Routes()

    api = "https://api.github.com"
    """The URL of the API in records: that of the last request, so that clients can follow it."""

    def seed(self) -> None:
        organization = self.organization
        self.primary = SlidingWindow(5000, 3600.0)
        self.secondary = AllOf(SlidingWindow(900, 60.0))
        self.creations = AllOf(
            SlidingWindow(80, 60.0), SlidingWindow(500, 3600.0), SlidingWindow(500, 86400.0)
        )
        for name in INVITED_AS.values():
            organization.add_role(name, id=name, manages=name == "admin")
        organization.owner_role = organization.role("admin")
        for slug, parent in TEAMS.items():
            number = self.number()
            organization.add_role(
                slug.title(), "team", id=slug, team_id=number, parent=parent or ""
            )
        for email, (name, login, roles) in PEOPLE.items():
            held = map(organization.role, roles)
            organization.add_member(email, name, held, login=login)
        owner = organization.members()[0].person
        organization.add_key(owner, OWNER_TOKEN)
        organization.add_key(owner, READ_ONLY_TOKEN, read_only=True)
        for token, scopes in CLASSIC_TOKENS.items():
            organization.add_key(owner, token, read_only="admin:org" not in scopes)
        for email, login in OUTSIDERS.items():
            organization.add_person(email, login=login)

    # ------------------------------------------------------------------ the organization

    @routes.get(O)
    def show(self, request: IncomingRequest) -> Any:
        return self.organization_record() | {"name": self.organization.name}

    @routes.get("/users/{login}")
    def show_user(self, request: IncomingRequest) -> Any:
        return self.public_user(self.person(request.path["login"]))

    @routes.get("/user/{id}")
    def show_account(self, request: IncomingRequest) -> Any:
        found = self.organization.people.get(request.path["id"])
        if found is None or not found.registered:
            raise RecordNotFound("user")
        return self.public_user(found)

    # ------------------------------------------------------------------ invitations

    @routes.post(f"{O}/invitations", status=201)
    def invite(self, request: IncomingRequest) -> Any:
        body = request.json()
        self.count_creation(request)
        teams = [self.team_with(number) for number in body.get("team_ids") or ()]
        word = body.get("role", "direct_member")
        if "invitee_id" in body:
            person = self.organization.people.get(str(body["invitee_id"]))
            if person is None:
                raise InvalidValue("invitee_id")
        else:
            person = self.organization.person_with(request.text("email"))
        if word == "reinstate":
            former = person and person.fields.get("former")
            if not former:
                raise InvalidValue("role")
            roles = [one for one in former if one in self.organization.roles.values()]
        elif word in INVITED_AS:
            roles = [self.organization.role(INVITED_AS[word]), *teams]
        else:
            raise InvalidValue("role")
        email = person.email if person else request.text("email")
        by_login = "invitee_id" in body
        invitation = self.organization.invite(
            email, roles, inviter=request.caller, by_login=by_login
        )
        return self.invitation(invitation)

    @routes.get(f"{O}/invitations")
    def list_invitations(self, request: IncomingRequest) -> Any:
        invitations = [one for one in self.shown() if self.organization.is_open(one)]
        return self.page(request, map(self.invitation, invitations))

    @routes.get(f"{O}/failed_invitations")
    def list_failed(self, request: IncomingRequest) -> Any:
        failed = [one for one in self.shown() if not self.organization.is_open(one)]
        return self.page(request, map(self.invitation, failed))

    @routes.delete(f"{O}/invitations/{{id}}")
    def cancel(self, request: IncomingRequest) -> Any:
        self.organization.revoke(self.organization.invitation(request.path["id"]))

    @routes.get(f"{O}/invitations/{{id}}/teams")
    def list_invitation_teams(self, request: IncomingRequest) -> Any:
        invitation = self.organization.invitation(request.path["id"])
        return self.page(request, [self.team(role) for role in teams_of(invitation.roles)])

    # ------------------------------------------------------------------ members

    @routes.get(f"{O}/members")
    def list_members(self, request: IncomingRequest) -> Any:
        wanted = request.query.get("role", "all")
        if wanted not in ("all", "admin", "member"):
            raise InvalidValue("role")
        people = [
            one.person
            for one in self.organization.listed(self.organization.members())
            if self.role_of(one) != "billing_manager" and wanted in ("all", self.role_of(one))
        ]
        return self.page(request, map(self.user, people))

    @routes.get(f"{O}/members/{{login}}", status=204)
    def check_member(self, request: IncomingRequest) -> Any:
        self.member(request.path["login"])

    @routes.get(f"{O}/memberships/{{login}}")
    def show_membership(self, request: IncomingRequest) -> Any:
        return self.membership(self.person(request.path["login"]))

    @routes.put(f"{O}/memberships/{{login}}")
    def set_membership(self, request: IncomingRequest) -> Any:
        """Changes a member's role. Invites a person who is not a member."""
        word, person = request.text("role", "member"), self.person(request.path["login"])
        if word not in ("admin", "member"):
            raise InvalidValue("role")
        member = self.organization.record_of(person)
        role = self.organization.role(word)
        if member is None:
            self.ensure_invited(request, person, [role])
        else:
            self.organization.set_roles(member, [role, *teams_of(member.roles)])
        return self.membership(person)

    @routes.delete(f"{O}/memberships/{{login}}")
    @routes.delete(f"{O}/members/{{login}}")
    def remove(self, request: IncomingRequest) -> Any:
        """Removes a member, or cancels the invitation of a person who has not accepted."""
        person = self.person(request.path["login"])
        member = self.organization.record_of(person)
        invitation = self.open_invitation(person)
        if member is not None:
            person.fields["former"] = member.roles
            self.organization.remove(member)
        elif invitation is not None and "memberships" in request.http.scope["path"]:
            self.organization.revoke(invitation)
        else:
            raise RecordNotFound("membership")

    @routes.get(f"{O}/outside_collaborators")
    def list_outside_collaborators(self, request: IncomingRequest) -> Any:
        outside = self.organization.person_with(list(OUTSIDERS)[-1])
        found = [outside] if outside and not self.organization.record_of(outside) else []
        return self.page(request, map(self.user, found))

    # ------------------------------------------------------------------ teams

    @routes.get(f"{O}/teams")
    def list_teams(self, request: IncomingRequest) -> Any:
        return self.page(request, map(self.team, self.organization.roles_of_kind("team")))

    @routes.get(f"{O}/teams/{{slug}}")
    def show_team(self, request: IncomingRequest) -> Any:
        team = self.team_of(request)
        more = {"members_count": len(self.team_members(team)), "repos_count": 0}
        dates = {"created_at": written(team.created_at), "updated_at": written(team.updated_at)}
        organization = {
            **self.organization_record(),
            **dates,
            "type": "Organization",
            "html_url": f"https://github.com/{ORG}",
            "public_repos": 0,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "has_organization_projects": True,
            "has_repository_projects": True,
            "archived_at": None,
        }
        return self.team(team) | more | dates | {"organization": organization}

    @routes.get(f"{T}/members")
    @routes.get(f"{O}/teams/{{slug}}/members")
    def list_team_members(self, request: IncomingRequest) -> Any:
        members = self.team_members(self.team_of(request))
        return self.page(
            request,
            (
                self.user(one.person) | {"role": "member", "inherited": inherited}
                for one, inherited in members
            ),
        )

    @routes.get(f"{T}/memberships/{{login}}")
    @routes.get(f"{O}/teams/{{slug}}/memberships/{{login}}")
    def show_team_membership(self, request: IncomingRequest) -> Any:
        team, person = self.team_of(request), self.person(request.path["login"])
        invitation = self.open_invitation(person)
        pending = invitation is not None and team in invitation.roles
        if not pending and all(one.person is not person for one, _ in self.team_members(team)):
            raise RecordNotFound("membership")
        return self.team_membership(team, person, pending)

    @routes.put(f"{T}/memberships/{{login}}")
    @routes.put(f"{O}/teams/{{slug}}/memberships/{{login}}")
    def add_to_team(self, request: IncomingRequest) -> Any:
        """Adds a person to a team. Invites a person who is not a member."""
        team, person = self.team_of(request), self.person(request.path["login"])
        member = self.organization.record_of(person)
        if member is None:
            self.ensure_invited(request, person, [self.organization.role("member"), team])
        else:
            self.organization.assign(member, team)
        return self.team_membership(team, person, member is None)

    @routes.delete(f"{T}/memberships/{{login}}")
    @routes.delete(f"{O}/teams/{{slug}}/memberships/{{login}}")
    def remove_from_team(self, request: IncomingRequest) -> Any:
        team, member = self.team_of(request), self.member(request.path["login"])
        if team not in member.roles:
            raise RecordNotFound("membership")
        self.organization.unassign(member, team)

    @routes.get(f"{T}/invitations")
    @routes.get(f"{O}/teams/{{slug}}/invitations")
    def list_team_invitations(self, request: IncomingRequest) -> Any:
        team = self.team_of(request)
        found = [one for one in self.shown() if team in one.roles]
        return self.page(request, map(self.invitation, filter(self.organization.is_open, found)))

    # ------------------------------------------------------------------ records

    def invitation(self, invitation: InvitationRecord) -> Body:
        person = self.organization.person_with(invitation.email)
        login = person.login if person and person.registered else None
        hidden = invitation.fields["by_login"] and self.chosen["addresses"] == "hidden"
        word = self.role_of(invitation)
        expired = not self.organization.is_open(invitation)
        url = f"{self.api}/organizations/{self.organization.id}/invitations/{invitation.id}/teams"
        return {
            "id": int(invitation.id),
            "node_id": f"OI_{invitation.id}",
            "login": login,
            "email": None if hidden else invitation.email,
            "role": "direct_member" if word == "member" else word,
            "created_at": written(invitation.created_at),
            "failed_at": written(invitation.expires_at) if expired else None,
            "failed_reason": "expired" if expired else None,
            "inviter": self.user(invitation.inviter or self.organization.members()[0].person),
            "team_count": len(teams_of(invitation.roles)),
            "invitation_teams_url": url,
            "invitation_source": "member",
        }

    def user(self, person: PersonRecord) -> Body:
        """Returns a person without the address, as lists do."""
        url = f"{self.api}/users/{person.login}"
        return {
            "login": person.login,
            "id": int(person.id),
            "node_id": f"U_{person.id}",
            "avatar_url": f"https://avatars.githubusercontent.com/u/{person.id}?v=4",
            "gravatar_id": "",
            "url": url,
            "html_url": f"https://github.com/{person.login}",
            **{f"{name}_url": f"{url}/{name}" for name in PERSON_URLS},
            "following_url": f"{url}/following{{/other_user}}",
            "gists_url": f"{url}/gists{{/gist_id}}",
            "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
            "events_url": f"{url}/events{{/privacy}}",
            "type": "User",
            "site_admin": False,
            "user_view_type": "public",
        }

    def public_user(self, person: PersonRecord) -> Body:
        unknown = ("company", "location", "email", "hireable", "bio")
        counts = ("public_repos", "public_gists", "followers", "following")
        return {
            **self.user(person),
            "name": person.name or None,
            "blog": "",
            **dict.fromkeys(unknown),
            **dict.fromkeys(counts, 0),
            "created_at": written(person.created_at),
            "updated_at": written(person.updated_at),
        }

    def organization_record(self) -> Body:
        url = f"{self.api}/orgs/{ORG}"
        return {
            "login": ORG,
            "id": int(self.organization.id),
            "node_id": "O_9919",
            "url": url,
            **{f"{name}_url": f"{url}/{name}" for name in ("repos", "events", "hooks", "issues")},
            "members_url": f"{url}/members{{/member}}",
            "public_members_url": f"{url}/public_members{{/member}}",
            "avatar_url": "https://avatars.githubusercontent.com/u/9919?v=4",
            "description": None,
        }

    def membership(self, person: PersonRecord) -> Body:
        member, invitation = self.organization.record_of(person), self.open_invitation(person)
        record = member or invitation
        if record is None:
            raise RecordNotFound("membership")
        return {
            "url": f"{self.api}/orgs/{ORG}/memberships/{person.login}",
            "state": "active" if member else "pending",
            "role": self.role_of(record),
            "organization_url": f"{self.api}/orgs/{ORG}",
            "organization": self.organization_record(),
            "user": self.user(person),
        }

    def team(self, role: RoleRecord) -> Body:
        parent = self.organization.roles.get(role.fields["parent"])
        return {**self.simple_team(role), "parent": self.simple_team(parent) if parent else None}

    def simple_team(self, role: RoleRecord) -> Body:
        url = f"{self.api}/organizations/{self.organization.id}/team/{role.fields['team_id']}"
        return {
            "id": role.fields["team_id"],
            "node_id": f"T_{role.fields['team_id']}",
            "name": role.name,
            "slug": role.id,
            "description": "",
            "privacy": "closed",
            "notification_setting": "notifications_enabled",
            "permission": "pull",
            "type": "organization",
            "organization_id": int(self.organization.id),
            "url": url,
            "html_url": f"https://github.com/orgs/{ORG}/teams/{role.id}",
            "members_url": f"{url}/members{{/member}}",
            "repositories_url": f"{url}/repos",
        }

    def team_membership(self, team: RoleRecord, person: PersonRecord, pending: bool) -> Body:
        url = f"{self.simple_team(team)['url']}/memberships/{person.login}"
        state = "pending" if pending else "active"
        return {"url": url, "role": "member", "state": state}

    # ------------------------------------------------------------------ helpers of the endpoints

    def shown(self) -> list[InvitationRecord]:
        return self.organization.listed(self.organization.shown_invitations())

    def person(self, login: str) -> PersonRecord:
        for one in self.organization.people.values():
            if one.registered and one.login.casefold() == login.casefold():
                return one
        raise RecordNotFound("user")

    def member(self, login: str) -> MemberRecord:
        member = self.organization.record_of(self.person(login))
        if member is None:
            raise RecordNotFound("member")
        return member

    def open_invitation(self, person: PersonRecord) -> InvitationRecord | None:
        invitations = self.organization.invitations_to(person.email)
        return next(filter(self.organization.is_open, invitations), None)

    def ensure_invited(
        self, request: IncomingRequest, person: PersonRecord, roles: list[RoleRecord]
    ) -> None:
        if self.open_invitation(person) is None:
            self.count_creation(request)
            self.organization.invite(person.email, roles, inviter=request.caller, by_login=True)

    def role_of(self, record: MemberRecord | InvitationRecord) -> str:
        return next((role.id for role in record.roles if role.kind == "role"), "member")

    def team_of(self, request: IncomingRequest) -> RoleRecord:
        """Returns the team that a path names by its slug or number."""
        for role in self.organization.roles_of_kind("team"):
            known = {"slug": role.id, "number": str(role.fields["team_id"])}
            if any(request.path.get(name) == value for name, value in known.items()):
                return role
        raise RecordNotFound("team")

    def team_with(self, number: Any) -> RoleRecord:
        for role in self.organization.roles_of_kind("team"):
            if role.fields["team_id"] == number:
                return role
        raise InvalidValue("team_ids")

    def team_members(self, team: RoleRecord) -> list[tuple[MemberRecord, bool]]:
        """Returns the members of a team, and whether each is only in a team below it."""
        below = [
            role
            for role in self.organization.roles_of_kind("team")
            if role.fields["parent"] == team.id
        ]
        found = []
        for member in self.organization.members():
            if team in member.roles:
                found.append((member, False))
            elif any(role in member.roles for role in below):
                found.append((member, True))
        return found

    def page(self, request: IncomingRequest, records: Iterable[Body]) -> Response:
        page = page_by_number(list(records), request.query, default=30)
        response = JSONResponse(list(page.items))
        url = str(request.http.url).partition("?")[0]
        if link := link_header(page, url, request.query):
            response.headers["link"] = link
        return response

    # ------------------------------------------------------------------ limits and errors

    def count_creation(self, request: IncomingRequest) -> None:
        """Counts an invitation toward the secondary limits."""
        if self.chosen["rate"] == "on":
            self.take(self.creations, request)

    def take(self, limit: RateLimit, request: IncomingRequest) -> None:
        limit_result = limit.take(self.limit_key(request), self.clock.seconds())
        if not limit_result.allowed:
            sent = self.chosen["retry_after"] == "sent"
            headers = {"retry-after": limit_result.retry_after_header} if sent else {}
            raise HttpRefusal(int(self.chosen["limit_status"]), SECONDARY, headers=headers)

    def permit(self, request: IncomingRequest) -> None:
        self.api = str(request.http.base_url).rstrip("/")
        if request.path.get("org", ORG).casefold() != ORG:
            raise RecordNotFound("organization")
        if self.chosen["rate"] == "on":
            self.take(self.secondary, request)
        super().permit(request)

    def limit(self, request: IncomingRequest) -> RateLimit | None:
        return self.primary if self.chosen["rate"] == "on" else None

    def limit_key(self, request: IncomingRequest) -> str:
        return self.credentials(request)

    def limit_headers(self, limit_result: RateLimitResult) -> Mapping[str, str]:
        return {}

    def finish(
        self, response: Response, request: IncomingRequest, limit_result: RateLimitResult | None
    ) -> None:
        response.headers["x-github-request-id"] = f"{self.random.getrandbits(32):08X}"
        if scopes := CLASSIC_TOKENS.get(self.credentials(request)):
            response.headers["x-oauth-scopes"] = scopes
        if limit_result is not None:
            response.headers["x-ratelimit-limit"] = str(limit_result.limit)
            response.headers["x-ratelimit-remaining"] = str(limit_result.remaining)
            response.headers["x-ratelimit-used"] = str(limit_result.limit - limit_result.remaining)
            response.headers["x-ratelimit-reset"] = limit_result.reset_header
            response.headers["x-ratelimit-resource"] = "core"

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        body: Body = {
            "message": code or str(refusal),
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        }
        if isinstance(refusal, TooManyRequests):
            body["message"] = "API rate limit exceeded for user ID 1."
        if isinstance(refusal, NoSeatLeft):
            more = "You must purchase at least one more seat to add this user as a member."
            return body | {"message": more, "errors": [{"code": "no_seat", "field": "user"}]}
        if isinstance(refusal, DuplicateMember | DuplicateInvitation | InvalidValue):
            problem = {"resource": "OrganizationInvitation", "code": code, "field": "data"}
            if isinstance(refusal, InvalidValue):
                problem["field"] = refusal.field
            else:
                problem["message"] = INVITED_AGAIN
            return body | {"message": "Validation Failed", "errors": [problem]}
        return body

    def refused(self, refusal: SandboxRefusal) -> Response:
        if isinstance(refusal, TooManyRequests):
            status = int(self.chosen["limit_status"])
            return self.response(self.error(status, "", refusal), status)
        return super().refused(refusal)

    # ------------------------------------------------------------------ the kit

    def credentials(self, request: IncomingRequest) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() in ("bearer", "token") else ""

    def new_id(self, kind: str) -> str:
        return f"{self.random.getrandbits(96):024x}" if kind in SECRET else str(self.number())

    def number(self) -> int:
        return self.random.randrange(10**6, 10**9)

    def link(self, invitation: InvitationRecord) -> str:
        url = f"https://github.com/orgs/{ORG}/invitation"
        return f"{url}?invitation_token={invitation.secret}"

    def email(self, invitation: InvitationRecord) -> dict[str, Any]:
        name, link = self.organization.name, self.link(invitation)
        return {
            "sender": "noreply@github.com",
            "subject": f"[GitHub] You're invited to join the {name} organization",
            "text": f"You are invited to join the {name} organization.\n\nAccept: {link}\n",
            "link": link,
        }

    def settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "org": ORG, "token": OWNER_TOKEN}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {**self.settings(base_url), "token": READ_ONLY_TOKEN}


SECRET = ("key", "secret")
"""The kinds of ids that are secrets; all others are numbers."""


def teams_of(roles: Iterable[RoleRecord]) -> list[RoleRecord]:
    return [role for role in roles if role.kind == "team"]


def written(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
