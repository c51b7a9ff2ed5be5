"""Every verb on several services, for sync and async callers, against the sandbox in this process.

Time is the sandbox's, and passes only when a client sleeps or a test moves it: nothing waits.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.in_process import InProcess

from guestlist import AsyncGuestlist, Guestlist
from guestlist.event import Event
from guestlist.ledger import Ledger
from guestlist.provider import Provider
from guestlist.sandbox import Email, Service
from guestlist.sandbox.world import World
from guestlist_aitronos import Aitronos
from guestlist_aitronos.sandbox import AitronosService
from guestlist_betterauth import BetterAuth
from guestlist_betterauth.sandbox import OWNER_TOKEN, BetterAuthService
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService

START = 1_800_000_000.0


@dataclass(frozen=True)
class Case:
    """A service, and what tests need to know of its seed.

    Attributes:
        inviting: what every invitation has to say beside the address.
        member: the address of somebody who is in.
        role: the name of something that can be granted.
        holds: what the member holds.
    """

    name: str
    provider: type[Provider]
    member: str
    role: str
    holds: str
    inviting: Mapping[str, Any] = field(default_factory=dict)
    secret: str = ""


CASES = {
    "vultr": Case(
        name="vultr",
        provider=Vultr,
        member="lena@example.org",
        role="Support Engineer",
        holds="group:Engineering",
        secret="VULTR-SANDBOX-OWNER-KEY",
    ),
    "aitronos": Case(
        name="aitronos",
        provider=Aitronos,
        member="sam.support@works.example",
        role="Admin",
        holds="Support",
        inviting={"role": "Member"},
        secret="ak_sandboxowner",
    ),
    "betterauth": Case(
        name="betterauth",
        provider=BetterAuth,
        member="omar@example.org",
        role="admin",
        holds="member",
        inviting={"role": "member"},
        secret=OWNER_TOKEN,
    ),
}


class SandboxClock:
    """The client's clock: the sandbox's.

    Args:
        ahead: by how much its wall clock is wrong.
    """

    def __init__(self, sandbox: World, ahead: timedelta = timedelta(0)) -> None:
        self._sandbox = sandbox
        self._ahead = ahead

    def monotonic(self) -> float:
        return self._sandbox.clock.seconds()

    def now(self) -> datetime:
        return self._sandbox.clock.now() + self._ahead

    def sleep(self, seconds: float) -> None:
        # a microsecond more, because that is how exactly the sandbox's clock is moved
        self._sandbox.clock.advance(timedelta(seconds=seconds, microseconds=1))

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Party:
    """A client of either kind, called in one way, and the service that it talks to.

    Methods that are not here are the client's. What a method of the async client gives is awaited,
    and a list is read to its end.
    """

    def __init__(self, case: Case, sandbox: World, client: Any, wait: Callable[[Any], Any]) -> None:
        self.case = case
        self.sandbox = sandbox
        self.client = client
        self.events: list[Event] = []
        self._wait = wait

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)
        return lambda *args, **kwargs: self.result(method(*args, **kwargs))

    def result(self, given: Any) -> Any:
        if inspect.iscoroutine(given):
            return self._wait(given)
        if isinstance(given, AsyncIterator):

            async def read() -> list[Any]:
                return [item async for item in given]

            return self._wait(read())
        return list(given) if isinstance(given, Iterator) else given

    def invite(self, email: str, **how: Any) -> Any:
        """Invites, saying what the service needs unless it is said."""
        return self.result(self.client.invite(email, **{**self.case.inviting, **how}))

    def budgeted(self, **budget: Any) -> Party:
        """The same with another budget."""
        other = Party(self.case, self.sandbox, self.client.with_budget(**budget), self._wait)
        other.events = self.events
        return other

    # ------------------------------------------------------------------ what was sent

    @property
    def requests(self) -> list[str]:
        """The requests so far: method and path."""
        answered = [event for event in self.events if event.name in ("answer", "failure")]
        return [f"{event.method} {event.path}" for event in answered if event.method]

    @property
    def writes(self) -> list[str]:
        """Those that may have changed something."""
        return [
            one
            for one in self.requests
            if not one.startswith("GET ")
            and not one.endswith("0001/users")  # how Aitronos lists members
        ]

    def forget(self) -> None:
        """Begins to count anew."""
        self.events.clear()

    # ------------------------------------------------------------------ the other side

    @property
    def service(self) -> Any:
        return self.sandbox.services[self.case.name].service

    def emails(self, to: str) -> list[Email]:
        return list(self.sandbox.outbox.to(to))

    def accept(self, email: str) -> None:
        """Plays the invitee: accepts the newest invitation of an address."""
        self.service.accept(self.invitations_of(email)[-1]["id"])

    def invitations_of(self, email: str) -> list[dict[str, Any]]:
        """What the service holds."""
        found: list[dict[str, Any]] = self.service.snapshot()["invitations"]
        return [one for one in found if one["email"].casefold() == email.casefold()]

    def is_member(self, email: str) -> bool:
        members = self.service.snapshot()["members"]
        return any(one["email"].casefold() == email.casefold() for one in members)

    def later(self, **time: float) -> None:
        """Lets time pass."""
        self.sandbox.clock.advance(timedelta(**time))


@pytest.fixture
def sandbox() -> World:
    kinds: list[type[Service]] = [VultrService, AitronosService, BetterAuthService]
    base_urls = {kind.name: f"http://127.0.0.1:{8701 + n}" for n, kind in enumerate(kinds)}
    return World(kinds, base_urls, time_source=lambda: START)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test with the sync client on Vultr and with the async client on Aitronos. A test that
    names its service runs with both clients, one that names its client on both services.

    The conformance tests of better-auth run every verb; here only tests that name it run on it.
    """
    marks = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    named = {name for names in marks for name in ([names] if isinstance(names, str) else names)}
    free = {"case", "kind"} & set(metafunc.fixturenames) - named
    if free == {"case", "kind"}:
        pairs = [("vultr", "sync"), ("aitronos", "async")]
        metafunc.parametrize(("case", "kind"), pairs, indirect=True)
    elif free == {"case"}:
        metafunc.parametrize("case", ["vultr", "aitronos"], indirect=True)
    elif free == {"kind"}:
        metafunc.parametrize("kind", ["sync", "async"], indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Make = Callable[..., Party]


@pytest.fixture
def make(case: Case, kind: str, sandbox: World) -> Iterator[Make]:
    """Makes clients of the kind for the service.

    `settings` are the account's, besides those of the sandbox; `wrap` puts a transport around the
    real one; `ahead` is by how much the client's wall clock is wrong.
    """
    with asyncio.Runner() as runner:

        def making(
            *,
            wrap: Callable[[Any], Any] | None = None,
            settings: dict[str, Any] | None = None,
            ahead: timedelta = timedelta(0),
            **arguments: Any,
        ) -> Party:
            events: list[Event] = []
            real = InProcess(sandbox)
            host = sandbox.services[case.name]
            provider = case.provider(**{**host.settings, **(settings or {})})
            client = (Guestlist if kind == "sync" else AsyncGuestlist)(
                {"home": provider},
                clock=SandboxClock(sandbox, ahead),
                transport=wrap(real) if wrap else real,
                watch=events.append,
                **arguments,
            )
            party = Party(case, sandbox, client, runner.run)
            party.events = events
            return party

        yield making


Fault = Callable[[httpx.Request, httpx.Response | None], httpx.Response | BaseException | None]
"""What becomes of a request: asked before it is sent (with None) and when its answer has come. None
lets things take their course."""


class Faulty(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The network between the client and the service, at its worst. For both kinds of clients."""

    def __init__(self, real: Any, fault: Fault) -> None:
        self._real = real
        self._fault = fault

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        instead = self._instead(request, None)
        if instead is not None:
            return instead
        answer = self._real.handle_request(request)
        answer.read()
        return self._instead(request, answer) or answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        instead = self._instead(request, None)
        if instead is not None:
            return instead
        answer = await self._real.handle_async_request(request)
        await answer.aread()
        return self._instead(request, answer) or answer

    def _instead(
        self, request: httpx.Request, answer: httpx.Response | None
    ) -> httpx.Response | None:
        instead = self._fault(request, answer)
        if isinstance(instead, BaseException):
            raise instead
        return instead


@pytest.fixture
def faulty(make: Make) -> Callable[..., Party]:
    """Makes clients behind a bad network."""
    return lambda fault, **how: make(wrap=lambda real: Faulty(real, fault), **how)


@pytest.fixture
def guests(make: Make) -> Party:
    return make()


@pytest.fixture
def after(
    sandbox: World, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float, Callable[[], None]], None]:
    """Has something happen once so many seconds of sandbox time have passed."""
    clock = type(sandbox.clock)
    due: list[tuple[float, Callable[[], None]]] = []
    advance = clock.advance

    def advancing(self: Any, by: timedelta) -> None:
        advance(self, by)
        for one in [one for one in due if one[0] <= self.seconds()]:
            due.remove(one)
            one[1]()

    monkeypatch.setattr(clock, "advance", advancing)
    return lambda seconds, act: due.append((sandbox.clock.seconds() + seconds, act))


class Killed(BaseException):
    """The process ends here: nothing of it can be caught."""


class Kill:
    """Kills the process when a request that changes something is sent.

    Args:
        before: whether the service never gets it.
    """

    def __init__(self, *, before: bool) -> None:
        self.before = before
        self.left = 1

    def __call__(self, request: httpx.Request, answer: httpx.Response | None) -> Any:
        reads = request.method == "GET" or request.url.path.endswith("0001/users")
        if reads or not self.left or (answer is None) is not self.before:
            return None
        self.left -= 1
        return Killed()


@pytest.fixture
def ledger(sandbox: World, tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "guestlist.db", clock=SandboxClock(sandbox)) as ledger:
        yield ledger


class SuccessPage:
    """Answers the next request that changes something with a page and a success status. The service
    never gets that request.

    Args:
        kills: whether the process ends when it looks up the outcome.
    """

    def __init__(self, *, kills: bool) -> None:
        self.kills = kills
        self.left = 1

    def __call__(self, request: httpx.Request, answer: httpx.Response | None) -> Any:
        if request.method == "GET" or request.url.path.endswith("0001/users"):
            return Killed() if self.kills and not self.left else None
        if not self.left:
            return None
        self.left -= 1
        page = b"<html>Created</html>"
        return httpx.Response(201, content=page, headers={"content-type": "text/html"})
