"""A clock whose time passes only if a client sleeps or a test advances it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from guestlist.sandbox import Sandbox


class _Time(Protocol):
    """The time that a `VirtualClock` reads and advances, such as the clock of a sandbox."""

    def seconds(self) -> float: ...

    def advance(self, by: timedelta) -> None: ...


class VirtualClock:
    """A clock for a client under test. Sleeping advances it at once, so no test waits.

    Tasks that sleep at the same time move it one after another: by the sum, not by the longest.

    Args:
        start: the moment that it shows first; aware.
        sandbox: shows and moves the time of a sandbox instead, so that both have the same.
        seed: the random part of every pause is drawn from it, so that each run pauses alike.
    """

    def __init__(
        self,
        start: datetime | None = None,
        *,
        sandbox: Sandbox | None = None,
        seed: int | None = 0,
    ) -> None:
        if (start is None) is (sandbox is None):
            raise TypeError("a VirtualClock needs either a start or a sandbox")
        self.seed = seed
        self._own = _Still(start.timestamp()) if start else None
        self._sandbox = sandbox
        self._lock = threading.Lock()
        self._last = self._time.seconds()
        self._elapsed = 0.0

    @property
    def _time(self) -> _Time:
        if self._sandbox is not None:
            return self._sandbox.clock  # a reset replaces the clock
        assert self._own is not None
        return self._own

    def now(self) -> datetime:
        """Returns the current time as an aware datetime in UTC."""
        return datetime.fromtimestamp(self._time.seconds(), UTC)

    def monotonic(self) -> float:
        """Returns the seconds since the clock was created. Resetting the sandbox does not reset
        them."""
        with self._lock:
            seconds = self._time.seconds()
            self._elapsed += max(0.0, seconds - self._last)
            self._last = seconds
            return self._elapsed

    def advance(self, by: timedelta) -> None:
        """Moves the time forward.

        Raises:
            ValueError: `by` is negative.
        """
        with self._lock:
            self._time.advance(by)

    def sleep(self, seconds: float) -> None:
        """Advances the time at once."""
        self.advance(timedelta(seconds=seconds))

    async def asleep(self, seconds: float) -> None:
        """Advances the time at once, and lets other tasks run."""
        import anyio.lowlevel

        self.advance(timedelta(seconds=seconds))
        await anyio.lowlevel.checkpoint()


class _Still:
    """The time of a clock without a sandbox."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def seconds(self) -> float:
        return self._seconds

    def advance(self, by: timedelta) -> None:
        if by < timedelta(0):
            raise ValueError("a virtual clock only moves forward")
        self._seconds += by.total_seconds()
