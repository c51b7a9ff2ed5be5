"""Reads lists: all pages within a flow, and pages that a service addresses by an offset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from guestlist.errors import MalformedResponse
from guestlist.provider.messages import Page
from guestlist.provider.operations import Flow

T = TypeVar("T")


def every(listing: Callable[[str | None], Flow[Page[T]]]) -> Flow[list[T]]:
    """Returns the items of all pages of a list. For a flow that needs the whole list, such as the
    names for role ids:

        names = {role.id: role.name for role in (yield from every(self.roles))}

    Args:
        listing: a function that returns one page, such as the operations `invitations`, `members`
            and `roles`.

    Raises:
        MalformedResponse: the list cannot be read completely: it repeats itself, is cut off, is
            shorter than its total, or has a record that cannot be read.
    """
    read: list[Sequence[T]] = []
    count = RecordCount()
    cursors: set[str | None] = {None}
    cursor: str | None = None
    while True:
        page = yield from listing(cursor)
        repeated = page.items and page.items in read and not page.moved
        if page.cut_off is not None or repeated:
            raise unfinished_list_error(page.cut_off)
        for problem in page.problems:
            if not problem.kept:
                raise MalformedResponse(f"a list has a record that cannot be read: {problem}")
        read.append(page.items)
        count.add(page)
        cursor = page.next
        if cursor is None and count.shortage:
            raise unfinished_list_error(None, count.shortage)
        if cursor is None:
            return [item for items in read for item in items]
        if cursor in cursors:
            raise unfinished_list_error(None)
        cursors.add(cursor)


class RecordCount:
    """Counts the records of a list, and compares the count with the total that the service reports.

    If the total changes between pages, the smallest one is used: the list may grow while it is
    read, and a new record need not be on one of the remaining pages.
    """

    def __init__(self) -> None:
        self._received: Counter[str] = Counter()
        self._totals: dict[str, int] = {}

    def add(self, page: Page[Any]) -> None:
        """Counts the records of the next page."""
        self._received[page.section] += page.records
        if page.total is not None:
            known = self._totals.get(page.section, page.total)
            self._totals[page.section] = min(known, page.total)

    @property
    def shortage(self) -> str:
        """A sentence that says how many records are missing at the end of the list; empty if the
        list is complete."""
        for section, total in self._totals.items():
            if self._received[section] < total:
                return f"the service reports {total} records and sent {self._received[section]}"
        return ""


@dataclass(frozen=True, slots=True)
class Offset:
    """A position in a list whose pages a service addresses by the number of records to skip.
    `str(offset)` is a cursor for it.

    If a record is removed while the list is read, all later records move up, and the first record
    of the next page is skipped. The total shows this: it is smaller than before. `before` then
    returns a lower offset to read from. If records are added at the same time, the total shrinks by
    less, and as many records may still be skipped as were added.

        place = start = Offset.of(cursor)
        while True:
            reply = yield Request.get("members", query={"offset": place.skip})
            total = reply.mapping()["total"]
            if (earlier := place.before(total)) is None:
                break
            place = earlier
        ...
        return Page(members, next, total, moved=place != start)

    Attributes:
        skip: how many records come before this position.
        total: the total when this position was computed; None if the service reports no total.
    """

    skip: int = 0
    total: int | None = None

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        """Returns the position that a cursor describes, or the start of the list for None."""
        skip, _, total = (cursor or "0").partition("/")
        return cls(int(skip), int(total) if total else None)

    def before(self, total: int | None) -> Offset | None:
        """Returns a lower offset to read from, if the list has shrunk to `total`. From there no
        record is skipped because of the removals, but some may be read twice. Returns None if this
        offset is still right."""
        if total is None or self.total is None or not total < self.total or not self.skip:
            return None
        return Offset(max(0, self.skip - (self.total - total)), total)

    def __str__(self) -> str:
        return str(self.skip) if self.total is None else f"{self.skip}/{self.total}"


def unfinished_list_error(cut_off: str | None, shortage: str = "") -> MalformedResponse:
    """Returns the error for a list that cannot be read to its end.

    Args:
        cut_off: what to do about it, if the service cuts its list off.
        shortage: how many records are missing, if the list is shorter than its own total.
    """
    if cut_off:
        return MalformedResponse("the service cuts its list off", hint=cut_off)
    return MalformedResponse(
        f"the list is incomplete: {shortage}"
        if shortage
        else "the list repeats itself and cannot be read to its end",
        hint="An incomplete list cannot show that somebody is absent. Try again later.",
    )
