"""Ending a run early: a signal that every thread of it sees, also while it waits."""

from __future__ import annotations

import threading
from datetime import datetime

from guestlist.exchange.clock import Clock, Stopped, SystemClock


class Stop:
    """The signal. `reason` is an error that everything has to end for, if there is one."""

    def __init__(self) -> None:
        self.reason: Exception | None = None
        self._event = threading.Event()

    def __call__(self, reason: Exception | None = None) -> None:
        """Asks everybody to end. The first reason counts."""
        self.reason = self.reason or reason
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits so long at most; True when the run is to end."""
        return self._event.wait(seconds)


class StopClock:
    """A clock for a client that takes part in a run: its waits end with the run.

    Args:
        clock: where the time is read. If it has a way of its own to wait, such as the virtual clock
            of a test, that is used.
    """

    def __init__(self, stop: Stop, clock: Clock | None = None) -> None:
        self._stop = stop
        self._clock = clock or SystemClock()
        self._waits_itself = getattr(type(self._clock), "sleep", None) is not SystemClock.sleep

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> datetime:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            Stopped: the run is to end.
        """
        if self._waits_itself and not self._stop:
            self._clock.sleep(seconds)
        elif self._stop.wait(seconds):
            raise Stopped

    async def asleep(self, seconds: float) -> None:
        await self._clock.asleep(seconds)
