"""Pages that are addressed by a position: a number of records to skip, or the number of a page.

If a record is removed while such a list is read, all later records move up. The first record of the
next page is then on a page that was already read, and would be skipped. A smaller total shows this.
Without a total, each page is compared with the last records that were read before it. No record was
skipped in three cases: the page begins with the last of these records; the page before it still
ends with the last of them; or the page contains any of them, because the order of a list does not
change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from zlib import crc32

from guestlist.errors import MalformedResponse
from guestlist.provider.messages import Response, record_id
from guestlist.provider.operations import Flow

MARKED_RECORDS = 5
"""Number of records at the end of a page that are compared with the next page."""
RESTARTS = 3
"""Maximum number of times that a list that changes is read again from its beginning."""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a list. `str(position)` is a cursor for it.

    Attributes:
        at: the number of records to skip, or of the page to read.
        total: the total when this position was computed; None if the service reports no total.
        seen: marks of the last records before this position, for a list without a total.
        restarts: how often the list was read again from its beginning.
    """

    at: int = 0
    total: int | None = None
    seen: tuple[str, ...] = ()
    restarts: int = 0

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        """Returns the position that a cursor describes, or the start of the list for None."""
        at, total, seen, restarts = [*(cursor or "0").split("/"), "", "", ""][:4]
        marks = tuple(filter(None, seen.split(".")))
        return cls(int(at), int(total) if total else None, marks, int(restarts or 0))

    def __str__(self) -> str:
        total = "" if self.total is None else str(self.total)
        restarts = str(self.restarts or "")
        return "/".join((str(self.at), total, ".".join(self.seen), restarts)).rstrip("/")

    def before(self, total: int | None) -> Self | None:
        """Returns a lower offset to read from, if the list has shrunk to `total`. From there no
        record is skipped because of the removals, but some may be read twice. If records are added
        at the same time, the total shrinks by less, and as many records may still be skipped as
        were added. Returns None if this offset is still right."""
        if total is None or self.total is None or not total < self.total or not self.at:
            return None
        return replace(self, at=max(0, self.at - (self.total - total)), total=total)

    def is_last(self, record: Any) -> bool:
        """Returns whether a record is the last one before this position."""
        return self.seen[-1:] == (mark_of(record),)

    def continued(self, part: Part) -> Part:
        """Returns a part that was read without a gap, with the restarts of this position."""
        return replace(part, moved=self.restarts > 0, restarts=self.restarts)

    def meets(self, part: Part) -> bool:
        """Returns whether a part contains one of the last records before this position."""
        return not set(self.seen).isdisjoint(map(mark_of, part.records))

    def restarted(self) -> Self:
        """Returns the position with another restart.

        Raises:
            MalformedResponse: there were too many.
        """
        if self.restarts == RESTARTS:
            raise MalformedResponse(
                "the list changes faster than it can be read", hint="Try again later."
            )
        return replace(self, restarts=self.restarts + 1)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a list, as the service sent it.

    Attributes:
        at: the position of the part.
        records: the records of the part, without those that also were on the previous page.
        sent: the number of records that the service sent.
        moved: whether the part may repeat records of earlier pages.
        restarts: how often the list was read again from its beginning.
    """

    at: int
    reply: Response
    records: Sequence[Any]
    total: int | None
    sent: int
    moved: bool = False
    restarts: int = 0

    def following(self, at: int, *, marks: bool = True) -> Position:
        """Returns the position `at`, which follows this part."""
        seen = tuple(map(mark_of, self.records[-MARKED_RECORDS:])) if marks else ()
        return Position(at, self.total, seen, self.restarts)


Fetch = Callable[[int], Flow[Part]]
"""Returns the part at a position."""


def read_from_offset(position: Position, fetch: Fetch, size: int) -> Flow[Part]:
    """Returns the part of a list after a number of records. If the service reports no total, the
    part begins with the last record of the previous part."""
    if position.total is None and position.seen:
        part = yield from fetch(position.at - 1)
        if part.records and position.is_last(part.records[0]):
            return position.continued(replace(part, at=position.at, records=part.records[1:]))
        if not position.meets(part):
            part = yield from fetch(max(0, position.at - size))
        return (yield from _moved(position, part, fetch, 0))
    place = position
    while True:
        part = yield from fetch(place.at)
        earlier = place.before(part.total)
        if earlier is None:
            return part if place is position else replace(part, moved=True)
        place = earlier


def read_numbered(position: Position, fetch: Fetch, first: int) -> Flow[Part]:
    """Returns a page by its number. If the total has become smaller, or the service reports none,
    reads the previous page again, to check whether it still ends with the same record.

    Args:
        first: the number of the first page.
    """
    part = yield from fetch(position.at)
    before, now = position.total, part.total
    may_have_moved = before is None or now is None or now < before
    if not position.seen or not may_have_moved:
        return position.continued(part)
    if not position.meets(part):
        previous = yield from fetch(position.at - 1)
        if previous.records and position.is_last(previous.records[-1]):
            return position.continued(part)
        part = previous
    return (yield from _moved(position, part, fetch, first))


def _moved(position: Position, part: Part, fetch: Fetch, first: int) -> Flow[Part]:
    """Returns a part of a list that has moved, or the first part again if records between this part
    and the one before it may have been skipped."""
    if not position.meets(part):
        restarted = position.restarted()
        return restarted.continued((yield from fetch(first)))
    repeated = position.is_last(part.records[-1])  # the caller must check for a gap
    return replace(part, moved=not repeated, restarts=position.restarts)


def mark_of(record: Any) -> str:
    """Returns a short text by which a record is recognized: a checksum of its id."""
    return f"{crc32((record_id(record) or repr(record)).encode()):x}"
