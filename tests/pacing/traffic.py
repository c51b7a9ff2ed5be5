"""Many callers of one client on virtual time, against a sandbox that counts strictly.

Every caller is a generator of steps, as in a thread of its own. A request leaves, travels for a
random time, is counted by the service when it arrives, and its answer travels for a random time
again. Nothing waits: a heap of moments is worked off in order.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from guestlist.errors import GuestlistError
from guestlist.exchange.account import Account, Budget
from guestlist.exchange.step import Acquire, Block, Release, Send, SendFailure, Sleep, Steps
from guestlist.provider import Provider, Response
from guestlist.sandbox.service import AdjustableClock, Service
from guestlist.verbs import Accounts, check
from guestlist_aitronos import Aitronos
from guestlist_aitronos.sandbox import AitronosService
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService
from pytest_guestlist.calling import ServiceWire

START = datetime(2026, 5, 4, 9, 15, tzinfo=UTC).timestamp()
BASE_URL = "http://127.0.0.1:1"
PATIENT = Budget(total=100_000.0)
STALLS = 5.0
"""Seconds from one moment at which a machine does nothing to the next."""


class SimulatedTime:
    """A clock that stands wherever the heap has come to."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def now(self) -> datetime:
        return datetime.fromtimestamp(START + self.at, UTC)

    def sleep(self, seconds: float) -> None:
        raise AssertionError("the simulation sleeps, not the clock")

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


@dataclass(frozen=True)
class Case:
    """A service with the limit that it enforces."""

    name: str
    service: type[Service]
    switches: dict[str, str]
    account: Callable[..., Provider]
    per_second: float
    """What is allowed."""
    burst: int = 0
    """What is allowed besides, once."""

    def provider(self, service: Service) -> Provider:
        return self.account(**service.settings(BASE_URL))


def _vultr(**settings: Any) -> Provider:
    return Vultr(**settings)


def _premium(**settings: Any) -> Provider:
    return Aitronos(**settings, plan="premium")


def _standard(**settings: Any) -> Provider:
    return Aitronos(**settings)


CASES = [
    Case(f"{name} {rate}", service, {"rate": rate, **more}, account, allowed)
    for rate in ("bucket", "window")
    for name, service, more, account, allowed in (
        ("30/s", VultrService, {}, _vultr, 30.0),
        ("100/min", AitronosService, {"plan": "standard"}, _standard, 100 / 60),
        ("1000/min", AitronosService, {"plan": "premium"}, _premium, 1000 / 60),
    )
]


@dataclass
class Traffic:
    """What came of it.

    Attributes:
        statuses: how many answers had which status.
        departures, arrivals: when each request left and came, in seconds.
        errors: what callers were told instead of an answer.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    departures: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    errors: list[GuestlistError] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.departures[-1] - self.departures[0]

    def share(self, per_second: float) -> float:
        """The part of the allowed rate that was used, once the first had left."""
        return (self.statuses[200] - 1) / (self.seconds * per_second)


class Simulation:
    """A network with jitter between callers and one service.

    Args:
        jitter: seconds; every way takes between none and so much.
        stall: seconds for which the callers' machine does nothing at all, every `STALLS` seconds.
        seed: of the times.
    """

    def __init__(
        self, service: Service, time: SimulatedTime, *, jitter: float, stall: float, seed: int
    ) -> None:
        self.time = time
        self.traffic = Traffic()
        self._wire = ServiceWire(service)
        self._jitter = jitter
        self._stall = stall
        self._random = random.Random(seed)
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self.tamper: Callable[[Response], Response] = lambda response: response

    def at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (moment, next(self._order), action))

    def run(self) -> Traffic:
        """Works off everything that happens."""
        while self._heap:
            self.time.at, _, action = heapq.heappop(self._heap)
            action()
        return self.traffic

    def start(self, calls: Callable[[], Steps[Any] | None], at: float = 0.0) -> None:
        """Lets a caller make one call after another, until there are no more."""
        self.at(at, lambda: self._next(calls))

    def _next(self, calls: Callable[[], Steps[Any] | None]) -> None:
        steps = calls()
        if steps is not None:
            self._resume(steps, None, calls)

    def _resume(
        self, steps: Steps[Any], result: object, calls: Callable[[], Steps[Any] | None]
    ) -> None:
        try:
            step = steps.send(result)
        except StopIteration:
            self._next(calls)
            return
        except GuestlistError as error:
            self.traffic.errors.append(error)
            self._next(calls)
            return
        now = self.time.at
        if isinstance(step, Send):
            arrival = now + self._random.uniform(0, self._jitter)
            self.traffic.departures.append(now)
            self.at(arrival, lambda: self._arrive(steps, step, calls))
        elif isinstance(step, Acquire | Release):
            self._resume(steps, True, calls)
        elif isinstance(step, Block):
            self._resume(steps, step.function(), calls)
        else:
            assert isinstance(step, Sleep)
            awake = self._awake(now + step.seconds)
            self.at(awake, lambda: self._resume(steps, None, calls))

    def _awake(self, moment: float) -> float:
        """When the machine comes to what it should do at that moment."""
        into = moment % STALLS
        return moment - into + self._stall if into < self._stall else moment

    def _arrive(
        self, steps: Steps[Any], step: Send, calls: Callable[[], Steps[Any] | None]
    ) -> None:
        answer: Response | SendFailure = self._wire.send(step.outgoing)
        if isinstance(answer, Response):
            answer = self.tamper(answer)
            self.traffic.statuses[answer.status] += 1
        self.traffic.arrivals.append(self.time.at)
        back = self._awake(self.time.at + self._random.uniform(0, self._jitter))
        self.at(back, lambda: self._resume(steps, answer, calls))


def network(
    case: Case, *, jitter: float = 0.05, stall: float = 0.0, seed: int = 0
) -> tuple[Simulation, Provider]:
    """A fresh service behind a network, and a provider that reaches it."""
    time = SimulatedTime()
    service = case.service(clock=AdjustableClock(lambda: START + time.at))
    service.configure(**case.switches)
    return Simulation(service, time, jitter=jitter, stall=stall, seed=seed), case.provider(service)


def bulk(
    case: Case,
    callers: int,
    calls: int,
    *,
    jitter: float = 0.05,
    stall: float = 0.0,
    seed: int = 0,
) -> Traffic:
    """Many callers of one client make so many calls between them, of one request each."""
    simulation, provider = network(case, jitter=jitter, stall=stall, seed=seed)
    accounts = Accounts({"a": Account("a", provider, simulation.time)}, budget=PATIENT)
    left = iter(range(calls))

    def next_call() -> Steps[Any] | None:
        return check(accounts) if next(left, None) is not None else None

    for _ in range(callers):
        simulation.start(next_call)
    return simulation.run()


def most_within(moments: list[float], seconds: float) -> int:
    """The most moments that any stretch of so many seconds holds, its end not included."""
    return max(_counts(sorted(moments), seconds))


def _counts(moments: list[float], seconds: float) -> Iterator[int]:
    first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - seconds:
            first += 1
        yield last - first + 1
