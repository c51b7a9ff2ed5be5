"""The locks that calls about one address wait for."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from guestlist.exchange.clock import SystemClock
from guestlist.exchange.drive import AsyncDriver, Driver
from guestlist.exchange.step import Acquire, Sleep, Steps

ADA = ("cloud", "ada@example.com")
Told = list[Any]


def holding(told: Told) -> Steps[None]:
    """Has others come while it holds the lock, and once more when it does not."""
    told.append((yield Acquire(ADA, 1.0)))
    yield Sleep(0.0)


def late() -> Steps[Any]:
    """Waits for a moment."""
    return (yield Acquire(ADA, 0.01))


class Meanwhile(SystemClock):
    """Others have their turn while somebody sleeps."""

    def __init__(self, told: Told) -> None:
        self.driver: Any = None
        self.told = told

    def sleep(self, seconds: float) -> None:
        self.told.append(self.driver.run(late()))

    async def asleep(self, seconds: float) -> None:
        async def other() -> None:
            self.told.append(await self.driver.run(late()))

        async with anyio.create_task_group() as group:
            group.start_soon(other)


@pytest.mark.parametrize("kind", [Driver, AsyncDriver])
def test_a_canceled_wait_leaves_no_lock(kind: Any) -> None:
    told: Told = []
    clock = Meanwhile(told)
    clock.driver = driver = kind(None, clock)

    def carry_out(steps: Steps[Any]) -> Any:
        return driver.run(steps) if kind is Driver else anyio.run(driver.run, steps)

    carry_out(holding(told))
    assert told == [True, False]
    assert not driver._places._taken
    assert carry_out(late()) is True
