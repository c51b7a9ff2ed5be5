"""Runs about people whom the service lists by login."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.durable.kit import START

import guestlist
from guestlist import Guestlist
from guestlist.ledger import Ledger
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Flow, Page, Provider, Request, operation
from pytest_guestlist.clock import VirtualClock

ADA, BOB = "ada@example.com", "bob@example.com"
EDITOR = Role(id="editor")


class Hub(Provider):
    """Members have logins and no addresses, and get roles after they have joined."""

    name = "hub"
    title = "Hub"
    base_url: str = "https://hub.test"
    most_roles = 0
    members_show_emails = False

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        reply = yield Request.post("invitations", json={"email": new.email})
        return Invitation(**reply.mapping(), state=State.PENDING)

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invitations")
        return Page([Invitation(**raw, state=State.PENDING) for raw in reply.items("items")])

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        reply = yield Request.get("members")
        return Page([Member(**raw) for raw in reply.items("items")])

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.put("members", member.id, role.id)


@dataclass
class Service:
    invitations: list[dict[str, Any]] = field(default_factory=list)
    members: list[dict[str, Any]] = field(default_factory=list)
    granted: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        kind = request.url.path.split("/")[1]
        if request.method == "PUT":
            self.granted.append(request.url.path)
        if request.method == "POST":
            email = json.loads(request.content)["email"]
            self.invitations.append({"id": f"i-{len(self.invitations)}", "email": email})
            return httpx.Response(201, json=self.invitations[-1])
        return httpx.Response(200, json={"items": getattr(self, kind)})


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "guestlist.db", clock=VirtualClock(START)) as opened:
        yield opened


@pytest.fixture
def client(service: Service, ledger: Ledger) -> Guestlist:
    transport = httpx.MockTransport(service)
    return Guestlist({"hub": Hub()}, transport=transport, clock=VirtualClock(START), ledger=ledger)


def test_an_answer_is_recognized_by_the_login(
    client: Guestlist, ledger: Ledger, service: Service
) -> None:
    client.invite(ADA, login="ada-l")
    client.invite(BOB, login="bob")
    service.members.append({"id": "m-1", "login": "Ada-L"})
    service.invitations.clear()
    answers = guestlist.follow(client=client, ledger=ledger).answers
    assert {one.email: one.state for one in answers} == {ADA: State.ACCEPTED, BOB: State.GONE}


def test_a_deferred_role_is_given_to_the_member_with_the_login(
    client: Guestlist, ledger: Ledger, service: Service, tmp_path: Path
) -> None:
    roster = tmp_path / "guestlist.toml"
    roster.write_text('[accounts.hub]\nprovider = "vultr"\n')
    assert client.invite(ADA, login="ada-l", role=EDITOR).deferred == (EDITOR,)
    assert guestlist.settle(roster, client=client, ledger=ledger, allow_empty=True).waiting == 1
    service.invitations.clear()
    service.members += [{"id": "m-0", "login": "other"}, {"id": "m-1", "login": "ada-l"}]
    result = guestlist.settle(roster, client=client, ledger=ledger, allow_empty=True)
    assert (result.waiting, result.lost, result.errors) == (0, 0, [])
    assert service.granted == ["/members/m-1/editor"]
