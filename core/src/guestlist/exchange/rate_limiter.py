"""Staying below a service's limit: reserve a moment, then wait for it.

All threads and tasks of a client share one limiter. Reserving takes the next moment that is free
under all limits of the service; nobody polls. Two rules make a moment free under a limit:

* the generic cell rate algorithm keeps requests evenly apart, after a small burst for those who
  call now and then;
* no window of the limit's length and a margin ever holds more than the limit, burst or not. While
  most of a limit is used, all go evenly: a burst in each window would be too much whenever the
  requests of one come late.

A service counts arrivals, and pace knows departures only. Because of the margin, requests whose
ways differ by less than it cannot arrive in one window of a service that counts strictly. Under
30 a second the margin costs 3.4 %; a larger one would tolerate a worse network and leave less.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from guestlist.provider import Limit, Request

MARGIN_SECONDS = 0.035
"""Seconds by which one request may take longer to the service than another."""
MARGIN_STEP = 0.01
"""A refusal in spite of the pace shows that the network is worse, or that somebody else shares the
limit. Each makes the margin wider by this part of the limit's window, up to the whole."""
MARGIN_RESET_SECONDS = 600.0
"""Seconds without a refusal after which the margin is what it was."""

LONG_WINDOW_SECONDS = 10.0
"""Limits that count over at least so many seconds allow a burst: a person who asks for one thing
should not wait. Under shorter ones, network jitter alone would bring two bursts into one window."""
BURST_SHARE = 0.2
"""The part of such a limit that may go at once."""
LONG_SHARE = 0.97
"""The part of such a limit that is used at all: a service that says "none remain" when the last is
taken would make everybody wait for its window to end."""


class Reservation(NamedTuple):
    """A moment at which a request may be sent.

    Attributes:
        delay: seconds until then.
        pauses: `RateLimiter.pauses` when it was reserved. If the number has changed since, the
            reservation is void.
    """

    delay: float
    pauses: int


class RateLimiter:
    """The pace of one account, or of all that the service counts together.

    Limits that count only some requests have a pace of their own: see `parts`.

    Attributes:
        pauses: how often the service has asked for a pause. Each makes void what was reserved and
            not yet used: whoever has waited for such a moment reserves another.
        shared: whether its state is somewhere else, for several processes: reserving blocks then.
        pause_ends: when, by this process's monotonic clock, the pause ends that the service has
            asked for.
        pause_reason: what the service said when it asked.
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
        """Returns the pace of the requests that these limits count.

        Args:
            number: the position among the parts, from 0.
        """
        return RateLimiter(*(replace(limit, applies_to=None) for limit in limits))

    @property
    def with_parts(self) -> tuple[RateLimiter, ...]:
        """This pace and those of its parts."""
        return (self, *(part for _, part in self._parts))

    def parts(self, request: Request) -> tuple[RateLimiter, ...]:
        """Returns the paces that a request has to keep, the one of most requests last.

        A request first waits for the others, and reserves a moment in the last one only then.
        Otherwise its reservation, perhaps an hour away, would make all other requests wait.
        """
        return (*(part for applies_to, part in self._parts if applies_to(request)), self)

    def reserve(self, now: float, patience: float = float("inf")) -> Reservation:
        """Reserves the next free moment.

        Args:
            now: the monotonic clock, in seconds.
            patience: seconds; a moment that is further away is left for others.
        """
        with self._lock:
            # what is free under a limit stays so: the latest of their moments is free under all
            free = (window.free(now) for window in self._windows)
            moment = max(now, self._paused_until, self._last, *free)
            if moment - now <= patience:
                self._last = moment
                for window in self._windows:
                    window.take(moment)
            return Reservation(moment - now, self.pauses)

    def missed(self, late: float) -> bool:
        """Whether a request that leaves so many seconds after its moment may come together with
        too many others. Under long limits it may be later: part of them is left for that."""
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
        """Sends nothing for so long, because the service has asked for it.

        Args:
            now: the monotonic clock, in seconds.
            seconds: how long.
            refused: whether the service has refused a request, and did not merely say that none
                remain.
            pause: seconds that the service itself has named, for messages; 0 if it named none.
            reason: what the service said.
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
        """Returns the seconds until the end of the pause that the service asked for. 0 if there is
        none, or if it was too long to be believed and a request may be tried now.

        Args:
            now: the monotonic clock, in seconds.
        """
        return max(0.0, self.pause_ends - now) if self._paused_until > now else 0.0

    def look(self) -> None:
        """Brings `pauses` up to date, where that is somewhere else."""

    def state(self) -> dict[str, Any]:
        """Everything it knows, as JSON has it."""
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
        """Takes over what another of the same limits knew."""
        with self._lock:
            self.pauses = state["rests"]
            self.pause_ends, self.pause_reason = state["pause_ends"], state["pause_reason"]
            self._paused_until = state["rested"]
            self._last = state["last"]
            for window, known in zip(self._windows, state["gauges"], strict=True):
                window.restore(known)

    def shift(self, seconds: float) -> None:
        """Moves everything it knows in time, because the clock was set.

        Args:
            seconds: how far; negative for earlier.
        """
        with self._lock:
            self.pause_ends += seconds
            self._paused_until += seconds
            self._last += seconds
            for window in self._windows:
                window.shift(seconds)


class _LimitWindow:
    """What one limit allows."""

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
        """Seconds by which a request may leave late: as many as the part that is not used takes."""
        return max(self._margin, self._spare)

    def _widen(self, margin: float) -> None:
        """Sets the margin, and what follows from it."""
        self._margin = margin
        self._window = self._per + margin
        self._interval = self._window / self._allowed
        self._tolerance = self._interval * (self._burst - 1)

    def free(self, now: float) -> float:
        """The moment from which on a request may go."""
        if self._margin != MARGIN_SECONDS and now - self._refused > MARGIN_RESET_SECONDS:
            self._widen(MARGIN_SECONDS)
        while self._taken and self._taken[0] <= now - self._window - self.tolerated:
            self._taken.popleft()
        moment = self._expected - self._tolerance
        if len(self._taken) >= self._allowed:
            moment = max(moment, self._taken[-self._allowed] + self._window)
        return moment

    def take(self, moment: float) -> None:
        """Counts a request that will go then: no earlier than any before. A burst begins only where
        it has room besides all that may come late."""
        if len(self._taken) > self._allowed - self._burst:
            self._expected = moment + self._tolerance
        self._taken.append(moment)
        self._expected = max(self._expected, moment) + self._interval

    def state(self) -> dict[str, Any]:
        """Everything it knows, as JSON has it."""
        return {
            "margin": self._margin,
            "expected": self._expected,
            "taken": list(self._taken),
            "refused": self._refused,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what another of the same limit knew."""
        self._widen(state["margin"])
        self._expected = state["expected"]
        self._taken = deque(state["taken"])
        self._refused = state["refused"]

    def shift(self, seconds: float) -> None:
        """Moves all moments in time, because the clock was set."""
        self._expected += seconds
        self._taken = deque(moment + seconds for moment in self._taken)
        self._refused += seconds

    def push_back(self, now: float, paused_until: float, refused: bool) -> None:
        """Forgets what was taken and not used, and allows no burst after the rest."""
        self._expected = paused_until + self._tolerance
        while self._taken and self._taken[-1] > now:
            self._taken.pop()
        if refused and now - self._refused >= self._per:  # those of one wave count once
            self._widen(min(self._margin + MARGIN_STEP * self._per, self._per))
            self._refused = now
