"""PyGithub and the provider, judged by each other on the sandbox.

PyGithub does every call that both support, and gets typed results. For each operation, the requests
of the provider equal those of PyGithub, apart from the explained differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.providers.github.kit import Exchange, Taped, client, sandbox

from guestlist import Guestlist
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist_github import GitHub
from guestlist_github.sandbox import ORG, OWNER_TOKEN

github = pytest.importorskip("github", reason="PyGithub is not installed")

EMAIL, LOGIN = "ada@example.com", "nina-dev"
ORGANIZATION = f"/orgs/{ORG}"
DOCS, ADMIN = Role(id="docs", name="Docs", kind="team"), Role(id="admin", name="admin")


@dataclass
class Stage:
    """A sandbox with both clients."""

    service: Taped
    sdk: Any
    org: Any
    guests: Guestlist

    def start_over(self) -> None:
        """Restores the first records, with the same ids."""
        self.service.random.seed(0)
        self.service.build()

    def call(self, operation: Any, *arguments: Any) -> Any:
        return self.guests.call(operation, *arguments)

    def team(self, slug: str) -> Any:
        return self.org.get_team_by_slug(slug)

    def path_of(self, slug: str) -> str:
        """The path of a team as in the team's record, which PyGithub follows."""
        number = self.service.organization.role(slug).fields["team_id"]
        return f"/organizations/{self.service.organization.id}/team/{number}"

    def login(self, login: str) -> Member:
        return Member(id=self.service.person(login).id, login=login)

    def invited(self) -> Invitation:
        """The open invitation, as the provider lists it."""
        found: Invitation = self.call(GitHub.invitations).items[0]
        return found


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Taped, str]]:
    with sandbox() as (service, url):
        yield service, url


@pytest.fixture
def stage(running: tuple[Taped, str]) -> Iterator[Stage]:
    service, url = running
    sdk = github.Github(
        base_url=url,
        auth=github.Auth.Token(OWNER_TOKEN),
        retry=None,
        per_page=100,
        seconds_between_requests=None,
        seconds_between_writes=None,
        api_version="2022-11-28",
    )
    with client(service, url) as guests:
        stage = Stage(service, sdk, sdk.get_organization(ORG), guests)
        stage.start_over()
        yield stage
    sdk.close()


Requests = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Case:
    """One operation, done by both clients.

    Attributes:
        sdk: does it with PyGithub, after `prepare`, and returns the results that it read.
        provider: does it with the provider.
        typed: whether PyGithub's result is right.
        more: the requests that only the provider sends, with the reason.
        less: the requests that only PyGithub sends, with the reason.
    """

    name: str
    sdk: Callable[[Stage], Any]
    provider: Callable[[Stage], Any]
    typed: Callable[[Any], bool]
    prepare: Callable[[Stage], object] = lambda stage: None
    more: tuple[tuple[str, str], ...] = ()
    less: tuple[tuple[str, str], ...] = ()


def new(email: str = EMAIL, *roles: Role, login: str | None = None) -> NewInvitation:
    return NewInvitation(email=email, login=login, roles=roles)


def invite(stage: Stage) -> None:
    stage.org.invite_user(email=EMAIL, role="direct_member", teams=[stage.team("docs")])


def people_of_teams(stage: Stage) -> Any:
    admins = list(stage.org.get_members(role="admin"))
    teams = [(team.slug, list(team.get_members())) for team in stage.org.get_teams()]
    return admins, teams, list(stage.org.get_members())


MAY_LIST = ("GET /orgs/octo-works/invitations", "shows that the token is an owner's")
TEAM_ID = ("GET /orgs/octo-works/teams/docs", "an invitation takes a team's number")
USER = "GET /users/"
HAS_OBJECT = "PyGithub takes an object, which it reads first"

CASES = [
    Case(
        "organization",
        lambda s: s.sdk.get_organization(ORG),
        lambda s: s.call(GitHub.organization),
        lambda found: found.name == "Octo Works" and found.login == ORG,
        more=(MAY_LIST,),
    ),
    Case(
        "invite by address",
        lambda s: s.org.invite_user(email=EMAIL, role="direct_member"),
        lambda s: s.call(GitHub.invite, new()),
        lambda found: found is None,
    ),
    Case(
        "invite as owner",
        lambda s: s.org.invite_user(email=EMAIL, role="admin"),
        lambda s: s.call(GitHub.invite, new(EMAIL, ADMIN)),
        lambda found: found is None,
    ),
    Case(
        "invite by login",
        lambda s: s.org.invite_user(user=s.sdk.get_user(LOGIN), role="direct_member"),
        lambda s: s.call(GitHub.invite, new(login=LOGIN)),
        lambda found: found is None,
    ),
    Case(
        "invite to a team",
        lambda s: s.org.invite_user(email=EMAIL, role="direct_member", teams=[s.team("docs")]),
        lambda s: s.call(GitHub.invite, new(EMAIL, DOCS)),
        lambda found: found is None,
    ),
    Case(
        "invitations",
        lambda s: list(s.org.invitations()),
        lambda s: s.call(GitHub.invitations),
        lambda found: (
            [(one.email, one.login, one.role, one.team_count) for one in found]
            == [(EMAIL, None, "direct_member", 1)]
            and found[0].inviter.login == "olga-octo"
            and found[0].failed_at is None
        ),
        prepare=invite,
        more=(("GET /orgs/octo-works/invitations/{}/teams", "PyGithub has no call for them"),),
    ),
    Case(
        "revoke",
        lambda s: s.org.cancel_invitation(next(iter(s.org.invitations()))),
        lambda s: s.call(GitHub.revoke, s.invited()),
        lambda found: found is True,
        prepare=invite,
        less=(("GET /orgs/octo-works/invitations", HAS_OBJECT),),
        more=(
            ("GET /orgs/octo-works/invitations", "the test finds the invitation"),
            ("GET /orgs/octo-works/invitations/{}/teams", "the test finds the invitation"),
        ),
    ),
    Case(
        "members",
        people_of_teams,
        lambda s: s.call(GitHub.members),
        lambda found: (
            [one.login for one in found[0]] == ["olga-octo"]
            and [(slug, [one.login for one in people]) for slug, people in found[1]]
            == [("platform", ["lena-lead"]), ("on-call", []), ("docs", [])]
            and [one.login for one in found[2]] == ["olga-octo", "lena-lead", "omar-m"]
        ),
    ),
    Case(
        "find_member",
        lambda s: s.sdk.get_user("lena-lead").get_organization_membership(ORG),
        lambda s: s.call(GitHub.find_member, "@lena-lead"),
        lambda found: (
            (found.state, found.role, found.user.login) == ("active", "member", "lena-lead")
        ),
        less=((f"{USER}lena-lead", HAS_OBJECT),),
    ),
    Case(
        "get_member",
        lambda s: s.sdk.get_user_by_id(int(s.login("lena-lead").id)).login,
        lambda s: s.call(GitHub.get_member, s.login("lena-lead").id),
        lambda found: found == "lena-lead",
        more=(("GET /orgs/octo-works/memberships/lena-lead", "a person need not be a member"),),
    ),
    Case(
        "remove",
        lambda s: s.org.remove_from_membership(s.sdk.get_user("omar-m")),
        lambda s: s.call(GitHub.remove, s.login("omar-m")),
        lambda found: found is None,
        less=((f"{USER}omar-m", HAS_OBJECT),),
    ),
    Case(
        "outside_collaborators",
        lambda s: list(s.org.get_outside_collaborators()),
        lambda s: s.call(GitHub.outside_collaborators),
        lambda found: [one.login for one in found] == ["oskar-out"],
    ),
    Case(
        "roles",
        lambda s: list(s.org.get_teams()),
        lambda s: s.call(GitHub.roles, "1"),
        lambda found: (
            [(one.slug, one.parent and one.parent.slug) for one in found]
            == [("platform", None), ("on-call", "platform"), ("docs", None)]
        ),
    ),
    Case(
        "assign a team",
        lambda s: s.team("docs").add_membership(s.sdk.get_user("omar-m")),
        lambda s: s.call(GitHub.assign_role, s.login("omar-m"), DOCS),
        lambda found: found is None,
        less=((TEAM_ID[0], HAS_OBJECT), (f"{USER}omar-m", HAS_OBJECT)),
    ),
    Case(
        "unassign a team",
        lambda s: s.team("platform").remove_membership(s.sdk.get_user("lena-lead")),
        lambda s: s.call(
            GitHub.unassign_role, s.login("lena-lead"), Role(id="platform", kind="team")
        ),
        lambda found: found is None,
        less=(
            ("GET /orgs/octo-works/teams/platform", HAS_OBJECT),
            (f"{USER}lena-lead", HAS_OBJECT),
        ),
    ),
    Case(
        "make an owner",
        lambda s: s.org.add_to_members(s.sdk.get_user("omar-m"), role="admin"),
        lambda s: s.call(GitHub.assign_role, s.login("omar-m"), ADMIN),
        lambda found: found is None,
        less=((f"{USER}omar-m", HAS_OBJECT),),
    ),
    Case(
        "make an owner a member",
        lambda s: s.org.add_to_members(s.sdk.get_user("omar-m"), role="member"),
        lambda s: s.call(GitHub.unassign_role, s.login("omar-m"), ADMIN),
        lambda found: found is None,
        prepare=lambda s: s.org.add_to_members(s.sdk.get_user("omar-m"), role="admin"),
        less=((f"{USER}omar-m", HAS_OBJECT),),
    ),
    Case(
        "access",
        lambda s: (
            s.sdk.get_user("lena-lead").get_organization_membership(ORG).role,
            [[one.login for one in team.get_members()] for team in s.org.get_teams()],
        ),
        lambda s: s.call(GitHub.access, s.login("lena-lead")),
        lambda found: found == ("member", [["lena-lead"], [], []]),
        less=((f"{USER}lena-lead", HAS_OBJECT),),
    ),
]

WITHOUT_SDK = {
    "find_invitation": "reads the lists of `invitations`, and failed_invitations, which PyGithub"
    " does not have",
}
"""The operations that PyGithub cannot do."""


def lines(stage: Stage, exchanges: list[Exchange]) -> list[tuple[Any, ...]]:
    """The requests with team paths by slug, without numbers of pages that are the first."""
    found = []
    for one in exchanges:
        method, path, query, body = one.line
        for slug in ("platform", "on-call", "docs"):
            path = path.replace(stage.path_of(slug), f"{ORGANIZATION}/teams/{slug}")
        found.append((method, path, tuple(pair for pair in query if pair != ("page", "1")), body))
    return found


def left_out(requests: list[tuple[Any, ...]], explained: tuple[tuple[str, str], ...]) -> Any:
    """Returns the requests without the explained ones. Each explanation has to be needed."""
    for pattern, reason in explained:
        before, _, after = pattern.partition("{}")
        same = [
            one
            for one in requests
            if f"{one[0]} {one[1]}".startswith(before) and f"{one[0]} {one[1]}".endswith(after)
        ]
        same = [one for one in same if "{}" in pattern or f"{one[0]} {one[1]}" == pattern]
        assert same, f"{pattern} was not sent: {reason}"
        requests.remove(same[0])
    return sorted(requests)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_send_the_same(case: Case, stage: Stage) -> None:
    case.prepare(stage)
    with Taped.recording() as theirs:
        found = case.sdk(stage)
    assert case.typed(found)
    stage.start_over()
    case.prepare(stage)
    with Taped.recording() as ours:
        case.provider(stage)
    assert left_out(lines(stage, ours), case.more) == left_out(lines(stage, theirs), case.less)
    assert all(200 <= one.status < 300 for one in (*theirs, *ours))
    for one in (*theirs, *ours):
        assert one.headers["x-github-api-version"] == "2022-11-28"
        if one.body is not None:
            assert one.headers["content-type"].startswith("application/json")
    # PyGithub sends its own media types, and the older scheme of tokens.
    assert {one.headers["accept"] for one in ours} == {"application/vnd.github+json"}
    assert {one.headers["authorization"] for one in ours} == {f"Bearer {OWNER_TOKEN}"}
    assert {one.headers["authorization"] for one in theirs} == {f"token {OWNER_TOKEN}"}


def test_every_operation_is_compared() -> None:
    compared = {case.name.split()[0] for case in CASES} | WITHOUT_SDK.keys()
    assert {"assign", "unassign", "make"} < compared  # roles and teams
    names = {"assign_role", "unassign_role"} | compared
    assert set(GitHub.operations()) <= names


def test_pygithub_walks_through_the_sandbox(stage: Stage) -> None:
    team = stage.team("docs")
    stage.org.invite_user(user=stage.sdk.get_user(LOGIN), role="admin", teams=[team])
    [invited] = stage.org.invitations()
    assert (invited.login, invited.email, invited.role) == (LOGIN, None, "admin")
    assert [one.login for one in team.invitations()] == [LOGIN]
    membership = stage.sdk.get_user(LOGIN).get_organization_membership(ORG)
    assert (membership.state, membership.role) == ("pending", "admin")
    assert team.get_team_membership(LOGIN).state == "pending"
    stage.service.accept(str(invited.id))
    assert stage.sdk.get_user(LOGIN).get_organization_membership(ORG).state == "active"
    assert stage.org.has_in_members(stage.sdk.get_user(LOGIN))
    assert [one.login for one in team.get_members()] == [LOGIN]
    assert list(stage.org.invitations()) == []
    guest = stage.guests.status(login=LOGIN)
    assert (guest.state, guest.member and guest.member.roles) == (State.ACCEPTED, None)


def test_pygithub_reads_pages_by_the_link_header(stage: Stage) -> None:
    stage.sdk.per_page = 2
    for number in range(5):
        stage.org.invite_user(email=f"p{number}@example.com")
    with Taped.recording() as tape:
        found = [one.email for one in stage.org.invitations()]
    assert found == [f"p{number}@example.com" for number in range(5)]
    assert len(tape) == 3


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda s: s.org.invite_user(email="omar@example.org"), 422),
        (lambda s: s.sdk.get_organization("nobody"), 404),
        (lambda s: s.sdk.get_user("nobody").id, 404),
        (lambda s: s.team("nothing").id, 404),
    ],
    ids=["a member", "no organization", "no user", "no team"],
)
def test_pygithub_reads_the_refusals(
    call: Callable[[Stage], Any], status: int, stage: Stage
) -> None:
    with pytest.raises(github.GithubException) as refused:
        call(stage)
    assert refused.value.status == status
    if status == 422:
        [problem] = refused.value.data["errors"]
        assert (problem["resource"], problem["code"]) == ("OrganizationInvitation", "unprocessable")
