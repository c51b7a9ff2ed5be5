"""python-gitlab, the client that GitLab's documentation names, against the sandbox and against the
provider: it reads the sandbox's answers, and it sends the requests that the provider sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import gitlab
import pytest
from gitlab.v4.objects import GroupInvitation, GroupMember, GroupMemberAll, GroupMemberRole
from tests.providers.gitlab.conftest import Recorder, Sent

from guestlist.exchange.account import Account, Budget
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Flow
from guestlist_gitlab import GitLab
from guestlist_gitlab.sandbox import OWNER_TOKEN, GitLabService
from pytest_guestlist.calling import call_service
from pytest_guestlist.clock import VirtualClock

ADA, START = "ada@example.com", datetime(2026, 5, 4, tzinfo=UTC)
DEVELOPER, MAINTAINER = 30, 40


@pytest.fixture(params=["groups", "projects"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def sdk(server: Recorder, kind: str, token: str = OWNER_TOKEN) -> Any:
    """Returns the group or project of the official client."""
    client = gitlab.Gitlab(server.url, private_token=token)
    return (
        client.groups.get(42, lazy=True) if kind == "groups" else client.projects.get(77, lazy=True)
    )


# ---------------------------------------------------------------------------- the sandbox's answers


def test_the_group_is_read(server: Recorder) -> None:
    client = gitlab.Gitlab(server.url, private_token=OWNER_TOKEN)
    assert client.groups.get(42).full_name == "Example Holding / Example Works"
    assert client.projects.get(77).name_with_namespace == "Example Holding / Example Works"
    with pytest.raises(gitlab.exceptions.GitlabGetError, match="404 Group Not Found"):
        client.groups.get(1)


def test_an_invitation_lives(server: Recorder, kind: str) -> None:
    source = sdk(server, kind)
    made = source.invitations.create({"email": ADA, "access_level": DEVELOPER})
    assert made.status == "success"
    [one] = source.invitations.list(query=ADA, get_all=True)
    assert (one.invite_email, one.access_level) == (ADA, DEVELOPER)
    source.invitations.update(ADA, {"access_level": MAINTAINER})
    [one] = source.invitations.list(get_all=True)
    assert one.access_level == MAINTAINER
    source.invitations.delete(ADA)
    assert source.invitations.list(get_all=True) == []
    with pytest.raises(gitlab.exceptions.GitlabDeleteError, match="404"):
        source.invitations.delete(ADA)


def test_an_error_in_a_201_is_an_error(server: Recorder, kind: str) -> None:
    server.service.configure(again="refuse")
    invitations = sdk(server, kind).invitations
    invitations.create({"email": ADA, "access_level": DEVELOPER})
    with pytest.raises(gitlab.exceptions.GitlabInvitationError) as refused:
        invitations.create({"email": ADA, "access_level": DEVELOPER})
    assert refused.value.args == ({ADA: "Invite email has already been taken"},)
    server.service.configure(seats="5")
    for number in range(3):
        server.service.organization.add_member(f"m{number}@example.com", roles=[])
    with pytest.raises(gitlab.exceptions.GitlabInvitationError, match="not enough available seats"):
        invitations.create({"email": "bob@example.com", "access_level": DEVELOPER})


def test_a_member_lives(server: Recorder, kind: str) -> None:
    source = sdk(server, kind)
    kim = source.members.create({"username": "kim", "access_level": DEVELOPER})
    assert (kim.username, kim.access_level) == ("kim", DEVELOPER)
    kim.access_level = MAINTAINER
    kim.save()
    assert source.members.get(kim.id).access_level == MAINTAINER
    assert source.members_all.get(kim.id).access_level == MAINTAINER
    kim.delete()
    names = [one.username for one in source.members.list(get_all=True)]
    assert names == ["olga", "rita"]
    names = [one.username for one in source.members_all.list(get_all=True)]
    assert names == ["olga", "rita", "pia"]
    with pytest.raises(gitlab.exceptions.GitlabCreateError, match="Member already exists"):
        source.members.create({"username": "olga", "access_level": DEVELOPER})


def test_types_of_the_official_client(server: Recorder) -> None:
    group = sdk(server, "groups")
    group.invitations.create({"email": ADA, "access_level": DEVELOPER})
    assert isinstance(next(group.invitations.list(iterator=True)), GroupInvitation)
    assert isinstance(next(group.members.list(iterator=True)), GroupMember)
    assert isinstance(next(group.members_all.list(iterator=True)), GroupMemberAll)
    [role] = group.member_roles.list(get_all=True)
    assert isinstance(role, GroupMemberRole)
    assert (role.name, role.base_access_level) == ("Auditor", 20)


def test_pages_are_followed(server: Recorder, kind: str) -> None:
    for number in range(5):
        server.service.organization.add_member(
            f"m{number}@example.com", roles=[server.service.organization.role("30")]
        )
    members = sdk(server, kind).members.list(per_page=3, iterator=True)
    assert (members.total, members.total_pages, members.per_page) == (7, 3, 3)
    assert len(list(members)) == 7


@pytest.mark.parametrize(
    ("token", "message"),
    [("wrong", "401 Unauthorized"), ("glpat-SANDBOX-EXPIRED", "invalid_token")],
)
def test_a_wrong_token_is_refused(server: Recorder, token: str, message: str) -> None:
    with pytest.raises(gitlab.exceptions.GitlabAuthenticationError, match=message):
        sdk(server, "groups", token).members.list(get_all=True)


# ---------------------------------------------------------------------------- requests

Official = Callable[[Any], object]
INVITATION = Invitation(id=None, email=ADA, state=State.PENDING)
ROLE = Role(id="30", name="Developer")
CUSTOM = Role(id="9", name="Auditor", kind="custom_role", raw={"base_access_level": 20})


def pairs(member: Member) -> dict[str, tuple[tuple[Any, ...], Official]]:
    """Returns the arguments of each operation, and the same call of the official client."""
    new = NewInvitation(email=ADA, roles=(ROLE,))
    return {
        "invite": ((new,), lambda source: _invite(source, {"access_level": DEVELOPER})),
        "invite custom": (
            (new.model_copy(update={"roles": (CUSTOM,)}),),
            lambda source: _invite(source, {"access_level": 20, "member_role_id": 9}),
        ),
        "invite login": (
            (new.model_copy(update={"login": "kim"}),),
            lambda source: source.members.create({"username": "kim", "access_level": DEVELOPER}),
        ),
        "find_invitation": (
            (ADA,),
            lambda source: source.invitations.list(query=ADA, get_all=True),
        ),
        "invitations": ((), lambda source: list(source.invitations.list(**PAGES))),
        "change_invitation": (
            (INVITATION, (ROLE,)),
            lambda source: source.invitations.update(ADA, {"access_level": DEVELOPER}),
        ),
        "revoke": ((INVITATION,), lambda source: source.invitations.delete(ADA)),
        "members": ((), lambda source: list(source.members.list(**PAGES))),
        "get_member": ((member.id,), lambda source: source.members.get(member.id)),
        "remove": ((member,), lambda source: source.members.delete(member.id)),
        "assign_role": (
            (member, ROLE),
            lambda source: source.members.update(member.id, {"access_level": DEVELOPER}),
        ),
        "access": (
            (member,),
            lambda source: (source.members_all.get(member.id), source.members.get(member.id)),
        ),
    }


PAGES: dict[str, Any] = {"iterator": True, "per_page": 100}


def _invite(source: Any, terms: dict[str, Any]) -> None:
    source.invitations.create({"email": ADA, **terms})
    source.invitations.list(query=ADA, get_all=True)  # the provider looks whether it was created


OPERATIONS = sorted(pairs(Member(id="1", login="rita")))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_provider_sends_what_the_official_client_sends(
    server: Recorder, kind: str, operation: str
) -> None:
    """Method, path, query, media type and body, without any difference."""
    profile = kind.removesuffix("s")
    server.service = sandbox(profile, operation)
    arguments, official = pairs(rita_of(server.service))[operation]
    official(sdk(server, kind))
    account = account_of(server)
    service = sandbox(profile, operation)
    flow = getattr(account, operation.split()[0])(*arguments)
    assert requests_of(account, service, flow) == server.sent


def account_of(server: Recorder, **more: Any) -> GitLab:
    settings: dict[str, Any] = {**server.service.settings(server.url), **more}
    return GitLab(**settings)


def sandbox(profile: str, operation: str) -> GitLabService:
    """Returns a sandbox in which the operation is possible."""
    service = GitLabService(profile=profile)
    if operation in ("find_invitation", "invitations", "change_invitation", "revoke"):
        service.organization.invite(ADA, [service.organization.role("20")])
    return service


def rita_of(service: GitLabService) -> Member:
    return Member(id=service.organization.members()[1].id, login="rita")


def requests_of(account: GitLab, service: GitLabService, flow: Flow[Any]) -> list[Sent]:
    """Runs an operation on a sandbox, and returns its requests as they go out."""
    exchange, sent = Account("gitlab", account, VirtualClock(START)), list[Sent]()
    try:
        request = next(flow)
        while True:
            outgoing = exchange.outgoing(request, Budget())
            url, body = urlsplit(outgoing.url), outgoing.content
            headers = {name.lower(): value for name, value in outgoing.headers.items()}
            media_type = headers.get("content-type", "")
            read = json.loads(body) if body else None
            sent.append(Sent(outgoing.method, url.path, url.query, media_type, read))
            request = flow.send(call_service(service, outgoing))
    except StopIteration:
        return sent


def test_every_operation_is_compared() -> None:
    compared = {name.split()[0] for name in OPERATIONS}
    assert set(GitLab.operations()) == compared | {"organization", "roles"}


def test_the_organization_and_its_custom_roles(server: Recorder) -> None:
    """One difference: the official client writes a boolean in capitals."""
    account = account_of(server, custom_roles="42")
    mine = [
        *requests_of(account, server.service, account.organization()),
        *requests_of(account, server.service, account.roles()),
    ]
    client = gitlab.Gitlab(server.url, private_token=OWNER_TOKEN)
    group = client.groups.get(42, with_projects=False)
    client.personal_access_tokens.get("self")
    group.member_roles.list(get_all=True)
    theirs = [replace(one, query=one.query.lower()) for one in server.sent]
    assert mine == theirs
