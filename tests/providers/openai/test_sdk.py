"""OpenAI's own SDK against the sandbox, and against what the provider sends.

The SDK reads every answer into a type of its own. Each row makes the same call with both: the
requests have to be equal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from tests.providers.judged import Judged, judged

from guestlist import Guestlist
from guestlist.models import NewInvitation, Role
from guestlist_openai import OpenAI
from guestlist_openai.sandbox import ADMIN_KEY, READER_KEY, OpenAIService


def official() -> Any:
    """Returns the SDK. It takes a second to load, so it is not loaded before a test needs it."""
    return pytest.importorskip("openai", reason="the official client is not installed")


ADA, BOB = "ada@example.com", "bob@example.com"
EVERYTHING = {"limit": 100}
"""The SDK leaves out the page size, and then gets 20 records a page."""


@dataclass
class World:
    """A sandbox with an invitation of Ada, and Bob as a member who is in the project Web."""

    judged: Judged

    def __post_init__(self) -> None:
        service = self.judged.service
        organization, reader = service.organization, service.organization.role("reader")
        self.default, self.web = service.organization.roles_of_kind("project")
        self.ada = organization.invite(ADA, [reader], projects={self.web.id: "owner"})
        bob = organization.invite(BOB, [reader], projects={self.web.id: "member"})
        service.accept(bob.id)
        self.bob = bob.member

    @property
    def account(self) -> OpenAI:
        return OpenAI(base_url=f"{self.judged.base_url}/v1", admin_key=ADMIN_KEY)

    def ours(self, name: str, *arguments: Any) -> Any:
        """Runs an operation of the provider."""
        with Guestlist({"openai": self.account}) as guests:
            return guests.account("openai").call(getattr(OpenAI, name), *arguments)

    def record(self, name: str, id: str) -> Any:
        """Returns an invitation or member as the provider reads it."""
        found = self.ours(name, id)
        self.judged.seen.clear()
        return found

    def sdk(self, kind: str = "OpenAI", **options: Any) -> Any:
        """Returns a client of the SDK."""
        settings = {"admin_api_key": ADMIN_KEY, "max_retries": 0, **options}
        return getattr(official(), kind)(base_url=f"{self.judged.base_url}/v1", **settings)

    @cached_property
    def organization(self) -> Any:
        return self.judged.closing.enter_context(self.sdk()).admin.organization


def project_names(world: World) -> list[Any]:
    return list(world.organization.projects.list(**EVERYTHING))


def places_of(world: World) -> list[Any]:
    """Reads the users of every project, as the provider does for each member record."""
    return [
        list(world.organization.projects.users.list(one.id, **EVERYTHING))
        for one in project_names(world)
    ]


def in_project(project: Any, rank: str = "") -> Role:
    return Role(id=f"{project.id}/{rank}" if rank else project.id, kind="project")


def member_of(world: World) -> Any:
    return world.record("get_member", world.bob.id)


@dataclass(frozen=True)
class Row:
    """One operation, by the provider and by the SDK."""

    operation: str
    arguments: Callable[[World], tuple[Any, ...]]
    theirs: Callable[[World], Any]
    case: str = ""
    difference: str = ""
    """Why the provider sends something else besides."""

    @property
    def id(self) -> str:
        return f"{self.operation} {self.case}".strip()


CLEO = "cleo@example.com"
FIRST = "the provider first reads who is in the project: the SDK leaves that to its caller"
ROWS = (
    Row("organization", lambda w: (), lambda w: w.organization.users.list(limit=1)),
    Row(
        "invite",
        lambda w: (NewInvitation(email=CLEO, roles=(Role(id="reader"),)),),
        lambda w: w.organization.invites.create(email=CLEO, role="reader", projects=[]),
    ),
    Row(
        "invite",
        lambda w: (
            NewInvitation(email=CLEO, roles=(Role(id="owner"), in_project(w.web, "owner"))),
        ),
        lambda w: w.organization.invites.create(
            email=CLEO, role="owner", projects=[{"id": w.web.id, "role": "owner"}]
        ),
        case="into a project",
    ),
    Row(
        "get_invitation",
        lambda w: (w.ada.id,),
        lambda w: (w.organization.invites.retrieve(w.ada.id), project_names(w)),
    ),
    Row(
        "invitations",
        lambda w: (),
        lambda w: (list(w.organization.invites.list(**EVERYTHING)), project_names(w)),
    ),
    Row(
        "invitations",
        lambda w: (w.ada.id,),
        lambda w: (
            list(w.organization.invites.list(after=w.ada.id, **EVERYTHING)),
            project_names(w),
        ),
        case="after the first",
    ),
    Row(
        "revoke",
        lambda w: (w.record("get_invitation", w.ada.id),),
        lambda w: w.organization.invites.delete(w.ada.id),
        difference="the provider first checks that the invite is not accepted",
    ),
    Row(
        "members",
        lambda w: (),
        lambda w: (places_of(w), list(w.organization.users.list(**EVERYTHING))),
    ),
    Row(
        "get_member",
        lambda w: (w.bob.id,),
        lambda w: (w.organization.users.retrieve(w.bob.id), places_of(w)),
    ),
    Row(
        "find_member",
        lambda w: (BOB,),
        lambda w: (list(w.organization.users.list(emails=[BOB], **EVERYTHING)), places_of(w)),
    ),
    Row("remove", lambda w: (member_of(w),), lambda w: w.organization.users.delete(w.bob.id)),
    Row("roles", lambda w: (), project_names),
    Row(
        "assign_role",
        lambda w: (member_of(w), Role(id="owner")),
        lambda w: w.organization.users.update(w.bob.id, role="owner"),
    ),
    Row(
        "assign_role",
        lambda w: (member_of(w), in_project(w.default)),
        lambda w: w.organization.projects.users.create(
            w.default.id, user_id=w.bob.id, role="member"
        ),
        case="project",
        difference=FIRST,
    ),
    Row(
        "assign_role",
        lambda w: (member_of(w), in_project(w.web, "owner")),
        lambda w: w.organization.projects.users.update(w.bob.id, project_id=w.web.id, role="owner"),
        case="another role in the project",
        difference=FIRST,
    ),
    Row(
        "unassign_role",
        lambda w: (member_of(w), in_project(w.web)),
        lambda w: w.organization.projects.users.delete(w.bob.id, project_id=w.web.id),
        case="project",
        difference=FIRST,
    ),
    Row(
        "access",
        lambda w: (member_of(w),),
        lambda w: (w.organization.users.retrieve(w.bob.id), places_of(w)),
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_provider_sends_what_the_sdk_sends(row: Row) -> None:
    """Method, path, query, body, media type and credentials are equal. Both use a sandbox of their
    own, with equal ids."""
    with judged(OpenAIService, "authorization") as ours:
        world = World(ours)
        arguments = row.arguments(world)
        ours.seen.clear()
        world.ours(row.operation, *arguments)
    with judged(OpenAIService, "authorization") as theirs:
        row.theirs(World(theirs))
    assert theirs.seen
    if row.difference:
        assert [one.method for one in ours.seen[:-1]] == ["GET"], row.difference
        assert ours.seen[-1:] == theirs.seen
    else:
        assert ours.seen == theirs.seen


def test_every_operation_is_in_the_table() -> None:
    assert {row.operation for row in ROWS} == set(OpenAI.operations())


@pytest.fixture
def world() -> Iterator[World]:
    with judged(OpenAIService) as one:
        yield World(one)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_sdk_reads_every_record(world: World, is_async: bool) -> None:
    """With the strict check of its answers, which rejects a missing or misshapen field."""
    kind = "AsyncOpenAI" if is_async else "OpenAI"
    client = world.sdk(kind, _strict_response_validation=True)

    def now(answer: Any) -> Any:
        return loop.run_until_complete(answer) if is_async else answer

    def items(pages: Any) -> list[Any]:
        async def collect() -> list[Any]:
            return [one async for one in pages]

        return loop.run_until_complete(collect()) if is_async else list(pages)

    loop = asyncio.new_event_loop()
    try:
        one, web, default = client.admin.organization, world.web.id, world.default.id
        invite = now(one.invites.create(email=CLEO, role="reader"))
        assert [(each.id, each.role) for each in invite.projects] == [(default, "member")]
        assert (invite.status, invite.expires_at - invite.created_at) == ("pending", 7 * 86400)
        assert now(one.invites.retrieve(invite.id)) == invite
        listed = items(one.invites.list(limit=2))
        assert [each.email for each in listed] == [ADA, BOB, CLEO]
        assert listed[1].status == "accepted"
        assert listed[1].accepted_at is not None
        assert now(one.invites.delete(invite.id)).deleted

        [bob] = items(one.users.list(emails=["BOB@Example.com"]))
        assert (bob.id, bob.role, bob.is_service_account) == (world.bob.id, "reader", False)
        users = items(one.users.list(limit=1))
        assert [each.email for each in users if each.is_service_account] == [None]
        assert len(users) == 4
        assert now(one.users.update(bob.id, role="owner")).role == "owner"
        assert now(one.users.retrieve(bob.id)).role == "owner"

        names = [each.name for each in items(one.projects.list())]
        assert names == ["Default project", "Web"]
        users = one.projects.users
        assert now(users.create(default, user_id=bob.id, role="member")).role == "member"
        changed = now(users.update(bob.id, project_id=web, role="owner"))
        assert changed == now(users.retrieve(bob.id, project_id=web))
        assert items(users.list(web)) == [changed]
        assert now(users.delete(bob.id, project_id=web)).deleted
        assert now(one.users.delete(bob.id)).deleted
    finally:
        now(client.close())
        loop.close()


@pytest.mark.parametrize(
    ("error", "call", "key"),
    [
        ("AuthenticationError", lambda w, one: one.users.list(), "sk-admin-other"),
        ("NotFoundError", lambda w, one: one.users.retrieve("user-1"), ADMIN_KEY),
        ("PermissionDeniedError", lambda w, one: one.users.delete(w.bob.id), READER_KEY),
        ("BadRequestError", lambda w, one: one.users.update(w.bob.id, role="admin"), ADMIN_KEY),
    ],
)
def test_the_sdk_reads_refusals(world: World, error: str, call: Any, key: str) -> None:
    with world.sdk(admin_api_key=key) as client, pytest.raises(official().APIStatusError) as caught:
        call(world, client.admin.organization)
    assert type(caught.value).__name__ == error
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id
