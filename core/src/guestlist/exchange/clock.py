"""The time source of a client: the current time, a monotonic time, and waiting."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Protocol


class Clock(Protocol):
    """The time source of a client.

    Tests pass a clock with virtual time. If the clock has an attribute `seed` that is not None, the
    jitter of all pauses is drawn from it, so that two runs are alike.
    """

    def monotonic(self) -> float:
        """Returns the seconds since an arbitrary moment. The value never decreases."""

    def now(self) -> datetime:
        """Returns the current time as an aware datetime in UTC."""

    def sleep(self, seconds: float) -> None:
        """Waits, in a sync client.

        Raises:
            Stopped: the client is to end. Only some clocks raise it.
        """

    async def asleep(self, seconds: float) -> None:
        """Waits, in an async client."""


class Stopped(BaseException):
    """Raised by a clock that ends a wait early.

    Attributes:
        sent: whether a request that changes something may have been sent before. If not, the
            request never left, and its record in the ledger can be canceled.
    """

    sent = True


# `time.monotonic()`, even if a library such as freezegun has replaced it.
if sys.platform == "win32":  # Windows has no clock_gettime
    _monotonic = time.monotonic
else:
    _monotonic = partial(time.clock_gettime, time.CLOCK_MONOTONIC)


def jitter(clock: Clock, name: str) -> Random:
    """Returns the random source for the jitter of the pauses of one account."""
    seed = getattr(clock, "seed", None)
    return Random(None if seed is None else f"{seed} {name}")  # noqa: S311 - not a secret


class SystemClock:
    """The clock of this machine.

    If a test freezes the date, waits still end.

    Args:
        seed: makes the jitter of all pauses repeatable.
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
