"""Time, as the exchange sees it: two readings and a way to let it pass."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from random import Random
from typing import Protocol


class Clock(Protocol):
    """A caller may bring one. Tests bring one whose time is virtual.

    If it has an attribute `seed` that is not None, the random part of pauses is drawn from that
    seed, so that two runs pause alike.
    """

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""

    def sleep(self, seconds: float) -> None:
        """Lets time pass in a sync client.

        Raises:
            Stopped: the client is to end. By some clocks only.
        """

    async def asleep(self, seconds: float) -> None:
        """Lets time pass in an async client."""


class Stopped(BaseException):
    """Raised by a clock whose waits have ended before their time.

    Attributes:
        sent: whether anything may have been sent before that changes something. If not, all that
            was written down of it is void.
    """

    sent = True


def _monotonic() -> float:
    """Returns `time.monotonic()`, even if a library such as freezegun has replaced it."""
    if sys.platform == "win32":  # has no clock_gettime
        return time.monotonic()
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def jitter(clock: Clock, name: str) -> Random:
    """Returns the source of the random part of pauses, for the account of that name."""
    seed = getattr(clock, "seed", None)
    return Random(None if seed is None else f"{seed} {name}")  # noqa: S311 - not a secret


class SystemClock:
    """The machine's clock.

    A test may freeze the date. Durations go on, so that no wait lasts forever.

    Args:
        seed: makes the random part of every pause repeatable. By default it is not.
    """

    seed: int | None = None
    monotonic = staticmethod(_monotonic)

    def __init__(self, *, seed: int | None = None) -> None:
        self.seed = seed

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        import anyio  # imported here, because sync callers do not need it; it comes with httpx

        await anyio.sleep(seconds)
