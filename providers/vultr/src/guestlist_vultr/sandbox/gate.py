"""Checks that come before the endpoints: the rate limit, then the API key."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from guestlist.sandbox.limits import Limit, SlidingWindow, TokenBucket, Verdict

from .call import refusal
from .state import World

REQUESTS_PER_SECOND = 30
"""Per network address (OpenAPI, "rate limit"). How the service counts requests is not known."""


class ChosenLimit:
    """A rate limit that follows the present value of the switch `rate`."""

    def __init__(self, choices: Callable[[], Mapping[str, str]]) -> None:
        self._choices = choices
        self._limits: dict[str, Limit] = {
            "bucket": TokenBucket(REQUESTS_PER_SECOND),
            "window": SlidingWindow(REQUESTS_PER_SECOND),
        }

    def take(self, key: str, now: float) -> Verdict:
        limit = self._limits.get(self._choices()["rate"])
        if limit is None:
            return Verdict(True, REQUESTS_PER_SECOND, REQUESTS_PER_SECOND, now, 0.0)
        return limit.take(key, now)


class KeyCheck:
    """Answers 401 unless the request has a valid API key. Passes the key and its owner to the
    endpoints."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        key = key.strip()
        caller = self._world.owner_of(key) if scheme.lower() == "bearer" else None
        if caller is None:
            await refusal(401, "Invalid API token.")(scope, receive, send)  # text unverified
            return
        state = {**scope.get("state", {}), "key": self._world.keys[key], "caller": caller}
        await self._app({**scope, "state": state}, receive, send)


def too_many(verdict: Verdict, *, send_retry_after: bool) -> Response:
    """Returns the 429 answer (text: issue terraform-provider-vultr 103; `Retry-After`: OpenAPI,
    C-18)."""
    headers = {"Retry-After": verdict.retry_after_header} if send_retry_after else None
    return refusal(429, "rate limit exceeded", headers)
