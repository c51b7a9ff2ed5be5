"""At most 100 requests of an account are in flight; the others wait before the rate limiter."""

from __future__ import annotations

import heapq
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import ServiceUnavailable
from guestlist.exchange.clock import SystemClock
from guestlist.exchange.policy import MAX_CONNECTIONS
from guestlist_vultr import Vultr
from pytest_guestlist.clock import VirtualClock

MORE = 40
LIMIT = 30
"""Requests that Vultr allows in a second."""

START = datetime(2026, 1, 1, tzinfo=UTC)
ORGANIZATION = {"organizations": [{"id": "org-1", "name": "Example Works"}]}
ACCOUNTS = {"cloud": Vultr(api_key="key")}


class Timetable(SystemClock):
    """Virtual time on which each task wakes at its own moment."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sleeping: list[tuple[float, int, anyio.Event]] = []
        self._number = count()

    def monotonic(self) -> float:
        return self.seconds

    async def asleep(self, seconds: float) -> None:
        event = anyio.Event()
        heapq.heappush(self.sleeping, (self.seconds + seconds, next(self._number), event))
        await event.wait()

    async def advance(self) -> None:
        """Wakes the sleeping tasks in their order, until none is left."""
        await anyio.wait_all_tasks_blocked()
        while self.sleeping:
            self.seconds, _, event = heapq.heappop(self.sleeping)
            event.set()
            for _ in range(10):
                await anyio.lowlevel.checkpoint()


class Hanging(httpx.AsyncBaseTransport):
    """Answers nothing until it is told to; notes when each request leaves."""

    def __init__(self, clock: Timetable) -> None:
        self.go = anyio.Event()
        self.clock = clock
        self.left: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.left.append(self.clock.monotonic())
        await self.go.wait()
        return httpx.Response(200, json=ORGANIZATION)


def test_requests_that_waited_for_a_connection_do_not_leave_in_a_burst() -> None:
    async def main() -> tuple[int, list[float]]:
        clock = Timetable()
        service = Hanging(clock)
        async with (
            AsyncGuestlist(ACCOUNTS, transport=service, clock=clock) as guests,
            anyio.create_task_group() as group,
        ):
            for _ in range(MAX_CONNECTIONS + MORE):
                group.start_soon(guests.check)
            await clock.advance()
            hanging = len(service.left)
            service.go.set()
            await clock.advance()
        return hanging, service.left[hanging:]

    hanging, later = anyio.run(main)
    assert hanging == MAX_CONNECTIONS
    assert len(later) == MORE
    for first in later:
        assert sum(first <= moment < first + 1.0 for moment in later) <= LIMIT


class Blocking(httpx.BaseTransport):
    """Answers nothing until it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.in_flight = threading.Semaphore(0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.in_flight.release()
        self.go.wait(20)
        return httpx.Response(200, json=ORGANIZATION)


def test_a_call_whose_time_is_over_before_a_connection_is_free_has_sent_nothing() -> None:
    service = Blocking()
    with (
        Guestlist(ACCOUNTS, transport=service, clock=VirtualClock(START)) as guests,
        ThreadPoolExecutor(MAX_CONNECTIONS) as pool,
    ):
        patient: Any = guests.with_budget(total=1e6)
        running = [pool.submit(patient.check) for _ in range(MAX_CONNECTIONS)]
        for _ in range(MAX_CONNECTIONS):
            assert service.in_flight.acquire(timeout=20)
        with pytest.raises(ServiceUnavailable, match="100 requests of this account") as late:
            guests.with_budget(waiting=0.01).check()
        service.go.set()
        for one in running:
            one.result()
    assert late.value.happened is False
    assert not service.in_flight.acquire(blocking=False)
