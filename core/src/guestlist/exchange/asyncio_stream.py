"""Reading and writing on asyncio, in place of what httpcore does it with.

anyio's streams serve every event loop, and that takes a quarter of the CPU of a whole call. So a
connection that was made is taken over: from then on asyncio hands its bytes to a protocol of ours.
TLS is asyncio's too. What goes wrong is told with httpcore's own exceptions, which httpx knows.
"""

from __future__ import annotations

import asyncio
import select
import sys
from ssl import SSLContext
from typing import Any

HELD = 1 << 18
"""Bytes that may wait to be read; with more, the service has to wait."""

_INFO = {"client_addr": "sockname", "server_addr": "peername"}
"""What httpcore asks for, as asyncio calls it, where the names differ."""


def taken_over(stream: Any) -> Any:
    """The same connection as a stream of ours.

    Args:
        stream: a connection of httpcore that was just made, without TLS so far.

    Returns:
        That one, where it is none of asyncio, or built otherwise, as another version may be.
    """
    transport: Any = getattr(getattr(stream, "_stream", None), "_transport", None)
    if not hasattr(transport, "set_protocol"):
        return stream
    errors = sys.modules[type(stream).__module__.partition(".")[0]]
    return AsyncioStream(transport, errors)


class AsyncioStream(asyncio.Protocol):
    """One connection. Whoever has it does one thing at a time with it.

    Args:
        transport: asyncio's, on which nothing was sent and nobody reads.
        errors: has httpcore's exceptions.
    """

    def __init__(self, transport: asyncio.Transport, errors: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = self._below_tls = transport
        self._errors = errors
        before: Any = transport.get_protocol()  # anyio's; with uvloop it may have come to hold some
        self._received = bytearray().join(getattr(before, "read_queue", ()))
        self._ended = transport.is_closing() or getattr(before, "is_at_eof", False)
        self._broken: Exception | None = None
        self._is_held = False
        self._is_full = False
        self._is_writing = False
        self._waiter: asyncio.Future[None] | None = None
        transport.set_protocol(self)
        transport.resume_reading()

    # ------------------------------------------------------------------ what asyncio calls

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > HELD:
            self._is_held = True
            self._below_tls.pause_reading()  # a pause of TLS can cost what came last (uvloop)
        self._go_on()

    def eof_received(self) -> None:
        self._ended = True
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._ended:
            self._ended, self._broken = True, error
        self._is_full = False
        self._go_on()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._is_writing:  # to whoever reads, this is nothing
            self._go_on()

    # ------------------------------------------------------------------ what httpcore calls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._received and not self._ended:
            await self._wait(timeout, self._errors.ReadTimeout)
        if not self._received:
            if self._broken is not None:
                raise self._errors.ReadError(str(self._broken)) from self._broken
            return b""
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if self._is_held and len(self._received) <= HELD:
            self._is_held = False
            self._below_tls.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Waits until most has left, or something comes: what answers a part is a no. asyncio's TLS
        takes everything at once."""
        if self._ended:
            raise self._errors.WriteError("the service has closed the connection")
        self._transport.write(buffer)
        if self._is_full and not self._received:
            self._is_writing = True
            try:
                await self._wait(timeout, self._errors.WriteTimeout)
            finally:
                self._is_writing = False

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> AsyncioStream:
        if self._received or self._ended:
            # here the client speaks first: it would be read as if TLS had protected it
            raise self._errors.ConnectError("something came before TLS, or the connection ended")
        try:
            async with asyncio.timeout(timeout):
                transport = await self._loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            raise self._errors.ConnectTimeout(str(error)) from error
        except Exception as error:  # in TLS within TLS, Python 3.11 has a TypeError of its own
            raise self._errors.ConnectError(str(error)) from error
        if transport is None:
            raise self._errors.ConnectError("the service has closed the connection")
        self._transport = transport
        return self

    async def aclose(self) -> None:
        """At once: nothing more is sent, and no service can delay it."""
        self._transport.abort()
        await asyncio.sleep(0)  # the socket is closed in the next turn of the loop

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # by which httpcore knows that no other request may use it
            unsent = self._below_tls.get_write_buffer_size()
            return bool(self._received or self._ended or unsent) or self._is_readable()
        return self._transport.get_extra_info(_INFO.get(info, info))

    # ------------------------------------------------------------------ waiting

    async def _wait(self, timeout: float | None, late: type[Exception]) -> None:
        """Until something has happened to the connection.

        `asyncio.timeout` would do the same by cancelling the task, for twice the work.
        """
        timer = None
        self._waiter = self._loop.create_future()
        try:
            if timeout is not None:
                timer = self._loop.call_later(timeout, self._go_on, late)
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _go_on(self, error: type[Exception] | None = None) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if error is None:
            self._waiter.set_result(None)
        else:
            self._waiter.set_exception(error)

    def _is_readable(self) -> bool:
        """Whether the service has sent or closed while the event loop did not look."""
        socket = self._transport.get_extra_info("socket")
        number = socket.fileno() if socket is not None else -1
        if number < 0:  # closed, and asyncio will say so in its next turn
            return True
        if not hasattr(select, "poll"):  # Windows, whose `select` takes a socket of any number
            return bool(select.select([number], [], [], 0)[0])
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
