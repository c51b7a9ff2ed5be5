"""Reading a large organization, page by page: time, and memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from benchmarks.alone import Alone, alone, report_usage
from benchmarks.measure import Figure, scaled
from benchmarks.parsing import invite
from benchmarks.report import Chart, Report, Table, Target
from benchmarks.server import Site, answer, serving
from guestlist import Guestlist, Invitation, Member
from guestlist.provider import Limit
from guestlist_vultr import Vultr

KEY = "made-up"
PAGE = 500
SIZES = (1_000, 10_000, 100_000, 1_000_000)
INVITED = 5
"""For each invitation there are so many members."""
ROUNDS = {1_000: 7, 10_000: 7, 100_000: scaled(5), 1_000_000: scaled(3)}
"""How often each size is read."""

TEXT = f"""
Reads an organization like Vultr's with `members` and then `invitations`: a million members and
{1_000_000 // INVITED:,} invitations, {PAGE} on a page. The bare loop requests the same pages with
httpx, parses each with `response.json()`, and takes the id and the address of every record. Each
measurement is a separate process, and the two readers take turns. Memory is the largest resident
set of the process.
"""


class Unpaced(Vultr):
    """Without the service's limits: it is the code that is measured."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        return ()


def _user(number: int) -> dict[str, Any]:
    return {
        "id": f"f1d5ab0c-66fd-4dfb-b839-{number:012d}",
        "name": f"Member {number}",
        "email": f"member.{number:07d}@example.com",
        "api_enabled": True,
        "service_user": False,
        "acls": [],
    }


def site(people: int) -> Site:
    """Returns a service with this number of members and their invitations. New invitations are
    answered, and not stored."""
    users = _pages("users", [_user(number) for number in range(PAGE)], people)
    invites = _pages("invites", [invite(number) for number in range(PAGE)], people // INVITED)

    def find(method: str, target: str, body: bytes) -> bytes:
        if method == "POST":
            return invited(body)
        parts = urlsplit(target)
        cursor = parse_qs(parts.query).get("cursor", ["0"])[0]
        pages = users if parts.path.endswith("/users") else invites
        return pages(int(cursor))

    return find


def _pages(name: str, records: list[dict[str, Any]], total: int) -> Callable[[int], bytes]:
    """Returns the pages of one list. They differ only in a few digits of ids and addresses."""
    texts = [json.dumps(record, separators=(",", ":")) for record in records[:total]]
    body = f'{{"{name}":[{",".join(texts)}],"meta":{{"total":{total},"links":{{"next":"NEXT"}}}}}}'

    def page(cursor: int) -> bytes:
        following = cursor + PAGE
        cursor_text = str(following) if following < total else ""
        unique = body.replace("b839-000000", f"b839-{cursor // PAGE:06d}")
        unique = unique.replace(".0000", f".{cursor // PAGE:04d}")
        return answer(200, unique.replace("NEXT", cursor_text).encode())

    return page


def member_email(number: int) -> str:
    """Returns the address of a member, counted from 0."""
    return f"member.{number // PAGE:04d}{number % PAGE:03d}@example.com"


_INVITED = json.dumps(invite(0)).encode().partition(invite(0)["email_invited"].encode())


def invited(body: bytes) -> bytes:
    """Returns Vultr's answer to an invitation."""
    email: str = json.loads(body)["email_invited"]
    return answer(201, _INVITED[0] + email.encode() + _INVITED[2])


def read_ours(base_url: str) -> Iterator[int]:
    """Yields 0 when everything is ready, then the number of records that guestlist has read."""
    account = Unpaced(base_url=base_url, api_key=KEY, organization_id=None)
    with Guestlist({"vultr": account}) as guests:
        next(guests.members())
        yield 0
        people: Iterator[Member | Invitation] = chain(guests.members(), guests.invitations())
        yield sum(1 for one in people if one.id and one.email)


def read_bare(base_url: str) -> Iterator[int]:
    """The same with httpx alone."""
    found = 0
    with httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        client.get("/v2/users")
        yield 0
        for path, name, field in (
            ("/v2/users", "users", "email"),
            ("/v2/invitation", "invites", "email_invited"),
        ):
            cursor = ""
            while True:
                query = {"per_page": str(PAGE), **({"cursor": cursor} if cursor else {})}
                body = client.get(path, params=query).json()
                found += sum(1 for one in body[name] if one["id"] and one[field])
                cursor = body["meta"]["links"]["next"]
                if not cursor:
                    break
        yield found


READERS = {"guestlist": read_ours, "httpx": read_bare}


@cache
def readings() -> dict[int, dict[str, list[Alone]]]:
    """Each size read by each reader, in turns."""
    measured: dict[int, dict[str, list[Alone]]] = {}
    for people in SIZES:
        with serving(site(people)) as base_url:
            measured[people] = {name: [] for name in READERS}
            for _ in range(ROUNDS[people]):
                for name in READERS:
                    records = people + people // INVITED
                    reading = alone("benchmarks.listing", name, base_url, expected=records)
                    measured[people][name].append(reading)
    return measured


def measure() -> Report:
    """Measures the row."""
    read = readings()
    largest = max(SIZES)
    ours, theirs = read[largest]["guestlist"], read[largest]["httpx"]
    cpu = Figure.of([mine.cpu / its.cpu for mine, its in zip(ours, theirs, strict=True)])
    memory = _peak(ours).median / _peak(read[10_000]["guestlist"]).median
    return Report(
        title="A million people",
        text=TEXT,
        targets=[
            Target("CPU compared with the bare loop: at most 1.5", cpu.median, 1.5),
            Target("peak memory at 1,000,000 compared with 10,000: at most 1.2", memory, 1.2),
        ],
        tables=[
            Table(
                "Reading everybody",
                ("members", "with", "CPU per record, µs", "wall per record, µs", "peak, MiB"),
                [
                    (
                        f"{people:,}",
                        name,
                        Figure.of([one.cpu * 1e6 for one in each], "µs"),
                        Figure.of([one.wall * 1e6 for one in each], "µs"),
                        _peak(each),
                    )
                    for people, by_name in read.items()
                    for name, each in by_name.items()
                ],
            )
        ],
        charts=[
            Chart(
                "memory",
                "Peak memory while reading, MiB",
                [
                    (f"{name}, {people:,}", _peak(each))
                    for people, by_name in read.items()
                    for name, each in by_name.items()
                ],
                ours=[f"guestlist, {people:,}" for people in SIZES],
            )
        ],
    )


def _peak(readings: list[Alone]) -> Figure:
    return Figure.of([one.peak for one in readings], "MiB")


if __name__ == "__main__":
    report_usage(READERS[sys.argv[1]](sys.argv[2]))
