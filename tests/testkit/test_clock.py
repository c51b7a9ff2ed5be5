"""The virtual clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from guestlist.sandbox import Sandbox
from pytest_guestlist.clock import VirtualClock

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_it_stands_still_until_somebody_sleeps() -> None:
    clock = VirtualClock(START)
    assert (clock.now(), clock.monotonic()) == (START, 0.0)

    clock.sleep(90)
    asyncio.run(clock.asleep(30))

    assert (clock.now(), clock.monotonic()) == (START + timedelta(minutes=2), 120.0)


def test_sleeping_async_lets_others_have_a_turn() -> None:
    seen: list[str] = []

    async def sleeper(name: str) -> None:
        for _ in range(2):
            seen.append(name)
            await clock.asleep(1)

    async def both() -> None:
        await asyncio.gather(sleeper("a"), sleeper("b"))

    clock = VirtualClock(START)
    asyncio.run(both())

    assert seen == ["a", "b", "a", "b"]


def test_it_only_moves_forward() -> None:
    with pytest.raises(ValueError, match="forward"):
        VirtualClock(START).advance(timedelta(seconds=-1))


def test_it_needs_one_source_of_time() -> None:
    with pytest.raises(TypeError):
        VirtualClock()


def test_it_shares_the_time_of_a_sandbox(guestlist_sandbox: Sandbox) -> None:
    clock = VirtualClock(sandbox=guestlist_sandbox)
    start = clock.now()

    clock.sleep(3600)
    guestlist_sandbox.clock.advance(timedelta(days=1))

    assert clock.now() == guestlist_sandbox.clock.now() == start + timedelta(days=1, hours=1)
    assert clock.monotonic() == 90_000


def test_a_sandbox_that_starts_over_turns_no_seconds_back(guestlist_sandbox: Sandbox) -> None:
    clock = VirtualClock(sandbox=guestlist_sandbox)
    start = clock.now()
    clock.sleep(60)
    assert clock.monotonic() == 60

    guestlist_sandbox.reset()

    assert clock.now() == start
    assert clock.monotonic() == 60
    clock.sleep(5)
    assert clock.monotonic() == 65
