"""Aitronos' own SDK against the imitation: what it sends is taken, what it needs is answered.

The table holds every call of the SDK that the sandbox imitates. The SDK reads its answers into
types of its own, so a missing or misshapen field fails here.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from guestlist.sandbox.service import AdjustableClock
from guestlist_aitronos import sandbox as seed
from guestlist_aitronos.sandbox import AitronosService

aitronos = pytest.importorskip(
    "aitronos", reason="the official client is not installed: pip install aitronos-sdk"
)

ORG = seed.ORGANIZATION
EMAIL = "noor@example.net"
ONCE = {"max_retries": 0}
"""The SDK repeats a 409 by itself, after sleeping."""


class World:
    """One sandbox with one invitation in it, and the ids that calls need."""

    def __init__(self) -> None:
        self.service = AitronosService(clock=AdjustableClock(lambda: 1_770_000_000.0))
        organization = self.service.organization
        self.role = organization.role_named("Member").id
        self.statuses = list(self.service.status_ids.values())
        self.third = self.user(seed.SUPPORT_EMAIL)

    def user(self, email: str) -> str:
        person = self.service.organization.person_with(email)
        assert person is not None
        return person.id

    @property
    def invited(self) -> Any:
        """The newest invitation."""
        return list(self.service.organization.invitations.values())[-1]


@dataclass(frozen=True)
class Call:
    """A call of the SDK."""

    name: str
    """Group and method, such as `organizations.get_organization`."""
    arguments: Callable[[World], dict[str, Any]]
    expect: Callable[[World, Any], object]
    """Whether the answer is right."""
    invitee: str | None = EMAIL
    """Who is invited before."""
    key: str = seed.OWNER_KEY
    case: str = ""
    """What sets it apart from other calls of the same method."""

    @property
    def id(self) -> str:
        return f"{self.name} {self.case}".strip()

    @property
    def group(self) -> str:
        return self.name.partition(".")[0]

    @property
    def method(self) -> str:
        return self.name.partition(".")[2]


def organization(**more: Any) -> Callable[[World], dict[str, Any]]:
    return lambda _: {"organization_id": ORG, **more}


def is_none(_: World, answer: Any) -> bool:
    return answer is None


SELECTORS: dict[str, Callable[[World], dict[str, Any]]] = {
    "by email": lambda w: {"organization_id": ORG, "email": EMAIL},
    "by user": lambda w: {"organization_id": ORG, "user_id": w.invited.member.person.id},
    "by id": lambda w: {"organization_id": ORG, "invitation_id": w.invited.id},
}

INVITATIONS = [
    Call(
        "crew_management_invitations.invite_user",
        lambda w: {
            "organization_id": ORG,
            "email": EMAIL,
            "role_id": w.role,
            "send_invitation": True,
        },
        lambda w, a: (
            (a.invitation_id, a.user_id) == (w.invited.id, w.invited.member.person.id)
            and a.invitation_link == w.service.link(w.invited)
            and len(w.service.outbox.emails) == 1
        ),
        invitee=None,
    ),
    Call(
        "crew_management_invitations.invite_user",
        lambda w: {"organization_id": ORG, "email": "Other@Example.net", "role_id": w.role},
        lambda w, a: (a.email, a.role_id) == ("Other@Example.net", w.role),
        case="by default with a mail",
    ),
    *[
        Call(
            "crew_management_invitations.get_invitation",
            arguments,
            lambda w, a: (
                a.invitation_id == w.invited.id
                and a.organization_id == ORG
                and a.created_at == datetime(2026, 2, 2, 2, 40, tzinfo=UTC)
                and (a.expires_at - a.created_at).days == 7
            ),
            case=case,
        )
        for case, arguments in SELECTORS.items()
    ],
    Call(
        "crew_management_invitations.resend_invitation",
        lambda w: {"organization_id": ORG, "user_id": w.invited.member.person.id},
        lambda w, a: a is None and len(w.service.outbox.emails) == 1,
    ),
    Call(
        "crew_management_invitations.resend_invitations_bulk",
        lambda w: {"organization_id": ORG, "user_ids": [w.invited.member.person.id, w.third]},
        lambda w, a: (
            (a.success_count, a.failure_count) == (1, 1)
            and a.failed_operations[0].id == w.third
            and a.failed_operations[0].error
        ),
    ),
    Call(
        "crew_management_invitations.validate_invitation",
        lambda w: {"email_key": w.invited.secret},
        lambda w, a: a["valid"] is True and a["role_name"] == "Member",
    ),
    Call(
        "crew_management_invitations.accept_invitation",
        lambda w: {"email_key": w.invited.secret},
        lambda w, a: a["success"] is True and a["organization_id"] == ORG,
        invitee=seed.OUTSIDER_EMAIL,
        key=seed.OUTSIDER_KEY,
    ),
    Call(
        "crew_management_invitations.complete_invitation",
        lambda w: {
            "email_key": w.invited.secret,
            "full_name": "Noor Example",
            "password": "correct-horse-9",
        },
        lambda w, a: (
            a.success
            and (a.user_id, a.organization_id) == (w.invited.member.person.id, ORG)
            and a.token.count(".") == 2
            and a.refresh_token["token"]
            and a.recommended_username == "noor"
        ),
    ),
    Call(
        "crew_management_invitations.cancel_invitation",
        lambda w: {"organization_id": ORG, "invitation_id": w.invited.id},
        lambda w, a: a is None and w.invited.ended == "revoked",
    ),
]

MEMBERS = [
    Call(
        "crew_management_members.list_members",
        organization(),
        lambda w, a: (
            (a.total_users_count, a.skip, a.take, len(a.users)) == (4, 0, 10, 4)
            and {m.status.name for m in a.users} == {"Active", "InvitationSent"}
        ),
    ),
    Call(
        "crew_management_members.list_members",
        lambda w: {
            "organization_id": ORG,
            "skip": 0,
            "take": 1,
            "search_term": EMAIL,
            "role_id": w.role,
            "status_id": w.statuses[2],
            "sort_field": "email",
            "sort_direction": "asc",
            "include_deleted": True,
        },
        lambda w, a: [(m.email, m.role.id) for m in a.users] == [(EMAIL, w.role)],
        case="with everything",
    ),
    Call(
        "crew_management_members.list_members",
        organization(search_term=None, role_id=None),
        lambda w, a: a.total_users_count == 4,
        case="with nulls",
    ),
    Call(
        "crew_management_members.get_member",
        lambda w: {"organization_id": ORG, "user_id": w.third},
        lambda w, a: (a.full_name, a.role.name) == ("Sam Support", "Support"),
    ),
    Call(
        "crew_management_members.update_member",
        lambda w: {"organization_id": ORG, "user_id": w.third, "role_id": w.role},
        lambda w, a: a.role.name == "Member" and a.status.selectable_in_ui,
    ),
    Call(
        "crew_management_members.delete_member",
        lambda w: {"organization_id": ORG, "user_id": w.third},
        is_none,
    ),
]

ORGANIZATIONS = [
    Call("organizations.get_organization", organization(), lambda w, a: a.id == ORG),
    Call(
        "organizations.list_roles",
        organization(include_global=True),
        lambda w, a: [r.name for r in a] == [*seed.SYSTEM_ROLES, "Support"],
    ),
    Call(
        "organizations.list_statuses",
        organization(active_only=True),
        lambda w, a: [s.name for s in a] == [name for name, *_ in seed.STATUSES.values()],
    ),
]

CALLS = [*INVITATIONS, *MEMBERS, *ORGANIZATIONS]


class Server:
    """The sandbox on a loopback port; the world behind it can be exchanged."""

    def __init__(self) -> None:
        self.world = World()
        self._socket = socket.create_server(("127.0.0.1", 0))  # listens, so nobody has to wait
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(self._app, interface="asgi3", lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._client = httpx.Client()  # the SDK cannot close one of its own
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.world.service.app(scope, receive, send)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._client.close()
        self._socket.close()

    def sync(self, key: str = seed.OWNER_KEY, **options: Any) -> Any:
        return aitronos.Aitronos(
            base_url=self.base_url, api_key=key, httpx_client=self._client, **options
        )


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.world = World()
    return running


def invite(server: Server, email: str) -> Any:
    """Invites without an email, so that calls can count theirs."""
    return server.sync().crew_management_invitations.invite_user(
        ORG, email=email, role_id=server.world.role, send_invitation=False
    )


def make(server: Server, call: Call, is_async: bool) -> Any:
    """Makes a call with either client."""
    arguments = call.arguments(server.world)
    if not is_async:
        return getattr(getattr(server.sync(call.key), call.group), call.method)(**arguments)

    async def run() -> Any:
        async with httpx.AsyncClient() as http:
            client = aitronos.AsyncAitronos(
                base_url=server.base_url, api_key=call.key, httpx_client=http
            )
            return await getattr(getattr(client, call.group), call.method)(**arguments)

    return asyncio.run(run())


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
def test_call(server: Server, call: Call, is_async: bool) -> None:
    if call.invitee is not None:
        invite(server, call.invitee)
    answer = make(server, call, is_async)
    assert call.expect(server.world, answer), answer


def test_every_call_of_the_groups_is_in_the_table(server: Server) -> None:
    """The other calls do not concern invitations, or do the same for many people."""
    left_out = {
        "crew_management_members.restore_member",  # below: needs a deleted member
        "crew_management_members.change_status_bulk",
        "crew_management_members.delete_members_bulk",
        "crew_management_members.get_member_ids",
        "crew_management_members.get_members_by_ids",
        "crew_management_members.get_status_summary",
        "organizations.create_organization",
        "organizations.delete_organization",
        "organizations.list_organizations",
        "organizations.list_providers",
        "organizations.update_organization",
        "organizations.update_provider",
        "organizations.validate_providers",
    }
    client = server.sync()
    groups = {call.group for call in CALLS}
    offered = {
        f"{group}.{name}"
        for group in groups
        for name in dir(getattr(client, group))
        if not name.startswith("_") and name != "with_raw_response"
    }
    assert offered == {c.name for c in CALLS if c.group in groups} | left_out


def test_restore(server: Server) -> None:
    members = server.sync().crew_management_members
    members.delete_member(ORG, server.world.third)
    assert members.restore_member(ORG, server.world.third) is None
    assert members.get_member(ORG, server.world.third).status.name == "Active"


def test_a_person_completes_and_uses_the_token(server: Server) -> None:
    invite(server, EMAIL)
    key = server.world.invited.secret
    done = server.sync("unused").crew_management_invitations.complete_invitation(
        email_key=key, full_name="Noor Example", password="correct-horse-9"
    )
    client = server.sync("unused", token=done.token)
    assert client.organizations.get_organization(ORG).name == "Example Works"


@pytest.mark.parametrize("body", ["envelope", "detail"])
def test_the_sdk_reads_a_422(server: Server, body: str) -> None:
    server.world.service.configure(validation_body=body)
    with pytest.raises(aitronos.UnprocessableEntityError) as failure:
        server.sync().crew_management_members.list_members(ORG, take=101)
    expected = "detail" if body == "detail" else "error"
    assert expected in failure.value.body


def test_the_sdk_reads_other_refusals(server: Server) -> None:
    invitations = server.sync().crew_management_invitations
    invite(server, EMAIL)
    wanted = {"email": EMAIL, "role_id": server.world.role, "request_options": ONCE}
    with pytest.raises(aitronos.core.ApiError) as failure:
        invitations.invite_user(ORG, **wanted)
    assert failure.value.status_code == 409
    assert failure.value.body["error"]["code"] == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(aitronos.core.ApiError) as failure:
        invitations.get_invitation(ORG, email="nobody@example.net")
    assert failure.value.status_code == 404
    with pytest.raises(aitronos.core.ApiError) as failure:
        server.sync(seed.READ_ONLY_KEY).crew_management_invitations.invite_user(ORG, **wanted)
    assert failure.value.status_code == 403
