"""Anthropic's own SDK against the sandbox, and against what the provider sends.

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
from guestlist_anthropic import Anthropic
from guestlist_anthropic.sandbox import ADMIN_KEY, READER_KEY, AnthropicService


def official() -> Any:
    """Returns the SDK. It takes a second to load, so it is not loaded before a test needs it."""
    return pytest.importorskip("anthropic", reason="the official client is not installed")


ADA, BOB = "ada@example.com", "bob@example.com"
EVERYTHING = {"limit": 1000}
"""The SDK leaves out the page size, and then gets 20 records a page."""


@dataclass
class World:
    """A sandbox with an invitation of Ada, and Bob as a member who is in the first workspace."""

    judged: Judged

    def __post_init__(self) -> None:
        organization = self.judged.service.organization
        self.ada = organization.invite(ADA, [organization.role("user")])
        bob = organization.invite(BOB, [organization.role("user")])
        self.bob = organization.accept(bob)
        places = [one for one in organization.roles.values() if one.kind == "workspace"]
        self.research, self.production = places
        self.judged.service.members_of(self.research)[self.bob.id] = "workspace_user"

    @property
    def account(self) -> Anthropic:
        return Anthropic(base_url=self.judged.base_url, admin_api_key=ADMIN_KEY)

    def ours(self, name: str, *arguments: Any) -> Any:
        """Runs an operation of the provider."""
        with Guestlist({"anthropic": self.account}) as guests:
            return guests.account("anthropic").call(getattr(Anthropic, name), *arguments)

    def record(self, name: str, id: str) -> Any:
        """Returns an invitation or member as the provider reads it."""
        found = self.ours(name, id)
        self.judged.seen.clear()
        return found

    def sdk(self, kind: str = "Anthropic", **options: Any) -> Any:
        """Returns a client of the SDK."""
        settings = {"api_key": ADMIN_KEY, "max_retries": 0, **options}
        return getattr(official(), kind)(base_url=self.judged.base_url, **settings)

    @cached_property
    def organization(self) -> Any:
        return self.judged.closing.enter_context(self.sdk()).organization


@pytest.fixture
def world() -> Iterator[World]:
    with judged(AnthropicService, "anthropic-version") as one:
        yield World(one)


def places_of(world: World) -> list[Any]:
    """Reads the members of every workspace, as the provider does for each member record."""
    workspaces = list(world.organization.workspaces.list(**EVERYTHING))
    found: list[Any] = []
    for one in workspaces:
        found += world.organization.workspaces.members.list(one.id, **EVERYTHING)
    return found


def in_workspace(world: World, workspace: Any, rank: str = "") -> Role:
    id = f"{workspace.id}/workspace_{rank}" if rank else workspace.id
    return Role(id=id, kind="workspace")


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


NEW = NewInvitation(email="cleo@example.com", roles=(Role(id="developer"),))
FIRST = "the provider first reads who is in the workspace: the SDK leaves that to its caller"
ROWS = (
    Row("organization", lambda w: (), lambda w: w.organization.retrieve()),
    Row(
        "invite",
        lambda w: (NEW,),
        lambda w: w.organization.invites.create(email=NEW.email, role="developer"),
    ),
    Row(
        "get_invitation",
        lambda w: (w.ada.id,),
        lambda w: w.organization.invites.retrieve(w.ada.id),
    ),
    Row(
        "find_invitation",
        lambda w: (ADA,),
        lambda w: list(w.organization.invites.list(email=ADA, **EVERYTHING)),
    ),
    Row("invitations", lambda w: (), lambda w: list(w.organization.invites.list(**EVERYTHING))),
    Row(
        "invitations",
        lambda w: (w.ada.id,),
        lambda w: list(w.organization.invites.list(after_id=w.ada.id, **EVERYTHING)),
        case="after the first",
    ),
    Row(
        "revoke",
        lambda w: (w.record("get_invitation", w.ada.id),),
        lambda w: w.organization.invites.delete(w.ada.id),
        difference="the provider first checks that the invite is pending",
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
        lambda w: (list(w.organization.users.list(email=BOB, **EVERYTHING)), places_of(w)),
    ),
    Row("remove", lambda w: (member_of(w),), lambda w: w.organization.users.remove(w.bob.id)),
    Row("roles", lambda w: (), lambda w: list(w.organization.workspaces.list(**EVERYTHING))),
    Row(
        "assign_role",
        lambda w: (member_of(w), Role(id="developer")),
        lambda w: w.organization.users.update(w.bob.id, role="developer"),
    ),
    Row(
        "assign_role",
        lambda w: (member_of(w), in_workspace(w, w.production)),
        lambda w: w.organization.workspaces.members.add(
            w.production.id, user_id=w.bob.id, workspace_role="workspace_user"
        ),
        case="workspace",
        difference=FIRST,
    ),
    Row(
        "assign_role",
        lambda w: (member_of(w), in_workspace(w, w.research, "admin")),
        lambda w: w.organization.workspaces.members.update(
            w.bob.id, workspace_id=w.research.id, workspace_role="workspace_admin"
        ),
        case="another role in the workspace",
        difference=FIRST,
    ),
    Row(
        "unassign_role",
        lambda w: (member_of(w), in_workspace(w, w.research)),
        lambda w: w.organization.workspaces.members.remove(w.bob.id, workspace_id=w.research.id),
        case="workspace",
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
    """Method, path, query, body, media type and API version are equal. Both use a sandbox of their
    own, with equal ids."""
    with judged(AnthropicService, "anthropic-version") as ours:
        world = World(ours)
        arguments = row.arguments(world)
        ours.seen.clear()
        world.ours(row.operation, *arguments)
    with judged(AnthropicService, "anthropic-version") as theirs:
        row.theirs(World(theirs))
    assert theirs.seen
    if row.difference:
        assert [one.method for one in ours.seen[:-1]] == ["GET"], row.difference
        assert ours.seen[-1:] == theirs.seen
    else:
        assert ours.seen == theirs.seen


def test_every_operation_is_in_the_table() -> None:
    assert {row.operation for row in ROWS} == set(Anthropic.operations())


@pytest.mark.parametrize("key", ["x-api-key", "authorization"])
def test_who_sends_which_credentials(world: World, key: str) -> None:
    """The documents send the key as `x-api-key`, and so does the provider. The SDK sends it as
    `Authorization: Bearer`. The sandbox takes both."""
    with judged(AnthropicService, key) as one:
        same = World(one)
        call = same.ours if key == "x-api-key" else lambda _: same.organization.retrieve()
        call("organization")
        [seen] = one.seen
    expected = ADMIN_KEY if key == "x-api-key" else f"Bearer {ADMIN_KEY}"
    assert seen.headers == ((key, expected),)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_the_sdk_reads_every_record(world: World, is_async: bool) -> None:
    """With the strict check of its answers, which rejects a missing or misshapen field."""
    kind = "AsyncAnthropic" if is_async else "Anthropic"
    client = world.sdk(kind, _strict_response_validation=True)

    def now(answer: Any) -> Any:
        return loop.run_until_complete(answer) if is_async else answer

    def items(pages: Any) -> list[Any]:
        async def collect() -> list[Any]:
            return [one async for one in pages]

        return loop.run_until_complete(collect()) if is_async else list(pages)

    loop = asyncio.new_event_loop()
    try:
        one, research = client.organization, world.research.id
        assert now(one.retrieve()).name == "Example Works"
        invite = now(one.invites.create(email="cleo@example.com", role="developer"))
        assert (invite.status, invite.role, invite.accepted_at) == ("pending", "developer", None)
        assert (invite.expires_at - invite.invited_at).days == 21
        assert now(one.invites.retrieve(invite.id)) == invite
        assert [each.email for each in items(one.invites.list(limit=2))] == [
            ADA,
            BOB,
            "cleo@example.com",
        ]
        accepted = items(one.invites.list(statuses=["accepted"], roles=["user", "billing"]))
        assert [each.email for each in accepted] == [BOB]
        assert accepted[0].accepted_at is not None
        first = now(one.invites.list(limit=2, before_id=invite.id))
        assert [each.email for each in first.data] == [ADA, BOB]
        assert now(one.invites.delete(invite.id)).type == "invite_deleted"
        assert now(one.invites.retrieve(invite.id)).status == "deleted"

        [bob] = items(one.users.list(email="BOB@Example.com"))
        assert (bob.id, bob.role, bob.name) == (world.bob.id, "user", "Bob")
        assert len(items(one.users.list(limit=1))) == 4
        assert [each.name for each in items(one.users.list(roles=["admin"]))] == ["Ines Admin"]
        assert now(one.users.update(bob.id, role="developer")).role == "developer"
        assert now(one.users.retrieve(bob.id)).role == "developer"

        assert [each.name for each in items(one.workspaces.list())] == ["Research", "Production"]
        members = one.workspaces.members
        added = now(
            members.add(world.production.id, user_id=bob.id, workspace_role="workspace_developer")
        )
        assert added.workspace_role == "workspace_developer"
        changed = now(
            members.update(bob.id, workspace_id=research, workspace_role="workspace_admin")
        )
        assert changed == now(members.retrieve(bob.id, workspace_id=research))
        assert items(members.list(research)) == [changed]
        gone = now(members.remove(bob.id, workspace_id=research))
        assert (gone.user_id, gone.workspace_id) == (bob.id, research)
        assert now(one.users.remove(bob.id)).type == "user_deleted"
    finally:
        now(client.close())
        loop.close()


def refuse(world: World, error: str, call: Callable[[Any], Any], key: str = ADMIN_KEY) -> Any:
    with world.sdk(api_key=key) as client, pytest.raises(official().APIStatusError) as caught:
        call(client.organization)
    assert type(caught.value).__name__ == error
    assert caught.value.request_id
    return caught.value


@pytest.mark.parametrize(
    ("code", "switches", "email"),
    [
        ("already_member", {}, BOB),
        ("invite_already_exists", {}, ADA),
        ("org_member_limit_exceeded", {"seats": "5"}, "cleo@example.com"),
        ("email_domain_not_allowed", {"domains": "example"}, "a@other.net"),
    ],
)
def test_the_sdk_has_a_class_for_each_error_code(
    world: World, code: str, switches: dict[str, str], email: str
) -> None:
    world.judged.service.configure(**switches)
    error = f"{code.title().replace('_', '')}Error"
    caught = refuse(world, error, lambda one: one.invites.create(email=email, role="user"))
    assert (caught.status_code, caught.type) == (400, "invalid_request_error")
    assert caught.error_code == code


def test_the_sdk_reads_other_refusals(world: World) -> None:
    refuse(world, "AuthenticationError", lambda one: one.retrieve(), key="sk-ant-admin01-other")
    refuse(world, "NotFoundError", lambda one: one.users.retrieve("user_01"))
    caught = refuse(
        world, "PermissionDeniedError", lambda one: one.users.remove(world.bob.id), key=READER_KEY
    )
    assert caught.type == "permission_error"
    caught = refuse(
        world, "BadRequestError", lambda one: one.users.update(world.bob.id, role="admin")
    )
    assert caught.error_code is None
