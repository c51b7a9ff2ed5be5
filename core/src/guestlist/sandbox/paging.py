"""The ways in which services divide lists into pages.

Each function takes the records and the query of a request, and returns a `ServedPage`.
What an answer says about further pages is the service's own: a header, a number, or a cursor.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlencode

from guestlist.sandbox.organization import Record
from guestlist.sandbox.refusals import InvalidValue

T = TypeVar("T")
RecordT = TypeVar("RecordT", bound=Record)


class Numbered(Protocol):
    """An item that has a number, by which lists are ordered."""

    @property
    def number(self) -> int: ...


NumberedT = TypeVar("NumberedT", bound=Numbered)

_CURSOR = re.compile(r"(next|prev)__([0-9]{1,18})")


@dataclass(frozen=True)
class ServedPage(Generic[T]):
    """A part of a list."""

    items: Sequence[T]
    start: int
    """The position of the first item, from 0."""
    size: int
    """The requested number of items."""
    total: int

    @property
    def next_start(self) -> int | None:
        """The position of the first item of the next page; None on the last page."""
        end = self.start + len(self.items)
        return end if end < self.total and self.items else None


def page_by_offset(
    items: Sequence[T],
    query: Mapping[str, str],
    *,
    start: str = "offset",
    size: str = "limit",
    default: int = 20,
    maximum: int = 100,
) -> ServedPage[T]:
    """Returns a page by its position and size: `?offset=20&limit=20`."""
    first, count = _number(query, start, 0), _size(query, size, default, maximum)
    return ServedPage(items[first : first + count], first, count, len(items))


def page_by_number(
    items: Sequence[T],
    query: Mapping[str, str],
    *,
    page: str = "page",
    size: str = "per_page",
    first: int = 1,
    default: int = 20,
    maximum: int = 100,
) -> ServedPage[T]:
    """Returns a page by its number, which starts from `first`: `?page=2&per_page=20`."""
    count = _size(query, size, default, maximum)
    start = max(0, _number(query, page, first) - first) * count
    return ServedPage(items[start : start + count], start, count, len(items))


def page_by_start_index(
    items: Sequence[T], query: Mapping[str, str], *, default: int = 100
) -> ServedPage[T]:
    """Returns a page as SCIM does (RFC 7644, 3.4.2.4): `?startIndex=1&count=20`, counted from 1."""
    start = max(1, _number(query, "startIndex", 1)) - 1
    count = _number(query, "count", default)
    return ServedPage(items[start : start + count], start, count, len(items))


@dataclass(frozen=True)
class CursorPage(ServedPage[T]):
    """A part of a list, with cursors. They are empty at the ends of the list."""

    next: str
    previous: str


def page_by_cursor(
    records: Sequence[NumberedT],
    query: Mapping[str, str],
    *,
    cursor: str = "cursor",
    size: str = "limit",
    default: int = 20,
    maximum: int = 100,
) -> CursorPage[NumberedT]:
    """Returns the page at a cursor, in the order of the records' numbers.

    A cursor contains the number of the record next to the page, not a position. So records that are
    added or removed between two requests cause no repetitions and no gaps.

    Raises:
        InvalidValue: the cursor or the size is invalid.
    """
    rows = sorted(records, key=lambda record: record.number)
    count = _size(query, size, default, maximum)
    direction, mark = _read_cursor(query.get(cursor) or "", cursor)
    if direction == "prev":
        shown = [row for row in rows if row.number < mark][-count:]
    else:
        shown = [row for row in rows if row.number > mark][:count]
    return CursorPage(
        shown,
        rows.index(shown[0]) if shown else len(rows),
        count,
        len(rows),
        next=_cursor("next", shown[-1]) if shown and shown[-1] is not rows[-1] else "",
        previous=_cursor("prev", shown[0]) if shown and shown[0] is not rows[0] else "",
    )


def page_after_id(
    records: Sequence[RecordT],
    query: Mapping[str, str],
    *,
    after: str = "after",
    size: str = "limit",
    default: int = 20,
    maximum: int = 100,
) -> CursorPage[RecordT]:
    """Returns the page after the record with an id: `?after=inv_7c1`.

    Raises:
        InvalidValue: there is no record with this id.
    """
    count = _size(query, size, default, maximum)
    start = 0
    if query.get(after):
        ids = [record.id for record in records]
        if query[after] not in ids:
            raise InvalidValue(after)
        start = ids.index(query[after]) + 1
    shown = records[start : start + count]
    more = bool(shown) and start + count < len(records)
    return CursorPage(
        shown, start, count, len(records), next=shown[-1].id if more else "", previous=""
    )


def link_header(page: ServedPage[T], url: str, query: Mapping[str, str], name: str = "page") -> str:
    """Returns a `Link` header (RFC 8288) with the next and the last page, by page number; empty
    on the last page."""
    if page.next_start is None:
        return ""
    numbers = {"next": page.next_start // page.size + 1, "last": -(-page.total // page.size)}
    links = {rel: f"{url}?{urlencode({**query, name: number})}" for rel, number in numbers.items()}
    return ", ".join(f'<{link}>; rel="{rel}"' for rel, link in links.items())


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidValue(name)
    return int(text)


def _size(query: Mapping[str, str], name: str, default: int, maximum: int) -> int:
    return min(max(_number(query, name, default), 1), maximum)


def _read_cursor(text: str, name: str) -> tuple[str, int]:
    if not text:
        return "next", 0
    try:
        match = _CURSOR.fullmatch(base64.b64decode(text, validate=True).decode("ascii"))
    except ValueError:
        match = None
    if match is None:
        raise InvalidValue(name)
    return match[1], int(match[2])


def _cursor(direction: str, record: Numbered) -> str:
    return base64.b64encode(f"{direction}__{record.number}".encode()).decode()
