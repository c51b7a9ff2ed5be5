"""`settle` for many people: memory that does not grow with them, and counts of those who wait."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from tests.durable.kit import START

import guestlist
from guestlist import AsyncGuestlist, Guestlist
from guestlist.changes import Action, Change
from guestlist.errors import ServiceUnavailable, Unauthorized
from guestlist.ledger import Ledger, deferred_grants
from guestlist.ledger.origin import NOBODY
from guestlist.models import Invitation, Member, Role, State
from guestlist.provider import Flow, Page, Provider, Request, operation
from guestlist.runs import SettleResult
from pytest_guestlist.clock import VirtualClock

PAGE = 100
ROSTER = """
[accounts.crowd]
provider = "vultr"
"""


class Crowd(Provider):
    """A service whose lists have pages. Every tenth person has declined."""

    name = "crowd"
    title = "Crowd"
    base_url: str = "https://crowd.test"
    most_roles = 0
    people: ClassVar[int] = 0
    members_from: ClassVar[int] = 10**9
    """The number of the first person who has accepted."""

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        yield Request.get("invitations")
        first = int(cursor or 0)
        last = min(first + PAGE, self.people)
        states = (State.DECLINED, *[State.PENDING] * 9)
        items = [
            Invitation(id=str(n), email=address(n), state=states[n % 10], raw={"id": n})
            for n in range(first, last)
            if n < self.members_from
        ]
        return Page(items, str(last) if last < self.people else None)

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield Request.get("members")
        accepted = range(min(self.members_from, self.people), self.people)
        return Page([Member(id=str(n), email=address(n), raw={"id": n}) for n in accepted])

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.put("members", member.id, role.id)


def address(number: int) -> str:
    return f"guest{number:05}@example.com"


class Door(httpx.MockTransport):
    """Answers everything with success, and remembers it."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json={})


class Office:
    """A ledger with a deferred role for each of many people."""

    def __init__(
        self, folder: Path, people: int, kind: type = Guestlist, provider: type[Crowd] = Crowd
    ) -> None:
        self.roster = folder / "guestlist.toml"
        self.roster.write_text(ROSTER)
        self.clock = VirtualClock(START)
        self.ledger = Ledger(folder / f"{people}.db", clock=self.clock)
        self.door = Door()
        self.client = kind({"crowd": provider()}, transport=self.door, clock=self.clock)
        grants = [
            Change(
                action=Action.SETTLE,
                account="crowd",
                email=address(number),
                key=address(number),
                roles=("editor",),
                single=True,
            )
            for number in range(people)
        ]

        def write(connection: Any) -> None:
            for grant in grants:
                deferred_grants.defer(connection, grant, START.timestamp(), NOBODY)

        self.ledger.store.make(write)

    def settle(self, **how: Any) -> SettleResult:
        how = {"ledger": self.ledger, "client": self.client, "allow_empty": True, **how}
        if isinstance(self.client, AsyncGuestlist):
            return asyncio.run(guestlist.settle_async(self.roster, **how))
        return guestlist.settle(self.roster, **how)


@pytest.fixture(autouse=True)
def crowd(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("guestlist.runs.settling.MAX_GRANTS_PER_CHECK", 40)
    return monkeypatch


def test_memory_does_not_grow_with_the_people(tmp_path: Path, crowd: pytest.MonkeyPatch) -> None:
    crowd.setattr("guestlist.ledger.deferred_grants.ROWS_PER_READ", 40)
    crowd.setattr("guestlist.runs.settling.MAX_LOST_PEOPLE", 10)
    peaks = []
    for people in (100, 200, 600):  # the first loads modules
        crowd.setattr(Crowd, "people", people)
        office = Office(tmp_path, people)
        tracemalloc.start()
        result = office.settle()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        office.ledger.close()
        assert (result.waiting, result.lost) == (people * 9 // 10, people // 10)
        assert [guest.state for guest in result.lost_people] == ["declined"] * 10
    assert peaks[2] < 1.5 * peaks[1], peaks


@pytest.mark.parametrize("kind", [Guestlist, AsyncGuestlist])
def test_roles_are_given_in_runs_of_limited_size(
    tmp_path: Path, crowd: pytest.MonkeyPatch, kind: type
) -> None:
    crowd.setattr(Crowd, "people", 100)
    crowd.setattr(Crowd, "members_from", 0)
    office = Office(tmp_path, 100, kind)
    result = office.settle()
    assert (len(result.runs), result.errors) == (3, [])
    given = [line for line in office.door.requests if line.startswith("PUT")]
    assert len(given) == len(set(given)) == 100
    assert list(deferred_grants.all_deferred(office.ledger.store)) == []
    assert office.settle().runs == []
    office.ledger.close()


def test_a_service_that_fails_midway_keeps_the_grants(
    tmp_path: Path, crowd: pytest.MonkeyPatch
) -> None:
    """No further batch is looked up, and the next call gives all roles."""
    crowd.setattr(Crowd, "people", 100)
    crowd.setattr(Crowd, "members_from", 0)
    office = Office(tmp_path, 100)
    looks: list[int] = []
    status_many: Any = Guestlist.status_many

    def failing(self: Guestlist, emails: set[str], **how: Any) -> Any:
        looks.append(len(emails))
        if len(looks) == 2:
            raise ServiceUnavailable("down")
        return status_many(self, emails, **how)

    with crowd.context() as patched:
        patched.setattr(Guestlist, "status_many", failing)
        result = office.settle()
    assert looks == [40, 40]
    assert [type(error) for error in result.errors] == [ServiceUnavailable]
    assert len(list(deferred_grants.all_deferred(office.ledger.store))) == 60
    assert office.settle().errors == []
    assert list(deferred_grants.all_deferred(office.ledger.store)) == []
    office.ledger.close()


def test_a_refused_key_is_tried_once_for_all_batches(
    tmp_path: Path, crowd: pytest.MonkeyPatch
) -> None:
    crowd.setattr(Crowd, "people", 100)
    crowd.setattr(Crowd, "members_from", 0)
    office = Office(tmp_path, 100)

    def refuse(*_: object, **__: object) -> None:
        raise Unauthorized("wrong key", status=401).about(account="crowd")

    with crowd.context() as patched:
        patched.setattr(Guestlist, "assign_role", refuse)
        result = office.settle()
    assert len(result.runs) == 1
    assert {type(error) for error in result.errors} == {Unauthorized}
    assert office.settle().errors == []
    assert len([line for line in office.door.requests if line.startswith("PUT")]) == 100
    office.ledger.close()


class Costly(Crowd):
    """Takes a request for each invitation in detail, but lists summaries of them."""

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        yield Request.get("invitation")
        return Invitation(id="1", email=email, state=State.PENDING)

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        yield Request.get("member")
        return None

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        page = yield from super().invitations(cursor)
        for _ in page.items:
            yield Request.get("invitation")
        return page

    @operation
    def invitation_summaries(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        return (yield from super().invitations(cursor))


@pytest.mark.parametrize("kind", [Guestlist, AsyncGuestlist])
@pytest.mark.parametrize(("people", "requests"), [(300, 5), (150, 3), (5, 10)])
def test_invitations_are_not_asked_for_one_by_one(
    tmp_path: Path, crowd: pytest.MonkeyPatch, kind: type, people: int, requests: int
) -> None:
    crowd.setattr("guestlist.runs.settling.MAX_GRANTS_PER_CHECK", 1_000)
    crowd.setattr(Crowd, "people", people)
    office = Office(tmp_path, people, kind, Costly)
    result = office.settle()
    assert result.waiting > 0
    assert len(office.door.requests) <= requests
    office.ledger.close()
