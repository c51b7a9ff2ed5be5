"""Rate limits that run on a clock of one's own: what a service counts, and what it says about it.

Written here because no library fits: `limits` reads the machine's clock, and `pyrate-limiter`
tells neither what remains nor when a limit is whole again.

Time is counted in whole microseconds, the resolution of `timedelta`. So nothing drifts, and a
caller that waits for exactly `Verdict.retry_after` is let in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Protocol

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from guestlist.sandbox.service import Clock

MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Verdict:
    """What a limit says to one request."""

    allowed: bool
    remaining: int
    """How many more would be allowed at this very moment."""
    limit: int
    """What `remaining` counts down from: the burst of a bucket, the count of a window."""
    reset_at: float
    """When `remaining` is back at `limit` if nothing more is taken; seconds since 1970."""
    retry_after: float
    """How long until one request is allowed again, in seconds; 0 for an allowed one."""

    @property
    def retry_after_header(self) -> str:
        """`Retry-After` as HTTP wants it: whole seconds, rounded up, at least 1 after a refusal."""
        return str(ceil(self.retry_after))

    @property
    def reset_header(self) -> str:
        """`reset_at` as headers carry it: whole seconds since 1970, rounded up."""
        return str(ceil(self.reset_at))


class Limit(Protocol):
    """Decides about requests, each key on its own."""

    def take(self, key: str, now: float) -> Verdict:
        """Counts one request of `key` at `now` (seconds since 1970), unless it is refused.

        A refused request costs nothing. A `now` before the last one counts as the last one.
        """
        ...


class TokenBucket:
    """Refills steadily by `rate` tokens every `per` seconds, up to `burst`; starts full.

    Raises:
        ValueError: for a rate, period or burst that is not positive.
    """

    def __init__(self, rate: int, per: float = 1.0, burst: int | None = None) -> None:
        self.rate = rate
        self.burst = rate if burst is None else burst
        self._period = _microseconds(per)
        if min(self.rate, self.burst, self._period) <= 0:
            raise ValueError("a token bucket needs a positive rate, period and burst")
        # Missing tokens, times the period: this way refilling stays in whole numbers.
        self._missing: dict[str, tuple[int, int]] = {}

    def take(self, key: str, now: float) -> Verdict:
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
        return Verdict(
            allowed=allowed,
            remaining=room // self._period,
            limit=self.burst,
            reset_at=(moment - (-missing // self.rate)) / MICROSECONDS,
            retry_after=wait / MICROSECONDS,
        )


class SlidingWindow:
    """At most `count` requests in any stretch of `per` seconds, its end not included.

    Raises:
        ValueError: for a count or period that is not positive.
    """

    def __init__(self, count: int, per: float = 1.0) -> None:
        self.count = count
        self._period = _microseconds(per)
        if min(self.count, self._period) <= 0:
            raise ValueError("a sliding window needs a positive count and period")
        self._taken: dict[str, deque[int]] = {}

    def take(self, key: str, now: float) -> Verdict:
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
        return Verdict(
            allowed=allowed,
            remaining=self.count - len(taken),
            limit=self.count,
            reset_at=(taken[-1] + self._period) / MICROSECONDS,
            retry_after=wait / MICROSECONDS,
        )


def client_address(scope: Scope) -> str:
    """The key of a limit per source address."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def credentials(scope: Scope) -> str:
    """The key of a limit per credential: the `Authorization` header, or the address without one."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    return client_address(scope)


class RateLimited:
    """Puts a limit in front of an ASGI application.

    Args:
        limit: counts the requests.
        clock: the sandbox's clock.
        refuse: the service's answer to a request too many; `Retry-After` is its own affair.
        key: whom a request counts against.
        headers: what the service tells about its limit in every answer, refusals included;
            None for nothing.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: Limit,
        clock: Clock,
        refuse: Callable[[Verdict], Response],
        key: Callable[[Scope], str] = client_address,
        headers: Callable[[Verdict], Mapping[str, str]] | None = None,
    ) -> None:
        self._app = app
        self._limit = limit
        self._clock = clock
        self._refuse = refuse
        self._key = key
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        verdict = self._limit.take(self._key(scope), self._clock.seconds())

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and self._headers is not None:
                MutableHeaders(scope=message).update(self._headers(verdict))
            await send(message)

        app = self._app if verdict.allowed else self._refuse(verdict)
        await app(scope, receive, send_with_headers)


def _microseconds(seconds: float) -> int:
    return round(seconds * MICROSECONDS)
