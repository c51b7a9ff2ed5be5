"""Pagination with cursors (dossier 1.1)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from .refusal import Refused

DEFAULT, MAXIMUM = 100, 500
"""Items of a page: govultr README and OpenAPI."""

_CURSOR = re.compile(r"(next|prev)__([0-9]{1,18})")

Item = TypeVar("Item")


def page(
    items: Iterable[Item], number: Callable[[Item], int], query: Mapping[str, str]
) -> tuple[list[Item], dict[str, Any]]:
    """Returns the requested items in the order of their numbers, and the `meta` object.

    A cursor contains the number of the record next to the page, not an offset. So records that are
    added or removed between two requests cause no repetitions and no gaps.

    Raises:
        Refused: 400 for an invalid cursor or `per_page` (unverified choice).
    """
    rows = sorted(items, key=number)
    size = _size(query.get("per_page") or str(DEFAULT))
    direction, mark = _read(query.get("cursor") or "")
    if direction == "prev":
        shown = [row for row in rows if number(row) < mark][-size:]
    else:
        shown = [row for row in rows if number(row) > mark][:size]
    after = shown and shown[-1] is not rows[-1]
    before = shown and shown[0] is not rows[0]
    links = {
        "next": _write("next", number(shown[-1])) if after else "",
        "prev": _write("prev", number(shown[0])) if before else "",
    }
    return shown, {"total": len(rows), "links": links}


def _size(text: str) -> int:
    try:
        return min(max(int(text), 1), MAXIMUM)
    except ValueError:
        raise Refused(400, "Invalid per_page.") from None


def _read(cursor: str) -> tuple[str, int]:
    if not cursor:
        return "next", 0
    try:
        plain = base64.b64decode(cursor, validate=True).decode("ascii")
    except ValueError:
        plain = ""
    match = _CURSOR.fullmatch(plain)
    if match is None:
        raise Refused(400, "Invalid cursor.")
    return match[1], int(match[2])


def _write(direction: str, mark: int) -> str:
    return base64.b64encode(f"{direction}__{mark}".encode()).decode()
