"""The passage of a request whose time is over: what it had not begun is neither done nor noted."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from guestlist.exchange.passage import Passage, under_way, wrap


class Socket:
    """A network backend, and the stream that it makes."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def connect_tcp(self, *args: Any, timeout: float | None = None) -> Socket:
        return self

    def start_tls(self, *args: Any) -> Socket:
        self.done.append("tls")
        return self

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.done.append("write")

    def close(self) -> None:
        self.done.append("close")


class AsyncSocket(Socket):
    async def connect_tcp(self, *args: Any, timeout: float | None = None) -> Socket:  # type: ignore[override]
        return self

    async def aclose(self) -> None:
        self.close()


def do(result: Any) -> Any:
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.fixture(params=[Socket, AsyncSocket])
def socket(request: pytest.FixtureRequest) -> Any:
    return request.param()


@pytest.fixture
def passage(socket: Any) -> Iterator[SimpleNamespace]:
    """A connection that was made, and the time is over."""
    passage = Passage(time.monotonic() + 60)
    before = under_way.set(passage)
    transport = SimpleNamespace(_pool=SimpleNamespace(_network_backend=socket))
    assert wrap(transport)
    stream = do(transport._pool._network_backend.connect_tcp("host", 443))
    passage.end = time.monotonic()
    yield SimpleNamespace(stream=stream, note=passage)
    under_way.reset(before)


def test_what_had_no_time_to_be_written_was_not_sent(socket: Any, passage: Any) -> None:
    with pytest.raises(TimeoutError) as late:
        do(passage.stream.write(b"POST"))
    assert socket.done == []
    assert passage.note.never_sent(late.value)


def test_a_socket_that_had_no_time_for_tls_is_closed(socket: Any, passage: Any) -> None:
    with pytest.raises(TimeoutError):
        do(passage.stream.start_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "host", 5.0))
    assert socket.done == ["close"]
