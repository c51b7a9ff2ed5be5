"""One end for everything that a sync call does on the network.

httpcore's time-outs begin anew with every byte, so a service that drips its answer can hold a
sync call for as long as it likes. Here the network backend of a transport is wrapped, so that no
connecting, reading or writing outlasts the end that `until` has set for its thread. Two things
are not bounded: what the operating system does to resolve a name has no time-out in Python, and
where a name has several addresses that do not answer, each is tried for the time that was left.

An async call is simply cancelled at its end. For that the wrapping closes the one socket that
httpcore leaves open then: that of a TLS handshake under way.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_thread = threading.local()


@contextmanager
def until(end: float) -> Iterator[None]:
    """Within it, what this thread does on a bounded transport ends at `end` (monotonic, seconds).

    Raises:
        TimeoutError: the end has come; also the transport's own time-out errors.
    """
    _thread.end = end
    try:
        yield
    finally:
        _thread.end = None


def bound(transport: Any) -> None:
    """Makes a transport of httpx or httpx2 keep to `until`, or bear being cancelled.

    A transport that is built otherwise stays as it is: its time-outs then hold per byte.
    """
    pool: Any = getattr(transport, "_pool", None)
    if hasattr(pool, "_network_backend"):
        backend = pool._network_backend
        is_async = inspect.iscoroutinefunction(backend.connect_tcp)
        pool._network_backend = _Cancellable(backend) if is_async else _Bounded(backend)


def _left(timeout: float | None) -> float | None:
    """The time-out, or what is left until the end, whichever is shorter."""
    end = getattr(_thread, "end", None)
    if end is None:
        return timeout
    left = float(end - time.monotonic())
    if left <= 0:
        raise TimeoutError("the time for the call is over")
    return left if timeout is None else min(timeout, left)


class _Wrapped:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Bounded(_Wrapped):
    """A network backend or stream whose every wait ends in time."""

    def connect_tcp(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        return _Bounded(self._inner.connect_tcp(*args, timeout=_left(timeout), **kwargs))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        return _Bounded(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._inner.read(max_bytes, timeout=_left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout=_left(timeout))


class _Cancellable(_Wrapped):
    """An async network backend or stream that leaves no socket behind when it is cancelled."""

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> Any:
        return _Cancellable(await self._inner.connect_tcp(*args, **kwargs))

    async def start_tls(self, *args: Any, **kwargs: Any) -> Any:
        import anyio

        try:
            return await self._inner.start_tls(*args, **kwargs)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._inner.aclose()
            raise
