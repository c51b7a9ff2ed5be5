"""Staying below a service's limit: reserve a moment, then wait for it.

The generic cell rate algorithm: one number, the earliest moment at which the next request may go,
shared by all threads and tasks of a client. Reserving moves it; nobody polls.
"""

from __future__ import annotations

import threading

from guestlist.provider import Limit

HEADROOM = 0.03
"""The part of a declared rate that is left unused. A service counts arrivals, not departures, and
with less headroom a strict sliding window still refuses now and then."""


class Pace:
    """The pace of one account under one limit.

    A burst of 3 % of the count (at least one request) may go at once; the rate is lowered by the
    same amount, so that no window of the limit's length ever holds more than its count.
    """

    def __init__(self, limit: Limit) -> None:
        burst = max(1, int(limit.count * HEADROOM))
        self._interval = limit.per / max(limit.count - burst, limit.count * (1 - HEADROOM), 0.5)
        self._tolerance = self._interval * (burst - 1)
        self._next = float("-inf")
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Takes the next free moment and returns how many seconds away it is.

        Args:
            now: the monotonic clock, in seconds.
        """
        with self._lock:
            due = max(self._next, now)
            self._next = due + self._interval
            return max(0.0, due - self._tolerance - now)

    def push_back(self, until: float) -> None:
        """Lets nobody go before `until` (monotonic, seconds): the service has refused one."""
        with self._lock:
            self._next = max(self._next, until + self._tolerance)
