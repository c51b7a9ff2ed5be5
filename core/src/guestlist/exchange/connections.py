"""The connections to one origin, each lent to one request at a time.

A transport of httpx looks at every connection of its pool for each request, and asks the operating
system about the idle ones. With 64 requests in flight that costs several times as much as the
requests. So each connection has a transport of its own, with a pool of one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from guestlist.exchange.stream import Stream

T = TypeVar("T")

KEEP_ALIVE_SECONDS = 5.0
"""Seconds for which an idle connection is kept. The time is short because a request on a
connection that the service closes at that moment fails with an unknown outcome."""


class Connection(Generic[T]):
    """A transport that opens at most one network connection at a time.

    Attributes:
        transport: httpx's.
        stream: the network connection, or None if the transport has opened none so far.
    """

    def __init__(self, transport: T) -> None:
        self.transport = transport
        self.stream: Stream | None = None


class Connections(Generic[T]):
    """Lends connections, keeps the idle ones, and returns those that the caller has to close.

    Args:
        make: makes a transport. It is called once at the beginning, so that errors show at once.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._idle = deque([(time.monotonic(), Connection(make()))])
        self._replaced: list[Connection[T]] = []
        self._is_closed = False
        self._guard = Lock()

    def take(self, *, fresh: bool = False) -> Connection[T]:
        """Returns the idle connection that was used last, or a new one.

        Args:
            fresh: return one on which nothing was sent before. It replaces an idle one.
        """
        with self._guard:
            connection = self._idle.pop()[1] if self._idle else None
            if fresh and connection is not None and connection.stream is not None:
                self._replaced.append(connection)
                connection = None
        return connection or Connection(self._make())

    def give_back(self, connection: Connection[T], *, usable: bool) -> list[Connection[T]]:
        """Takes a connection back and returns those to close now.

        Args:
            usable: whether its request was answered completely.
        """
        now = time.monotonic()
        with self._guard:
            closing, self._replaced = self._replaced, []
            if usable and not self._is_closed:
                self._idle.append((now, connection))
            else:
                closing.append(connection)
            while self._idle and self._idle[0][0] < now - KEEP_ALIVE_SECONDS:
                closing.append(self._idle.popleft()[1])
        return closing

    def close(self) -> list[Connection[T]]:
        """Returns the idle connections, to be closed. A lent one is returned by `give_back`: a
        transport that is closed while it connects never closes that connection."""
        with self._guard:
            self._is_closed = True
            closing = [*self._replaced, *(connection for _, connection in self._idle)]
            self._replaced.clear()
            self._idle.clear()
        return closing
