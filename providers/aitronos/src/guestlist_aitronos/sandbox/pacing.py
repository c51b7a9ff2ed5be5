"""The service's rate limits (RATE): by plan and credential, told in every answer.

What the token bucket's `X-RateLimit-Limit` says is unverified: here it is the burst, from which
`X-RateLimit-Remaining` counts down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from guestlist.sandbox.limits import Limit, SlidingWindow, TokenBucket, Verdict, client_address

MINUTE = 60.0
DAY = 86_400.0


@dataclass(frozen=True)
class Plan:
    """What a plan allows, in requests."""

    per_minute: int
    per_day: int
    burst: int


PLANS = {"standard": Plan(100, 10_000, 120), "premium": Plan(1_000, 100_000, 1_200)}


class PlanLimit:
    """The limit of whichever plan and algorithm are chosen when a request comes."""

    def __init__(self, chosen: Callable[[], Mapping[str, str]]) -> None:
        self._chosen = chosen
        self._minutes: dict[tuple[str, str], Limit] = {}
        self._days: dict[str, Limit] = {}
        for name, plan in PLANS.items():
            self._minutes[name, "bucket"] = TokenBucket(plan.per_minute, MINUTE, plan.burst)
            self._minutes[name, "window"] = SlidingWindow(plan.per_minute, MINUTE)
            self._days[name] = SlidingWindow(plan.per_day, DAY)

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
    """Whom a request counts against: its key or token, or its address where it has neither."""
    headers = Headers(scope=scope)
    names = ("authorization", "x-api-key", "api-key")
    given = (headers.get(name, "").removeprefix("Bearer ") for name in names)
    return next((secret for secret in given if secret), client_address(scope))


def headers(verdict: Verdict) -> dict[str, str]:
    """The four headers of RATE."""
    return {
        "x-ratelimit-limit": str(verdict.limit),
        "x-ratelimit-remaining": str(verdict.remaining),
        "x-ratelimit-reset": verdict.reset_header,
        "x-ratelimit-retry-after": verdict.retry_after_header,
    }
