"""Each style of paging covers a list without gaps and repetitions, and refuses nonsense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from guestlist.sandbox import envelopes, paging
from guestlist.sandbox.organization import Record
from guestlist.sandbox.refusals import InvalidValue

NOW = datetime(2026, 5, 4, tzinfo=UTC)
RECORDS = [Record(id=f"r{n}", number=n, created_at=NOW, updated_at=NOW) for n in range(1, 8)]

Query = Mapping[str, str]


def by_offset(page: Any) -> Query | None:
    return None if page.next_start is None else {"offset": str(page.next_start)}


def by_number(page: Any) -> Query | None:
    return None if page.next_start is None else {"page": str(page.next_start // page.size + 1)}


def by_start_index(page: Any) -> Query | None:
    return None if page.next_start is None else {"startIndex": str(page.next_start + 1)}


def by_cursor(page: Any) -> Query | None:
    return {"cursor": page.next} if page.next else None


def after_id(page: Any) -> Query | None:
    return {"after": page.next} if page.next else None


STYLES = [
    (paging.page_by_offset, "limit", by_offset),
    (paging.page_by_number, "per_page", by_number),
    (paging.page_by_start_index, "count", by_start_index),
    (paging.page_by_cursor, "limit", by_cursor),
    (paging.page_after_id, "limit", after_id),
]


@pytest.mark.parametrize(("style", "size", "following"), STYLES)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_all_pages_are_the_list(
    style: Callable[..., Any], size: str, following: Callable[[Any], Query | None], count: int
) -> None:
    seen: list[str] = []
    query: Query | None = {}
    while query is not None:
        page = style(RECORDS, {**query, size: str(count)})
        assert page.total == 7
        assert 0 < len(page.items) <= count
        seen += [record.id for record in page.items]
        query = following(page)
    assert seen == [record.id for record in RECORDS]


@pytest.mark.parametrize(("style", "size", "_"), STYLES)
@pytest.mark.parametrize("text", ["x", "-1", "1.5", "\uff19"])
def test_a_size_that_is_no_number(style: Callable[..., Any], size: str, _: Any, text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        style(RECORDS, {size: text})
    assert caught.value.field == size


@pytest.mark.parametrize(("style", "size", "_"), STYLES)
def test_an_empty_list(style: Callable[..., Any], size: str, _: Any) -> None:
    page = style([], {})
    assert (list(page.items), page.total, page.next_start) == ([], 0, None)


def test_a_size_is_at_most_the_maximum() -> None:
    page = paging.page_by_offset(RECORDS, {"limit": "99"}, maximum=3)
    assert (len(page.items), page.next_start) == (3, 3)


def test_cursors_lead_back_and_survive_removals() -> None:
    first = paging.page_by_cursor(RECORDS, {"limit": "3"})
    left = RECORDS[1:]
    second = paging.page_by_cursor(left, {"limit": "3", "cursor": first.next})
    assert [record.id for record in second.items] == ["r4", "r5", "r6"]
    back = paging.page_by_cursor(left, {"limit": "3", "cursor": second.previous})
    assert [record.id for record in back.items] == ["r2", "r3"]
    assert (first.previous, back.previous) == ("", "")


@pytest.mark.parametrize("text", ["x", "bmV4dA==", "bmV4dF9feA==", "next__3"])
def test_a_cursor_that_was_never_given(text: str) -> None:
    with pytest.raises(InvalidValue):
        paging.page_by_cursor(RECORDS, {"cursor": text})
    with pytest.raises(InvalidValue):
        paging.page_after_id(RECORDS, {"after": text})


def test_a_link_header() -> None:
    url = "https://api.example.com/members"
    first = paging.page_by_number(RECORDS, {"per_page": "3"})
    assert paging.link_header(first, url, {"per_page": "3"}) == (
        f'<{url}?per_page=3&page=2>; rel="next", <{url}?per_page=3&page=3>; rel="last"'
    )
    last = paging.page_by_number(RECORDS, {"per_page": "3", "page": "3"})
    assert paging.link_header(last, url, {"per_page": "3"}) == ""


def test_error_bodies() -> None:
    assert envelopes.nested("No", "taken") == {"error": {"code": "taken", "message": "No"}}
    assert envelopes.nested("No", details={}) == {"error": {"message": "No", "details": {}}}
    assert envelopes.list_of_errors("No", "taken", meta={})["errors"] == [
        {"code": "taken", "message": "No", "meta": {}}
    ]
    assert envelopes.json_api(404, "No")["errors"] == [
        {"status": "404", "title": "Not Found", "detail": "No"}
    ]
    assert envelopes.problem(409, "No", type="about:blank") == {
        "title": "Conflict",
        "status": 409,
        "detail": "No",
        "type": "about:blank",
    }
    assert envelopes.scim(409, "No", "uniqueness")["scimType"] == "uniqueness"
    assert envelopes.django("No") == {"detail": "No"}
    assert envelopes.django("", {"email": ["Taken."]}) == {"email": ["Taken."]}
