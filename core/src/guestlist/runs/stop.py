"""Stops a run early: a signal that all threads of the run see, also while they wait."""

from __future__ import annotations

import threading
from datetime import datetime

from guestlist.exchange.clock import Clock, Stopped, SystemClock


class Stop:
    """A signal that stops a run. `reason` is the error that caused the stop, if there is one."""

    def __init__(self) -> None:
        self.reason: Exception | None = None
        self._event = threading.Event()

    def __call__(self, reason: Exception | None = None) -> None:
        """Sets the signal. The first reason is kept."""
        self.reason = self.reason or reason
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits for at most `seconds`. Returns whether the signal is set."""
        return self._event.wait(seconds)


class StopClock:
    """A clock for a client that takes part in a run. Its waits end when the run is stopped.

    Args:
        clock: the clock that the time is read from. If it implements waiting itself, as the virtual
            clock of a test does, its `sleep` is used.
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
        """Waits, unless the run is stopped.

        Raises:
            Stopped: the run is stopped.
        """
        if self._waits_itself and not self._stop:
            self._clock.sleep(seconds)
        elif self._stop.wait(seconds):
            raise Stopped

    async def asleep(self, seconds: float) -> None:
        await self._clock.asleep(seconds)
