"""Follows a request by the events that httpcore reports, and extends the network stream that it
hands out.

httpx passes the `trace` extension of a request on to httpcore, which calls it at each step and
hands out the network stream once that is connected. That is enough for three things:

- Proof that nothing was sent: a connection was being made, and sending never began. The name of an
  exception proves nothing, because some transports call "the service acted, then hung up" a connect
  error.
- A time at which a call ends. httpcore's timeouts begin again with every byte, so a service that
  drips its answer could hold a call forever.
- A connection is not used again if bytes followed an answer. httpcore would take them for the
  answer to the next request, and that request's answer for the one after it.
"""

from __future__ import annotations

import inspect
import math
import os
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any

from guestlist.exchange.clock import SystemClock

if TYPE_CHECKING:
    from guestlist.exchange.connections import Connection

_LINGER = "hh" if os.name == "nt" else "ii"
_RESET, _CLOSE = struct.pack(_LINGER, 1, 0), struct.pack(_LINGER, 0, 0)

_NOTED = (
    "connect_tcp.started",
    "connect_unix_socket.started",
    "connect_tcp.complete",
    "start_tls.complete",
    "send_request_headers.started",
)
"""Suffixes of the trace events that are used here. httpcore reports ten for each request."""


class Stream:
    """A network stream of httpcore, whose `read` and `get_extra_info` are extended in place.

    `read` keeps the last byte of what came until httpcore asks for more. Only an incomplete answer
    makes it ask, so a byte that is left at the end came after the answer. `get_extra_info` then
    reports that the idle connection is readable, and httpcore closes it instead of using it again.

    Args:
        stream: the stream from httpcore's trace.

    Attributes:
        end: monotonic time in seconds at which reading ends.
    """

    def __init__(self, stream: Any) -> None:
        self.end = math.inf
        self._inner = stream
        self._socket = stream.get_extra_info("socket")
        self._read, self._get_extra_info = stream.read, stream.get_extra_info
        self._last = b""
        is_async = inspect.iscoroutinefunction(stream.read)
        stream.read = self._read_async if is_async else self._read_sync
        stream.get_extra_info = self._extra_info

    def reset_when_closed(self, reset: bool) -> None:
        """Sets whether undelivered data is discarded when the connection or the process ends.

        Otherwise the operating system continues to send for minutes. An abandoned request could
        arrive when the network is back, perhaps after the request that replaced it.
        """
        if self._socket is not None:
            try:
                self._socket.setsockopt(SOL_SOCKET, SO_LINGER, _RESET if reset else _CLOSE)
            except OSError:  # closed already
                return

    def close(self) -> None:
        """Closes a sync stream, because httpcore does not if an attempt to connect fails."""
        self._inner.close()

    async def aclose(self) -> None:
        """Closes an async stream, because httpcore does not if it is canceled while connecting."""
        await self._inner.aclose()

    def _read_sync(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._last:
            return self._take_last()
        return self._keep_last(self._read(max_bytes, self._bounded(timeout)))

    async def _read_async(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._last:
            return self._take_last()
        return self._keep_last(await self._read(max_bytes, self._bounded(timeout)))

    def _bounded(self, timeout: float | None) -> float | None:
        left = self.end - SystemClock.monotonic()
        if left <= 0:
            raise TimeoutError("the time of the call is over")
        if left == math.inf:
            return timeout
        return left if timeout is None else min(timeout, left)

    def _take_last(self) -> bytes:
        last, self._last = self._last, b""
        return last

    def _keep_last(self, data: bytes) -> bytes:
        if len(data) < 2:
            return data
        self._last = data[-1:]
        return data[:-1]

    def _extra_info(self, info: str) -> Any:
        return (info == "is_readable" and bool(self._last)) or self._get_extra_info(info)


class Trace:
    """Follows one request: pass `report` (or `report_async`) as httpcore's `trace` extension.

    Args:
        end: monotonic time in seconds at which the call ends.
        connection: stores the stream. None if the caller brought the transport.

    Attributes:
        address: host and port of the last attempt to connect; None if there was none.
    """

    __slots__ = ("_end", "_lent", "_sending", "address")

    def __init__(self, end: float, connection: Connection[Any] | None = None) -> None:
        self.address: tuple[str, int] | None = None
        self._end = end
        self._sending = False
        self._lent = connection
        if connection is not None and connection.stream is not None:
            connection.stream.end = end

    def report(self, name: str, info: Any) -> None:
        """Records an event of httpcore.

        Raises:
            TimeoutError: the call has no time left.
        """
        if not name.endswith(_NOTED):
            return
        if name.endswith(("connect_tcp.started", "connect_unix_socket.started")):
            self._check_time()
            self.address = info.get("host") or str(info.get("path")), info.get("port") or 0
        elif name.endswith(".complete"):
            stream = Stream(info["return_value"])
            if self._lent is not None:
                stream.end = self._end
                self._lent.stream = stream
        elif info["request"].method != b"CONNECT":
            self._check_time()
            self._sending = True
            if self._lent is not None and self._lent.stream is not None:
                self._lent.stream.reset_when_closed(True)
                # Stop the reports, because each takes time and the later ones are not used.
                info["request"].extensions.pop("trace", None)

    async def report_async(self, name: str, info: Any) -> None:
        """Records an event of httpcore, in an async client."""
        self.report(name, info)

    def answered(self) -> None:
        """Records that the answer was read completely."""
        if self._lent is not None and self._lent.stream is not None:
            self._lent.stream.reset_when_closed(False)

    def proves_unsent(self, error: BaseException) -> bool:
        """Returns whether an error proves that nothing was sent.

        It does if the connection was still being made, or if httpcore found no free connection.
        """
        if self._sending:
            return False
        cause = error.__cause__
        from_pool = type(cause).__module__.partition(".")[0] in ("httpcore", "httpcore2")
        return self.address is not None or (from_pool and type(cause).__name__ == "PoolTimeout")

    def _check_time(self) -> None:
        if SystemClock.monotonic() >= self._end:
            raise TimeoutError("the time of the call is over")
