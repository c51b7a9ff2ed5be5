"""The service's rate limits (RATE): by plan and credential, reported in every answer.

The meaning of `X-RateLimit-Limit` with the token bucket is unverified: here it is the burst size,
and `X-RateLimit-Remaining` counts down from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from guestlist.sandbox.limits import Limit, SlidingWindow, TokenBucket, Verdict, client_address

MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Plan:
    """The numbers of requests that a plan allows."""

    per_minute: int
    per_day: int
    burst: int


PLANS = {"standard": Plan(100, 10_000, 120), "premium": Plan(1_000, 100_000, 1_200)}


class PlanLimit:
    """A rate limit that follows the present values of the switches `plan` and `rate`."""

    def __init__(self, chosen: Callable[[], Mapping[str, str]]) -> None:
        self._chosen = chosen
        self._minutes: dict[tuple[str, str], Limit] = {}
        self._days: dict[str, Limit] = {}
        for name, plan in PLANS.items():
            self._minutes[name, "bucket"] = TokenBucket(plan.per_minute, MINUTE_SECONDS, plan.burst)
            self._minutes[name, "window"] = SlidingWindow(plan.per_minute, MINUTE_SECONDS)
            self._days[name] = SlidingWindow(plan.per_day, DAY_SECONDS)

    def take(self, key: str, now: float) -> Verdict:
        plan, rate = self._chosen()["plan"], self._chosen()["rate"]
        if rate == "off":
            most = PLANS[plan].burst
            return Verdict(True, most, most, reset_at=now, retry_after=0.0)
        verdict = self._minutes[plan, rate].take(key, now)
        if not verdict.allowed:
            return verdict
        day = self._days[plan].take(key, now)
        return verdict if day.allowed else day


def credential(scope: Scope) -> str:
    """Returns the key that a request is counted by: its API key or token, or its network address if
    it has neither."""
    headers = Headers(scope=scope)
    names = ("authorization", "x-api-key", "api-key")
    given = (headers.get(name, "").removeprefix("Bearer ") for name in names)
    return next((secret for secret in given if secret), client_address(scope))


def headers(verdict: Verdict) -> dict[str, str]:
    """Returns the four rate limit headers (RATE)."""
    return {
        "x-ratelimit-limit": str(verdict.limit),
        "x-ratelimit-remaining": str(verdict.remaining),
        "x-ratelimit-reset": verdict.reset_header,
        "x-ratelimit-retry-after": verdict.retry_after_header,
    }
