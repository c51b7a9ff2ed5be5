"""The GitHub provider: facts about organizations on GitHub, settings of the account, operations.

The facts are from GitHub's documentation and its OpenAPI description, unless another source is
named. Everyone in an organization is at least a member, so that role is never shown as one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from guestlist.errors import (
    Conflict,
    Forbidden,
    GuestlistError,
    InvalidArgument,
    MalformedResponse,
    NotFound,
    RateLimited,
    Rejected,
    SeatLimit,
    Unauthorized,
)
from guestlist.models import (
    Basis,
    Grant,
    Invitation,
    Member,
    MemberState,
    NewInvitation,
    Role,
    State,
    email_key,
)
from guestlist.provider import (
    READING_ERRORS,
    Flow,
    Limit,
    Options,
    Page,
    Provider,
    Request,
    Response,
    by_link,
    every,
    explain,
    operation,
    parse_datetime,
    setting,
    whole,
)

T = TypeVar("T")

PAGE_SIZE = 100
"""Records per page: the maximum."""

MEMBER = Role(
    id="member",
    name="member",
    not_assignable="everyone in the organization is a member, so leave it out",
)
ORGANIZATION_ROLES = (
    MEMBER,
    Role(
        id="billing_manager",
        name="billing_manager",
        description="Manages the billing settings",
        not_assignable="GitHub gives it by invitation only",
        by_invitation=True,
    ),
    Role(id="admin", name="admin", description="Owner of the organization"),
)

FAILURES = {"expired": State.EXPIRED, "already_accepted": State.ACCEPTED}
"""GitHub's words for why an invitation failed (github/docs#4423). Any other, such as
`no_more_seats`, `trade_controls` or `invalid_generic`, is read as `UNKNOWN`."""

INVITATION_LISTS = ("invitations", "failed_invitations")
"""The list of open invitations, and that of failed ones."""

SECONDARY_PAUSE_SECONDS = 60.0
"""How long to wait after a secondary rate limit whose answer names no time."""

OWNER = (
    "The token has to be an organization owner's, with the scope `admin:org` (classic) or the"
    ' permission "Members: Read and write" (fine-grained). If the organization uses SAML single'
    " sign-on, authorize the token for it."
)
LAST_OWNER = (
    "If the person is the last owner, make another member an owner first: assign the role admin."
    f" {OWNER}"
)
_HINTS: dict[type[GuestlistError], str] = {
    Unauthorized: "Create a new token on https://github.com/settings/tokens.",
    Forbidden: OWNER,
    NotFound: "GitHub answers 404 also if the token may not see the record. Check `org`,"
    f" and the token. {OWNER} GitHub Enterprise Server has no invitations.",
    Rejected: "The person may have blocked the organization, or GitHub has flagged the account.",
}


class GitHubOptions(Options):
    """Options of an invitation to a GitHub organization."""

    reinstate: bool = False
    """Whether a former member gets the previous role and teams back. Roles cannot be given."""


class GitHub(Provider):
    """One organization on GitHub."""

    name = "github"
    title = "GitHub"
    docs_url = "https://docs.github.com/rest/orgs/members"
    Options = GitHubOptions
    sandbox = "guestlist_github.sandbox:GitHubService"
    judges = ("PyGithub 2.10", "GitHub's OpenAPI description")

    organization_settings = ("org",)
    most_roles = None  # one role in the organization, and any number of teams
    role_kinds = ("role", "team")
    exclusive_kinds = ("role",)
    admin_roles = frozenset({"admin"})  # GitHub's name in the API for an owner of the organization
    members_show_emails = False
    finds_logins = True
    lifetime = timedelta(days=7)
    counts_seats = True
    no_access = "The person is a member, and in no team."
    substitutes: ClassVar[Mapping[str, str]] = {
        "email": "GitHub always sends it.",
        "link": "GitHub only emails it. Who is signed in finds the invitation on the page of the"
        " organization.",
        "change_invitation": "Use `invite` with if_exists='replace', or wait for acceptance.",
    }

    base_url: str = setting("Where GitHub's API is", default="https://api.github.com")
    org: str = setting("The organization's name, as in github.com/NAME", env="GITHUB_ORGANIZATION")
    token: str = setting("An organization owner's token", env="GITHUB_TOKEN", secret=True)
    invitations_per_day: int = setting(
        "GitHub allows 500, and 50 if the organization is younger than a month and not paid for",
        default=500,
    )
    requests_per_hour: int = setting(
        "GitHub allows 5000, and 15000 to apps of GitHub Enterprise Cloud", default=5000
    )

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The primary rate limit, the secondary ones that GitHub documents, and the invitations per
        day."""
        return (
            Limit(self.requests_per_hour, 3600.0),
            Limit(900, 60.0, applies_to=is_read, what="reading requests"),
            Limit(180, 60.0, applies_to=is_change, what="changes"),
            Limit(80, 60.0, applies_to=is_invitation, what="invitations"),
            Limit(500, 3600.0, applies_to=is_invitation, what="invitations"),
            Limit(self.invitations_per_day, 86400.0, applies_to=is_invitation, what="invitations"),
        )

    @property
    def refuses_members(self) -> bool:
        """True (github/rest-api-description#4109). Nothing is known about open invitations."""
        return True

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def explain(self, response: Response) -> GuestlistError:
        """Returns the error for a refusal. A 422 goes by the codes of its errors, never by a text:
        GitHub has misspelled it for years."""
        if response.status in (403, 429) and is_rate_limit(response):
            limited = explain(response, RateLimited)
            used_up = response.headers.get("x-ratelimit-remaining") == "0"
            if not used_up and "retry-after" not in response.headers:
                limited.retry_after = SECONDARY_PAUSE_SECONDS
            return limited
        error = super().explain(response)
        if response.status == 422:
            codes = error_codes(response)
            if "no_seat" in codes:
                return explain(response, SeatLimit)
            if codes.get("unprocessable") == "OrganizationInvitation":
                return explain(response, Conflict)
        error.hint = _HINTS.get(type(error), error.hint)
        return error

    # ------------------------------------------------------------------ invitations

    @operation
    def organization(self) -> Flow[str]:
        """Returns the name of the organization, if the token may list its invitations: anyone may
        read the name of a public organization.

        Raises:
            Forbidden: the token is a classic one that may only read. GitHub shows its scopes, and
                not those of other tokens (docs.github.com, "Scopes for OAuth apps").
        """
        raw = (yield self._get()).mapping()
        reply = yield self._get("invitations", per_page=1)
        scopes = reply.headers.get("x-oauth-scopes")
        if scopes and "admin:org" not in scopes.replace(",", " ").split():
            raise Forbidden(f"the token has only the scopes {scopes}", hint=OWNER)
        return str(raw.get("name") or raw["login"])

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        """Invites by the login if it is known, else by the address."""
        slugs = [role.id for role in new.roles if role.kind == "team"]
        words = [role.id for role in new.roles if role.kind != "team"]
        reinstate = isinstance(new.options, GitHubOptions) and new.options.reinstate
        if len(words) > 1 or (reinstate and new.roles):
            several = "a former member who is reinstated gets the previous roles, and no others"
            raise InvalidArgument(
                several if reinstate else f"an invitation has one role, not {' and '.join(words)}"
            )
        if "billing_manager" in words and new.login:  # the list of members lacks them
            known = yield from self.find_member(f"@{new.login}")
            if known is not None:
                raise Conflict(f"{new.login} is a member or invited already")
        role = "reinstate" if reinstate else (*words, "direct_member")[0]
        body: dict[str, Any] = {"role": role}
        if new.login:
            try:
                reply = yield Request.get("users", new.login)
            except NotFound as error:
                error.hint = "Check the login. If the person has no account, leave the login out."
                raise
            body["invitee_id"] = reply.mapping()["id"]
        else:
            body["email"] = new.email
        for slug in slugs:
            reply = yield self._get("teams", slug)
            body.setdefault("team_ids", []).append(reply.mapping()["id"])
        try:
            reply = yield Request.post("orgs", self.org, "invitations", json=body)
        except Rejected as error:
            if reinstate and type(error) is Rejected:
                error.hint = f"Leave `reinstate` out if the person was never a member. {error.hint}"
            raise
        made = read_invitation(reply.mapping())
        teams = tuple(one for one in new.roles if one.kind == "team")
        offered = {"email": made.email or new.email or None, "roles": (*made.roles, *teams)}
        return made.model_copy(update=offered)

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Cancels an invitation."""
        yield Request.delete("orgs", self.org, "invitations", str(invitation.id))

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        """Returns the invitation of an address, or of a login with a leading `@`. If none shows the
        address, returns an open one that shows only a login."""
        nameless: Invitation | None = None
        for name in INVITATION_LISTS:
            page = yield from whole(self._listing(read_invitation, name))
            mine = [one for one in page.items if is_to(one, email)]
            if mine:
                try:
                    return (yield from self._with_teams(mine[-1]))
                except NotFound:  # It has ended. No source says whether it still has teams.
                    return mine[-1] if name == INVITATION_LISTS[1] else None
            for problem in page.problems:
                if problem.may_be(email_key(email)):
                    raise MalformedResponse(f"an invitation cannot be read: {problem}")
            if name == INVITATION_LISTS[0] and not email.startswith("@"):
                nameless = next((one for one in page.items if not one.email), None)
        return nameless

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of the open invitations, or of the failed ones after these. Takes a
        request for each open invitation to a team."""
        name, _, number = (cursor or INVITATION_LISTS[0]).partition("/")
        page = yield from self._listing(read_invitation, name)(number or None)
        following = f"{name}/{page.next}" if page.next else None
        if name == INVITATION_LISTS[0]:
            items = []
            for one in page.items:
                with suppress(NotFound):  # it has just ended
                    items.append((yield from self._with_teams(one)))
            page, following = replace(page, items=items), following or INVITATION_LISTS[1]
        return replace(page, next=following)

    # ------------------------------------------------------------------ members

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns all members as one page, because owners and teams are lists of their own."""
        held: dict[str, list[Role]] = defaultdict(list)
        for owner in (yield from every(self._listing(read_member, "members", role="admin"))):
            held[owner.id].append(ORGANIZATION_ROLES[-1])
        for team, people in (yield from self._team_members()):
            for one in people:
                if not one.raw.get("inherited"):
                    held[one.id].append(team)
        page = yield from whole(self._listing(read_member, "members"))
        items = [one.model_copy(update={"roles": tuple(held[one.id])}) for one in page.items]
        return replace(page, items=items)

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        """Returns the member with a login (`@ada`). No record shows an address, so that none is
        found by it."""
        if not email.startswith("@"):
            return None
        try:
            reply = yield self._get("memberships", email[1:])
        except NotFound:
            return None
        raw = reply.mapping()
        pending = raw["state"] == "pending"
        state = MemberState.INVITED if pending else MemberState.ACTIVE
        return read_member(raw["user"]).model_copy(update={"state": state})

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        """Returns the member with an id, which belongs to the person and outlives a new login."""
        reply = yield Request.get("user", id)
        login = reply.mapping()["login"]
        member = yield from self.find_member(f"@{login}")
        if member is None:
            raise NotFound(f"{login} is not a member")
        return member

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Removes a member from the organization and all its teams."""
        login = yield from self._login(member)
        yield from _from_owner(member, Request.delete("orgs", self.org, "memberships", login))

    @operation
    def outside_collaborators(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the people who have access to a repository of the organization and
        are not members."""
        return (yield from self._listing(read_member, "outside_collaborators")(cursor))

    # ------------------------------------------------------------------ roles

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns the roles in the organization, and then one page of the teams."""
        if cursor is None:
            return Page(ORGANIZATION_ROLES, "1")
        return (yield from self._listing(read_team, "teams")(cursor))

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Adds a member to a team, or makes the member an owner. GitHub would invite a person who
        is not a member, so guestlist looks first."""
        yield from self._set_role(member, role, held=True)

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a member out of a team, or makes an owner a plain member."""
        if role.id == "billing_manager" and role.kind != "team":
            raise InvalidArgument(
                "billing_manager cannot be taken away alone: GitHub documents no request for it,"
                " and the one for members might make the person a member",
                hint="Use `remove`.",
            )
        yield from self._set_role(member, role, held=False)

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns the member's role and teams. Membership in a team counts for the teams above."""
        login = yield from self._login(member)
        reply = yield self._get("memberships", login)
        word = reply.mapping()["role"]
        grants = [Grant(role=role) for role in ORGANIZATION_ROLES if role.id == word != "member"]
        for team, people in (yield from self._team_members()):
            mine = [one for one in people if one.id == member.id]
            grants += [Grant(role=team, direct=not one.raw.get("inherited")) for one in mine]
        return tuple(grants)

    # ------------------------------------------------------------------ helpers

    def _set_role(self, member: Member, role: Role, *, held: bool) -> Flow[None]:
        login = yield from self._login(member)
        if role.kind != "team":
            word = role.id if held else "member"
            change = Request.put("orgs", self.org, "memberships", login, json={"role": word})
            yield from _from_owner(member, change)
            return
        path = ("orgs", self.org, "teams", role.id, "memberships", login)
        yield Request.put(*path, json={"role": "member"}) if held else Request.delete(*path)

    def _login(self, member: Member) -> Flow[str]:
        if member.login:
            return member.login
        return (yield from self.get_member(member.id)).login or ""

    def _team_members(self) -> Flow[list[tuple[Role, list[Member]]]]:
        """Returns each team with its members, and with those of the teams below it, whose records
        are marked as inherited."""
        found = []
        for team in (yield from every(self._listing(read_team, "teams"))):
            people = yield from every(self._listing(read_member, "teams", team.id, "members"))
            found.append((team, people))
        return found

    def _with_teams(self, invitation: Invitation) -> Flow[Invitation]:
        """Adds the teams that an invitation offers. The record has only their number."""
        if not invitation.raw.get("team_count"):
            return invitation
        path = ("invitations", str(invitation.id), "teams")
        teams = yield from every(self._listing(read_team, *path))
        return invitation.model_copy(update={"roles": (*invitation.roles, *teams)})

    def _listing(
        self, read: Callable[[Any], T], *path: str, role: str | None = None
    ) -> Callable[[str | None], Flow[Page[T]]]:
        """Returns a function that returns one page of a list."""

        def page(number: str | None) -> Request:
            return self._get(*path, role=role, per_page=PAGE_SIZE, page=number)

        return lambda cursor: by_link(cursor, page, read)

    def _get(self, *path: str, **query: str | int | None) -> Request:
        return Request.get("orgs", self.org, *path, query=query)


def _from_owner(member: Member, request: Request) -> Flow[None]:
    """Sends a change of a member who may be an owner. A refusal may then mean the last one: no
    document says how GitHub refuses that."""
    try:
        yield request
    except (Conflict, Forbidden, Rejected) as error:
        if member.roles is None or any(role.id == "admin" for role in member.roles):
            error.hint = LAST_OWNER
        raise


def is_read(request: Request) -> bool:
    """Returns whether a request costs one point of the secondary limit, 900 in a minute."""
    return request.method == "GET"


def is_change(request: Request) -> bool:
    """Returns whether a request costs five points of the secondary limit."""
    return request.method in ("PUT", "DELETE")


def is_invitation(request: Request) -> bool:
    """Returns whether a request counts toward the limits of invitations. They are lower than that
    of points."""
    return request.method == "POST"


def is_rate_limit(response: Response) -> bool:
    """Returns whether a 403 or 429 is about a rate limit: no request is left, or the answer says
    when to retry or names the secondary limit."""
    return (
        response.status == 429
        or "retry-after" in response.headers
        or response.headers.get("x-ratelimit-remaining") == "0"
        or b"secondary rate limit" in response.content
    )


def error_codes(response: Response) -> dict[str, str]:
    """Returns the codes of a 422, and the resource that each is about."""
    try:
        errors = response.mapping().get("errors") or ()
        return {str(one["code"]): str(one.get("resource", "")) for one in errors}
    except (MalformedResponse, *READING_ERRORS, AttributeError):
        return {}


def is_to(invitation: Invitation, who: str) -> bool:
    """Returns whether an invitation is to an address, or to a login with a leading `@`."""
    if who.startswith("@"):
        return f"@{invitation.login or ''}".casefold() == who.casefold()
    return bool(invitation.email) and email_key(invitation.email or "") == email_key(who)


def read_invitation(raw: Mapping[str, Any]) -> Invitation:
    """Reads an invitation without its teams. GitHub lists open ones and failed ones, and shows the
    login of a person who has an account."""
    reason = raw.get("failed_reason")
    failed = parse_datetime(raw.get("failed_at"))
    state = FAILURES.get(str(reason), State.UNKNOWN) if failed or reason else State.PENDING
    word = raw["role"]
    return Invitation(
        id=raw["id"],
        email=raw.get("email"),
        login=raw.get("login"),
        state=state,
        raw_state=reason,
        basis=Basis.INFERRED if state is State.PENDING else Basis.REPORTED,
        roles=() if word == "direct_member" else (Role(id=word, name=word),),
        created_at=parse_datetime(raw.get("created_at")),
        expires_at=failed if state is State.EXPIRED else None,
        never_expires=raw.get("invitation_source") == "scim",
        invited_by=(raw.get("inviter") or {}).get("login"),
        raw=raw,
    )


def read_member(raw: Mapping[str, Any]) -> Member:
    """Reads a person, without roles."""
    return Member(
        id=raw["id"],
        login=raw["login"],
        name=raw.get("name"),
        service=raw.get("type") == "Bot",
        raw=raw,
    )


def read_team(raw: Mapping[str, Any]) -> Role:
    """Reads a team. Its id is the slug, which is part of the paths."""
    return Role(
        id=raw["slug"],
        name=raw["name"],
        kind="team",
        description=raw.get("description"),
        raw=raw,
    )
