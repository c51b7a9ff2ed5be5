"""Sending over httpx: the only module that knows a transport.

Requests go straight to a transport of httpx (or of httpx2, its successor with the same API); a
client that the caller brings is used through its `send`. Redirects are never followed, nothing is
sent twice, and no environment or cookie of a client adds to what the exchange has built.

Whether a request was sent is never concluded from the name of an exception: some transports call
"the server acted, then hung up" a connect error. The proof is what was seen of its passage: the
connection failed, and sending never began.
"""

from __future__ import annotations

import importlib
import ssl
import threading
import time
import urllib.request
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from guestlist.exchange.connections import KEEP_ALIVE, Connections
from guestlist.exchange.hush import hush_of
from guestlist.exchange.leftover import retire_if_left_over
from guestlist.exchange.passage import Passage, under_way, wrap
from guestlist.exchange.step import Failure, Outgoing
from guestlist.exchange.urls import Urls
from guestlist.provider.explanations import shorten
from guestlist.provider.messages import Response
from guestlist.provider.settings import is_this_machine

if TYPE_CHECKING:
    import anyio

LIBRARIES = ("httpx", "httpx2")

CONNECT_TIMEOUT = 10.0
"""Seconds; a connection that takes longer will not come."""


class _Wire:
    """What both kinds of sending share: the library, the transports, building requests.

    Args:
        client: a client that the caller brings and closes.
        transport: a transport that the caller brings and closes.
        connections: at most so many at a time to one origin.

    Raises:
        TypeError: what was brought is of no library that is known, or of the other kind (sync,
            async); or both were brought.
    """

    _client_has: str
    """A method that clients of this kind have, and those of the other kind lack."""
    _transport_has: str
    _transport_kind: str

    def __init__(
        self, client: Any = None, transport: Any = None, *, connections: int = 100
    ) -> None:
        if client is not None and transport is not None:
            raise TypeError("bring a client or a transport, not both: a client has its own")
        for brought, needed in ((client, self._client_has), (transport, self._transport_has)):
            if brought is not None and library_of(brought) and not hasattr(brought, needed):
                name = f"{type(brought).__module__.partition('.')[0]}.{type(brought).__name__}"
                raise TypeError(
                    f"{name} has no {needed}(): sync ones are for Guestlist,"
                    " async ones for AsyncGuestlist"
                )
        self._client = client
        self._hush = hush_of(library_of(client).__name__) if client is not None else None
        self._brought = transport
        self._is_wrapped = False
        self._most = connections
        self._origins: dict[tuple[str, str], Connections[Any, Any]] = {}
        self._lock = threading.Lock()

    @cached_property
    def _library(self) -> ModuleType:
        return library_of(self._client or self._brought)

    def ready(self, url: str) -> None:
        """Makes what sending to a URL needs, so that requests leave at the moment they are paced
        for: the first ones would otherwise be late together and arrive as one burst."""
        with suppress(Exception):  # sending will say what is wrong
            if self._client is None and self._brought is None:
                self._connections_to(url)

    def _hushed(self, outgoing: Outgoing) -> AbstractContextManager[None]:
        """Keeps the client's own log from showing what is secret in the URL."""
        if self._hush is None or not outgoing.hidden:
            return NOTHING_MORE
        return self._hush.hushed(outgoing.hidden)

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        """Loaded once for all origins: it takes tens of milliseconds."""
        return self._library.create_ssl_context()  # type: ignore[no-any-return]

    def _begin(self, outgoing: Outgoing) -> Passage:
        passage = Passage(time.monotonic() + outgoing.total)
        under_way.set(passage)
        return passage

    def _request(self, outgoing: Outgoing, trace: Callable[[str, Any], Any]) -> Any:
        """The library's own request object, as its constructor makes it out of a method, a URL,
        headers and content, and in half the time: the headers are gone through once only."""
        timeout = max(outgoing.timeout, 0.001)
        phases = {
            "connect": min(timeout, CONNECT_TIMEOUT),
            "read": timeout,
            "write": timeout,
            "pool": timeout,
        }
        url = (self._library.URL if outgoing.hidden else self._urls.of)(outgoing.url)
        content = outgoing.content or b""
        headers = {"Host": url.netloc.decode("ascii"), **outgoing.headers}
        if content or outgoing.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(content))
        extensions: dict[str, Any] = {"timeout": phases}
        if not self._is_wrapped:
            extensions["trace"] = trace
        request = self._library.Request(
            outgoing.method,
            url,
            headers=headers,
            stream=self._library.ByteStream(content),
            extensions=extensions,
        )
        request.read()
        return request

    @cached_property
    def _urls(self) -> Urls:
        return Urls(self._library.URL)

    def _connections_to(self, url: str) -> Connections[Any, Any]:
        """The connections to the origin of a URL."""
        scheme, _, rest = url.partition("://")
        origin = scheme, rest.partition("/")[0]
        found = self._origins.get(origin)
        if found is None:
            with self._lock:
                if origin not in self._origins:
                    make, free = self._maker(url), self._semaphore(self._most)
                    self._origins[origin] = Connections(make, free)
                found = self._origins[origin]
        return found

    def _semaphore(self, most: int) -> Any:
        """Of the kind that this wire can wait for."""
        raise NotImplementedError

    def _maker(self, url: str) -> Callable[[], Any]:
        """Makes transports for one origin, through the proxy that the environment names for it."""
        parts = urlsplit(url)
        proxy = self._proxy(parts.scheme, parts.hostname or "")
        limits = self._library.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE)
        # an account's plain http goes to this machine only and has nothing to verify
        trusted = (
            self._certificates
            if parts.scheme == "https"
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        kind = getattr(self._library, self._transport_kind)

        def make() -> Any:
            made = kind(limits=limits, proxy=proxy, verify=trusted)
            self._is_wrapped = wrap(made)
            return made

        return make

    def _proxy(self, scheme: str, host: str) -> Any:
        """The proxy that the environment names, as the library has it; None for none.

        Raises:
            ValueError: it cannot be used.
        """
        if is_this_machine(host) or urllib.request.proxy_bypass(host):
            return None  # to this machine credentials may go in the clear, and no further
        proxies = urllib.request.getproxies()
        proxy = proxies.get(scheme) or proxies.get("all")
        if not proxy:
            return None
        if "://" not in proxy:  # as most programs take it
            proxy = f"http://{proxy}"
        with suppress(Exception):
            return self._library.Proxy(proxy)
        # not in the library's words, which may show a password
        kind = proxy.partition("://")[0]
        told = f" ({kind}://...)" if kind.isalnum() else ""
        raise ValueError(f"the proxy of the environment{told} is none that can be used")

    def _forget(self) -> list[Any]:
        """All transports that were made, forgotten at once."""
        with self._lock:
            origins = list(self._origins.values())
            self._origins.clear()
        return [transport for connections in origins for transport in connections.forget()]


class _Body:
    """An answer's body as it arrives: decompressed, bounded in size and in time."""

    def __init__(self, outgoing: Outgoing, headers: dict[str, str], passage: Passage) -> None:
        self._left = outgoing.max_body
        self._ends = passage.end
        self._parts: list[bytes] = []
        self._inflater: Any = None
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding in ("gzip", "x-gzip"):
            self._inflater = zlib.decompressobj(31)
        elif encoding not in ("", "identity"):
            # not quoted: half a secret, or one in other letters, would not be recognized
            raise Unreadable("the answer is encoded in a way that was not asked for")

    def add(self, chunk: bytes) -> None:
        if self._inflater is not None:
            chunk = self._inflater.decompress(chunk, self._left + 1)
            if self._inflater.unused_data:  # zlib would keep all of it
                raise Unreadable("something follows the compressed answer")
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


NOTHING_MORE = nullcontext()
NO_CONNECTION = Failure("no free connection in time", sent=False)


def _bounded(content: bytes, outgoing: Outgoing) -> bytes:
    """A body that somebody else has read already."""
    if len(content) > outgoing.max_body:
        raise Unreadable("the answer is unreasonably large")
    return content


def _headers(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _unsendable(error: Exception) -> Failure:
    """A request, or a proxy of the environment, that the library cannot do anything with."""
    said = _said(error)
    return Failure(f"it cannot be sent ({type(error).__name__}): {said}", sent=False, cause=error)


def _failure(error: Exception, passage: Passage, status: int | None) -> Failure:
    """What it means that no complete answer came."""
    if isinstance(error, AssertionError) or type(error).__module__.partition(".")[0] == "vcr":
        raise error  # what a mock or a cassette complains of is the test's failure
    if isinstance(error, Unreadable):
        return Failure(str(error), status=status, malformed=True)
    if isinstance(error, zlib.error):
        return Failure("the answer cannot be decompressed", status=status, malformed=True)
    if status is None:  # a hook of the caller's client may have raised for the status
        status = getattr(getattr(error, "response", None), "status_code", None)
    said = _said(error)
    reason = f"{_in_words(error)}" + (f": {said}" if said else "")
    sent = status is not None or not passage.never_sent(error)
    return Failure(reason, sent=sent, status=status, cause=error)


def _said(error: Exception) -> str:
    return shorten(next(iter(str(error).splitlines()), ""), 200)


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
    if "Proxy" in name:
        return "the proxy does not let it through"
    return f"the connection broke ({name})"


class HttpxWire(_Wire):
    """Sends for a sync client. Any number of threads may use one."""

    _client_has = "close"
    _transport_has = "handle_request"
    _transport_kind = "HTTPTransport"

    def send(self, outgoing: Outgoing) -> Response | Failure:
        if self._client is not None:
            handle = partial(self._client.send, stream=True, auth=None, follow_redirects=False)
            return self._send(outgoing, handle)
        if self._brought is not None:
            return self._send(outgoing, self._brought.handle_request)
        try:
            connections = self._connections_to(outgoing.url)
        except Exception as error:
            return _unsendable(error)
        if not connections.free.acquire(timeout=outgoing.timeout):
            return NO_CONNECTION
        try:
            return self._send_on(connections, outgoing)
        finally:
            connections.free.release()

    def _send_on(
        self, connections: Connections[Any, Any], outgoing: Outgoing
    ) -> Response | Failure:
        transport = connections.take()
        answer = None
        try:
            answer = self._send(outgoing, transport.handle_request)
            return answer
        finally:
            usable = isinstance(answer, Response)
            _close_all(connections.give_back(transport, usable=usable))

    def _semaphore(self, most: int) -> threading.Semaphore:
        return threading.Semaphore(most)

    def _send(self, outgoing: Outgoing, handle: Callable[[Any], Any]) -> Response | Failure:
        passage = self._begin(outgoing)
        status = None
        try:
            request = self._request(outgoing, passage.trace)
        except Exception as error:
            return _unsendable(error)
        try:
            with self._hushed(outgoing):
                answer = handle(request)
                try:
                    status = answer.status_code
                    headers = _headers(answer)
                    if answer.is_stream_consumed:  # a mock, or a hook of the caller's client
                        return Response(status, headers, _bounded(answer.content, outgoing))
                    body = _Body(outgoing, headers, passage)
                    for chunk in answer.stream:  # `iter_raw` would close the answer
                        body.add(chunk)
                    retire_if_left_over(answer)
                    return Response(status, headers, body.content())
                finally:
                    answer.close()
        except Exception as error:
            return _failure(error, passage, status)

    def close(self) -> None:
        """Closes the connections that were opened here; what the caller brought stays open."""
        _close_all(self._forget())


def _close_all(transports: list[Any]) -> None:
    for one in transports:
        with suppress(Exception):
            one.close()


class AsyncHttpxWire(_Wire):
    """Sends for an async client. Any number of tasks may use one."""

    _client_has = "aclose"
    _transport_has = "handle_async_request"
    _transport_kind = "AsyncHTTPTransport"

    async def send(self, outgoing: Outgoing) -> Response | Failure:
        if self._client is not None:
            handle = partial(self._client.send, stream=True, auth=None, follow_redirects=False)
            return await self._send(outgoing, handle)
        if self._brought is not None:
            return await self._send(outgoing, self._brought.handle_async_request)
        import anyio

        try:
            connections = self._connections_to(outgoing.url)
        except Exception as error:
            return _unsendable(error)
        try:
            connections.free.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(outgoing.timeout) as waiting:
                await connections.free.acquire()
            if waiting.cancelled_caught:
                return NO_CONNECTION
        try:
            return await self._send_on(connections, outgoing)
        finally:
            connections.free.release()

    async def _send_on(
        self, connections: Connections[Any, Any], outgoing: Outgoing
    ) -> Response | Failure:
        transport = connections.take()
        answer = None
        try:
            answer = await self._send(outgoing, transport.handle_async_request)
            return answer
        finally:
            usable = isinstance(answer, Response)
            await _all_closed(connections.give_back(transport, usable=usable))

    def _semaphore(self, most: int) -> anyio.Semaphore:
        import anyio

        return anyio.Semaphore(most)

    def _bounded(self, outgoing: Outgoing) -> AbstractContextManager[object]:
        """Ends what a transport that is not wrapped would not end in time."""
        if self._is_wrapped:
            return NOTHING_MORE
        import anyio

        return anyio.fail_after(outgoing.total)

    def _shielded(self) -> AbstractContextManager[object]:
        """Keeps a cancelled scope from ending the closing of an answer (asyncio's own `cancel` it
        cannot). Of our own transports, one whose call was cancelled is closed as a whole."""
        if self._is_wrapped:
            return NOTHING_MORE
        import anyio

        return anyio.CancelScope(shield=True)

    async def _send(
        self, outgoing: Outgoing, handle: Callable[[Any], Awaitable[Any]]
    ) -> Response | Failure:
        passage = self._begin(outgoing)
        status = None
        try:
            request = self._request(outgoing, passage.trace_async)
        except Exception as error:
            return _unsendable(error)
        try:
            with self._bounded(outgoing), self._hushed(outgoing):
                answer = await handle(request)
                try:
                    status = answer.status_code
                    headers = _headers(answer)
                    if answer.is_stream_consumed:
                        return Response(status, headers, _bounded(answer.content, outgoing))
                    body = _Body(outgoing, headers, passage)
                    async for chunk in answer.stream:
                        body.add(chunk)
                    retire_if_left_over(answer)
                    return Response(status, headers, body.content())
                finally:
                    with self._shielded():
                        await answer.aclose()
        except Exception as error:
            return _failure(error, passage, status)

    async def close(self) -> None:
        """Closes the connections that were opened here; what the caller brought stays open."""
        await _all_closed(self._forget())


async def _all_closed(transports: list[Any]) -> None:
    """Closes transports; a task that is cancelled meanwhile closes the others all the same."""
    import anyio

    cancelled: BaseException | None = None
    for one in transports:
        try:
            with anyio.CancelScope(shield=True), suppress(Exception):
                await one.aclose()
        except BaseException as error:  # asyncio's own `cancel`, from which no scope shields
            cancelled = error
    if cancelled is not None:
        raise cancelled


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
