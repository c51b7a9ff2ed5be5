"""The transports of the clients under test.

They keep no connection open, so that nothing is left over when the event loop of a test has ended.
They do not use the transports of httpx, so that respx, pytest-httpx and vcrpy, which replace those,
do not intercept requests to the sandbox.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import h11
import httpx

from guestlist.provider import Response

if TYPE_CHECKING:
    from pytest_guestlist.cassettes import Cassette

RECEIVED_BYTES = 65_536


class _Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport for sync and async clients, made of a blocking one."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await anyio.to_thread.run_sync(self.handle_request, request, abandon_on_cancel=True)


class LoopbackTransport(_Transport):
    """Sends plain HTTP/1.1 to the sandbox, each request on a connection of its own."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        headers = [(name, value) for name, value in request.headers.raw if name != b"connection"]
        out = h11.Connection(h11.CLIENT)
        parts = [
            h11.Request(
                method=request.method,
                target=url.raw_path,
                headers=[*headers, (b"Connection", b"close")],
            ),
            h11.Data(data=request.read()),
            h11.EndOfMessage(),
        ]
        timeout = request.extensions.get("timeout", {}).get("read")
        with socket.create_connection((url.host, url.port or 80), timeout) as connection:
            connection.sendall(b"".join(out.send(part) or b"" for part in parts))
            return _received(out, connection)


def _received(out: h11.Connection, connection: socket.socket) -> httpx.Response:
    status, headers, body = 0, [], b""
    while True:
        event = out.next_event()
        if event is h11.NEED_DATA:
            out.receive_data(connection.recv(RECEIVED_BYTES))
        elif isinstance(event, h11.Response):
            status, headers = event.status_code, list(event.headers)
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


class CassetteTransport(_Transport):
    """Replays a cassette, or records it.

    Args:
        cassette: the cassette.
        inner: sends the requests that are recorded, and those of no account of the cassette.
    """

    def __init__(self, cassette: Cassette, inner: httpx.BaseTransport) -> None:
        self._cassette = cassette
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        from pytest_guestlist.cassettes import current_task

        token = current_task.set(anyio.get_current_task().id)  # the worker thread inherits it
        try:
            return await super().handle_async_request(request)
        finally:
            current_task.reset(token)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not self._cassette.covers(str(request.url)):
            return self._inner.handle_request(request)
        request.read()
        if self._cassette.is_replay:
            played = self._cassette.play(request)
            stream = httpx.ByteStream(played.content)
            return httpx.Response(played.status, headers=dict(played.headers), stream=stream)
        # one exchange at a time, so that the order in the file is the order in which the service
        # acted: only then does a recorded answer show every change that stands before it
        with self._cassette.recording:
            answer = self._inner.handle_request(request)
            answer.read()
            headers = {name.lower(): value for name, value in answer.headers.items()}
            self._cassette.note(request, Response(answer.status_code, headers, answer.content))
        return answer


def live_transport() -> httpx.AsyncHTTPTransport:
    """Returns the transport of an async client of real services."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=ssl.create_default_context(), limits=limits)
