"""Lists that callers read page by page. A list stays open between two requests.

A page is read from the service when the caller asks for it. So the first page comes at once, and
only one page of each list is in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from secrets import token_hex
from typing import Any

from guestlist.console.api.problems import ApiRefusal
from guestlist.exchange.clock import Clock

KEPT_SECONDS = 600.0
"""How long a list stays open without a request."""
MAX_OPEN_LISTS = 200
"""Maximum number of open lists. The least recently used list is closed first."""


@dataclass(frozen=True)
class PagePart:
    """The items of one page, and the cursor of the next one."""

    items: tuple[Any, ...]
    next: str | None
    warnings: tuple[str, ...]


@dataclass
class _OpenList:
    items: Iterator[Any]
    asked: object
    close: Callable[[], None]
    warnings: Callable[[], Sequence[str]]
    used: float
    ahead: list[Any] = field(default_factory=list)
    """The item after the last page, which was read already."""
    number: int = 0
    """The number of the page that comes next."""
    last: PagePart | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class OpenLists:
    """The open lists of the API."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lists: dict[str, _OpenList] = {}
        self._lock = threading.Lock()

    def first(
        self,
        items: Iterator[Any],
        limit: int,
        asked: object,
        *,
        close: Callable[[], None] = lambda: None,
        warnings: Callable[[], Sequence[str]] = tuple,
    ) -> PagePart:
        """Returns the first page of a list, and keeps the list open if there are more.

        Args:
            asked: the caller and the list. Only a request with an equal value gets the following
                pages.
            close: called when the list is not needed any more.
            warnings: returns the warnings about the items so far.
        """
        id = token_hex(8)
        one = _OpenList(items, asked, close, warnings, self._clock.monotonic())
        with one.lock:
            page = self._read(one, id, limit)
        if page.next is None:
            close()
            return page
        with self._lock:
            self._lists[id] = one
        self._close_old()
        return page

    def following(self, cursor: str, limit: int, asked: object) -> PagePart:
        """Returns the page at a cursor. The cursor can be used again until the page after it is
        read.

        Raises:
            ApiRefusal: there is no such page.
        """
        id, _, number = cursor.rpartition("-")
        with self._lock:
            one = self._lists.get(id)
        if one is None or one.asked != asked:
            raise _unknown_cursor()
        with one.lock:
            one.used = self._clock.monotonic()
            if int(number) == one.number - 1 and one.last is not None:
                return one.last
            if int(number) != one.number or (one.last and one.last.next is None):
                raise _unknown_cursor()
            try:
                return self._read(one, id, limit)
            except BaseException:  # The position is lost, so the client has to read the list again.
                with self._lock:
                    self._lists.pop(id, None)
                raise

    def close(self) -> None:
        """Closes all lists."""
        with self._lock:
            lists, self._lists = self._lists, {}
        for one in lists.values():
            one.close()

    def _read(self, one: _OpenList, id: str, limit: int) -> PagePart:
        """Reads the next page, and one item more to know whether there is another page."""
        found = [*one.ahead, *islice(one.items, limit + 1 - len(one.ahead))]
        one.ahead = found[limit:]
        one.number += 1
        following = f"{id}-{one.number}" if one.ahead else None
        one.last = PagePart(tuple(found[:limit]), following, tuple(one.warnings()))
        return one.last

    def _close_old(self) -> None:
        now = self._clock.monotonic()
        with self._lock:
            by_use = sorted(self._lists, key=lambda id: self._lists[id].used)
            old = {id for id in by_use if now - self._lists[id].used > KEPT_SECONDS}
            old.update(by_use[: max(0, len(by_use) - MAX_OPEN_LISTS)])
            closed = [self._lists.pop(id) for id in old]
        for one in closed:
            with one.lock:
                one.close()


def _unknown_cursor() -> ApiRefusal:
    return ApiRefusal(
        404,
        "UnknownCursor",
        "the cursor belongs to no open list",
        hint="Read the list again from its start, without a cursor. Lists stay open for ten"
        " minutes, and the other parameters have to stay the same.",
    )
