"""The passage of one request over the network: when it has to end, and how far it came.

httpcore's time-outs begin anew with every byte, so a service that drips its answer can hold a call
for as long as it likes; and the name of an error does not prove that nothing was sent. So the
network backend of a transport is wrapped: no connecting, reading or writing outlasts the end of
the passage under way, and the passage notes what is done.

Three things are not bounded for a sync call: what the operating system does to resolve a name has
no time-out in Python; where a name has several addresses that do not answer, each is tried for the
time that was left; and so is each part of a request that a service takes in drips.
"""

from __future__ import annotations

import inspect
import os
import struct
import time
from contextvars import ContextVar
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""For no time."""


class Passage:
    """One request under way.

    Args:
        end: when it has to be over (monotonic, seconds).
    """

    __slots__ = ("_is_for_proxy", "connecting", "end", "sending")

    def __init__(self, end: float) -> None:
        self.end = end
        self.connecting = False
        self.sending = False
        self._is_for_proxy = False

    def trace(self, name: str, info: Any) -> None:
        """What httpcore tells of a transport that is not wrapped."""
        if "send_request" in name:
            if "request" in info:  # it is told at the beginning only
                self._is_for_proxy = info["request"].method == b"CONNECT"
            self.sending |= not self._is_for_proxy
        elif name.startswith("connection."):
            self.connecting = True

    async def trace_async(self, name: str, info: Any) -> None:
        self.trace(name, info)

    def never_sent(self, error: BaseException) -> bool:
        """Whether it is proved that nothing left: it was seen connecting and not sending, or
        httpcore says itself that there was no free connection."""
        if self.sending:
            return False
        cause = error.__cause__
        from_pool = type(cause).__module__.partition(".")[0] in ("httpcore", "httpcore2")
        return self.connecting or (from_pool and type(cause).__name__ == "PoolTimeout")


TUNNEL = b"CONNECT "
"""How what httpcore asks a proxy begins before anything is sent to the service: no request of a
provider has that method."""

under_way: ContextVar[Passage | None] = ContextVar("guestlist_passage", default=None)
"""The passage of this thread or task. Nobody takes it away at its end: the next one replaces it."""


def wrap(transport: Any) -> bool:
    """Has a transport of httpx or httpx2 keep to the passage under way, and note what it does.

    Returns:
        False for one that is built otherwise, as another version may be: it stays as it is.
    """
    pool: Any = getattr(transport, "_pool", None)
    if not hasattr(pool, "_network_backend"):
        return False
    backend = pool._network_backend
    is_async = inspect.iscoroutinefunction(backend.connect_tcp)
    pool._network_backend = (_AsyncStream if is_async else _Stream)(backend)
    return True


def _left(timeout: float | None) -> float | None:
    """The time-out, or what is left of the passage, whichever is shorter."""
    passage = under_way.get()
    if passage is None:
        return timeout
    left = passage.end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for the call is over")
    return left if timeout is None else min(timeout, left)


def _sends_nothing_late(made: Any) -> None:
    """Has the operating system let go of what was not delivered when a connection is closed, or its
    process dies. It would go on sending otherwise, for minutes: once the network is back, a request
    that was given up would arrive, perhaps behind the one that took its place."""
    socket = made.get_extra_info("socket") if hasattr(made, "get_extra_info") else None
    if socket is not None:
        socket.setsockopt(SOL_SOCKET, SO_LINGER, LINGER)


class _Wrapped:
    """A network backend, or one of its streams."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _connecting(self) -> None:
        passage = under_way.get()
        if passage is not None:
            passage.connecting = True

    def _sending(self, buffer: bytes) -> None:
        passage = under_way.get()
        if passage is not None and buffer and not buffer.startswith(TUNNEL):
            passage.sending = True


class _Stream(_Wrapped):
    def connect_tcp(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        self._connecting()
        made = self._inner.connect_tcp(*args, timeout=_left(timeout), **kwargs)
        _sends_nothing_late(made)
        return _Stream(made)

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        try:
            left = _left(timeout)
        except TimeoutError:  # no connection holds this socket yet that would close it
            self._inner.close()
            raise
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = _left(timeout)
        self._sending(buffer)
        self._inner.write(buffer, timeout=left)

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._inner.read(max_bytes, timeout=_left(timeout))


class _AsyncStream(_Wrapped):
    async def connect_tcp(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        from guestlist.exchange.asyncio_stream import taken_over  # loads asyncio

        self._connecting()
        made = await self._inner.connect_tcp(*args, timeout=_left(timeout), **kwargs)
        _sends_nothing_late(made)
        return _AsyncStream(taken_over(made))

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        import anyio

        try:
            return _AsyncStream(
                await self._inner.start_tls(ssl_context, server_hostname, _left(timeout))
            )
        except BaseException:  # httpcore leaves this one socket open
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()
            raise

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = _left(timeout)
        self._sending(buffer)
        await self._inner.write(buffer, timeout=left)

    async def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return await self._inner.read(max_bytes, timeout=_left(timeout))
