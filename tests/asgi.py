"""Sends a request to an ASGI application in this process, without an event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode

import pytest


def ask(
    app: Any,
    method: str,
    path: str,
    content: bytes,
    headers: Mapping[str, str],
    query: Mapping[str, Any],
    address: str = "127.0.0.1",
) -> tuple[int, dict[str, str], bytes]:
    """Returns the status, the headers and the body of the answer."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode(),
        "root_path": "",
        "query_string": urlencode(query).encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (address, 50000),
        "server": ("127.0.0.1", 80),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    run = cast(Callable[..., Awaitable[None]], app)(scope, receive, send)
    with pytest.raises(StopIteration):  # it ends without ever suspending
        cast(Coroutine[Any, Any, None], run).send(None)
    start, *parts = sent
    decoded = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], decoded, b"".join(part["body"] for part in parts)
