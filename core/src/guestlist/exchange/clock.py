"""Time, as the exchange sees it: two readings and a way to let it pass."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a caller may bring. Tests bring one whose time is virtual."""

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


class SystemClock:
    """The machine's clock."""

    monotonic = staticmethod(time.monotonic)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        import anyio  # comes with httpx; not needed by sync callers

        await anyio.sleep(seconds)
