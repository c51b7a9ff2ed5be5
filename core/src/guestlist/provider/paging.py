"""Reads lists: one page in each of the usual styles, and all pages within a flow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

from guestlist.errors import MalformedResponse
from guestlist.provider.messages import Page, RecordProblem, Request, Response
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
    page = yield from whole(listing)
    for problem in page.problems:
        if not problem.kept:
            raise MalformedResponse(f"a list has a record that cannot be read: {problem}")
    return list(page.items)


def whole(listing: Callable[[str | None], Flow[Page[T]]]) -> Flow[Page[T]]:
    """Returns all pages of a list as one page. For an operation that needs several lists to make
    its records, such as members whose teams are in lists of their own.

    Args:
        listing: as for `every`.

    Raises:
        MalformedResponse: the list repeats itself, is cut off, or is shorter than its total.
    """
    read: list[Sequence[T]] = []
    problems: list[RecordProblem] = []
    count, records = RecordCount(), 0
    cursors: set[str | None] = {None}
    cursor: str | None = None
    while True:
        page = yield from listing(cursor)
        repeated = page.items and page.items in read and not page.moved
        if page.cut_off is not None or repeated:
            raise unfinished_list_error(page.cut_off)
        problems += [replace(one, position=one.position + records) for one in page.problems]
        records += page.records
        read.append(page.items)
        count.add(page)
        cursor = page.next
        if cursor is None and count.shortage:
            raise unfinished_list_error(None, count.shortage)
        if cursor is None:
            found = [item for items in read for item in items]
            return Page(found, left_out=records - len(found), problems=tuple(problems))
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


def by_cursor(
    cursor: str | None,
    request: Callable[[str | None], Request],
    read: Callable[[Any], T | None],
    *names: str,
    next: str | Callable[[Response], str | None] = "next",
    total: str | Callable[[Response], int | None] = "total",
    email: Callable[[Any], Any] | None = None,
) -> Flow[Page[T]]:
    """Reads one page of a list whose answers contain the cursor of the next page.

        def page(cursor: str | None) -> Request:
            return Request.get("members", query={"limit": 100, "after": cursor})

        return (yield from by_cursor(cursor, page, read_member, "members", next="after"))

    Args:
        cursor: the argument of the operation.
        request: a function that returns the request for a cursor; None for the first page.
        read: a function that reads one record. It returns None for a record that does not belong
            to the list.
        names: the names of the field with the list. The answer may also be the list itself.
        next: the name of the field with the next cursor, or a function that reads it. An empty
            cursor means the last page.
        total: the name of the field with the number of all records, or a function that reads it. A
            missing total is None.
        email: a function that returns the email address in a record; by default the field `email`.
    """
    reply = yield request(cursor)
    following = _found(reply, next) or None
    return Page.of(reply.records(*names), read, following, _found(reply, total), email=email)


def by_link(
    cursor: str | None,
    request: Callable[[str | None], Request],
    read: Callable[[Any], T | None],
    *names: str,
    parameter: str = "page",
    total: Callable[[Response], int | None] | None = None,
    email: Callable[[Any], Any] | None = None,
) -> Flow[Page[T]]:
    """Reads one page of a list whose answers link to the next page in the header `Link` (RFC 8288).
    Only the value of one parameter is taken from the link: a request never leaves the service.

    Args:
        request: a function that returns the request for a value of the parameter; None for the
            first page.
        parameter: the query parameter of the link that leads to the next page.
        total: a function that reads the number of all records, for a service whose pages are
            numbered from 1. An earlier page is read then if the list has become shorter since the
            previous page.

    The other arguments are those of `by_cursor`.

    Raises:
        ValueError: the link has no such parameter.
    """
    if total is None:
        reply = yield request(cursor)
        following = _next_by_link(reply, parameter)
        return Page.of(reply.records(*names), read, following, email=email)
    here = begin = _NumberedPage.of(cursor)
    while True:
        reply = yield request(str(here.number) if here.number > 1 else None)
        count = total(reply)
        if (earlier := here.before(count)) is None:
            break
        here = earlier
    records = reply.records(*names)
    number = _next_by_link(reply, parameter)
    following = None if number is None else str(_NumberedPage(int(number), count, len(records)))
    return Page.of(records, read, following, count, email=email, moved=here != begin)


def _next_by_link(reply: Response, parameter: str) -> str | None:
    """Returns the parameter of the link to the next page; None on the last page."""
    found = _NEXT_LINK(reply.headers.get("link", ""))
    if not found:
        return None
    query = dict(parse_qsl(urlsplit(found[1]).query))
    if parameter not in query:
        raise ValueError(f"the link to the next page has no parameter {parameter!r}")
    return query[parameter]


@dataclass(frozen=True, slots=True)
class _NumberedPage:
    """A numbered page that follows another one. `str(page)` is a cursor for it.

    Attributes:
        number: counted from 1.
        total: the number of all records when the previous page was read; None if unknown.
        size: the number of records on the previous page.
    """

    number: int = 1
    total: int | None = None
    size: int = 0

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        if cursor is None:
            return cls()
        number, total, size = cursor.split("/")
        return cls(int(number), int(total) if total else None, int(size))

    def before(self, total: int | None) -> Self | None:
        """Returns the earlier page to read from if the list has shrunk to `total`, so that the
        first records of this page have moved up. None if this page is still right."""
        if total is None or self.total is None or total >= self.total or self.number == 1:
            return None
        back = -((total - self.total) // max(1, self.size))
        return type(self)(max(1, self.number - back), total, self.size)

    def __str__(self) -> str:
        return f"{self.number}/{'' if self.total is None else self.total}/{self.size}"


_NEXT_LINK = re.compile(r"""<([^<>]*)>[^<>]*;\s*rel="?next\b""", re.IGNORECASE).search


def by_offset(
    cursor: str | None,
    request: Callable[[int], Request],
    read: Callable[[Any], T | None],
    *names: str,
    size: int,
    start: int = 0,
    total: str | Callable[[Response], int | None] = "total",
    email: Callable[[Any], Any] | None = None,
) -> Flow[Page[T]]:
    """Reads one page of a list whose pages are addressed by the number of records to skip. Reads it
    from a lower offset if the list has become shorter since the previous page.

        def page(skip: int) -> Request:
            return Request.get("members", query={"offset": skip, "limit": 100})

        return (yield from by_offset(cursor, page, read_member, "members", size=100))

    Args:
        request: a function that returns the request for an offset.
        size: the number of records that the request asks for. Without a total, a shorter page is
            the last one.
        start: the offset of the first record: 1 for the `startIndex` of SCIM.

    The other arguments are those of `by_cursor`.
    """
    unit = 1
    page = _positioned(cursor, lambda skip: request(skip + start), size, unit, names, total)
    return (yield from _read_positioned(page, read, email))


def by_number(
    cursor: str | None,
    request: Callable[[int], Request],
    read: Callable[[Any], T | None],
    *names: str,
    size: int,
    start: int = 1,
    total: str | Callable[[Response], int | None] = "total",
    email: Callable[[Any], Any] | None = None,
) -> Flow[Page[T]]:
    """Reads one page of a list whose pages are numbered. Reads an earlier page if the list has
    become shorter since the previous page.

    Args:
        request: a function that returns the request for a page number.
        size: the number of records on a full page.
        start: the number of the first page.

    The other arguments are those of `by_offset`.
    """
    page = _positioned(cursor, lambda skip: request(skip // size + start), size, size, names, total)
    return (yield from _read_positioned(page, read, email))


def _positioned(
    cursor: str | None,
    request: Callable[[int], Request],
    size: int,
    unit: int,
    names: Sequence[str],
    total: str | Callable[[Response], int | None],
) -> Flow[Page[Any]]:
    """Returns a page of unread records. Its position is a multiple of `unit`."""
    place = begin = Offset.of(cursor)
    while True:
        reply = yield request(place.skip)
        count = _found(reply, total)
        count = None if count is None else int(count)
        if (earlier := place.before(count)) is None:
            break
        place = Offset(earlier.skip // unit * unit, count)
    # SCIM leaves an empty list out (RFC 7644, 3.4.2)
    body = reply.json()
    is_left_out = count == 0 and isinstance(body, dict) and not any(map(body.get, names))
    records = [] if is_left_out else reply.records(*names)
    end = place.skip + (len(records) if unit == 1 else unit)
    more = len(records) >= size if count is None else end < count
    following = str(Offset(end, count)) if records and more else None
    return Page(records, following, count, moved=place != begin)


def _read_positioned(
    flow: Flow[Page[Any]],
    read: Callable[[Any], T | None],
    email: Callable[[Any], Any] | None,
) -> Flow[Page[T]]:
    page = yield from flow
    return Page.of(page.items, read, page.next, page.total, email=email, moved=page.moved)


def _found(reply: Response, where: str | Callable[[Response], Any]) -> Any:
    """Returns the value that a page has besides its records, or None."""
    if callable(where):
        return where(reply)
    body = reply.json()
    return body.get(where) if isinstance(body, dict) else None


@dataclass(frozen=True, slots=True)
class Offset:
    """A position in a list whose pages a service addresses by the number of records to skip.
    `str(offset)` is a cursor for it.

    If a record is removed while the list is read, all later records move up, and the first record
    of the next page is skipped. The total shows this: it is smaller than before. `before` then
    returns a lower offset to read from. If records are added at the same time, the total shrinks by
    less, and as many records may still be skipped as were added.

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
        cut_off: a hint, if the service returns only the first part of its list.
        shortage: how many records are missing, if the list is shorter than its own total.
    """
    if cut_off:
        return MalformedResponse("the service returns only a part of its list", hint=cut_off)
    return MalformedResponse(
        f"the list is incomplete: {shortage}"
        if shortage
        else "the list repeats itself and cannot be read to its end",
        hint="An incomplete list cannot show that somebody is absent. Try again later.",
    )
