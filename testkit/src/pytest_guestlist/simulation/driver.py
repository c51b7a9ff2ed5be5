"""The simulation's driver: carries out the steps of several calls in turns, on the virtual
clock."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any
from urllib.parse import parse_qsl

from guestlist.exchange.account import Budget
from guestlist.exchange.step import Acquire, Outgoing, Release, Send, SendFailure, Sleep, Steps
from guestlist.models import Guest, InviteResult, RoleResult
from guestlist.provider import Effect, Request, Response
from pytest_guestlist.simulation.faults import AT_ONCE, LATE, Case, FaultScheduler, SimulatedFault
from pytest_guestlist.simulation.world import (
    PAGE_SIZES,
    PAGE_STARTS,
    ClientClock,
    SimulatedService,
    Time,
    body_of,
)
from pytest_guestlist.spy import Spy

Log = Callable[[str], None]


@dataclass
class Client:
    """One client: its account, and the calls that hold or wait for the lock of a person."""

    name: str
    account: Spy
    clock: ClientClock
    held: dict[Hashable, int] = field(default_factory=dict)
    waiting: defaultdict[Hashable, deque[tuple[Caller, int]]] = field(
        default_factory=lambda: defaultdict(deque)
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of a call.

    Attributes:
        result: the answer or failure that the call got; None if it has not got any.
        ended: when it got the result.
    """

    request: Request
    fault: SimulatedFault | None
    began: float
    ended: float | None = None
    result: Response | SendFailure | None = None


@dataclass
class Caller:
    """One call under way.

    Attributes:
        number: the number of the call, from 1.
        verb: the name of the verb.
        arguments: the arguments of the verb besides the address.
        login_alone: the login, if the call names the person by it and without the address.
        interrupt: the number of the step that is interrupted, from 1; None if none is.
    """

    number: int
    client: Client
    verb: str
    arguments: dict[str, Any]
    email: str
    steps: Steps[Any]
    starts: float
    budget: Budget = field(default_factory=Budget)
    login_alone: str | None = None
    interrupt: int | None = None
    interruption: BaseException | None = None
    started: float | None = None
    ended: float | None = None
    value: Any = None
    error: BaseException | None = None
    sent: list[Sent] = field(default_factory=list)
    before: tuple[tuple[Any, ...], Response] | None = None
    taken: int = 0
    """The number of steps so far. Actions that were scheduled for an earlier step are ignored."""

    def __str__(self) -> str:
        words = [f"{name}={getattr(one, 'label', one)}" for name, one in self.arguments.items()]
        return f"{self.client.name} #{self.number} {self.verb}({', '.join([self.email, *words])})"


class SimulatedDriver:
    """Carries out the steps of all calls of one run."""

    def __init__(
        self,
        time: Time,
        site: SimulatedService,
        faults: FaultScheduler,
        random: Random,
        secrets: Callable[[], list[str]],
        log: Log,
        late_effect: float,
    ) -> None:
        self._time = time
        self._site = site
        self._faults = faults
        self._random = random
        self._secrets = secrets
        self._log = log
        self._late_effect = late_effect

    def start(self, caller: Caller) -> None:
        """Schedules the start of a call."""

        def begin() -> None:
            caller.started = self._time.now
            self._log(f"{caller} begins")
            self._go_on(caller, lambda: next(caller.steps))

        self._time.at(caller.starts, begin)

    # ------------------------------------------------------------------ steps

    def _go_on(self, caller: Caller, resume: Callable[[], Any]) -> None:
        try:
            step = resume()
        except StopIteration as done:
            caller.value = done.value
            self._end(caller, f"returns {_brief(done.value)}")
        except BaseException as error:  # also the interruption that was thrown in
            caller.error = error
            self._end(caller, f"raises {type(error).__name__}: {error}")
        else:
            self._carry_out(caller, step)

    def _carry_out(self, caller: Caller, step: Any) -> None:
        caller.taken += 1
        if isinstance(step, Send):
            until = self._send(caller, step.outgoing)
        elif isinstance(step, Sleep):
            self._log(f"#{caller.number} sleeps {step.seconds:.3f} s")
            until = self._time.now + step.seconds
            self._resume_at(until, caller, None)
        elif isinstance(step, Release):
            until = self._time.now
            if step.key in caller.client.held:
                self._release(caller.client, step.key)
            self._resume_at(until, caller, None)
        else:
            until = self._acquire(caller, step)
        if caller.interrupt == caller.taken:
            self._interrupt(caller, self._random.uniform(self._time.now, until))

    def _resume_at(self, moment: float, caller: Caller, result: object) -> None:
        turn = caller.taken

        def resume() -> None:
            if caller.taken == turn and caller.ended is None:
                self._go_on(caller, lambda: caller.steps.send(result))

        self._time.at(moment, resume)

    def _interrupt(self, caller: Caller, moment: float) -> None:
        turn = caller.taken
        kind = self._random.choice((KeyboardInterrupt, asyncio.CancelledError))

        def interrupt() -> None:
            if caller.taken == turn and caller.ended is None:
                caller.interruption = kind()
                caller.taken += 1
                self._log(f"#{caller.number} is interrupted by {kind.__name__}")
                error = caller.interruption
                self._go_on(caller, lambda: caller.steps.throw(error))

        self._time.at(moment, interrupt)

    def _end(self, caller: Caller, how: str) -> None:
        caller.ended = self._time.now
        self._log(f"#{caller.number} {how}")
        caller.steps.close()
        for key in [key for key, one in caller.client.held.items() if one == caller.number]:
            self._release(caller.client, key)

    # ------------------------------------------------------------------ locks

    def _acquire(self, caller: Caller, step: Acquire) -> float:
        client, ends = caller.client, self._time.now + step.seconds
        if step.places > 1:  # more places than the simulation has callers
            self._resume_at(self._time.now, caller, True)
            return self._time.now
        if client.held.setdefault(step.key, caller.number) == caller.number:
            self._resume_at(self._time.now, caller, True)
            return self._time.now
        self._log(f"#{caller.number} waits for call #{client.held[step.key]}")
        client.waiting[step.key].append((caller, caller.taken))
        self._resume_at(ends, caller, False)
        return ends

    def _release(self, client: Client, key: Hashable) -> None:
        del client.held[key]
        waiting = client.waiting[key]
        while waiting:
            following, turn = waiting.popleft()
            if following.taken == turn and following.ended is None:
                client.held[key] = following.number
                self._time.at(self._time.now, partial(self._let_in, following, turn, key))
                return

    def _let_in(self, caller: Caller, turn: int, key: Hashable) -> None:
        if caller.taken == turn and caller.ended is None:
            self._go_on(caller, lambda: caller.steps.send(True))
        elif caller.client.held.get(key) == caller.number:
            self._release(caller.client, key)

    # ------------------------------------------------------------------ sending

    def _send(self, caller: Caller, outgoing: Outgoing) -> float:
        """Schedules the effect and the result of a request. Returns the time of the result."""
        now, random, number = self._time.now, self._random, len(caller.sent)
        request = caller.client.account.request_of(outgoing)
        fault = self._faults.draw()
        reads = request.effect is Effect.READ
        latency = random.choice((0.004, 0.01, 0.05, 0.2, 1.0)) * random.uniform(0.5, 1.0)
        result_at = now + min(latency, outgoing.timeout)
        if fault is not None and fault.slow:
            result_at = now + outgoing.timeout
        if fault is not None and fault.total:
            result_at = now + outgoing.total
        acts_at = now + random.uniform(0.0, min(latency, outgoing.timeout))
        acts = AT_ONCE if fault is None else fault.acts
        if acts is LATE:
            acts_at = result_at + random.choice((0.1, 0.5, 1.0, 1.0)) * self._late_effect
        caller.sent.append(Sent(request, fault, now))
        self._log(f"#{caller.number} sends {request}" + (f"   <-- {fault.name}" if fault else ""))
        real: list[Response] = []

        def act() -> None:
            response = self._site.answer(outgoing, request.effect, caller.number)
            real.append(response)
            if not reads:
                late = " late" if acts is LATE else ""
                self._log(f"    the service acts{late} on {request}: {response.status}")

        def deliver() -> None:
            result: Any = real[0] if real else None
            page = _page_of(outgoing)
            before = caller.before
            if fault is not None:
                follows = before is not None and reads and _follows(before[0], page)
                case = Case(
                    random,
                    outgoing,
                    now,
                    self._secrets(),
                    before[1] if before and follows else None,
                    self._site.refuses,
                )
                result = fault.result(case, real[0] if real and acts is AT_ONCE else None)
            if reads and isinstance(result, Response):
                caller.before = (page, result)
            caller.sent[number] = Sent(request, fault, now, self._time.now, result)
            self._log(f"#{caller.number} gets {_words(result)}")
            self._go_on(caller, lambda: caller.steps.send(result))

        if acts is AT_ONCE or (acts is LATE and not reads):
            self._time.at(acts_at, act)
        turn = caller.taken

        def deliver_in_turn() -> None:
            if caller.taken == turn and caller.ended is None:
                deliver()

        self._time.at(result_at, deliver_in_turn)
        return result_at


def _page_of(outgoing: Outgoing) -> tuple[Any, ...]:
    """Returns the list that a request asks for, and its page parameters."""
    path, _, query = outgoing.url.partition("?")
    body = body_of(outgoing)
    asked = {**dict(parse_qsl(query)), **(body if isinstance(body, dict) else {"": body})}
    parts = {name: asked.pop(name) for name in PAGE_STARTS if name in asked}
    return (outgoing.method, path, asked), parts


def _follows(before: tuple[Any, ...], page: tuple[Any, ...]) -> bool:
    """Returns whether a request asks for another page of the list that was read just before."""
    return before[0] == page[0] and before[1] != page[1] and bool(PAGE_SIZES & page[0][2].keys())


def _words(result: Response | SendFailure) -> str:
    if isinstance(result, SendFailure):
        seen = f" (status {result.status})" if result.status else ""
        return f"no answer: {result.reason}{seen}"
    return f"{result.status} {result.content[:120].decode('utf-8', 'replace')}"


def _brief(value: Any) -> str:
    """Returns a short text for the result of a call."""
    if isinstance(value, InviteResult):
        return f"{value.outcome}, email_sent={value.email_sent}, {_brief(value.guest)}"
    if isinstance(value, Guest):
        invitation = value.invitation.id if value.invitation else None
        return f"{value.email} is {value.state} ({value.basis}), invitation {invitation}"
    if isinstance(value, RoleResult):
        return f"{value.outcome} {value.role.label}"
    return f"{len(value)} records" if isinstance(value, list) else repr(value)
