"""Sending over httpx: the only module that knows a transport.

Requests go straight to a transport of httpx (or of httpx2, its successor with the same API); a
client that the caller brings is used through its `send`. Redirects are never followed, nothing is
sent twice, and no environment or cookie of a client adds to what the exchange has built.

Whether a request was sent is never concluded from the name of an exception: some transports call
"the server acted, then hung up" a connect error. The proof is the trace that httpcore gives:
the connection failed, and sending never began.
"""

from __future__ import annotations

import importlib
import threading
import time
import urllib.request
import zlib
from functools import cached_property
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from guestlist.exchange.step import Failure, Outgoing
from guestlist.provider.messages import Response

LIBRARIES = ("httpx", "httpx2")

CONNECT_TIMEOUT = 10.0
"""Seconds; a connection that takes longer will not come."""
KEEP_ALIVE = 5.0
"""Seconds for which an idle connection is kept. Short, because a request on a connection that the
service closes at that moment fails with an unknown outcome."""


class Trace:
    """Listens to httpcore: did sending begin, did connecting fail?"""

    def __init__(self) -> None:
        self.sending = False
        self.connecting = False

    def __call__(self, name: str, info: Any) -> None:
        if "send_request" in name:
            self.sending = True
        elif name.startswith("connection."):
            self.connecting = True

    async def listen(self, name: str, info: Any) -> None:
        self(name, info)

    def never_sent(self, error: BaseException) -> bool:
        """Whether it is proved that nothing left: httpcore was seen connecting and not sending, or
        says itself that there was no free connection."""
        if self.sending:
            return False
        cause = error.__cause__
        from_pool = type(cause).__module__.partition(".")[0] in ("httpcore", "httpcore2")
        return self.connecting or (from_pool and type(cause).__name__ == "PoolTimeout")


class _Wire:
    """What both kinds of sending share: the library, the transports, building requests.

    Args:
        client: a client that the caller brings and closes.
        transport: a transport that the caller brings and closes.
        connections: at most so many at a time.
    """

    def __init__(
        self, client: Any = None, transport: Any = None, *, connections: int = 100
    ) -> None:
        self._client = client
        self._brought = transport
        self._connections = connections
        self._transports: dict[str, Any] = {}
        self._lock = threading.Lock()

    @cached_property
    def _library(self) -> ModuleType:
        return library_of(self._client or self._brought)

    def _request(self, outgoing: Outgoing, trace: Any) -> Any:
        """The library's own request object."""
        timeout = max(outgoing.timeout, 0.001)
        phases = {
            "connect": min(timeout, CONNECT_TIMEOUT),
            "read": timeout,
            "write": timeout,
            "pool": timeout,
        }
        return self._library.Request(
            outgoing.method,
            outgoing.url,
            headers=outgoing.headers,
            content=outgoing.content,
            extensions={"timeout": phases, "trace": trace},
        )

    def _transport(self, url: str, kind: str) -> Any:
        """The transport for a URL, made at first use: building one costs tens of milliseconds."""
        if self._brought is not None:
            return self._brought
        parts = urlsplit(url)
        proxies = urllib.request.getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
        if proxy and urllib.request.proxy_bypass(parts.hostname or ""):
            proxy = ""
        with self._lock:
            if proxy not in self._transports:
                limits = self._library.Limits(
                    max_connections=self._connections,
                    max_keepalive_connections=self._connections,
                    keepalive_expiry=KEEP_ALIVE,
                )
                make = getattr(self._library, kind)
                self._transports[proxy] = make(limits=limits, proxy=proxy or None)
            return self._transports[proxy]

    def _forget(self) -> list[Any]:
        """All transports that were made, forgotten at once."""
        with self._lock:
            made = list(self._transports.values())
            self._transports.clear()
        return made


class _Body:
    """An answer's body as it arrives: decompressed, bounded in size and in time."""

    def __init__(self, outgoing: Outgoing, headers: dict[str, str], started: float) -> None:
        self._left = outgoing.max_body
        self._ends = started + outgoing.total
        self._parts: list[bytes] = []
        self._inflater: Any = None
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding in ("gzip", "x-gzip"):
            self._inflater = zlib.decompressobj(31)
        elif encoding not in ("", "identity"):
            raise Unreadable(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")

    def add(self, chunk: bytes) -> None:
        if self._inflater is not None:
            chunk = self._inflater.decompress(chunk, self._left + 1)
        self._left -= len(chunk)
        if self._left < 0:
            raise Unreadable("the answer is unreasonably large")
        if time.monotonic() > self._ends:
            raise TimeoutError("the answer came too slowly")
        self._parts.append(chunk)

    def content(self) -> bytes:
        if self._inflater is not None and not self._inflater.eof and self._parts:
            raise Unreadable("the compressed answer is cut off")
        return b"".join(self._parts)


class Unreadable(Exception):
    """The answer came and is no use."""


def _headers(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _failure(error: Exception, trace: Trace, status: int | None) -> Failure:
    """What it means that no complete answer came."""
    if type(error).__module__.partition(".")[0] == "vcr":
        raise error  # a request that no cassette holds is the test's failure, not the network's
    if isinstance(error, Unreadable):
        return Failure(str(error), status=status, malformed=True)
    if isinstance(error, zlib.error):
        return Failure("the answer cannot be decompressed", status=status, malformed=True)
    said = next(iter(str(error).splitlines()), "")[:200]
    reason = f"{_in_words(error)}" + (f": {said}" if said else "")
    sent = status is not None or not trace.never_sent(error)
    return Failure(reason, sent=sent, status=status, cause=error)


def _in_words(error: Exception) -> str:
    name = type(error).__name__
    if "Timeout" in name:
        kind = name.removesuffix("Timeout").removesuffix("Error").lower()
        return {
            "connect": "no connection in time",
            "pool": "no free connection in time",
        }.get(kind, "no answer in time")
    if "Connect" in name:
        return "no connection"
    return f"the connection broke ({name})"


class HttpxWire(_Wire):
    """Sends for a sync client. Any number of threads may use one."""

    def send(self, outgoing: Outgoing) -> Response | Failure:
        trace = Trace()
        status = None
        started = time.monotonic()
        try:
            request = self._request(outgoing, trace)
            if self._client is not None:
                answer = self._client.send(request, stream=True, auth=None, follow_redirects=False)
            else:
                transport = self._transport(outgoing.url, "HTTPTransport")
                answer = transport.handle_request(request)
            try:
                status = answer.status_code
                headers = _headers(answer)
                if answer.is_stream_consumed:  # a mock, or a hook of the caller's client
                    return Response(status, headers, answer.content)
                body = _Body(outgoing, headers, started)
                for chunk in answer.iter_raw():
                    body.add(chunk)
                return Response(status, headers, body.content())
            finally:
                answer.close()
        except Exception as error:
            return _failure(error, trace, status)

    def close(self) -> None:
        """Closes the connections that were opened here; what the caller brought stays open."""
        for transport in self._forget():
            transport.close()


class AsyncHttpxWire(_Wire):
    """Sends for an async client. Any number of tasks may use one."""

    async def send(self, outgoing: Outgoing) -> Response | Failure:
        import anyio

        trace = Trace()
        status = None
        started = time.monotonic()
        try:
            with anyio.fail_after(outgoing.total):
                request = self._request(outgoing, trace.listen)
                if self._client is not None:
                    answer = await self._client.send(
                        request, stream=True, auth=None, follow_redirects=False
                    )
                else:
                    transport = self._transport(outgoing.url, "AsyncHTTPTransport")
                    answer = await transport.handle_async_request(request)
                try:
                    status = answer.status_code
                    headers = _headers(answer)
                    if answer.is_stream_consumed:
                        return Response(status, headers, answer.content)
                    body = _Body(outgoing, headers, started)
                    async for chunk in answer.aiter_raw():
                        body.add(chunk)
                    return Response(status, headers, body.content())
                finally:
                    with anyio.CancelScope(shield=True):
                        await answer.aclose()
        except Exception as error:
            return _failure(error, trace, status)

    async def close(self) -> None:
        """Closes the connections that were opened here; what the caller brought stays open."""
        for transport in self._forget():
            await transport.aclose()


def library_of(brought: Any) -> ModuleType:
    """The HTTP library that a client or transport belongs to; httpx when nothing was brought.

    Raises:
        TypeError: it belongs to none that is known.
    """
    if brought is None:
        return importlib.import_module("httpx")
    for base in type(brought).__mro__:
        root = base.__module__.partition(".")[0]
        if root in LIBRARIES:
            return importlib.import_module(root)
    known = " or ".join(LIBRARIES)
    raise TypeError(f"a client or transport of {known} is needed, not {type(brought).__name__}")
