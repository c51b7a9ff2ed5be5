"""Connections are lent to one request at a time, used again, bounded, and closed when idle."""

from __future__ import annotations

import asyncio
from itertools import count

import anyio
import httpx
import pytest

from guestlist.exchange import connections
from guestlist.exchange.connections import KEEP_ALIVE, Connections
from guestlist.exchange.step import Failure, Outgoing
from guestlist.exchange.wire import AsyncHttpxWire
from guestlist.provider import Response


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set by the test."""
    time = [100.0]
    monkeypatch.setattr(f"{connections.__name__}.time.monotonic", lambda: time[0])
    return time


@pytest.fixture
def numbered(now: list[float]) -> Connections[int, None]:
    """Transports are numbers, from 0."""
    return Connections(count().__next__, None)


def test_the_one_used_last_is_used_again(numbered: Connections[int, None]) -> None:
    first, second = numbered.take(), numbered.take()
    assert (first, second) == (0, 1)
    assert numbered.give_back(second) == []
    assert numbered.give_back(first) == []
    assert numbered.take() == first


def test_one_that_is_in_doubt_is_closed_and_never_lent_again(
    numbered: Connections[int, None],
) -> None:
    doubtful = numbered.take()
    assert numbered.give_back(doubtful, usable=False) == [doubtful]
    assert numbered.take() != doubtful


def test_what_is_idle_for_long_is_closed(
    numbered: Connections[int, None], now: list[float]
) -> None:
    several = [numbered.take() for _ in range(3)]
    for transport in several:
        numbered.give_back(transport)
    now[0] += KEEP_ALIVE - 1
    busy = numbered.take()
    now[0] += 2
    assert numbered.give_back(busy) == [several[0], several[1]]
    assert numbered.take() == busy


def test_what_is_lent_when_all_are_forgotten_is_closed_when_it_comes_back(
    numbered: Connections[int, None],
) -> None:
    """A transport of httpx that is closed while it opens its connection never closes that."""
    lent, idle = numbered.take(), numbered.take()
    numbered.give_back(idle)
    assert numbered.forget() == [idle]
    assert numbered.give_back(lent) == [lent]


class _Counting(httpx.AsyncBaseTransport):
    """Answers when it is told to, and counts those who wait."""

    waiting = most = 0

    def __init__(self, go: anyio.Event) -> None:
        self._go = go

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        kind = type(self)
        kind.waiting += 1
        kind.most = max(kind.most, kind.waiting)
        await self._go.wait()
        kind.waiting -= 1
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"))


def test_no_more_requests_are_under_way_than_connections_are_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> list[Response | Failure]:
        go = anyio.Event()
        wire = AsyncHttpxWire(connections=3)
        monkeypatch.setattr(wire, "_maker", lambda url: lambda: _Counting(go))
        asking = [asyncio.create_task(wire.send(_outgoing(timeout=60))) for _ in range(8)]
        await anyio.wait_all_tasks_blocked()
        hasty = await wire.send(_outgoing(timeout=0.01))
        go.set()
        return [hasty, *[await one for one in asking]]

    hasty, *answers = asyncio.run(main())
    assert isinstance(hasty, Failure)
    assert (hasty.reason, hasty.sent) == ("no free connection in time", False)
    assert all(isinstance(answer, Response) for answer in answers)
    assert _Counting.most == 3


def _outgoing(timeout: float) -> Outgoing:
    return Outgoing(
        "GET", "http://127.0.0.1:9/", {}, None, timeout=timeout, total=timeout, max_body=1000
    )
