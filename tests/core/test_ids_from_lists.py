"""Ids on a service that offers no call for one record: its lists are searched."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import MalformedResponse, NotFound
from guestlist.models import Invitation, Member, State
from guestlist.provider import Flow, Page, Provider, Request, by_cursor, operation, setting


class Listing(Provider):
    name = "listing"
    title = "Listing"
    base_url: str = setting("Where it is", default="https://listing.example")

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        def page(cursor: str | None) -> Request:
            return Request.get("invitations", query={"after": cursor})

        def read(raw: Any) -> Invitation:
            return Invitation(id=raw["id"], email=raw["email"], state=State.PENDING)

        return (yield from by_cursor(cursor, page, read, "items"))

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        def page(cursor: str | None) -> Request:
            return Request.get("members", query={"after": cursor})

        def read(raw: Any) -> Member:
            return Member(id=raw["id"], email=raw["email"])

        return (yield from by_cursor(cursor, page, read, "items"))


INVITED = [{"id": f"i{number}", "email": f"ada{number}@example.com"} for number in range(3)]
INSIDE: list[Any] = [{"id": "m1", "email": "olga@example.org"}]


def service(members: list[Any]) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        records = INVITED if request.url.path == "/invitations" else members
        start = int(request.url.params.get("after", 0))
        more = str(start + 2) if start + 2 < len(records) else None
        return httpx.Response(200, json={"items": records[start : start + 2], "next": more})

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    ("id", "email", "state"),
    [("i2", "ada2@example.com", State.PENDING), ("m1", "olga@example.org", State.ACCEPTED)],
)
def test_an_id_from_a_list_can_be_used(id: str, email: str, state: State) -> None:
    with Guestlist({"a": Listing()}, transport=service(INSIDE)) as guests:
        guest = guests.status(id)
    assert (guest.email, guest.state) == (email, state)

    async def main() -> None:
        async with AsyncGuestlist({"a": Listing()}, transport=service(INSIDE)) as guests:
            assert (await guests.status(id)).email == email

    anyio.run(main)


def test_an_id_that_no_list_has() -> None:
    with (
        Guestlist({"a": Listing()}, transport=service(INSIDE)) as guests,
        pytest.raises(NotFound, match="with the id 'i9'"),
    ):
        guests.status("i9")


def test_a_record_that_cannot_be_read_may_have_the_id() -> None:
    with (
        Guestlist({"a": Listing()}, transport=service([*INSIDE, {"id": "m7"}])) as guests,
        pytest.raises(MalformedResponse, match="id m7"),
    ):
        guests.status("m7")
