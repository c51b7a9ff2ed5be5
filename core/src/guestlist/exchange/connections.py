"""Keeps the connections to one origin, and lends each to one request at a time.

For each request, a transport of httpx checks every connection of its pool, and asks the operating
system about the idle ones. With 64 requests in flight, that takes several times as much CPU time as
the requests. Therefore each connection here has a transport of its own, with a pool of one.
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
        transport: a transport of httpx.
        stream: the network connection, or None if the transport has opened none so far.
        answered: whether its last request got a complete answer. If not, the transport may have
            lost the stream, which then must be closed, too.
    """

    def __init__(self, transport: T) -> None:
        self.transport = transport
        self.stream: Stream | None = None
        self.answered = False


class Connections(Generic[T]):
    """Lends connections, and keeps the idle ones for later requests. Never closes one itself: its
    methods return the connections that the caller must close.

    Args:
        make: creates a transport. It is called once immediately, so that errors show early.
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
            fresh: return a connection on which nothing was sent before. It replaces an idle one.
        """
        with self._guard:
            connection = self._idle.pop()[1] if self._idle else None
            if fresh and connection is not None and connection.stream is not None:
                self._replaced.append(connection)
                connection = None
        return connection or Connection(self._make())

    def give_back(self, connection: Connection[T]) -> list[Connection[T]]:
        """Takes a connection back, and returns the connections that the caller must close."""
        now = time.monotonic()
        with self._guard:
            closing, self._replaced = self._replaced, []
            if connection.answered and not self._is_closed:
                self._idle.append((now, connection))
            else:
                closing.append(connection)
            while self._idle and self._idle[0][0] < now - KEEP_ALIVE_SECONDS:
                closing.append(self._idle.popleft()[1])
        return closing

    def close(self) -> list[Connection[T]]:
        """Returns the idle connections for the caller to close.

        `give_back` returns the lent ones later, because a transport that is closed while it
        connects never closes its connection.
        """
        with self._guard:
            self._is_closed = True
            closing = [*self._replaced, *(connection for _, connection in self._idle)]
            self._replaced.clear()
            self._idle.clear()
        return closing
