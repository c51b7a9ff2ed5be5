"""A service that limits the number of people: seats are freed before they are needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

import guestlist
from guestlist import Guestlist, Ledger
from guestlist.errors import Conflict, Forbidden, GuestlistError, SeatLimit
from guestlist.models import Invitation, Member, NewInvitation, Outcome, State
from guestlist.provider import (
    Flow,
    Page,
    Provider,
    Request,
    Response,
    explain,
    operation,
    setting,
)


class Club(Provider):
    """Checks seats before duplicates, as the strictest services do."""

    name = "club"
    title = "Club"
    counts_seats: ClassVar[bool] = True
    base_url: str = setting("Where it is", default="https://club.example")

    @property
    def refuses_duplicates(self) -> bool:
        return True

    def explain(self, response: Response) -> GuestlistError:
        error = explain(response)
        kinds = {"full": SeatLimit, "already": Conflict}
        return explain(response, kinds.get(error.code or ""))

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        reply = yield Request.post("invitations", json={"email": new.email})
        return read_invitation(reply.mapping()["email"])

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invitations")
        return Page.of(reply.json(), read_invitation)

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invitations", str(invitation.email))

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        reply = yield Request.get("members")
        return Page.of(reply.json(), lambda email: Member(id=email, email=email))

    @operation
    def remove(self, member: Member) -> Flow[None]:
        yield Request.delete("members", member.id)


def read_invitation(email: str) -> Invitation:
    return Invitation(id=email, email=email, state=State.PENDING)


class House:
    """The service: so many seats, for members and for open invitations."""

    def __init__(self, seats: int, members: list[str], invited: list[str]) -> None:
        self.seats = seats
        self.lists = {"members": members, "invitations": invited}
        self.sent: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        kind, *rest = request.url.path.strip("/").split("/")
        people = self.lists[kind]
        if request.method == "GET":
            return httpx.Response(200, json=people)
        self.sent.append(f"{request.method} {request.url.path}")
        if request.method == "DELETE":
            people.remove(rest[0])
            return httpx.Response(204)
        email = json.loads(request.content)["email"]
        if sum(map(len, self.lists.values())) >= self.seats:
            return httpx.Response(403, json={"code": "full", "message": "no seats left"})
        people.append(email)
        return httpx.Response(201, json={"email": email})

    def client(self, ledger: Ledger | None = None) -> Guestlist:
        return Guestlist({"club": Club()}, transport=httpx.MockTransport(self), ledger=ledger)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "guestlist.db") as opened:
        yield opened


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "guestlist.toml"
    path.write_text(
        '[accounts.club]\nprovider = "club"\n'
        '[[people]]\nemail = ["bea@example.com", "cid@example.com"]\naccounts.club = true\n',
        encoding="utf-8",
    )
    return path


def test_a_run_frees_seats_before_it_needs_them(roster: Path, ledger: Ledger) -> None:
    house = House(2, members=["amy@example.com"], invited=["abe@example.com"])
    with house.client(ledger) as client:
        done = guestlist.apply(roster, client=client, ledger=ledger, prune=True)
    assert done.errors == []
    assert done.left == 0
    assert [request.partition(" ")[0] for request in house.sent] == ["DELETE"] * 2 + ["POST"] * 2
    assert house.lists["members"] == []
    assert sorted(house.lists["invitations"]) == ["bea@example.com", "cid@example.com"]


def test_a_service_without_seats_loses_nobody_before_others_are_invited(
    roster: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Club, "counts_seats", False)
    house = House(9, members=["amy@example.com"], invited=["abe@example.com"])
    with house.client(ledger) as client:
        guestlist.apply(roster, client=client, ledger=ledger, prune=True)
    assert [request.partition(" ")[0] for request in house.sent] == ["POST"] * 2 + ["DELETE"] * 2


@pytest.mark.parametrize("explained", [True, False], ids=["SeatLimit", "Forbidden"])
@pytest.mark.parametrize(
    ("email", "outcome"),
    [
        ("amy@example.com", Outcome.ALREADY_MEMBER),
        ("abe@example.com", Outcome.ALREADY_INVITED),
    ],
)
def test_inviting_again_succeeds_although_the_organization_is_full(
    email: str, outcome: Outcome, explained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not explained:
        monkeypatch.setattr(Club, "explain", Provider.explain)
    house = House(2, members=["amy@example.com"], invited=["abe@example.com"])
    with house.client() as client:
        assert client.invite(email).outcome is outcome


def test_a_full_organization_is_an_error_of_its_own() -> None:
    house = House(1, members=["amy@example.com"], invited=[])
    with house.client() as client, pytest.raises(SeatLimit, match="no seats left") as caught:
        client.invite("new@example.com")
    assert isinstance(caught.value, Forbidden)
    assert caught.value.happened is False
    assert len(house.sent) == 1


def test_a_forbidden_invitation_of_a_new_person_stays_forbidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Club, "explain", Provider.explain)
    house = House(1, members=["amy@example.com"], invited=[])
    with house.client() as client, pytest.raises(Forbidden, match="no seats left") as caught:
        client.invite("new@example.com")
    assert caught.value.happened is False
    assert len(house.sent) == 1
