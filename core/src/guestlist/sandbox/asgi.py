"""Middleware of the sandbox's applications: the `Date` header, and a guard."""

from __future__ import annotations

from collections.abc import Callable, Container
from email.utils import format_datetime
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from guestlist.sandbox.world import World


class Dated:
    """Adds a `Date` header with the sandbox's time to answers that have none."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_date(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = self._world.clock.now()
                MutableHeaders(scope=message).setdefault("date", format_datetime(now, usegmt=True))
            await send(message)

        await self._app(scope, receive, send_with_date)


class Guard:
    """Refuses requests that a foreign web page sends through a visitor's browser.

    A browser names the page that it sends for: in `Host` (which shows a foreign name that resolves
    to this machine), in `Origin` and in `Sec-Fetch-Site`. Clients other than browsers send neither
    of the last two and are accepted.

    Args:
        hosts: the host names of this mailbox, or None to accept any.
        refuse: returns the answer to a refused request, given the reason.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Container[str] | None,
        refuse: Callable[[Request, str], Response],
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            request = Request(scope)
            reason = self._reason_against(request)
            if reason:
                app = self._refuse(request, reason)
        await app(scope, receive, send)

    def _reason_against(self, request: Request) -> str | None:
        host = request.headers.get("host", "")
        if self._hosts is not None and _hostname(host) not in self._hosts:
            return "This mailbox does not have that host name."
        if request.method in ("GET", "HEAD"):
            return None
        own = f"{request.scope['scheme']}://{host}"
        if request.headers.get("origin", own) != own or request.headers.get(
            "sec-fetch-site", "same-origin"
        ) not in ("same-origin", "none"):
            return "Another web page may not act on this mailbox."
        return None


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
