"""50,000 people over four accounts: small pages, quick, in constant memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient
from tests.console.conftest import BASE, Visitor

from guestlist import Guestlist, Invitation, Member, Role
from guestlist.console import create_app
from guestlist.models import Guest, State
from guestlist.runs.person import Person
from guestlist_vultr import Vultr

PEOPLE = 50_000
NOW = datetime.now(UTC)
ROLE = Role(id="1", name="Engineering", kind="group")


class Everybody:
    """The result of reading many people, without services."""

    def __init__(self, accounts: list[str], number: int) -> None:
        self.errors: dict[str, Exception] = {}
        self._accounts = accounts
        self._number = number

    def __iter__(self) -> Iterator[Person]:
        for number in range(self._number):
            email = f"person{number:05}@example.com"
            guests = [self._guest(name, email, number + n) for n, name in enumerate(self._accounts)]
            yield Person(key=email, email=email, guests=tuple(guests), in_roster=number % 2 == 0)

    def _guest(self, account: str, email: str, number: int) -> Guest:
        if number % 3:
            member = Member(id=str(number), email=email, name=f"Person {number}", roles=(ROLE,))
            return Guest(account=account, email=email, state=State.ACCEPTED, member=member)
        invitation = Invitation(
            id=str(number),
            email=email,
            state=State.PENDING,
            expires_at=NOW + timedelta(days=1 + number % 7),
        )
        return Guest(account=account, email=email, state=State.PENDING, invitation=invitation)


def open_console(accounts: int, people: int) -> Visitor:
    names = [f"account{number}" for number in range(accounts)]
    guests = Guestlist({name: Vultr(api_key=name) for name in names})
    console = create_app(guests)
    reading = console._site.people
    reading._read_at = time.monotonic()
    for one in reading.readings.values():
        one.at = NOW
    reading._replace(Everybody(names, people))  # type: ignore[arg-type]
    visitor = Visitor(console, TestClient(console, base_url=BASE))
    visitor.sign_in()
    return visitor


PAGES = (
    "/people",
    "/people?page=500",
    "/people?sort=name&page=1000",
    "/people?q=person4321",
    "/people?q=nobody",
    "/people?state=invited&account=account1",
    "/people?role=group:Engineering&page=3",
    "/invitations",
    "/invitations?page=900",
    "/accounts",
)


@pytest.mark.proof
def test_50_000_people_over_four_accounts() -> None:
    visitor = open_console(4, PEOPLE)
    slow: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for path in PAGES:
        slow[path] = float("inf")
        for _ in range(5):
            began = time.perf_counter()
            answer = visitor.http.get(path)
            slow[path] = min(slow[path], time.perf_counter() - began)
            sizes[path] = len(answer.content)
            assert answer.status_code == 200
    print(slow, sizes)
    assert "50,000 people" in visitor.page("/people")
    assert max(sizes.values()) < 100_000, sizes
    assert max(slow.values()) < 0.150, slow
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for page in range(1, 60):
        visitor.http.get(f"/people?page={page * 15}")
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 3_000_000
    visitor.console.finish()


def test_a_page_of_17_accounts_is_small() -> None:
    visitor = open_console(17, 60)
    page = visitor.http.get("/people")
    assert page.text.count("<tr>") == 51
    assert len(page.content) < 100_000
    visitor.console.finish()
