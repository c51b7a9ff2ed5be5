"""Staying below a service's limit: reserve a moment, then wait for it.

All threads and tasks of a client share one pace per limit. Reserving takes the next free moment;
nobody polls. Two rules make a moment free:

* the generic cell rate algorithm keeps requests evenly apart, at 97 % of the declared rate, after
  a small burst for those who call now and then;
* no window of the limit's length ever holds more than 97 % of its count, burst or not, so that a
  service that counts strictly has nothing to refuse.
"""

from __future__ import annotations

import threading
from collections import deque

from guestlist.provider import Limit

SHARE = 0.97
"""The part of a declared rate that is used. A service counts arrivals, not departures; with less
headroom a strict one still refuses now and then."""

BURST_SHARE = 0.2
LONG_WINDOW = 10.0
"""Under limits that count over at least so many seconds, a fifth of the count may go at once: a
person who asks for one thing should not wait. Under shorter ones, network jitter alone would
bring two bursts into one window."""


class Pace:
    """The pace of one account under one limit."""

    def __init__(self, limit: Limit) -> None:
        allowed = max(1, int(limit.count * SHARE))
        burst = max(1, int(limit.count * BURST_SHARE)) if limit.per >= LONG_WINDOW else 1
        self._per = limit.per
        self._interval = limit.per / max(limit.count * SHARE, 1)
        self._tolerance = self._interval * (burst - 1)
        self._expected = float("-inf")
        self._allowed = allowed
        self._taken: deque[float] = deque()
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Takes the next free moment and returns how many seconds away it is.

        Args:
            now: the monotonic clock, in seconds.
        """
        with self._lock:
            moment = max(now, self._expected - self._tolerance)
            while self._taken and self._taken[0] <= moment - self._per:
                self._taken.popleft()
            if len(self._taken) >= self._allowed:
                moment = max(moment, self._taken[-self._allowed] + self._per)
            self._taken.append(moment)
            self._expected = max(self._expected, moment) + self._interval
        return moment - now

    def push_back(self, until: float) -> None:
        """Lets nobody go before `until` (monotonic, seconds): the service wants a rest."""
        with self._lock:
            self._expected = max(self._expected, until + self._tolerance)
