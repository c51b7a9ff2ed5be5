"""Keeps requests below a service's rate limits: a caller reserves a moment, then waits for it.

All threads and tasks of a client share one limiter. Reserving takes the next moment that is free
under all limits of the service, so nobody polls. Two rules decide whether a moment is free:

* The generic cell rate algorithm spaces requests evenly. A small burst is allowed first, for
  callers that send few requests.
* No window of the limit's length plus a margin contains more requests than the limit. While most of
  a limit is used, no burst is allowed: if the requests of one burst arrived late, two bursts could
  arrive in the same window.

A service counts arrivals, but the rate limiter only knows departures. Network delays change the
distance between two requests. As long as the delays differ by less than the margin, the service
never counts more requests in a window than it allows. With a limit of 30 requests a second, the
margin costs 3.4 % of the throughput.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from guestlist.provider import Limit, Request

MARGIN_SECONDS = 0.035
"""Seconds by which the network delays of two requests may differ."""
MARGIN_STEP = 0.01
"""Each refusal by the service widens the margin by this part of the limit's window, up to the
whole window. It shows that network delays differ more, or that another program uses the limit."""
MARGIN_RESET_SECONDS = 600.0
"""Seconds without a refusal after which the margin is `MARGIN_SECONDS` again."""

LONG_WINDOW_SECONDS = 10.0
"""A limit is long if its window has at least this many seconds. Long limits allow a burst, so that
a single call does not wait. In a short window, jitter could bring two bursts together."""
BURST_SHARE = 0.2
"""The part of a long limit that may be sent in one burst."""
LONG_SHARE = 0.97
"""The part of a long limit that is used. If all of it were used, a service that reports that no
requests remain would make every caller wait until its window ends."""


class Reservation(NamedTuple):
    """A moment at which a request may be sent.

    Attributes:
        delay: seconds until the moment.
        pauses: `RateLimiter.pauses` when it was reserved. If the number has changed since, the
            reservation is invalid.
    """

    delay: float
    pauses: int


class Usage(NamedTuple):
    """How much of a limit is used.

    Attributes:
        limit: the limit.
        used: the number of requests that left within the last `limit.per` seconds.
        delay: seconds until the next request may leave.
    """

    limit: Limit
    used: int
    delay: float


class RateLimiter:
    """The rate limiter of one account, or of several accounts that the service counts together.

    Limits that count only some requests have a rate limiter of their own; see `parts`.

    Attributes:
        pauses: number of pauses that the service has asked for. Each pause makes the unused
            reservations invalid: their callers reserve again.
        shared: whether the state is in a ledger that several processes share. If so, `reserve`
            blocks.
        pause_ends: monotonic time in seconds at which the latest pause ends.
        pause_reason: the service's text about that pause.
    """

    shared = False

    def __init__(self, *limits: Limit) -> None:
        self._limits = tuple(limit for limit in limits if limit.applies_to is None)
        kinds = {limit.applies_to: limit for limit in limits if limit.applies_to is not None}
        self._parts = tuple(
            (kind, self._part(number, *(limit for limit in limits if limit.applies_to is kind)))
            for number, kind in enumerate(kinds)
        )
        self._windows = tuple(map(_LimitWindow, self._limits))
        self.pauses = 0
        self.pause_ends = float("-inf")
        self.pause_reason = ""
        self._paused_until = float("-inf")
        self._last = float("-inf")
        self._lock = threading.Lock()

    def _part(self, number: int, *limits: Limit) -> RateLimiter:
        """Returns a rate limiter for the requests that these limits count.

        Args:
            number: index of the part, from 0.
        """
        return RateLimiter(*(replace(limit, applies_to=None) for limit in limits))

    @property
    def with_parts(self) -> tuple[RateLimiter, ...]:
        """This rate limiter, followed by those of its parts."""
        return (self, *(part for _, part in self._parts))

    def parts(self, request: Request) -> tuple[RateLimiter, ...]:
        """Returns the rate limiters that apply to a request. The last one applies to all requests.

        Wait for the other ones before you reserve in the last one. Otherwise a reservation that is
        an hour away would delay all other requests.
        """
        return (*(part for applies_to, part in self._parts if applies_to(request)), self)

    def reserve(self, now: float, patience: float = float("inf")) -> Reservation:
        """Returns the next free moment, and reserves it if it is near enough.

        Args:
            now: monotonic time in seconds.
            patience: seconds; a moment that is further away is not reserved.
        """
        with self._lock:
            # If a limit allows a moment, it allows every later one. So the latest moment satisfies
            # all limits.
            free = (window.free(now) for window in self._windows)
            moment = max(now, self._paused_until, self._last, *free)
            if moment - now <= patience:
                self._last = moment
                for window in self._windows:
                    window.take(moment)
            return Reservation(moment - now, self.pauses)

    def missed(self, late: float) -> bool:
        """Returns whether a request that leaves late may exceed a limit, together with later ones.

        Long limits tolerate more lateness, because a part of them is not used.

        Args:
            late: seconds between the reserved moment and the departure.
        """
        return any(late > window.tolerated for window in self._windows)

    def push_back(
        self,
        now: float,
        seconds: float,
        *,
        refused: bool = False,
        pause: float = 0.0,
        reason: str = "",
    ) -> None:
        """Allows no request for a while, because the service has asked for a pause.

        Args:
            now: monotonic time in seconds.
            seconds: length of the pause.
            refused: True if the service refused a request; False if it only reported that no
                requests remain.
            pause: length in seconds as the service named it, for messages; 0 if it named none.
            reason: text of the service's answer.
        """
        with self._lock:
            self.pauses += 1
            if pause > 0 and now + pause >= self.pause_ends:
                self.pause_ends, self.pause_reason = now + pause, reason
            self._paused_until = max(self._paused_until, now + seconds)
            self._last = min(self._last, now)
            for window in self._windows:
                window.push_back(now, self._paused_until, refused)

    def pause_left(self, now: float) -> float:
        """Returns the seconds until the end of the pause that the service asked for.

        Returns 0 if there is no pause, or if the pause was cut because it was too long.

        Args:
            now: monotonic time in seconds.
        """
        return max(0.0, self.pause_ends - now) if self._paused_until > now else 0.0

    def usage(self, now: float) -> list[Usage]:
        """Returns how much of each limit is used. Does not include the parts' limits.

        Args:
            now: monotonic time in seconds.
        """
        with self._lock:
            return [
                Usage(
                    limit,
                    window.used(now),
                    max(0.0, window.free(now) - now, self._paused_until - now),
                )
                for limit, window in zip(self._limits, self._windows, strict=True)
            ]

    def look(self) -> None:
        """Reads the state again if other processes share it, so that `pauses` is current."""

    def state(self) -> dict[str, Any]:
        """Returns the state as values that JSON can represent."""
        with self._lock:
            return {
                "rests": self.pauses,
                "pause_ends": self.pause_ends,
                "pause_reason": self.pause_reason,
                "rested": self._paused_until,
                "last": self._last,
                "gauges": [window.state() for window in self._windows],
            }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Replaces the state with that of a rate limiter that has the same limits."""
        with self._lock:
            self.pauses = state["rests"]
            self.pause_ends, self.pause_reason = state["pause_ends"], state["pause_reason"]
            self._paused_until = state["rested"]
            self._last = state["last"]
            for window, known in zip(self._windows, state["gauges"], strict=True):
                window.restore(known)

    def shift(self, seconds: float) -> None:
        """Shifts all stored times, because the clock was set.

        Args:
            seconds: added to each time; may be negative.
        """
        with self._lock:
            self.pause_ends += seconds
            self._paused_until += seconds
            self._last += seconds
            for window in self._windows:
                window.shift(seconds)


class _LimitWindow:
    """Counts the requests under one limit."""

    def __init__(self, limit: Limit) -> None:
        long = limit.per >= LONG_WINDOW_SECONDS
        self._per = limit.per
        self._allowed = max(1, int(limit.count * LONG_SHARE) if long else limit.count)
        self._spare = limit.per * (1 - self._allowed / limit.count)
        self._burst = max(1, int(limit.count * BURST_SHARE)) if long else 1
        self._widen(MARGIN_SECONDS)
        self._expected = float("-inf")
        self._taken: deque[float] = deque()
        self._refused = float("-inf")

    @property
    def tolerated(self) -> float:
        """Seconds by which a request may leave late without exceeding the limit."""
        return max(self._margin, self._spare)

    def _widen(self, margin: float) -> None:
        """Sets the margin, and the values that depend on it."""
        self._margin = margin
        self._window = self._per + margin
        self._interval = self._window / self._allowed
        self._tolerance = self._interval * (self._burst - 1)

    def free(self, now: float) -> float:
        """Returns the earliest moment at which a request may leave."""
        if self._margin != MARGIN_SECONDS and now - self._refused > MARGIN_RESET_SECONDS:
            self._widen(MARGIN_SECONDS)
        while self._taken and self._taken[0] <= now - self._window - self.tolerated:
            self._taken.popleft()
        moment = self._expected - self._tolerance
        if len(self._taken) >= self._allowed:
            moment = max(moment, self._taken[-self._allowed] + self._window)
        return moment

    def used(self, now: float) -> int:
        """Returns the number of requests that left within the limit's length."""
        return sum(now - self._per < moment <= now for moment in self._taken)

    def take(self, moment: float) -> None:
        """Counts a request that will leave at `moment`. No request with a later moment may have
        been counted before.

        A burst begins only if the window has room for it and for all late requests.
        """
        if len(self._taken) > self._allowed - self._burst:
            self._expected = moment + self._tolerance
        self._taken.append(moment)
        self._expected = max(self._expected, moment) + self._interval

    def state(self) -> dict[str, Any]:
        """Returns the state as values that JSON can represent."""
        return {
            "margin": self._margin,
            "expected": self._expected,
            "taken": list(self._taken),
            "refused": self._refused,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Replaces the state with that of another window of the same limit."""
        self._widen(state["margin"])
        self._expected = state["expected"]
        self._taken = deque(state["taken"])
        self._refused = state["refused"]

    def shift(self, seconds: float) -> None:
        """Shifts all stored times, because the clock was set."""
        self._expected += seconds
        self._taken = deque(moment + seconds for moment in self._taken)
        self._refused += seconds

    def push_back(self, now: float, paused_until: float, refused: bool) -> None:
        """Removes requests that have not left yet, and allows no burst after the pause."""
        self._expected = paused_until + self._tolerance
        while self._taken and self._taken[-1] > now:
            self._taken.pop()
        if refused and now - self._refused >= self._per:  # refusals within one window count once
            self._widen(min(self._margin + MARGIN_STEP * self._per, self._per))
            self._refused = now
