"""GitHub keeps the rules that every provider keeps, on its sandbox. The answers below are the
examples of GitHub's OpenAPI description (npm `@octokit/openapi` 23.0.2), and changes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

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
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Request, Response
from guestlist_github import GitHub, GitHubOptions
from guestlist_github.provider import ORGANIZATION_ROLES
from guestlist_github.sandbox import PERSON_URLS, GitHubService
from pytest_guestlist.conformance import Example, ProviderSuite
from pytest_guestlist.conformance.walkthrough import WalkthroughRunner

URLS = ("repositories", "following", "gists", "starred", "events", "hooks", "issues", "members")
MORE_URLS = ("html", "avatar", "invitation_teams", "documentation", "organization")

RAW: dict[str, Any] = {
    "id": 1,
    "login": "monalisa",
    "node_id": "MDQ6VXNlcjE=",
    "email": "octocat@github.com",
    "role": "direct_member",
    "created_at": "2016-11-30T06:46:10-08:00",
    "failed_at": "",
    "failed_reason": "",
    "inviter": {"login": "other_user", "id": 1, "type": "User", "site_admin": False},
    "team_count": 2,
    "invitation_teams_url": "https://api.github.com/organizations/2/invitations/1/teams",
    "invitation_source": "member",
}
READ: dict[str, Any] = {
    "id": "1",
    "email": "octocat@github.com",
    "login": "monalisa",
    "state": "pending",
    "raw_state": "",
    "basis": "inferred",
    "roles": [],
    "created_at": "2016-11-30T06:46:10-08:00",
    "expires_at": None,
    "never_expires": False,
    "invited_by": "other_user",
}
ALONE = RAW | {"team_count": 0}
FAILED = ALONE | {"failed_at": "2016-12-07T06:46:10-08:00", "failed_reason": "expired"}
TEAM: dict[str, Any] = {
    "id": 1,
    "node_id": "MDQ6VGVhbTE=",
    "name": "Justice League",
    "slug": "justice-league",
    "description": "A great team.",
    "privacy": "closed",
    "permission": "admin",
    "parent": None,
}
LEAGUE = {
    "id": "justice-league",
    "name": "Justice League",
    "kind": "team",
    "description": "A great team.",
}
PERSON: dict[str, Any] = {
    "login": "octocat",
    "id": 1,
    "node_id": "MDQ6VXNlcjE=",
    "type": "User",
    "site_admin": False,
}
USER = PERSON | {"name": "monalisa octocat", "email": "octocat@github.com"}
MEMBER = {
    "id": "1",
    "email": None,
    "login": "octocat",
    "name": None,
    "state": "active",
    "service": False,
}
MEMBERSHIP: dict[str, Any] = {
    "url": "https://api.github.com/orgs/octocat/memberships/defunkt",
    "state": "active",
    "role": "admin",
    "direct_membership": True,
    "organization": {"login": "github", "id": 1},
    "user": PERSON,
}
ORGANIZATION: dict[str, Any] = {"login": "github", "id": 1, "name": "GitHub, Inc."}
OCTOCAT = Member(id="1", login="octocat")
UNPROCESSABLE = {"resource": "OrganizationInvitation", "code": "unprocessable", "field": "data"}
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes."
NEXT = {"Link": '<https://api.github.com/x?per_page=100&page=2>; rel="next"'}


def order(*roles: Role, login: str | None = None, reinstate: bool = False) -> tuple[NewInvitation]:
    options = GitHubOptions(reinstate=reinstate)
    email = "octocat@github.com"
    return (NewInvitation(email=email, login=login, roles=roles, options=options),)


def team(slug: str) -> Role:
    return Role(id=slug, kind="team")


def role(id: str) -> Role:
    return Role(id=id)


def answered(
    status: int,
    more: Any,
    means: type[GuestlistError],
    contains: str = "",
    headers: Mapping[str, str] | None = None,
) -> Example:
    """Returns an error with a status."""
    body = {"message": "Validation Failed"} | more
    return Example(
        "outside_collaborators",
        body,
        means,
        status=status,
        error_contains=contains,
        headers=headers or {},
    )


DOCUMENTED = (
    Example(
        "organization",
        [ORGANIZATION, []],
        "GitHub, Inc.",
        several=True,
        sends=[
            "GET https://api.github.com/orgs/ORG ",
            "GET https://api.github.com/orgs/ORG/invitations?per_page=1 ",
            "'Accept': 'application/vnd.github+json'",
            "'X-GitHub-Api-Version': '2022-11-28'",
            "'Authorization': 'Bearer TOKEN'",
        ],
    ),
    Example("organization", [ORGANIZATION | {"name": None}, []], "github", several=True),
    Example(
        "organization",
        [ORGANIZATION, []],
        Forbidden,
        several=True,
        headers={"X-OAuth-Scopes": "read:org, repo"},
        error_contains="only the scopes read:org, repo",
    ),
    Example(
        "organization",
        [ORGANIZATION, []],
        "GitHub, Inc.",
        several=True,
        headers={"X-OAuth-Scopes": "admin:org, repo"},
    ),
    # ---- inviting
    Example(
        "invite",
        ALONE,
        READ,
        status=201,
        arguments=order(),
        sends=[
            "POST https://api.github.com/orgs/ORG/invitations ",
            '{"role":"direct_member","email":"octocat@github.com"}',
        ],
    ),
    Example(
        "invite",
        [PERSON, TEAM, RAW],
        READ | {"roles": ["justice-league"]},
        several=True,
        status=201,
        arguments=order(team("justice-league"), login="octocat"),
        sends=[
            "/users/octocat ",
            "/orgs/ORG/teams/justice-league ",
            '{"role":"direct_member","invitee_id":1,"team_ids":[1]}',
        ],
    ),
    Example(
        "invite",
        RAW | {"role": "admin", "email": None, "login": None},
        {"roles": ["admin"], "email": "octocat@github.com"},
        status=201,
        arguments=order(role("admin")),
        sends=['"role":"admin"'],
    ),
    Example(
        "invite",
        ALONE,
        READ,
        status=201,
        arguments=order(reinstate=True),
        sends=['"role":"reinstate"'],
    ),
    Example(
        "invite",
        {"message": "Not Found"},
        NotFound,
        status=404,
        arguments=order(login="octocat"),
        error_contains="Check the login",
    ),
    Example("invite", {}, InvalidArgument, arguments=order(role("admin"), role("billing_manager"))),
    Example(
        "invite",
        {},
        InvalidArgument,
        arguments=order(team("docs"), reinstate=True),
        error_contains="previous roles",
    ),
    Example(
        "invite",
        MEMBERSHIP,
        Conflict,
        arguments=order(role("billing_manager"), login="octocat"),
        error_contains="invited already",
        sends=["/memberships/octocat "],
    ),
    Example(
        "invite",
        {"message": "No", "errors": [UNPROCESSABLE]},
        Conflict,
        status=422,
        arguments=order(reinstate=True),
    ),
    Example(
        "invite",
        {"message": "No"},
        Rejected,
        status=422,
        arguments=order(reinstate=True),
        error_contains="never a member",
    ),
    Example(
        "invite",
        {"message": "No"},
        Rejected,
        status=422,
        arguments=order(),
        error_contains="[HTTP 422]. The person may have blocked",
    ),
    # ---- finding an invitation
    Example(
        "find_invitation",
        [[RAW], [TEAM]],
        READ | {"roles": ["justice-league"]},
        several=True,
        arguments=("Octocat@GitHub.com",),
        sends=["/orgs/ORG/invitations?per_page=100 ", "/invitations/1/teams?per_page=100 "],
    ),
    Example("find_invitation", [[ALONE], []], READ, several=True, arguments=("@MonaLisa",)),
    Example("find_invitation", [ALONE], None, arguments=("@mona",)),
    Example("find_invitation", [ALONE], None, arguments=("ada@example.com",)),
    Example(
        "find_invitation",
        [[ALONE | {"email": "b@c.example"}, ALONE, ALONE | {"id": 2}], []],
        {"id": "2"},
        several=True,
        arguments=("octocat@github.com",),
    ),
    Example(
        "find_invitation",
        [[], [FAILED]],
        READ
        | {
            "state": "expired",
            "raw_state": "expired",
            "basis": "reported",
            "expires_at": "2016-12-07T06:46:10-08:00",
        },
        several=True,
        arguments=("octocat@github.com",),
        sends=["/orgs/ORG/failed_invitations?per_page=100 "],
    ),
    Example(
        "find_invitation",
        [[RAW], {"message": "Not Found"}],
        None,
        several=True,
        status=404,
        arguments=("octocat@github.com",),
    ),
    Example(
        "find_invitation",
        [[], [RAW | {"id": 3}, RAW | FAILED | {"team_count": 2}], {"message": "Not Found"}],
        {"id": "1", "state": "expired"},
        several=True,
        status=404,
        arguments=("octocat@github.com",),
    ),
    Example(
        "find_invitation",
        [[ALONE | {"email": None}, ALONE | {"email": None, "id": 2}], []],
        {"id": "1", "email": None, "login": "monalisa"},
        several=True,
        arguments=("octocat@github.com",),
    ),
    Example(
        "find_invitation",
        [[], [ALONE | {"email": None}]],
        None,
        several=True,
        arguments=("octocat@github.com",),
    ),
    Example("find_invitation", [ALONE | {"email": None}], None, arguments=("@octocat",)),
    Example(
        "find_invitation",
        [[{"id": 1, "email": "octocat@github.com"}, ALONE | {"email": "b@c.example"}], []],
        MalformedResponse,
        several=True,
        arguments=("octocat@github.com",),
    ),
    Example(
        "find_invitation",
        [[{"id": 1, "email": "b@c.example"}, ALONE | {"email": "b@c.example"}], []],
        None,
        several=True,
        arguments=("octocat@github.com",),
    ),
    # ---- the lists of invitations
    Example(
        "invitations",
        [[RAW], [TEAM]],
        {"items": [READ | {"roles": ["justice-league"]}], "next": "failed_invitations"},
        several=True,
        arguments=(),
        sends=["/orgs/ORG/invitations?per_page=100 "],
    ),
    Example(
        "invitations",
        [ALONE],
        {"items": [READ], "next": "invitations/page:2//83dcefb7"},
        headers=NEXT,
    ),
    Example(
        "invitations",
        [FAILED],
        {"items": [{"state": "expired"}], "next": None},
        arguments=("failed_invitations",),
        sends=["/orgs/ORG/failed_invitations?per_page=100 "],
    ),
    Example(
        "invitations",
        [FAILED],
        {"next": None},
        arguments=("failed_invitations/2",),
        sends=["/failed_invitations?per_page=100&page=2 "],
    ),
    *(
        Example(
            "invitations",
            [FAILED | change],
            {"items": [means]},
            arguments=("failed_invitations",),
        )
        for change, means in (
            ({"failed_reason": "already_accepted"}, {"state": "accepted", "expires_at": None}),
            (
                {"failed_reason": "no_more_seats"},
                {"state": "unknown", "raw_state": "no_more_seats"},
            ),
            ({"failed_reason": None}, {"state": "unknown"}),
            ({"failed_at": None}, {"state": "expired"}),
            ({"failed_at": None, "failed_reason": None}, {"state": "pending"}),
            ({"invitation_source": "scim"}, {"never_expires": True}),
            ({"inviter": None}, {"invited_by": None}),
            ({"role": "billing_manager"}, {"roles": ["billing_manager"]}),
        )
    ),
    Example(
        "revoke",
        {},
        None,
        arguments=(Invitation(id="7", state=State.PENDING),),
        sends=["DELETE https://api.github.com/orgs/ORG/invitations/7 "],
    ),
    # ---- members
    Example(
        "members",
        [[PERSON], [TEAM], [PERSON | {"inherited": False}], [PERSON]],
        {"items": [MEMBER | {"roles": ["admin", "justice-league"]}], "next": None},
        several=True,
        sends=[
            "/orgs/ORG/members?role=admin&per_page=100 ",
            "/orgs/ORG/teams?per_page=100 ",
            "/orgs/ORG/teams/justice-league/members?per_page=100 ",
            "/orgs/ORG/members?per_page=100 ",
        ],
    ),
    Example(
        "members",
        [[], [TEAM], [PERSON | {"inherited": True}], [PERSON | {"type": "Bot", "name": "Dot"}]],
        [{"roles": [], "service": True, "name": "Dot"}],
        several=True,
    ),
    Example(
        "find_member",
        MEMBERSHIP,
        MEMBER,
        arguments=("@octocat",),
        sends=["GET https://api.github.com/orgs/ORG/memberships/octocat "],
    ),
    Example(
        "find_member", MEMBERSHIP | {"state": "pending"}, {"state": "invited"}, arguments=("@o",)
    ),
    Example("find_member", MEMBERSHIP, None, arguments=("octocat@github.com",)),
    Example("find_member", {"message": "Not Found"}, None, status=404, arguments=("@octocat",)),
    Example(
        "get_member",
        [USER, MEMBERSHIP],
        MEMBER,
        several=True,
        arguments=("1",),
        sends=["GET https://api.github.com/user/1 ", "/memberships/octocat "],
    ),
    Example(
        "get_member",
        [USER, {"message": "Not Found"}],
        NotFound,
        several=True,
        status=404,
        arguments=("1",),
        error_contains="octocat is not a member",
    ),
    Example(
        "remove",
        {},
        None,
        arguments=(OCTOCAT,),
        sends=["DELETE https://api.github.com/orgs/ORG/memberships/octocat "],
    ),
    Example(
        "remove",
        [USER, MEMBERSHIP, {}],
        None,
        several=True,
        arguments=(Member(id="1"),),
        sends=["/user/1 ", "DELETE https://api.github.com/orgs/ORG/memberships/octocat "],
    ),
    Example(
        "outside_collaborators", [PERSON], [MEMBER], sends=["/orgs/ORG/outside_collaborators?"]
    ),
    # ---- roles
    Example(
        "roles",
        [],
        {
            "items": [
                {"id": "member", "name": "member", "by_invitation": False},
                {"id": "billing_manager", "name": "billing_manager", "by_invitation": True},
                {"id": "admin", "name": "admin", "kind": "role", "not_assignable": None},
            ],
            "next": "1",
        },
    ),
    Example(
        "roles",
        [TEAM],
        {"items": [LEAGUE], "next": None},
        arguments=("1",),
        sends=["/orgs/ORG/teams?per_page=100"],
    ),
    Example(
        "assign_role",
        MEMBERSHIP,
        None,
        arguments=(OCTOCAT, role("admin")),
        sends=["PUT https://api.github.com/orgs/ORG/memberships/octocat ", '{"role":"admin"}'],
    ),
    Example(
        "unassign_role",
        MEMBERSHIP,
        None,
        arguments=(OCTOCAT, role("admin")),
        sends=["PUT https://api.github.com/orgs/ORG/memberships/octocat ", '{"role":"member"}'],
    ),
    Example("unassign_role", {}, InvalidArgument, arguments=(OCTOCAT, role("billing_manager"))),
    *(
        Example(
            operation,
            {},
            None,
            arguments=(OCTOCAT, team(slug)),
            sends=[f"{method} https://api.github.com/orgs/ORG/teams/{slug}/memberships/octocat "],
        )
        for operation, method, slug in (
            ("assign_role", "PUT", "docs"),
            ("unassign_role", "DELETE", "docs"),
            ("unassign_role", "DELETE", "billing_manager"),
        )
    ),
    Example(
        "assign_role",
        {},
        None,
        arguments=(OCTOCAT, team("docs")),
        sends=['{"role":"member"}'],
    ),
    Example(
        "access",
        [MEMBERSHIP, [TEAM, TEAM | {"slug": "b"}], [PERSON], [PERSON | {"inherited": True}]],
        [
            {"role": "admin", "direct": True},
            {"role": "justice-league", "direct": True},
            {"role": "b", "direct": False},
        ],
        several=True,
        arguments=(OCTOCAT,),
        sends=["/orgs/ORG/memberships/octocat "],
    ),
    Example(
        "access",
        [MEMBERSHIP | {"role": "member"}, [TEAM], [PERSON | {"id": 2}]],
        [],
        several=True,
        arguments=(OCTOCAT,),
    ),
    # ---- refusals
    *(
        Example(
            operation,
            {"message": "No"},
            Forbidden,
            status=403,
            arguments=(Member(id="1", login="octocat", roles=roles), *more),
            error_contains=contains,
        )
        for operation, more in (("remove", ()), ("unassign_role", (role("admin"),)))
        for roles, contains in (
            (None, "make another member an owner first"),
            ((role("admin"),), "make another member an owner first"),
            ((team("docs"),), "/octocat]. The token has to be an organization owner's"),
        )
    ),
    answered(401, {}, Unauthorized, "settings/tokens"),
    answered(403, {}, Forbidden, "admin:org"),
    answered(403, {}, Forbidden, "admin:org", {"X-RateLimit-Remaining": "4999"}),
    answered(404, {}, NotFound, "Check `org`"),
    answered(422, {"errors": [UNPROCESSABLE]}, Conflict),
    answered(422, {"errors": [{"code": "no_seat", "field": "user"}]}, SeatLimit),
    answered(422, {"errors": [UNPROCESSABLE | {"resource": "TeamMember"}]}, Rejected, "blocked"),
    answered(422, {"errors": [{"code": "custom"}]}, Rejected, "blocked"),
    answered(422, {"errors": ["text"]}, Rejected, "blocked"),
    answered(422, {}, Rejected, "blocked"),
    answered(400, {"errors": [UNPROCESSABLE]}, Rejected),
)


class TestSandbox(ProviderSuite):
    service = GitHubService
    role = "team:Docs"
    options_are_shown = False
    documented = DOCUMENTED
    public_fields: ClassVar[frozenset[str]] = frozenset(
        f"{name}_url" for name in (*PERSON_URLS, *URLS, *MORE_URLS, "public_members")
    )

    @classmethod
    def extra_operations(cls, runner: WalkthroughRunner, member: Member) -> None:
        assert runner.run("outside_collaborators").items

    def test_facts(self) -> None:
        """Facts that no answer shows."""
        account = GitHub(org="o", token="t")
        assert account.organization_settings == ("org",)
        assert account.admin_roles == {"admin"}
        assert (account.counts_seats, account.finds_logins) == (True, True)
        assert (account.members_show_emails, account.refuses_members) == (False, True)
        assert (account.role_kinds, account.exclusive_kinds) == (("role", "team"), ("role",))
        assert (account.lifetime, GitHubOptions().reinstate) == (timedelta(days=7), False)
        assert {one.id for one in ORGANIZATION_ROLES if one.not_assignable} == {
            "member",
            "billing_manager",
        }

    def test_limits_count_what_the_documentation_says(self) -> None:
        """Points are written as requests: a read costs one of 900 in a minute, a change five."""
        limits = GitHub(org="o", token="t").limits
        assert [(one.count, one.per, one.what) for one in limits[1:]] == [
            (900, 60.0, "reading requests"),
            (180, 60.0, "changes"),
            (80, 60.0, "invitations"),
            (500, 3600.0, "invitations"),
            (500, 86400.0, "invitations"),
        ]
        assert (limits[0].count, limits[0].per) == (5000, 3600.0)
        for request, counted in (
            (Request.get("orgs", "o"), [True, False, False, False, False]),
            (Request.put("orgs", "o"), [False, True, False, False, False]),
            (Request.delete("orgs", "o"), [False, True, False, False, False]),
            (Request.post("orgs", "o"), [False, False, True, True, True]),
        ):
            found = [one.applies_to is not None and one.applies_to(request) for one in limits[1:]]
            assert found == counted

    def test_rate_limits_are_pauses(self) -> None:
        """A 403 or 429 is a rate limit if it says when to retry, if no request is left, or if its
        message names the secondary limit. Without a time, a minute passes."""
        account = GitHub(org="o", token="t")
        left, none_left = {"x-ratelimit-remaining": "9"}, {"x-ratelimit-remaining": "0"}
        for status, headers, message, pause in (
            (403, {"retry-after": "7"}, "No", None),
            (429, {"retry-after": "7"}, SECONDARY, None),
            (403, none_left, "No", None),
            (429, none_left, "No", None),
            (403, left, SECONDARY, 60.0),
            (429, {}, "No", 60.0),
            (429, left, "No", 60.0),
        ):
            content = json.dumps({"message": message}).encode()
            error = account.explain(Response(status, headers, content))
            assert isinstance(error, RateLimited), (status, headers, message)
            assert error.retry_after == pause
        assert isinstance(account.explain(Response(403, left, b"{}")), Forbidden)
        assert isinstance(account.explain(Response(404, none_left, b"{}")), NotFound)
