"""The connections to one origin. Each has a transport of its own; one that is free is used again.

A transport of httpx keeps its connections in a pool that looks at every one of them twice for each
request, and asks the operating system about the idle ones. With 64 requests under way that costs
several times what the requests themselves do. A pool of one has nothing to look through.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")

KEEP_ALIVE = 5.0
"""Seconds for which an idle connection is kept. Short, because a request on a connection that the
service closes at that moment fails with an unknown outcome."""


class Connections(Generic[T, S]):
    """Transports of one connection each, lent to one request at a time.

    Attributes:
        free: the semaphore that bounds how many are lent.

    Args:
        make: makes a transport.
        free: as above.
    """

    def __init__(self, make: Callable[[], T], free: S) -> None:
        self.free = free
        self._make = make
        # made at once, so that what is wrong with making one is known before it is needed
        self._idle = deque([(time.monotonic(), make())])
        self._forgotten = False
        self._guard = threading.Lock()

    def take(self) -> T:
        """The transport that was used last, or a new one."""
        with self._guard:
            return self._idle.pop()[1] if self._idle else self._make()

    def give_back(self, transport: T, *, usable: bool = True) -> list[T]:
        """Takes a transport back, and returns those that have to be closed now.

        Args:
            usable: whether its request was answered completely.
        """
        now = time.monotonic()
        stale = []
        with self._guard:
            if self._forgotten:
                return [transport]
            if usable:
                self._idle.append((now, transport))
            else:
                stale.append(transport)
            while self._idle and self._idle[0][0] < now - KEEP_ALIVE:
                stale.append(self._idle.popleft()[1])
        return stale

    def forget(self) -> list[T]:
        """The transports that are free, for closing. What is lent is to be closed when it comes
        back: one that is closed while it opens its connection loses sight of that."""
        with self._guard:
            self._forgotten = True
            transports = [transport for _, transport in self._idle]
            self._idle.clear()
        return transports
