"""How much of a service's rate limits is used."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from guestlist import AsyncGuestlist, Guestlist, LimitUsage
from guestlist.exchange.clock import Clock
from guestlist.ledger import Ledger
from guestlist.provider import Limit, Request
from guestlist_vultr import Vultr
from pytest_guestlist.clock import VirtualClock

START = datetime(2027, 1, 1, tzinfo=UTC)


def asks_for_members(request: Request) -> bool:
    return request.path[-1] == "users"


class Limited(Vultr):
    """A service with a limit of all requests, and another one of those for members."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        return (
            Limit(100, 60.0),
            Limit(2, 3600.0, applies_to=asks_for_members, what="lists of members"),
        )


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"organization": {"name": "Works"}, "users": []})


def client(clock: Clock, ledger: Ledger | None) -> Guestlist:
    accounts = {"cloud": Limited(api_key="a-key", organization_id="an-organization")}
    transport = httpx.MockTransport(answer)
    return Guestlist(accounts, transport=transport, clock=clock, ledger=ledger)


def test_each_limit_counts_its_requests() -> None:
    clock = VirtualClock(START)
    with client(clock, None) as guests:
        requests, members = guests.limits()
        assert members == LimitUsage(what="lists of members", count=2, per=3600.0, used=0)
        for _ in range(3):
            guests.check()
        list(guests.members())
        requests, members = guests.limits(account="cloud")
        assert (requests.used, requests.free_at) == (4, None)
        assert (requests.what, requests.count, requests.per) == ("requests", 100, 60.0)
        assert members.used == 1
        # the service allows 2 an hour; one is kept back, so that delays exceed no limit
        assert members.free_at is not None
        assert timedelta(hours=1) <= members.free_at - START < timedelta(hours=1, minutes=3)
        clock.advance(timedelta(seconds=61))
        requests, members = guests.limits()
        assert (requests.used, members.used) == (0, 1)
        clock.advance(timedelta(hours=2))
        assert [(one.used, one.free_at) for one in guests.limits()] == [(0, None), (0, None)]


def test_programs_that_share_a_ledger_see_the_same_use(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    path = tmp_path / "guestlist.db"
    with (
        Ledger(path, clock=clock) as ledger,
        Ledger(path, clock=clock) as other,
        client(clock, ledger) as guests,
        client(clock, other) as others,
    ):
        assert [one.used for one in others.limits()] == [0, 0]
        guests.check()
        list(others.members())
        assert [one.used for one in guests.limits()] == [2, 1]
        assert guests.limits() == others.limits()


def test_a_pause_that_the_service_asks_for_is_waited_for() -> None:
    with client(VirtualClock(START), None) as guests:
        guests._accounts.by_name["cloud"].back_off(30)
        assert guests.limits()[0].free_at == START + timedelta(seconds=30)


def test_in_an_event_loop() -> None:
    async def read() -> tuple[LimitUsage, ...]:
        accounts = {"cloud": Limited(api_key="a-key")}
        async with AsyncGuestlist(accounts, clock=VirtualClock(START)) as guests:
            return await guests.limits()

    assert [one.used for one in asyncio.run(read())] == [0, 0]
