"""A pace that processes share through the ledger: together they stay below a service's limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from guestlist import Guest, Guestlist, State
from guestlist.client import for_run
from guestlist.errors import RateLimited
from guestlist.exchange.rate_limiter import MARGIN_SECONDS, RateLimiter, Reservation
from guestlist.ledger import Ledger
from guestlist.ledger.shared_rate_limiter import SharedRateLimiter
from guestlist.provider import Limit
from guestlist_aitronos import Aitronos
from guestlist_vultr import Vultr


class Clock:
    """A virtual clock. Each process has its own idea of when monotonic time began. `step` is what
    the wall clock was set by."""

    def __init__(self, began: float) -> None:
        self.passed = 0.0
        self.step = 0.0
        self._began = began

    def monotonic(self) -> float:
        return self._began + self.passed

    def now(self) -> datetime:
        return datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed + self.step)

    def sleep(self, seconds: float) -> None:
        self.passed += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Process:
    """A process that has opened the ledger."""

    def __init__(self, path: Path, began: float, provider: Vultr | Aitronos) -> None:
        self.clock = Clock(began)
        self.ledger = Ledger(path, clock=self.clock)
        self.rate_limiter: RateLimiter = self.ledger.rate_limiter(provider)

    def reserve(self) -> float:
        """The moment, in seconds since the beginning, at which the next request may go."""
        return self.clock.passed + self.rate_limiter.reserve(self.clock.monotonic()).delay

    def check(self) -> list[float]:
        """When the requests of a call left, in seconds since the beginning."""
        left: list[float] = []

        def answer(request: httpx.Request) -> httpx.Response:
            left.append(self.clock.passed)
            return httpx.Response(200, json={"organization": {"name": "Works"}})

        account = Vultr(api_key="a-key", organization_id="an-organization")
        transport = httpx.MockTransport(answer)
        with Guestlist(
            {"cloud": account}, transport=transport, clock=self.clock, ledger=self.ledger
        ) as guests:
            guests.check()
        return left


VULTR = Vultr(api_key="a-key")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Process]]:
    several = [Process(tmp_path / "ledger.db", 1000.0 * number, VULTR) for number in range(4)]
    yield several
    for one in several:
        one.ledger.close()


def test_all_processes_together_stay_below_the_limit(processes: list[Process]) -> None:
    moments = sorted(processes[turn % 4].reserve() for turn in range(300))
    for first, last in zip(moments, moments[30:], strict=False):
        assert last - first > 1.0
    assert 300 / moments[-1] > 0.96 * 30


def test_a_pause_applies_to_all_processes(processes: list[Process]) -> None:
    one, other = processes[:2]
    before = other.rate_limiter.pauses
    one.rate_limiter.push_back(one.clock.monotonic(), 20.0, refused=True)
    other.rate_limiter.look()
    assert other.rate_limiter.pauses == before + 1
    assert other.reserve() >= 20.0


def test_the_wait_for_the_ledger_delays_no_request(
    processes: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that leaves later than at its moment arrives together with others."""
    one, other = processes[:2]
    pacing = one.ledger.store.pacing

    @contextmanager
    def held_up() -> Iterator[Connection]:
        one.clock.sleep(0.05)
        with pacing() as connection:
            yield connection

    monkeypatch.setattr(one.ledger.store, "pacing", held_up)
    other.rate_limiter.push_back(other.clock.monotonic(), 20.0)
    assert one.check() == [pytest.approx(20.0)]
    later = one.clock.passed
    assert one.reserve() >= 0.05 + later  # it is counted from when the ledger was free


def test_a_moment_that_is_missed_while_the_intent_is_written_is_not_used(
    processes: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = processes[0]
    write = one.ledger.store.write

    def slowly(change: Callable[[Connection], Any]) -> Any:
        one.clock.sleep(0.5)
        return write(change)

    monkeypatch.setattr(one.ledger.store, "write", slowly)
    apart: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        apart.append(one.reserve() - one.clock.passed)
        return httpx.Response(201, json={"id": "1", "email_invited": "ada@example.com"})

    transport = httpx.MockTransport(answer)
    with Guestlist(
        {"cloud": VULTR}, transport=transport, clock=one.clock, ledger=one.ledger
    ) as guests:
        nobody = Guest(account="cloud", email="ada@example.com", state=State.GONE)
        entry = one.ledger.entry(nobody, "invite", (), ())
        for_run(guests, nobody, entry).invite("ada@example.com")
    assert apart == [pytest.approx((1 + MARGIN_SECONDS) / 30, abs=1e-5)]


def test_requests_sent_before_a_pause_was_known_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Aitronos(api_key="ak_1", organization_id="org_1")
    one, other = (Process(tmp_path / "ledger.db", began, account) for began in (0.0, 1000.0))
    pacing = one.ledger.store.pacing
    moments = [other.reserve() for _ in range(97)]

    @contextmanager
    def held_up() -> Iterator[Connection]:
        for process in (one, other):
            process.clock.sleep(moments[-1])
        with pacing() as connection:
            yield connection

    monkeypatch.setattr(one.ledger.store, "pacing", held_up)
    one.rate_limiter.push_back(one.clock.monotonic(), 0.0)  # at 0, and known when all have gone
    assert moments[-1] < 60.0 < other.reserve()
    for process in (one, other):
        process.ledger.close()


def test_a_pause_right_after_a_reservation_makes_it_invalid(
    processes: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = processes[0]
    reserve = SharedRateLimiter.reserve
    rests = iter([20.0])

    def interrupted(
        limiter: SharedRateLimiter, now: float, patience: float = float("inf")
    ) -> Reservation:
        reserved = reserve(limiter, now, patience)
        if patience > 0 and (rest := next(rests, None)):  # another thread's
            limiter.push_back(now, rest)
        return reserved

    monkeypatch.setattr(SharedRateLimiter, "reserve", interrupted)
    one.rate_limiter.push_back(one.clock.monotonic(), 1.0)
    assert one.check() == [pytest.approx(20.0)]


def test_a_moment_for_which_there_is_no_patience_is_left_for_others(
    processes: list[Process],
) -> None:
    one, other = processes[:2]
    one.reserve()
    delays = {
        one.rate_limiter.reserve(one.clock.monotonic(), patience=0.01).delay for _ in range(5)
    }
    assert min(delays) > 0.01
    assert other.reserve() <= max(delays) + 0.001


def test_the_wait_for_the_ledger_is_no_time_that_is_left(processes: list[Process]) -> None:
    one, other = processes[:2]
    asked = one.clock.monotonic()
    one.clock.sleep(1.0)
    other.clock.sleep(1.0)
    assert one.rate_limiter.reserve(asked, patience=0.5).delay >= 1.0
    assert other.reserve() == 1.0


@pytest.mark.parametrize("step", [-86_400.0, -1800.0, -20.0, -0.5, 0.5, 1800.0, 86_400.0])
def test_setting_the_clock_costs_at_most_one_window(processes: list[Process], step: float) -> None:
    """Each request waits for its moment; after half of them the clock is set."""
    left: list[float] = []
    for turn in range(120):
        left.append(processes[turn % 4].reserve())
        for one in processes:
            one.clock.passed = left[-1]
            one.clock.step = step if turn > 60 else 0.0
    assert max(later - before for before, later in pairwise(left)) < 1.1
    assert left[-1] < 120 / 30 * 1.04 + 1.1


def test_a_clock_that_was_set_back_lets_no_burst_pass(processes: list[Process]) -> None:
    left = [one.reserve() for one in processes[:2] for _ in range(45)]
    for one in processes:
        one.clock.step = -1800.0
    left += [processes[2].reserve() for _ in range(60)]
    for first, last in zip(left, left[30:], strict=False):
        assert last - first > 1.0


def test_a_pause_lasts_as_long_as_asked_when_the_clock_is_set_back(
    processes: list[Process],
) -> None:
    one, other = processes[:2]
    one.rate_limiter.push_back(
        one.clock.monotonic(), 600.0, refused=True, pause=600.0, reason="HTTP 429"
    )
    for process in (one, other):
        process.clock.step = -1800.0
    assert 600.0 <= other.reserve() <= 601.1


def test_every_process_knows_a_pause_its_reason_and_its_end(processes: list[Process]) -> None:
    one, other = processes[:2]
    one.rate_limiter.push_back(
        one.clock.monotonic(), 20.0, refused=True, pause=600.0, reason="too many"
    )
    one.clock.sleep(5.0)
    other.clock.sleep(5.0)
    other.rate_limiter.look()
    assert other.rate_limiter.pause_reason == "too many"
    assert other.rate_limiter.pause_ends - other.clock.monotonic() == pytest.approx(595.0)


def test_a_process_that_starts_within_a_pause_says_why_it_sends_nothing(tmp_path: Path) -> None:
    """The service has refused a call of another process, with `Retry-After`."""
    account = {"cloud": Vultr(api_key="a-key", organization_id="an-organization")}
    sent: list[str] = []
    errors: list[RateLimited] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path)
        headers = {"Retry-After": "600"}
        return httpx.Response(429, headers=headers, json={"error": "Slow down, a-key."})

    for number in range(2):
        process = Process(tmp_path / "ledger.db", 1000.0 * number, VULTR)
        with (
            Guestlist(
                account,
                transport=httpx.MockTransport(answer),
                clock=process.clock,
                ledger=process.ledger,
            ) as guests,
            pytest.raises(RateLimited) as told,
        ):
            guests.check()
        errors.append(told.value)
        process.ledger.close()
    assert len(sent) == 1
    assert "asked for a pause of 10 min, until 2027-01-01 00:10 UTC" in errors[1].message
    assert "Slow down" in errors[1].message
    assert "a-key" not in errors[1].message
    assert errors[1].retry_after == pytest.approx(600.0)


def test_accounts_are_counted_as_the_service_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vultr counts network addresses, Aitronos credentials: of one machine, all accounts share the
    first, and other keys have a pace of their own under the second."""
    monkeypatch.setattr(Aitronos, "limits", (Limit(20, 60.0),))
    with Ledger(tmp_path / "ledger.db") as ledger:
        now = time.monotonic()
        one, two = ledger.rate_limiter(VULTR), ledger.rate_limiter(Vultr(api_key="another"))
        one.reserve(now)
        assert two.reserve(now).delay > 0
        keys = [Aitronos(api_key=key, organization_id="org_1") for key in ("ak_1", "ak_2")]
        first, second = map(ledger.rate_limiter, keys)
        for _ in range(20):
            first.reserve(now)
        assert first.reserve(now).delay > second.reserve(now).delay


def test_no_key_can_be_read_from_the_ledger(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.rate_limiter(Vultr(api_key="SECRET-KEY")).reserve(0.0)
        ledger.rate_limiter(Aitronos(api_key="SECRET-KEY", organization_id="org_1")).reserve(0.0)
    for file in tmp_path.iterdir():
        assert b"SECRET" not in file.read_bytes()


class Newer(Vultr):
    """A later version of the plugin, whose authors have learned of another limit."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        return (*super().limits, Limit(1000, 60.0))


def test_a_rate_limiter_starts_anew_when_the_limits_change(tmp_path: Path) -> None:
    for provider in (VULTR, Newer(api_key="a-key"), VULTR):
        process = Process(tmp_path / "ledger.db", 0.0, provider)
        assert process.reserve() < 1.0
        process.ledger.close()
