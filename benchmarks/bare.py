"""The same requests through bare httpx, as somebody would write them who knows which are needed:
clients that are kept open, the body read to its end and not parsed."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence

import httpx

from benchmarks.aitronos import KEY, Sent

Call = Callable[[int], object]
"""Makes one call about the address of that number."""
AsyncCall = Callable[[int], Awaitable[object]]

HEADERS = {"X-API-Key": KEY, "Accept": "application/json"}
NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no certificate, and is made in no time; the local server has none to show."""
JSON = {"Content-Type": "application/json"}
WITHOUT_LIMIT = httpx.Limits(max_connections=None, max_keepalive_connections=None)


def call(client: httpx.Client, sent: Sequence[Sent]) -> Call:
    """The requests through `httpx.Client`."""

    def send(number: int) -> None:
        for one in sent:
            target, headers = one.target_for(number), JSON if one.body else None
            client.request(one.method, target, content=one.body, headers=headers)

    return send


def async_call(client: httpx.AsyncClient, sent: Sequence[Sent]) -> AsyncCall:
    """The requests through `httpx.AsyncClient`."""

    async def send(number: int) -> None:
        for one in sent:
            target, headers = one.target_for(number), JSON if one.body else None
            await client.request(one.method, target, content=one.body, headers=headers)

    return send


def client(base_url: str) -> httpx.Client:
    """A client for any number of threads."""
    return httpx.Client(base_url=base_url, headers=HEADERS, limits=WITHOUT_LIMIT, timeout=60)


def async_client(base_url: str) -> httpx.AsyncClient:
    """A client for any number of tasks."""
    return httpx.AsyncClient(base_url=base_url, headers=HEADERS, limits=WITHOUT_LIMIT, timeout=60)
