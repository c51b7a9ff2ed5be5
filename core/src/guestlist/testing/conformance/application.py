"""Sending to an application in this process: no socket, no thread, no event loop."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from guestlist.exchange.step import Outgoing
from guestlist.provider import Response
from guestlist.sandbox.service import Service


class ApplicationWire:
    """Hands requests to a service of the sandbox, which never suspends."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def send(self, outgoing: Outgoing) -> Response:
        """What the service answers."""
        received: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": outgoing.content or b"", "more_body": False}

        async def send(message: Any) -> None:
            received.append(message)

        run = self._service.app(_scope(outgoing), receive, send)
        try:
            run.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            start, *rest = received
        else:
            raise TypeError(f"the sandbox of {self._service.title} waits for something")
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Response(start["status"], headers, b"".join(part.get("body", b"") for part in rest))

    def close(self) -> None:
        """Nothing was opened."""


def _scope(outgoing: Outgoing) -> dict[str, Any]:
    parts = urlsplit(outgoing.url)
    headers = {**outgoing.headers, "host": parts.netloc}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": outgoing.method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50000),
        "server": (parts.hostname, parts.port or 443),
    }
