"""Reading lists: all pages within a flow, and pages that are numbered from the beginning."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist.errors import MalformedResponse
from guestlist.exchange.policy import run
from guestlist.provider import Flow, Page, Request, every
from guestlist.provider.positions import Position

Pages = dict[str | None, Page[Any]]


def reading(pages: Pages) -> Any:
    def listing(cursor: str | None) -> Flow[Page[Any]]:
        yield Request.get("things", query={"after": cursor})
        return pages[cursor]

    return every(listing)


def read(stage: Any, reply: Any, pages: Pages) -> Any:
    acme = stage()
    return acme.serve(run(acme.call, reading(pages)), lambda _outgoing: reply({}))


def test_all_pages_are_read(stage: Any, reply: Any) -> None:
    pages: Pages = {None: Page([1, 2], "a"), "a": Page([], "b"), "b": Page([], "c"), "c": Page([3])}
    assert read(stage, reply, pages) == [1, 2, 3]
    assert read(stage, reply, {None: Page([])}) == []


def test_a_page_that_has_moved_may_repeat_items(stage: Any, reply: Any) -> None:
    pages: Pages = {None: Page([1], "a"), "a": Page([1], "b", moved=True), "b": Page([2])}
    assert read(stage, reply, pages) == [1, 2]


@pytest.mark.parametrize(
    "pages",
    [
        {None: Page([1], "a"), "a": Page([2], "a")},
        {None: Page([1], "a"), "a": Page([2], "b"), "b": Page([3], "a")},
        {None: Page([1], "a"), "a": Page([1], "b"), "b": Page([1], "c")},
        {None: Page([1], "a"), "a": Page([1])},
    ],
)
def test_a_list_that_repeats_itself_raises_an_error(stage: Any, reply: Any, pages: Pages) -> None:
    with pytest.raises(MalformedResponse, match="repeats itself"):
        read(stage, reply, pages)


def test_a_list_of_empty_pages_without_an_end_raises_an_error(stage: Any, reply: Any) -> None:
    """Such a service would keep a call busy forever: each page is within the call's limits."""

    def listing(cursor: str | None) -> Flow[Page[Any]]:
        yield Request.get("things", query={"after": cursor})
        return Page([], str(int(cursor or 0) + 1))

    acme = stage()
    with pytest.raises(MalformedResponse, match="100 empty pages in a row"):
        acme.serve(run(acme.call, every(listing)), lambda _outgoing: reply({}))


def test_a_truncated_list_raises_an_error(stage: Any, reply: Any) -> None:
    with pytest.raises(MalformedResponse, match="returns only a part of its list") as caught:
        read(stage, reply, {None: Page([1], cut_off="Raise the limit.")})
    assert caught.value.hint == "Raise the limit."


@pytest.mark.parametrize("place", [Position(), Position(7), Position(7, 40), Position(7, 0)])
def test_a_place_is_kept_as_a_cursor(place: Position) -> None:
    assert Position.of(str(place)) == place
    assert Position.of(None) == Position()


@pytest.mark.parametrize("cursor", ["x", "7/x"])
def test_what_is_no_place(cursor: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Position.of(cursor)


@pytest.mark.parametrize(
    ("place", "total", "earlier"),
    [
        (Position(4, 6), 6, None),
        (Position(4, 6), 7, None),
        (Position(4, 6), 5, Position(3, 5)),
        (Position(4, 6), 1, Position(0, 1)),
        (Position(0, 6), 1, None),
        (Position(4, 6), None, None),
        (Position(4), 5, None),
    ],
)
def test_a_list_that_has_shrunk_is_read_from_further_ahead(
    place: Position, total: int | None, earlier: Position | None
) -> None:
    assert place.before(total) == earlier
