"""Staying below a service's limit: reserve a moment, then wait for it.

All threads and tasks of a client share one pace per limit. Reserving takes the next free moment;
nobody polls. Two rules make a moment free:

* the generic cell rate algorithm keeps requests evenly apart, after a small burst for those who
  call now and then;
* no window of the limit's length and a margin ever holds more than the limit, burst or not.

A service counts arrivals, and pace knows departures only. Because of the margin, requests whose
ways differ by less than it cannot arrive in one window of a service that counts strictly. Under
30 a second the margin costs 3.4 %; a larger one would tolerate a worse network and leave less.
"""

from __future__ import annotations

import threading
from collections import deque

from guestlist.provider import Limit

MARGIN = 0.035
"""Seconds by which one request may take longer to the service than another."""
WIDENED = 0.01
"""A refusal in spite of the pace shows that the network is worse, or that somebody else shares the
limit. Each makes the margin wider by this part of the limit's window, up to the whole."""
FORGOTTEN = 600.0
"""Seconds without a refusal after which the margin is what it was."""

LONG_WINDOW = 10.0
"""Limits that count over at least so many seconds allow a burst: a person who asks for one thing
should not wait. Under shorter ones, network jitter alone would bring two bursts into one window."""
BURST_SHARE = 0.2
"""The part of such a limit that may go at once."""
LONG_SHARE = 0.97
"""The part of such a limit that is used at all: a service that says "none remain" when the last is
taken would make everybody wait for its window to end."""


class Pace:
    """The pace of one account under one limit.

    Attributes:
        rests: how often the service has asked for a rest. Each makes void what was reserved and
            not yet used: whoever has waited for such a moment reserves another.
    """

    def __init__(self, limit: Limit) -> None:
        long = limit.per >= LONG_WINDOW
        self._per = limit.per
        self._allowed = max(1, int(limit.count * LONG_SHARE) if long else limit.count)
        self._burst = max(1, int(limit.count * BURST_SHARE)) if long else 1
        self._widen(MARGIN)
        self._expected = float("-inf")
        self._taken: deque[float] = deque()
        self.rests = 0
        self._rested = float("-inf")
        self._refused = float("-inf")
        self._lock = threading.Lock()

    def _widen(self, margin: float) -> None:
        """Sets the margin, and what follows from it."""
        self._margin = margin
        self._window = self._per + margin
        self._interval = self._window / self._allowed
        self._tolerance = self._interval * (self._burst - 1)

    def reserve(self, now: float, patience: float = float("inf")) -> float:
        """Takes the next free moment and returns how many seconds away it is.

        Args:
            now: the monotonic clock, in seconds.
            patience: seconds; a moment that is not nearer is left for others. With 0 nothing is
                taken.
        """
        with self._lock:
            if self._margin != MARGIN and now - self._refused > FORGOTTEN:
                self._widen(MARGIN)
            while self._taken and self._taken[0] <= now - self._window:
                self._taken.popleft()
            moment = max(now, self._rested, self._expected - self._tolerance)
            if self._taken:
                moment = max(moment, self._taken[-1])
            if len(self._taken) >= self._allowed:
                moment = max(moment, self._taken[-self._allowed] + self._window)
            if moment - now < patience:
                self._taken.append(moment)
                self._expected = max(self._expected, moment) + self._interval
        return moment - now

    def push_back(self, now: float, seconds: float, *, refused: bool = False) -> None:
        """Lets nobody go for so long: the service wants a rest.

        Args:
            now: the monotonic clock, in seconds.
            seconds: how long.
            refused: whether it has refused a request, and did not merely say that none remain.
        """
        with self._lock:
            self.rests += 1
            self._rested = max(self._rested, now + seconds)
            self._expected = self._rested + self._tolerance
            while self._taken and self._taken[-1] > now:
                self._taken.pop()
            if refused and now - self._refused >= self._per:  # those of one wave count once
                self._widen(min(self._margin + WIDENED * self._per, self._per))
                self._refused = now
