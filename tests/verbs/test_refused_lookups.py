"""A service that accepts an invitation, and then refuses to show the records."""

from __future__ import annotations

import json
from collections.abc import Iterable

import httpx
import pytest

from guestlist import Guestlist
from guestlist.errors import Forbidden
from guestlist.models import Invitation, NewInvitation, State
from guestlist.provider import Flow, Page, Provider, Request, operation, setting

ADA = "ada@example.com"


class Careful(Provider):
    """Reads the list before and after an invitation, as the answer contains no record."""

    name = "careful"
    title = "Careful"
    base_url: str = setting("Where it is", default="https://careful.example")

    @property
    def refuses_duplicates(self) -> bool:
        return True

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        yield Request.get("invitations")
        yield Request.post("invitations", json={"email": new.email})
        reply = yield Request.get("invitations")
        return Page.of(reply.json(), read_invitation).items[-1]

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invitations")
        return Page.of(reply.json(), read_invitation)

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invitations", str(invitation.id))


def read_invitation(raw: dict[str, str]) -> Invitation:
    return Invitation(id=raw["id"], email=raw["email"], state=State(raw["state"]))


class House:
    """The service. It answers the reads whose numbers are in `refused` with 403."""

    def __init__(self, refused: Iterable[int], records: list[dict[str, str]]) -> None:
        self.refused = set(refused)
        self.records = records
        self.reads = 0
        self.sent: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            self.reads += 1
            if self.reads in self.refused:
                return httpx.Response(403, json={"message": "not now"})
            return httpx.Response(200, json=self.records)
        self.sent.append(request.method)
        if request.method == "DELETE":
            self.records.clear()
        else:
            email = json.loads(request.content)["email"]
            self.records.append({"id": "2", "email": email, "state": "pending"})
        return httpx.Response(204)

    def client(self) -> Guestlist:
        return Guestlist({"careful": Careful()}, transport=httpx.MockTransport(self))


@pytest.mark.parametrize(
    ("refused", "states", "sent"),
    [
        ({2, 3}, [], ["POST"]),
        ({2, 3, 4, 5}, [], ["POST"]),
        ({1, 4, 5}, ["expired"], ["DELETE", "POST"]),
        ({1, *range(4, 20)}, ["expired"], ["DELETE", "POST"]),
    ],
)
def test_a_created_invitation_is_never_reported_as_refused(
    refused: set[int], states: list[str], sent: list[str]
) -> None:
    house = House(refused, [{"id": "1", "email": ADA, "state": state} for state in states])
    with house.client() as guests, pytest.raises(Forbidden, match="not now") as caught:
        guests.invite(ADA)
    assert caught.value.happened is True
    assert house.sent == sent


def test_a_refused_invitation_did_not_happen() -> None:
    house = House(range(20), [])
    with house.client() as guests, pytest.raises(Forbidden, match="not now") as caught:
        guests.invite(ADA)
    assert caught.value.happened is False
    assert house.sent == []
