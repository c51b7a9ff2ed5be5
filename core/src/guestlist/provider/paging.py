"""Reads lists: one page in each of the usual styles, and all pages within a flow."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from guestlist.errors import MalformedResponse
from guestlist.provider.messages import Page, RecordProblem, Request, Response
from guestlist.provider.operations import Flow
from guestlist.provider.positions import Part, Position, read_from_offset, read_numbered

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
        if page.moved:
            new = [one for one in page.items if not any(one in items for items in read)]
            page = replace(page, items=new, left_out=page.records - len(new))
        if page.cut_off is not None or repeated:
            raise unfinished_list_error(page.cut_off)
        problems += [replace(one, position=one.position + records) for one in page.problems]
        records += page.records
        read.append(page.items)
        count.add(page)
        cursor = page.next
        if (cursor is None or count.is_endless) and count.shortage:
            raise unfinished_list_error(None, count.shortage)
        if cursor is None:
            found = [item for items in read for item in items]
            return Page(found, left_out=records - len(found), problems=tuple(problems))
        if cursor in cursors:
            raise unfinished_list_error(None)
        cursors.add(cursor)


MAX_EMPTY_PAGES = 100
"""Number of pages in a row without a record after which a list is taken to have no end."""


class RecordCount:
    """Counts the records of a list, and compares the count with the total that the service reports.

    If the total changes between pages, the smallest one is used: the list may grow while it is
    read, and a new record need not be on one of the remaining pages.
    """

    def __init__(self) -> None:
        self._received: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._empty: dict[str, int] = {}

    def add(self, page: Page[Any]) -> None:
        """Counts the records of the next page."""
        self._received[page.section] = self._received.get(page.section, 0) + page.records
        if page.total is not None:
            known = self._totals.get(page.section, page.total)
            self._totals[page.section] = min(known, page.total)
        self._empty[page.section] = 0 if page.records else self._empty.get(page.section, 0) + 1

    @property
    def is_endless(self) -> bool:
        """Whether the service sends one empty page after another."""
        return any(empty >= MAX_EMPTY_PAGES for empty in self._empty.values())

    @property
    def shortage(self) -> str:
        """A sentence that says how many records are missing at the end of the list; empty if the
        list is complete."""
        if self.is_endless:
            return f"the service sent {MAX_EMPTY_PAGES} empty pages in a row, and no last one"
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
        total: the name of the field with the number of all records, or a function that reads it.
            The field may be missing in an answer.
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
    Only the value of one parameter is taken from the link: a request never leaves the service. A
    link with `results="false"`, such as the last one of Sentry, leads nowhere and is ignored.

    Args:
        request: a function that returns the request for a value of the parameter; None for the
            first page.
        parameter: the query parameter of the link that leads to the next page.
        total: a function that reads the number of all records.

    If the links lead to numbered pages, and the list may have become shorter since the previous
    page, that page is read again, so that no record is skipped. Without a total, this takes a
    request for each page after the first.

    The other arguments are those of `by_cursor`.

    Raises:
        ValueError: the link has no such parameter.
    """
    where = (cursor or "1").removeprefix(_NUMBERED)
    if where == cursor and not where.isdecimal():
        reply = yield request(cursor)
        return Page.of(reply.records(*names), read, _next_by_link(reply, parameter), email=email)

    def fetch(number: int) -> Flow[Part]:
        reply = yield request(str(number) if number > 1 else None)
        return _part(number, reply, names, total)

    position = Position.of(where)
    part = yield from read_numbered(position, fetch, 1)
    following = _next_by_link(part.reply, parameter)
    if following == str(part.at + 1):
        following = f"{_NUMBERED}{part.following(part.at + 1)}"
    return _page(part, read, following, email)


def _next_by_link(reply: Response, parameter: str) -> str | None:
    """Returns the parameter of the link to the next page; None on the last page."""
    found = _NEXT_LINK(reply.headers.get("link", ""))
    if not found:
        return None
    query = dict(parse_qsl(urlsplit(found[1]).query))
    if parameter not in query:
        raise ValueError(f"the link to the next page has no parameter {parameter!r}")
    return query[parameter]


_NUMBERED = "page:"
"""Begins a cursor of `by_link` if the links lead to numbered pages."""
_NEXT_LINK = re.compile(
    r"""<([^<>]*)>(?![^<>]*;\s*results="?false\b)[^<>]*;\s*rel="?next\b""", re.IGNORECASE
).search


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
    from a lower offset if the list has become shorter since the previous page. Without a total, a
    page begins with the last record of the previous page, which shows whether the list has moved.

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

    def fetch(skip: int) -> Flow[Part]:
        return _part(skip, (yield request(skip + start)), names, total)

    part = yield from read_from_offset(Position.of(cursor), fetch, size)
    end = part.at + len(part.records)
    more = part.sent >= size if part.total is None else end < part.total
    position = part.following(end, marks=part.total is None)
    return _page(part, read, str(position) if part.records and more else None, email)


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
    """Reads one page of a list whose pages are numbered. Reads the previous page again if the list
    may have become shorter since then: if its total is smaller, or if the service reports no total.

    Args:
        request: a function that returns the request for a page number.
        size: the number of records on a full page.
        start: the number of the first page.

    The other arguments are those of `by_offset`.
    """

    def fetch(number: int) -> Flow[Part]:
        return _part(number, (yield request(number)), names, total)

    part = yield from read_numbered(Position.of(cursor or str(start)), fetch, start)
    end = (part.at - start + 1) * size
    more = part.sent >= size if part.total is None else end < part.total
    position = part.following(part.at + 1)
    return _page(part, read, str(position) if part.records and more else None, email)


def _part(
    at: int,
    reply: Response,
    names: Sequence[str],
    total: str | Callable[[Response], int | None] | None,
) -> Part:
    """Returns the records of an answer."""
    count = None if total is None else _found(reply, total)
    count = None if count is None else int(count)
    # SCIM leaves an empty list out (RFC 7644, 3.4.2)
    body = reply.json()
    is_left_out = count == 0 and isinstance(body, dict) and not any(map(body.get, names))
    records = [] if is_left_out else reply.records(*names)
    return Part(at, reply, records, count, sent=len(records))


def _page(
    part: Part,
    read: Callable[[Any], T | None],
    following: str | None,
    email: Callable[[Any], Any] | None,
) -> Page[T]:
    return Page.of(part.records, read, following, part.total, email=email, moved=part.moved)


def _found(reply: Response, where: str | Callable[[Response], Any]) -> Any:
    """Returns a value of the answer other than the records, such as the total, or None."""
    if callable(where):
        return where(reply)
    body = reply.json()
    return body.get(where) if isinstance(body, dict) else None


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
