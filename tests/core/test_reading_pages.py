"""The helpers that read one page of a list, and the readers of dates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from guestlist import Guestlist
from guestlist.errors import MalformedResponse
from guestlist.models import Member
from guestlist.provider import (
    Flow,
    Page,
    Provider,
    Request,
    Response,
    by_cursor,
    by_link,
    by_number,
    by_offset,
    operation,
    parse_datetime,
    parse_timestamp,
    setting,
)


def read(raw: dict[str, Any]) -> Member:
    return Member(id=raw["id"], email=raw["email"])


class Paged(Provider):
    name = "paged"
    title = "Paged"
    base_url: str = setting("Where it is", default="https://paged.example")


class Cursors(Paged):
    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        def page(cursor: str | None) -> Request:
            return Request.get("members", query={"after": cursor})

        return (yield from by_cursor(cursor, page, read, "people", next="after"))


class Links(Paged):
    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        def page(cursor: str | None) -> Request:
            return Request.get("members", query={"page": cursor})

        return (yield from by_link(cursor, page, read))


class Offsets(Paged):
    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        def page(skip: int) -> Request:
            return Request.get("members", query={"offset": skip})

        return (yield from by_offset(cursor, page, read, "people", size=2))


class Indexes(Paged):
    """SCIM."""

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        def page(index: int) -> Request:
            return Request.get("members", query={"startIndex": index})

        helper = by_offset(cursor, page, read, "Resources", size=2, start=1, total="totalResults")
        return (yield from helper)


class Numbers(Paged):
    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        def page(number: int) -> Request:
            return Request.get("members", query={"page": number})

        return (yield from by_number(cursor, page, read, "people", size=2))


EVERYBODY = [f"p{number}@example.com" for number in range(5)]


class Service:
    """Five people, two on a page. With each answer, one of the `leavers` leaves, in order."""

    def __init__(self, *leavers: int, total: bool = True) -> None:
        self.people = list(EVERYBODY)
        self.leavers = [EVERYBODY[number] for number in leavers]
        self.total = total
        self.linked = False
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        self.asked.append(str(query))
        start = self.start(query)
        page = [{"id": one, "email": one} for one in self.people[start : start + 2]]
        more = str(start + 2) if start + 2 < len(self.people) else ""
        body: Any = {"people": page, "Resources": page, "after": more}
        if self.total:
            body |= {"total": len(self.people), "totalResults": len(self.people)}
        if self.leavers:
            self.people.remove(self.leavers.pop(0))
        if self.linked:
            number = start // 2 + 1
            return httpx.Response(
                200, json=page, headers={"link": LINK.format(number + 1)} if more else {}
            )
        return httpx.Response(200, json=body)

    def start(self, query: httpx.QueryParams) -> int:
        if "page" in query:
            return (int(query["page"]) - 1) * 2
        if "startIndex" in query:
            return int(query["startIndex"]) - 1
        return int(query.get("offset") or query.get("after") or 0)

    def read(self, kind: type[Provider]) -> list[str]:
        self.linked = kind is Links
        with Guestlist({"p": kind()}, transport=httpx.MockTransport(self)) as guests:
            return [member.id for member in guests.members()]


@pytest.mark.parametrize("kind", [Cursors, Offsets, Indexes, Numbers])
def test_a_list_is_read_to_its_end(kind: type[Provider]) -> None:
    service = Service()
    assert service.read(kind) == EVERYBODY
    assert len(service.asked) == 3


@pytest.mark.parametrize(("body", "is_empty"), [
    ({"totalResults": 0}, True),
    ({"totalResults": 0, "Resources": None}, True),
    ({"totalResults": 1}, False),
    ({}, False),
])  # fmt: skip
def test_an_empty_list_may_be_left_out(body: dict[str, Any], is_empty: bool) -> None:
    """SCIM: RFC 7644, 3.4.2. Without a total of 0, a missing list is an error."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=body))
    with Guestlist({"p": Indexes()}, transport=transport) as guests:
        if is_empty:
            assert [*guests.members()] == []
        else:
            with pytest.raises(MalformedResponse, match="no list of Resources"):
                [*guests.members()]


@pytest.mark.parametrize("kind", [Offsets, Indexes, Numbers])
def test_without_a_total_a_short_page_is_the_last(kind: type[Provider]) -> None:
    assert Service(total=False).read(kind) == EVERYBODY


@pytest.mark.parametrize("leavers", [(0,), (1,), (2,), (4,), (0, 1)])
@pytest.mark.parametrize(("kind", "total"), [
    (Offsets, True), (Offsets, False), (Indexes, True), (Indexes, False), (Numbers, True),
    (Numbers, False), (Links, False),
])  # fmt: skip
def test_nobody_is_skipped_if_somebody_leaves_meanwhile(
    kind: type[Provider], total: bool, leavers: tuple[int, ...]
) -> None:
    """Everybody after the leaver moves up by one place."""
    read = Service(*leavers, total=total).read(kind)
    left = [person for number, person in enumerate(EVERYBODY) if number not in leavers]
    assert [one for one in dict.fromkeys(read) if one in left] == left


@pytest.mark.parametrize(("kind", "asked"), [
    (Offsets, ["offset=0", "offset=1", "offset=2", "offset=3", "offset=4"]),
    (Numbers, ["page=1", "page=2", "page=1", "page=3", "page=2"]),
    (Links, ["", "page=2", "", "page=3", "page=2"]),
])  # fmt: skip
def test_without_a_total_a_page_is_compared_with_the_page_before(
    kind: type[Provider], asked: list[str]
) -> None:
    service = Service(total=False)
    assert service.read(kind) == EVERYBODY
    assert service.asked == asked


@pytest.mark.parametrize("kind", [Offsets, Numbers, Links])
def test_a_list_that_always_changes_cannot_be_read(kind: type[Provider]) -> None:
    """Each answer has other people, so that none continues another one."""
    service = Service(total=False)
    answer = service.__call__

    def always_new(request: httpx.Request) -> httpx.Response:
        number = len(service.asked)
        service.people = [f"p{number}-{one}@example.com" for one in range(5)]
        return answer(request)

    service.linked = kind is Links
    with (
        Guestlist({"p": kind()}, transport=httpx.MockTransport(always_new)) as guests,
        pytest.raises(MalformedResponse, match="faster than it can be read"),
    ):
        list(guests.members())


LINK = '<https://paged.example/m?size=2&page={}>; rel="next", <https://x/?page=9>; rel="last"'


@pytest.mark.parametrize("form", [LINK, LINK.replace('"next"', "next"), LINK.replace("paged", "e")])
def test_a_link_leads_to_the_next_page_of_the_service_itself(form: str) -> None:
    hosts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        number = int(request.url.params.get("page", 1))
        person = {"id": number, "email": f"p{number}@example.com"}
        headers = {"link": form.format(number + 1)} if number < 3 else {"link": "<x>; rel=first"}
        return httpx.Response(200, json=[person], headers=headers)

    with Guestlist({"p": Links()}, transport=httpx.MockTransport(answer)) as guests:
        assert [member.id for member in guests.members()] == ["1", "2", "3"]
    assert set(hosts) == {"paged.example"}


def test_a_link_without_results_ends_the_list() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        last = request.url.params.get("page") == "2"
        links = ['<https://paged.example/m?page=0>; rel="previous"; results="false"']
        results = "false" if last else "true"
        links.append(f'<https://paged.example/m?page=2>; rel="next"; results="{results}"')
        person = {"id": 2 if last else 1, "email": "p@example.com"}
        return httpx.Response(200, json=[person], headers={"link": ", ".join(links)})

    with Guestlist({"p": Links()}, transport=httpx.MockTransport(answer)) as guests:
        assert [member.id for member in guests.members()] == ["1", "2"]


@pytest.mark.parametrize("leaver", [None, 0, 3])
def test_a_link_to_a_page_that_moved_up_skips_nobody(leaver: int | None) -> None:
    """With a total, an earlier page is read if somebody leaves between two pages."""
    people = list(range(5))
    asked: list[str] = []

    class Counted(Paged):
        @operation
        def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
            def page(number: str | None) -> Request:
                return Request.get("members", query={"page": number})

            def total(reply: Response) -> int | None:
                return int(reply.headers["x-total"])

            return (yield from by_link(cursor, page, read, total=total))

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url.params))
        number = int(request.url.params.get("page", 1))
        shown = people[number * 2 - 2 : number * 2]
        more = number * 2 < len(people)
        headers = {"x-total": str(len(people)), "link": LINK.format(number + 1) if more else ""}
        if number == 2 and leaver in people:
            people.remove(leaver)
        return httpx.Response(
            200, json=[{"id": f"{one}", "email": ""} for one in shown], headers=headers
        )

    with Guestlist({"p": Counted()}, transport=httpx.MockTransport(answer)) as guests:
        assert [member.id for member in guests.members()] == ["0", "1", "2", "3", "4"]
    reread = [] if leaver is None else ["page=2"]
    assert asked == ["", "page=2", "page=3", *reread]


def test_a_link_without_the_parameter_is_malformed() -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        headers = {"link": '<https://paged.example/members?cursor=2>; rel="next"'}
        return httpx.Response(200, json=[], headers=headers)

    with (
        Guestlist({"p": Links()}, transport=httpx.MockTransport(answer)) as guests,
        pytest.raises(MalformedResponse, match="no parameter 'page'"),
    ):
        list(guests.members())


# ---------------------------------------------------------------------------- dates

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-05-04T12:00:00Z", NOON),
        ("2026-05-04T12:00:00.000000", NOON),
        ("2026-05-04 12:00:00", NOON),
        ("2026-05-04T14:00:00+02:00", NOON),
        ("", None),
        (None, None),
        ("0000-00-00 00:00:00", None),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_dates_are_aware(value: str | None, moment: datetime | None) -> None:
    found = parse_datetime(value)
    assert found == moment
    assert found is None or found.tzinfo is not None


def test_a_date_keeps_its_zone() -> None:
    found = parse_datetime("2026-05-04T14:00:00+02:00")
    assert found is not None
    assert found.tzinfo == timezone(timedelta(hours=2))


@pytest.mark.parametrize("value", [1777896000, 1777896000.0, 1777896000000])
def test_timestamps_in_seconds_or_milliseconds(value: float) -> None:
    assert parse_timestamp(value) == NOON
    assert parse_timestamp(None) is None


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (parse_datetime, "tomorrow"),
        (parse_datetime, 1777896000),
        (parse_datetime, ["2026-05-04"]),
        (parse_timestamp, "1777896000"),
        (parse_timestamp, True),
    ],
)
def test_a_date_in_another_form_is_an_error(parse: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        parse(value)
