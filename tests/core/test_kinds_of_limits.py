"""Limits that count only some requests: they delay those, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import RateLimited
from guestlist.event import Event
from guestlist.exchange.account import Budget
from guestlist.ledger import Ledger
from guestlist.models import Invitation, Member, NewInvitation, State
from guestlist.provider import Flow, Limit, Page, Provider, Request, operation, setting

HOUR = 3600.0
PATIENT = Budget(total=10 * HOUR)


def creates(request: Request) -> bool:
    return request.method == "POST" and request.path == ("invitations",)


class Clerical(Provider):
    """A service that allows 10 invitations an hour and 100 requests in 10 s."""

    name = "clerical"
    title = "Clerical"
    base_url: str = setting("Where it is", default="https://clerical.example")

    @property
    def refuses_duplicates(self) -> bool:
        return True

    @property
    def limits(self) -> tuple[Limit, ...]:
        return (Limit(100, 10.0), Limit(10, HOUR, applies_to=creates))

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        reply = yield Request.post("invitations", json={"email": new.email})
        return Invitation(id=reply.mapping()["id"], email=new.email, state=State.PENDING)

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield Request.get("members")
        return Page([])


class Clock:
    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        self.passed += seconds

    async def asleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()
        self.passed += seconds


class Service:
    """Counts what arrives. Refuses invitations while `refuses` is set."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.came: list[tuple[str, float]] = []
        self.refuses = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.came.append((request.method, self.clock.passed))
        if self.refuses and request.method == "POST":
            return httpx.Response(429, headers={"retry-after": "1800"}, json={})
        return httpx.Response(200, json={"id": len(self.came)})

    def moments(self, method: str) -> list[float]:
        return [at for one, at in self.came if one == method]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(clock: Clock) -> Service:
    return Service(clock)


@pytest.fixture(params=["alone", "ledger"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Ledger | None]:
    if request.param == "alone":
        yield None
        return
    with Ledger(tmp_path / "ledger.db", clock=clock) as opened:
        yield opened


class Twofold(Clerical):
    """The same, with another limit that counts the same requests in a short window."""

    name = "twofold"

    @property
    def limits(self) -> tuple[Limit, ...]:
        few = Limit(5, 1.0, applies_to=lambda request: request.method != "GET")
        return (few, Limit(10, HOUR, applies_to=creates))


def test_a_request_takes_one_moment_of_each_limit_that_counts_it(
    clock: Clock, service: Service
) -> None:
    transport = httpx.MockTransport(service)
    with Guestlist({"twofold": Twofold()}, transport=transport, clock=clock, budget=PATIENT) as one:
        for number in range(20):
            one.invite(f"p{number}@example.com")
    assert service.moments("POST")[-1] < 20 * HOUR / 9  # 9 of 10 are used


def test_a_limit_of_some_requests_delays_only_those(
    clock: Clock, service: Service, ledger: Ledger | None
) -> None:
    with Guestlist(
        {"c": Clerical()},
        transport=httpx.MockTransport(service),
        clock=clock,
        budget=PATIENT,
        ledger=ledger,
    ) as guests:
        for number in range(12):
            guests.invite(f"ada{number}@example.com")
        waited = clock.passed
        list(guests.members())
        assert clock.passed - waited < 1.0
    made = service.moments("POST")
    assert len(made) == 12
    assert made[10] - made[0] > HOUR
    assert made[1] - made[0] < 10.0


def test_a_reservation_far_away_makes_no_other_request_wait(clock: Clock, service: Service) -> None:
    """The eleventh invitation is due in an hour; a list that is read meanwhile is not."""
    client = Guestlist({"c": Clerical()}, transport=httpx.MockTransport(service), clock=clock)
    with client as guests:
        for number in range(2):  # the burst
            guests.invite(f"ada{number}@example.com")
        limiter = guests._accounts.pick("c").rate_limiter
        create, everything = limiter.parts(Request.post("invitations"))
        assert create.reserve(clock.monotonic()).delay > 60
        assert limiter.parts(Request.get("members")) == (everything,)
        list(guests.members())
        assert clock.passed < 1.0


def test_a_refusal_pauses_the_requests_of_that_limit(
    clock: Clock, service: Service, ledger: Ledger | None
) -> None:
    events: list[Event] = []
    service.refuses = True
    with Guestlist(
        {"c": Clerical()},
        transport=httpx.MockTransport(service),
        clock=clock,
        watch=events.append,
        ledger=ledger,
    ) as guests:
        with pytest.raises(RateLimited):
            guests.invite("ada@example.com")
        list(guests.members())
        assert clock.passed < 60.0
        service.refuses = False
        with pytest.raises(RateLimited, match="asked for a pause of 30 min"):
            guests.invite("eve@example.com")
        assert guests.with_budget(total=HOUR).invite("eve@example.com").guest.invitation
    assert service.moments("POST")[-1] >= 1800.0
    assert [event.detail for event in events if event.name == "pace"][-1] is not None


def test_async_clients_keep_limits_of_some_requests(clock: Clock, service: Service) -> None:
    async def main() -> None:
        async with AsyncGuestlist(
            {"c": Clerical()},
            transport=httpx.MockTransport(service),
            clock=clock,
            budget=PATIENT,
        ) as guests:
            for number in range(12):
                await guests.invite(f"ada{number}@example.com")

    anyio.run(main)
    made = service.moments("POST")
    assert made[10] - made[0] > HOUR


def test_processes_with_one_ledger_share_limits_of_some_requests(
    tmp_path: Path, clock: Clock, service: Service
) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path, clock=clock) as one, Ledger(path, clock=clock) as other:
        for number in range(12):
            ledger = (one, other)[number % 2]
            with Guestlist(
                {"c": Clerical()},
                transport=httpx.MockTransport(service),
                clock=clock,
                budget=PATIENT,
                ledger=ledger,
            ) as guests:
                guests.invite(f"ada{number}@example.com")
    made = service.moments("POST")
    assert made[10] - made[0] > HOUR
