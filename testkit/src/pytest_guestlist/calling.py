"""Calls a service of the sandbox in this process, without socket, thread or event loop."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.types import Message

from guestlist.exchange.step import Outgoing
from guestlist.provider import Response
from guestlist.sandbox.service import Service


def call_service(service: Service, outgoing: Outgoing) -> Response:
    """Sends a request to a service and returns the answer. Endpoints of a sandbox never wait."""
    parts = urlsplit(outgoing.url)
    raw = [(name.lower().encode(), value.encode()) for name, value in outgoing.headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": outgoing.method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(b"host", parts.netloc.encode()), *raw],
        "client": ("127.0.0.1", 50000),
        "server": (parts.hostname, parts.port or 443),
        "state": {},
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": outgoing.content or b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    running: Any = service.app(scope, receive, send)
    try:
        running.send(None)
    except StopIteration:
        pass
    else:
        running.close()
        raise TypeError(f"an endpoint of the sandbox of {service.title} waits for something")
    headers = {name.decode().lower(): value.decode() for name, value in sent[0].get("headers", ())}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Response(sent[0]["status"], headers, content)


class ServiceWire:
    """A wire to a service of the sandbox in this process."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def send(self, outgoing: Outgoing) -> Response:
        """Returns the answer of the service."""
        return call_service(self._service, outgoing)

    def close(self) -> None:
        """Does nothing, because nothing was opened."""
