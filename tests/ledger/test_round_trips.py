"""How often the ledger's database is asked during one call: each time costs a round trip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest
from sqlalchemy import Engine, event
from tests.ledger.story import ADA, BOB, Story

from guestlist import Guestlist
from guestlist.exchange.clock import SystemClock
from guestlist.ledger import Ledger, orders
from guestlist.ledger.entry import OrderEntry
from guestlist.ledger.perform import perform
from guestlist.models import Invitation, Member, MemberState, NewInvitation, State
from guestlist.provider import Flow, Limit, Page, Provider, Request, operation


class Works(Provider):
    """A service with a rate limit, whose requests have to wait for each other."""

    name = "works"
    title = "Works"
    base_url: str = "https://works.example"
    limits: ClassVar[tuple[Limit, ...]] = (Limit(30, 1.0),)

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        answer = yield Request.get("invitations")
        return Page(list(map(self._invitation, answer.json())))

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        answer = yield Request.get("members")
        found = [
            Member(id=one["id"], email=one["email"], state=MemberState.ACTIVE)
            for one in answer.json()
        ]
        return Page(found)

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        answer = yield Request.post("invitations", json={"email": new.email})
        return self._invitation(answer.json())

    def _invitation(self, record: dict[str, Any]) -> Invitation:
        return Invitation(id=record["id"], email=record["email"], state=State.PENDING)


class Clock(SystemClock):
    """Time that passes only when somebody sleeps."""

    passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


def answer(request: httpx.Request) -> httpx.Response:
    if request.method == "GET":
        return httpx.Response(200, json=[])
    return httpx.Response(201, json={"id": "1", "email": ADA})


class Counted:
    """What the database was asked."""

    def __init__(self) -> None:
        self.transactions = 0
        self.statements: list[str] = []


@contextmanager
def counting() -> Iterator[Counted]:
    counted = Counted()

    def begun(_connection: object) -> None:
        counted.transactions += 1

    def executed(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            counted.statements.append(statement)

    event.listen(Engine, "begin", begun)
    event.listen(Engine, "before_cursor_execute", executed)
    try:
        yield counted
    finally:
        event.remove(Engine, "begin", begun)
        event.remove(Engine, "before_cursor_execute", executed)


@pytest.fixture
def client(story: Story) -> Iterator[Guestlist]:
    clock = Clock()
    with (
        Ledger(story.store.url, clock=clock) as ledger,
        Guestlist(
            {"works": Works()}, transport=httpx.MockTransport(answer), clock=clock, ledger=ledger
        ) as client,
    ):
        client.invite(BOB)  # opens the connections, and stores the rate limiter's row
        yield client


def test_an_invitation_takes_six_round_trips(client: Guestlist, story: Story) -> None:
    """A check for an earlier call, a reservation for each of three requests, the intent, the
    result."""
    with counting() as counted:
        client.invite(ADA)
    assert counted.transactions == 6, "\n".join(counted.statements)
    locks = 0 if story.store.is_sqlite else 1  # against a second email at the same moment
    assert len(counted.statements) == 12 + locks, "\n".join(counted.statements)


def test_an_order_of_a_run_takes_three(client: Guestlist, story: Story) -> None:
    """A reservation, the intent, the result."""
    run = story.run()
    story.asked(ADA, account="works", run=run)
    (order,) = orders.next_of_any_action(story.store, run, "works", 0, 10)
    with counting() as counted:
        entry = OrderEntry(story.store, order, client.clock)
        entry.done(perform(client, order, entry))
    assert counted.transactions == 3, "\n".join(counted.statements)
    assert len(counted.statements) == 6, "\n".join(counted.statements)
