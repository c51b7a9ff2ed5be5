"""Reading lists: all pages within a flow, and pages that a service numbers from the beginning."""

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
    """The items of all pages of a list, for a flow that needs them all, such as names for ids:

        names = {role.id: role.name for role in (yield from every(self.roles))}

    Args:
        listing: returns one page, as the operations `invitations`, `members` and `roles` do.

    Raises:
        MalformedResponse: not all of it can be read: the list repeats itself, is cut off, is
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
            raise unfinished(page.cut_off)
        for problem in page.problems:
            if not problem.kept:
                raise MalformedResponse(f"a list has a record that cannot be read: {problem}")
        read.append(page.items)
        count.add(page)
        cursor = page.next
        if cursor is None and count.shortage:
            raise unfinished(None, count.shortage)
        if cursor is None:
            return [item for items in read for item in items]
        if cursor in cursors:
            raise unfinished(None)
        cursors.add(cursor)


class RecordCount:
    """Counts the records of a list, and compares them with the total that the service reports.

    Of several totals the smallest counts: the list may grow while it is read, and what is new need
    not be on the pages that are left.
    """

    def __init__(self) -> None:
        self._came: Counter[str] = Counter()
        self._totals: dict[str, int] = {}

    def add(self, page: Page[Any]) -> None:
        """Counts the records of the next page."""
        self._came[page.section] += page.records
        if page.total is not None:
            known = self._totals.get(page.section, page.total)
            self._totals[page.section] = min(known, page.total)

    @property
    def shortage(self) -> str:
        """Says how many records are missing from a list that has ended; empty if none are."""
        for section, total in self._totals.items():
            if self._came[section] < total:
                return f"the service reports {total} records and sent {self._came[section]}"
        return ""


@dataclass(frozen=True, slots=True)
class Offset:
    """A place in a list whose pages a service numbers by records or rows to skip. As text it is a
    cursor.

    When somebody goes while such a list is read, all who follow move up, and the first of the next
    page is on no page. The total tells: it is smaller than before. As many as have come meanwhile
    may still be passed over, because they make up for it.

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
        skip: how many come before.
        total: how many there were in all when that was known to be the place; None where the
            service does not tell.
    """

    skip: int = 0
    total: int | None = None

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        """The place that a cursor tells; the beginning for none."""
        skip, _, total = (cursor or "0").partition("/")
        return cls(int(skip), int(total) if total else None)

    def before(self, total: int | None) -> Offset | None:
        """Where to read instead, when the list has shrunk to `total`: so far ahead that nobody is
        passed over for that, though somebody may come twice. None when this is the place."""
        if total is None or self.total is None or not total < self.total or not self.skip:
            return None
        return Offset(max(0, self.skip - (self.total - total)), total)

    def __str__(self) -> str:
        return str(self.skip) if self.total is None else f"{self.skip}/{self.total}"


def unfinished(cut_off: str | None, shortage: str = "") -> MalformedResponse:
    """Returns the error for a list that cannot be read to its end.

    Args:
        cut_off: what to do about it, where the service cuts its list off.
        shortage: what is missing, where the list is shorter than its own total.
    """
    if cut_off:
        return MalformedResponse("the service cuts its list off", hint=cut_off)
    return MalformedResponse(
        f"the list is incomplete: {shortage}"
        if shortage
        else "the list repeats itself and cannot be read to its end",
        hint="It cannot show who is absent. Try again later.",
    )
