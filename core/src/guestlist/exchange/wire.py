"""Sends requests with httpx. This is the only module that imports an HTTP library.

It uses the transports of httpx, or of httpx2, its successor with the same API. If the caller passes
a client, it uses the client's `send`. It follows no redirects, sends no request twice, and adds no
cookies or settings of the environment to a request.
"""

from __future__ import annotations

import importlib
import ssl
import threading
import urllib.request
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property, lru_cache, partial
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from guestlist.exchange import faults
from guestlist.exchange.clock import SystemClock
from guestlist.exchange.connections import KEEP_ALIVE_SECONDS, Connection, Connections
from guestlist.exchange.redaction_filter import installed_filter
from guestlist.exchange.step import Outgoing, SendFailure, current_guest
from guestlist.exchange.stream import Trace
from guestlist.provider.messages import Response
from guestlist.provider.settings import is_this_machine

LIBRARIES = ("httpx", "httpx2")

CONNECT_TIMEOUT_SECONDS = 10.0


NO_CONTEXT = nullcontext()


class _Wire:
    """The part of sending that sync and async clients share.

    Args:
        client: the caller's client, which the caller closes.
        transport: the caller's transport, which the caller closes.

    Raises:
        TypeError: the client or transport is of an unknown library or of the other kind (sync,
            async), or both were passed.
    """

    _needs_client: str
    """A method that sync clients have and async clients lack, or the reverse."""
    _needs_transport: str
    _kind: str

    def __init__(self, client: Any = None, transport: Any = None) -> None:
        if client is not None and transport is not None:
            raise TypeError("pass a client or a transport, not both: a client has its own")
        for brought, needed in ((client, self._needs_client), (transport, self._needs_transport)):
            if brought is not None and library_of(brought) and not hasattr(brought, needed):
                name = f"{type(brought).__module__.partition('.')[0]}.{type(brought).__name__}"
                raise TypeError(
                    f"{name} has no {needed}(): sync ones are for Guestlist,"
                    " async ones for AsyncGuestlist"
                )
        self._client = client
        self._filter = installed_filter(library_of(client).__name__) if client is not None else None
        self._brought = transport
        self._origins: dict[tuple[str, str], Connections[Any]] = {}
        self._lock = threading.Lock()

    @cached_property
    def _library(self) -> ModuleType:
        return library_of(self._client or self._brought)

    def ready(self, url: str) -> None:
        """Prepares the transport for a URL.

        Otherwise the first requests would wait for the preparation after the rate limiter, and then
        leave in a burst.
        """
        with suppress(Exception):  # sending will report it
            if self._client is None and self._brought is None:
                self._lender_of(url)

    def _redacted(self, outgoing: Outgoing) -> AbstractContextManager[None]:
        """Masks secret parts of the URL in the client's own log."""
        if self._filter is None or not outgoing.hidden:
            return NO_CONTEXT
        return self._filter.masking(outgoing.hidden)

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        """The trusted certificates, loaded once because that takes tens of milliseconds."""
        try:
            return self._library.create_ssl_context()  # type: ignore[no-any-return]
        except OSError as error:  # also ssl.SSLError
            raise faults.unreadable_certificates(error) from error

    def _build(self, outgoing: Outgoing, trace: Callable[[str, Any], Any]) -> Any:
        """Returns the library's own request object."""
        timeout = max(min(outgoing.timeout, outgoing.total), 0.001)
        timeouts = {
            "connect": min(timeout, CONNECT_TIMEOUT_SECONDS),
            "read": timeout,
            "write": timeout,
            "pool": timeout,
        }
        url = self._library.URL(outgoing.url) if outgoing.hidden else self._url(outgoing.url)
        content = outgoing.content or b""
        # one dict with all headers, because httpx would otherwise process them three times
        headers = {"Host": url.netloc.decode("ascii"), **outgoing.headers}
        if content or outgoing.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(content))
        request = self._library.Request(
            outgoing.method,
            url,
            headers=headers,
            stream=self._library.ByteStream(content),
            extensions={"timeout": timeouts, "trace": trace},
        )
        request.read()
        return request

    @cached_property
    def _url(self) -> Callable[[str], Any]:
        """A cached URL parser. Lists and creating requests use the same URLs again and again."""
        return lru_cache(maxsize=64)(self._library.URL)

    def _lender_of(self, url: str) -> Connections[Any]:
        """Returns the connections to the origin of a URL.

        Raises:
            Exception: no transport can be made, for example because of a wrong proxy variable.
        """
        scheme, _, rest = url.partition("://")
        origin = scheme, rest.partition("/")[0]
        found = self._origins.get(origin)
        if found is None:
            with self._lock:
                if origin not in self._origins:
                    self._origins[origin] = Connections(self._maker(url))
                found = self._origins[origin]
        return found

    def _maker(self, url: str) -> Callable[[], Any]:
        """Returns a function that makes transports for one origin, through the proxy that the
        environment names for it."""
        parts = urlsplit(url)
        # plain HTTP is allowed to this machine only, and needs no certificates
        https = parts.scheme == "https"
        make = partial(
            getattr(self._library, self._kind),
            limits=self._library.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE_SECONDS),
            proxy=self._proxy(parts.scheme, parts.hostname or ""),
            verify=self._certificates if https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

        def made() -> Any:
            try:
                return make()
            except ImportError as error:  # a SOCKS proxy needs another package
                raise faults.missing_socks_package() from error

        return made

    def _proxy(self, scheme: str, host: str) -> Any:
        """Returns the proxy that the environment names, in the library's form, or None.

        Raises:
            LocalFault: the proxy cannot be used.
        """
        if is_this_machine(host) or urllib.request.proxy_bypass(host):
            return None  # a proxy would carry the unencrypted credentials to another machine
        proxies = urllib.request.getproxies()
        proxy = proxies.get(scheme) or proxies.get("all")
        if not proxy:
            return None
        if "://" not in proxy:  # other programs accept a proxy without a scheme, too
            proxy = f"http://{proxy}"
        with suppress(Exception):
            return self._library.Proxy(proxy)
        raise faults.unusable_proxy(proxy.partition("://")[0])

    def _close_origins(self) -> list[Connection[Any]]:
        """Drops all origins and returns the connections to close."""
        with self._lock:
            origins = list(self._origins.values())
            self._origins.clear()
        return [one for connections in origins for one in connections.close()]


class _Body:
    """The body of an answer as it arrives: decompressed, bounded in size and in time."""

    def __init__(self, outgoing: Outgoing, headers: dict[str, str], end: float) -> None:
        self._left = outgoing.max_body
        self._end = end
        self._parts: list[bytes] = []
        self._inflater: Any = None
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding in ("gzip", "x-gzip"):
            self._inflater = zlib.decompressobj(31)
        elif encoding not in ("", "identity"):
            # not quoted, because a part of a secret or another spelling would not be masked
            raise Unreadable("the answer is encoded in a way that was not asked for")

    def add(self, chunk: bytes) -> None:
        if self._inflater is not None:
            chunk = self._inflater.decompress(chunk, self._left + 1)
            if self._inflater.unused_data:  # zlib would keep all of it
                raise Unreadable("data follows the compressed answer")
        self._left -= len(chunk)
        if self._left < 0:
            raise Unreadable("the answer is larger than the limit")
        if SystemClock.monotonic() > self._end:
            raise TimeoutError("the answer came too slowly")
        self._parts.append(chunk)

    def content(self) -> bytes:
        if self._inflater is not None and not self._inflater.eof and self._parts:
            raise Unreadable("the compressed answer is cut off")
        return b"".join(self._parts)


class Unreadable(Exception):
    """An answer came and cannot be read."""


class _Attempt:
    """One attempt to send a request, with the parts of the answer that have arrived."""

    def __init__(self, outgoing: Outgoing, connection: Connection[Any] | None) -> None:
        self.outgoing = outgoing
        self.end = SystemClock.monotonic() + outgoing.total
        self.trace = Trace(self.end, connection)
        self.status: int | None = None
        """None until the headers came."""
        self.headers: dict[str, str] = {}

    def head(self, answer: Any) -> None:
        """Stores the status and headers of httpx's response."""
        self.status = answer.status_code
        self.headers = {name.lower(): value for name, value in answer.headers.items()}

    def body(self) -> _Body:
        return _Body(self.outgoing, self.headers, self.end)

    def response(self, content: bytes) -> Response:
        """Returns the complete answer as a `Response`.

        Raises:
            Unreadable: a mock or a hook of the caller's client has read a body that is too large.
        """
        if len(content) > self.outgoing.max_body:
            raise Unreadable("the answer is larger than the limit")
        return Response(self.status or 0, self.headers, content)

    def failure(self, error: Exception) -> SendFailure:
        """Returns the failure for an attempt that got no complete answer."""
        if isinstance(error, AssertionError) or type(error).__module__.partition(".")[0] == "vcr":
            raise error  # The error comes from a mock or a cassette, and must fail the test.
        status = self.status
        # The caller's client may have a hook that raises an error with the status.
        if status is None:
            status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None and self.trace.proves_unsent(error):
            return self._unsent(error)
        unreadable = isinstance(error, Unreadable | zlib.error)
        if isinstance(error, Unreadable):
            reason = str(error)
        elif unreadable:
            reason = "the answer cannot be decompressed"
        else:
            reason = _with_detail(_reason(error), error)
        return SendFailure(
            reason,
            status=status,
            malformed=unreadable,
            media_type=self.headers.get("content-type", ""),
            cause=None if unreadable else error,
        )

    def _unsent(self, error: Exception) -> SendFailure:
        if "Proxy" in type(error).__name__:
            return faults.refused_by_proxy(error)
        if self.trace.address is None:
            return SendFailure(_with_detail(_reason(error), error), sent=False, cause=error)
        host, port = self.trace.address
        url = urlsplit(self.outgoing.url)
        return faults.not_connected(error, host, port, proxy=host != url.hostname)


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if name.startswith("Pool"):
        return "no free connection in time"
    if name.startswith("ConnectTimeout"):
        return "no connection in time"
    if "Timeout" in name:
        return "no answer in time"
    if "Connect" in name:
        return "no connection"
    return f"the connection broke ({name})"


def _with_detail(reason: str, error: Exception) -> str:
    detail = faults.first_line(error)
    return f"{reason}: {detail}" if detail else reason


class HttpxWire(_Wire):
    """Sends for a sync client. Any number of threads may use one."""

    _needs_client = "close"
    _needs_transport = "handle_request"
    _kind = "HTTPTransport"

    def send(self, outgoing: Outgoing) -> Response | SendFailure:
        if self._client is not None:
            if getattr(self._client, "is_closed", False):
                return faults.not_sendable(faults.closed_client())
            send = partial(self._client.send, stream=True, auth=None, follow_redirects=False)
            return self._send(outgoing, send)
        if self._brought is not None:
            return self._send(outgoing, self._brought.handle_request)
        try:
            lender = self._lender_of(outgoing.url)
            connection = lender.take(fresh=outgoing.fresh)
        except Exception as error:
            return faults.not_sendable(error)
        answer = None
        try:
            answer = self._send(outgoing, connection.transport.handle_request, connection)
            return answer
        finally:
            connection.answered = isinstance(answer, Response)
            _close_all(lender.give_back(connection))

    def _send(
        self,
        outgoing: Outgoing,
        send: Callable[[Any], Any],
        connection: Connection[Any] | None = None,
    ) -> Response | SendFailure:
        attempt = _Attempt(outgoing, connection)
        try:
            request = self._build(outgoing, attempt.trace.report)
        except Exception as error:
            return faults.not_sendable(error)
        guest = current_guest.set(outgoing.guest)
        try:
            with self._redacted(outgoing):
                answer = send(request)
                try:
                    attempt.head(answer)
                    # A mock or a hook of the caller's client has read the body.
                    if answer.is_stream_consumed:
                        return attempt.response(answer.content)
                    body = attempt.body()
                    for chunk in answer.stream:
                        body.add(chunk)
                    attempt.trace.answered()
                    return attempt.response(body.content())
                finally:
                    answer.close()
        except Exception as error:
            return attempt.failure(error)
        finally:
            current_guest.reset(guest)

    def close(self) -> None:
        """Closes guestlist's own connections, but not the caller's client or transport."""
        _close_all(self._close_origins())


def _close_all(connections: list[Connection[Any]]) -> None:
    for one in connections:
        with suppress(Exception):
            one.transport.close()
        if one.stream is not None and not one.answered:
            with suppress(Exception):
                one.stream.close()


class AsyncHttpxWire(_Wire):
    """Sends for an async client. Any number of tasks may use one."""

    _needs_client = "aclose"
    _needs_transport = "handle_async_request"
    _kind = "AsyncHTTPTransport"

    async def send(self, outgoing: Outgoing) -> Response | SendFailure:
        if self._client is not None:
            if getattr(self._client, "is_closed", False):
                return faults.not_sendable(faults.closed_client())
            send = partial(self._client.send, stream=True, auth=None, follow_redirects=False)
            return await self._send(outgoing, send)
        if self._brought is not None:
            return await self._send(outgoing, self._brought.handle_async_request)
        try:
            lender = self._lender_of(outgoing.url)
            connection = lender.take(fresh=outgoing.fresh)
        except Exception as error:
            return faults.not_sendable(error)
        answer = None
        try:
            send = connection.transport.handle_async_request
            answer = await self._send(outgoing, send, connection)
            return answer
        finally:
            connection.answered = isinstance(answer, Response)
            await _close_all_async(lender.give_back(connection))

    async def _send(
        self,
        outgoing: Outgoing,
        send: Callable[[Any], Awaitable[Any]],
        connection: Connection[Any] | None = None,
    ) -> Response | SendFailure:
        import anyio

        attempt = _Attempt(outgoing, connection)
        # Then our own stream enforces the time limit, and `send` closes it.
        ours = connection is not None
        try:
            request = self._build(outgoing, attempt.trace.report_async)
        except Exception as error:
            return faults.not_sendable(error)
        guest = current_guest.set(outgoing.guest)
        try:
            with (
                NO_CONTEXT if ours else anyio.fail_after(outgoing.total),
                self._redacted(outgoing),
            ):
                answer = await send(request)
                try:
                    attempt.head(answer)
                    if answer.is_stream_consumed:
                        return attempt.response(answer.content)
                    body = attempt.body()
                    async for chunk in answer.stream:
                        body.add(chunk)
                    attempt.trace.answered()
                    return attempt.response(body.content())
                finally:
                    with NO_CONTEXT if ours else anyio.CancelScope(shield=True):
                        await answer.aclose()
        except Exception as error:
            return attempt.failure(error)
        finally:
            current_guest.reset(guest)

    async def close(self) -> None:
        """Closes guestlist's own connections, but not the caller's client or transport."""
        await _close_all_async(self._close_origins())


async def _close_all_async(connections: list[Connection[Any]]) -> None:
    """Closes all connections, even if the task is canceled meanwhile."""
    if not connections:
        return
    import anyio

    cancelled: BaseException | None = None
    for one in connections:
        closers = [one.transport.aclose]
        if one.stream is not None and not one.answered:
            closers.append(one.stream.aclose)
        for close in closers:
            try:
                with anyio.CancelScope(shield=True), suppress(Exception):
                    await close()
            except BaseException as error:  # asyncio's own `cancel` breaks through the shield
                cancelled = error
    if cancelled is not None:
        raise cancelled


def library_of(brought: Any) -> ModuleType:
    """Returns the HTTP library of a client or transport; httpx if `brought` is None.

    Raises:
        TypeError: the object is from an unknown library.
    """
    if brought is None:
        return importlib.import_module("httpx")
    for base in type(brought).__mro__:
        root = base.__module__.partition(".")[0]
        if root in LIBRARIES:
            return importlib.import_module(root)
    known = " or ".join(LIBRARIES)
    raise TypeError(f"a client or transport of {known} is needed, not {type(brought).__name__}")
