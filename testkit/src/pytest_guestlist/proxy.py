"""A proxy that causes faults between a real client and a service or its sandbox.

    with FaultProxy(service_url) as proxy:
        proxy.plan = on("POST /v2/invitation", unanswered(End.RESET))
        ...                                   # the client uses proxy.url
        assert [one.forwarded for one in proxy.seen] == [True]

It recognizes the ends of requests and answers, so that a test can state "the service acted, then
the connection broke". The faults are in `pytest_guestlist.faults`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from pytest_guestlist.faults import Door, End, Fault, Forward, Plan, scripted
from pytest_guestlist.framing import END_OF_HEAD, addressed, headers_of, read_answer, read_body

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that `release` waits for a held request."""
LARGEST_HEAD = 1 << 20
NOTHING = Fault()
RST_ON_CLOSE = struct.pack("ii", 1, 0)
BROKEN = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError)
"""Errors if the other side has closed the connection, or does not send HTTP."""


@dataclass
class Seen:
    """A request that the proxy received.

    Attributes:
        line: the request line, such as `POST /v2/invitation HTTP/1.1`.
        headers: the headers; names are in lower case. They include credentials.
        forwarded: whether it was sent to the service.
    """

    line: str
    headers: Mapping[str, str] = field(repr=False)
    forwarded: bool = False


class FaultProxy:
    """A proxy on a local port. It runs in a thread while its `with` block runs.

    Args:
        upstream: the URL of the service. Its path is ignored.
        plan: the faults of the next requests in order, or a function that returns the fault of each
            request. It may be changed at any time. The function runs in the proxy's thread and
            must not call methods of the proxy.
        door: what happens to new connections. It may be changed at any time.
        tls: the context for TLS with clients; None for plain HTTP.

    Attributes:
        port: the port, available from the beginning of the block.
        seen: all received requests in order. A test may clear the list.

    An exception of a plan or a fault is raised at the end of the block.
    """

    def __init__(
        self,
        upstream: str,
        plan: Plan | Iterable[Fault | None] = (),
        *,
        door: Door = Door.OPEN,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._upstream = urlsplit(upstream)
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread
        self._place: socket.socket
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._late: asyncio.Queue[tuple[bytes, bytes, Seen]] = asyncio.Queue()
        self._errors: list[Exception] = []
        self._number = 0
        self.port = 0
        self.seen: list[Seen] = []
        self.door = door
        self.plan = plan

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def plan(self) -> Plan:
        """Returns the fault of each request."""
        return self._plan

    @plan.setter
    def plan(self, plan: Plan | Iterable[Fault | None]) -> None:
        self._plan = plan if callable(plan) else scripted(plan)

    def start(self) -> None:
        """Listens again, on the same port, after `stop` or `End.DIE`."""
        self._do(self._listen())

    def stop(self) -> None:
        """Resets all connections; new ones are refused until `start`."""
        self._do(self._die())

    def release(self) -> None:
        """Sends one request to the service that was held back by `Forward.LATE`, and waits for the
        answer, which is dropped.

        Raises:
            TimeoutError: no request is held back.
        """
        self._do(asyncio.wait_for(self._let_go(), PATIENCE))

    def forget(self) -> None:
        """Drops the requests that are held back, so that they never take effect."""
        self._do(self._drop())

    def __enter__(self) -> Self:
        self._place = _reserve(self.port)
        self.port = self._place.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="guestlist-fault-proxy")
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._place.close()
        if self._errors and error[0] is None:
            raise self._errors[0]

    # ------------------------------------------------------------------ the thread

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._met, sock=self._place, ssl=self._tls, limit=LARGEST_HEAD
            )

    async def _die(self, but: asyncio.StreamWriter | None = None) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._place = _reserve(self.port)
        for connection in self._connections - {but}:
            _reset(connection)

    async def _drop(self) -> None:
        while not self._late.empty():
            self._late.get_nowait()

    async def _close(self) -> None:
        await self._die()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    # ------------------------------------------------------------------ one connection

    def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = self._loop.create_task(self._serve(reader, writer))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with suppress(*BROKEN):
                if self.door is Door.OPEN:
                    while await self._exchange(reader, writer):
                        pass
                elif self.door is Door.RESET:
                    _reset(writer)
                elif self.door is Door.SILENT:
                    await reader.read()
                else:
                    await reader.read(1)
                    writer.write(b"\x00garbage\r\n\r\n")
        except Exception as error:
            self._errors.append(error)
        finally:
            writer.close()
            try:
                with suppress(*BROKEN):
                    await writer.wait_closed()
            finally:
                self._connections.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Handles one request. Returns whether the connection can be used again."""
        head = await reader.readuntil(b"\r\n")
        line = head.decode("latin-1").strip()
        self._number += 1
        fault = self._plan(line, self._number) or NOTHING
        seen = Seen(line, {})
        self.seen.append(seen)
        answer = b""
        if not fault.head_only:
            head += await reader.readuntil(END_OF_HEAD)
            headers = headers_of(head)
            seen.headers = {name.lower(): value for name, value in headers.items()}
            body = await read_body(reader, headers)
            if fault.forward is Forward.NOW:
                answer = await self._forward(head, body, seen)
            elif fault.forward is Forward.LATE:
                self._late.put_nowait((head, body, seen))
        if fault.reshape:
            answer = fault.reshape(answer)
        if fault.end is End.DIE:
            await self._die(but=writer)  # the answer is still sent on this connection
        await _send(writer, answer, fault)
        return await _finish(reader, writer, fault.end)

    async def _forward(self, head: bytes, body: bytes, seen: Seen) -> bytes:
        to = self._upstream
        tls = to.scheme == "https"
        reader, writer = await asyncio.open_connection(
            to.hostname, to.port or (443 if tls else 80), ssl=tls or None, limit=LARGEST_HEAD
        )
        try:
            writer.write(addressed(head, to.netloc) + body)
            await writer.drain()
            seen.forwarded = True
            return await read_answer(reader, seen.line.partition(" ")[0])
        finally:
            writer.close()
            with suppress(*BROKEN):
                await writer.wait_closed()

    async def _let_go(self) -> None:
        await self._forward(*await self._late.get())


async def _send(writer: asyncio.StreamWriter, answer: bytes, fault: Fault) -> None:
    await asyncio.sleep(fault.delay)
    pieces = [answer] if fault.drip is None else [bytes([byte]) for byte in answer]
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(fault.drip or 0)


async def _finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, end: End) -> bool:
    if end is End.RESET:
        _reset(writer)
    elif end is End.HALF:
        writer.write_eof()
    if end in (End.HALF, End.STALL):
        await reader.read()  # until the client leaves
    return end is End.KEEP


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes a connection with RST. Bytes that were written before are sent."""
    taken: Any = writer.get_extra_info("socket")
    with suppress(OSError):
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
    writer.transport.abort()


def _reserve(port: int) -> socket.socket:
    """Returns a socket that reserves a port. It refuses connections until a server listens on
    it."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", port))
    return place
