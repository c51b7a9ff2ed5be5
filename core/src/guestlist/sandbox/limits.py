"""Rate limits of an imitated service, on the sandbox's clock.

No library fits: `limits` reads the machine's clock, and `pyrate-limiter` reports neither the
remaining requests nor the time at which a limit is fully available again.

Time is counted in whole microseconds, the resolution of `timedelta`. So no rounding errors add up,
and a request that is sent exactly `RateLimitResult.retry_after` seconds later is allowed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from starlette.types import Scope

MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class RateLimitResult:
    """The decision of a limit about one request."""

    allowed: bool
    remaining: int
    """Number of further requests that would be allowed at this moment."""
    limit: int
    """The highest value of `remaining`: the burst of a bucket, or the count of a window."""
    reset_at: float
    """When `remaining` equals `limit` again if no more requests come; seconds since 1970."""
    retry_after: float
    """Seconds until a request is allowed again; 0 if this one is allowed."""

    @property
    def retry_after_header(self) -> str:
        """Value of `Retry-After`: whole seconds, rounded up, so at least 1 after a refusal."""
        return str(ceil(self.retry_after))

    @property
    def reset_header(self) -> str:
        """`reset_at` as the value of a header: whole seconds since 1970, rounded up."""
        return str(ceil(self.reset_at))


class RateLimit(Protocol):
    """Allows or refuses requests. Each key has a count of its own."""

    def take(self, key: str, now: float) -> RateLimitResult:
        """Counts a request of `key` at the time `now` (seconds since 1970).

        A refused request is not counted. If `now` is before the last request of this key, the time
        of that request is used instead.
        """
        ...


class TokenBucket:
    """Refills steadily by `rate` tokens every `per` seconds, up to `burst`; starts full.

    Raises:
        ValueError: the rate, the period or the burst is not positive.
    """

    def __init__(self, rate: int, per: float = 1.0, burst: int | None = None) -> None:
        self.rate = rate
        self.burst = rate if burst is None else burst
        self._period = _microseconds(per)
        if min(self.rate, self.burst, self._period) <= 0:
            raise ValueError("a token bucket needs a positive rate, period and burst")
        # The number of missing tokens is stored multiplied by the period, so that refilling needs
        # no fractions.
        self._missing: dict[str, tuple[int, int]] = {}

    def take(self, key: str, now: float) -> RateLimitResult:
        moment = _microseconds(now)
        missing, since = self._missing.get(key, (0, moment))
        moment = max(moment, since)
        missing = max(0, missing - (moment - since) * self.rate)
        room = self.burst * self._period - missing
        allowed = room >= self._period
        if allowed:
            missing += self._period
            room -= self._period
        self._missing[key] = (missing, moment)
        wait = 0 if allowed else -(-(self._period - room) // self.rate)
        return RateLimitResult(
            allowed=allowed,
            remaining=room // self._period,
            limit=self.burst,
            reset_at=(moment - (-missing // self.rate)) / MICROSECONDS,
            retry_after=wait / MICROSECONDS,
        )


class SlidingWindow:
    """At most `count` requests in any interval of `per` seconds, whose end is exclusive.

    Raises:
        ValueError: the count or the period is not positive.
    """

    def __init__(self, count: int, per: float = 1.0) -> None:
        self.count = count
        self._period = _microseconds(per)
        if min(self.count, self._period) <= 0:
            raise ValueError("a sliding window needs a positive count and period")
        self._taken: dict[str, deque[int]] = {}

    def take(self, key: str, now: float) -> RateLimitResult:
        taken = self._taken.setdefault(key, deque(maxlen=self.count))
        moment = _microseconds(now)
        if taken:
            moment = max(moment, taken[-1])
        while taken and taken[0] + self._period <= moment:
            taken.popleft()
        allowed = len(taken) < self.count
        if allowed:
            taken.append(moment)
        wait = 0 if allowed else taken[0] + self._period - moment
        return RateLimitResult(
            allowed=allowed,
            remaining=self.count - len(taken),
            limit=self.count,
            reset_at=(taken[-1] + self._period) / MICROSECONDS,
            retry_after=wait / MICROSECONDS,
        )


def client_address(scope: Scope) -> str:
    """Key for a limit per source address: the address that a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


class AllOf:
    """Several limits at once, such as a number per minute and one per day. Returns the result of
    the first limit that refuses, or else of the first limit."""

    def __init__(self, *limits: RateLimit) -> None:
        self._limits = limits

    def take(self, key: str, now: float) -> RateLimitResult:
        results = []
        for limit in self._limits:
            results.append(limit.take(key, now))
            if not results[-1].allowed:
                return results[-1]
        return results[0]


def credentials(scope: Scope) -> str:
    """Key for a limit per credential: the `Authorization` header, or the source address if the
    request has no such header."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    return client_address(scope)


def _microseconds(seconds: float) -> int:
    return round(seconds * MICROSECONDS)
