"""Real clients, real sockets, real (imitated) services, and a proxy that does harm between them."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import httpx2
import httpx_aiohttp
import trustme
from tests.sockets.rows import LARGEST, Row

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import GuestlistError
from guestlist.event import Event
from guestlist.models import Guest, InviteResult
from guestlist.provider import Provider
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import accounts_of
from guestlist_aitronos.sandbox import AitronosService
from guestlist_vultr.sandbox import VultrService
from pytest_guestlist.clock import VirtualClock
from pytest_guestlist.faults import Door, answering
from pytest_guestlist.proxy import FaultProxy

# ---------------------------------------------------------------------------- services


@dataclass(frozen=True)
class Subject:
    """A service as the matrix sees it; requests as regular expressions for their first lines.

    Attributes:
        create: the request that creates an invitation.
        first_look: the first request of a look.
        last_look: the last request before an invitation is created.
        order: what an invitation needs beyond the address.
    """

    name: str
    create: str
    first_look: str
    last_look: str
    order: dict[str, Any] = field(default_factory=dict)


ORGANIZATION = "/v1/organizations/[^/]+"
SUBJECTS = {
    one.name: one
    for one in (
        Subject(
            "vultr",
            create="POST /v2/invitation ",
            first_look=r"GET /v2/invitation\?",
            last_look=r"GET /v2/users\?",
        ),
        Subject(
            "aitronos",
            create=f"POST {ORGANIZATION}/invite-user ",
            first_look=rf"GET {ORGANIZATION}/invitation\?",
            last_look=f"POST {ORGANIZATION}/users ",
            order={"role": "Member"},
        ),
    )
}
# A second create makes a second email: nothing is covered up by a service that refuses it.
SWITCHES = {
    "vultr": {"duplicates": "allow", "rate": "off"},
    "aitronos": {"duplicates": "resend", "rate": "off"},
}

# ---------------------------------------------------------------------------- clients


class Timetable(VirtualClock):
    """A virtual clock on which things happen at their time."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox=sandbox)
        self._due: list[tuple[float, Callable[[], None]]] = []

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Plans something, so many seconds from now."""
        self._due.append((self.monotonic() + seconds, action))

    def clear(self) -> None:
        """Plans nothing any more."""
        self._due.clear()

    def advance(self, by: timedelta) -> None:
        super().advance(by)
        now = self.monotonic()
        for moment, action in tuple(self._due):
            if moment <= now:
                self._due.remove((moment, action))
                action()


@dataclass
class Client:
    """A client of either kind, called the same way."""

    guests: Guestlist | AsyncGuestlist
    events: list[Event]
    run: Callable[[Any], Any] = lambda value: value

    def invite(self, email: str, *, timeout: float, **order: Any) -> InviteResult:
        bounded = self.guests.with_budget(timeout=timeout, max_body=LARGEST)
        return self.run(bounded.invite(email, **order))  # type: ignore[no-any-return]

    def status(self, email: str, account: str) -> Guest:
        return self.run(self.guests.status(email, account=account))  # type: ignore[no-any-return]


FOREIGN = "httpx-aiohttp"
"""Calls "the service acted, then hung up" a connect error."""


@contextmanager
def sync_client(accounts: Any, clock: VirtualClock, **brought: Any) -> Iterator[Client]:
    events: list[Event] = []
    guests = Guestlist(accounts, clock=clock, watch=events.append, **brought)
    with ExitStack() as closing:
        for one in brought.values():
            closing.callback(one.close)
        yield Client(closing.enter_context(guests), events)


@contextmanager
def async_client(accounts: Any, clock: VirtualClock, **brought: Any) -> Iterator[Client]:
    events: list[Event] = []
    with asyncio.Runner() as runner:
        guests = AsyncGuestlist(accounts, clock=clock, watch=events.append, **brought)
        try:
            yield Client(guests, events, runner.run)
        finally:
            for one in (guests, *brought.values()):
                runner.run(one.aclose())


COLUMNS: dict[str, Callable[[Any, VirtualClock], Any]] = {
    "httpx": sync_client,
    "httpx async": async_client,
    "httpx, own client": lambda accounts, clock: sync_client(
        accounts, clock, http_client=httpx.Client(follow_redirects=True, trust_env=False)
    ),
    "httpx2": lambda accounts, clock: sync_client(
        accounts, clock, transport=httpx2.HTTPTransport()
    ),
    "httpx2 async": lambda accounts, clock: async_client(
        accounts, clock, transport=httpx2.AsyncHTTPTransport()
    ),
    FOREIGN: lambda accounts, clock: async_client(
        accounts, clock, transport=httpx_aiohttp.AiohttpTransport()
    ),
}

# ---------------------------------------------------------------------------- one cell


@dataclass
class Scene:
    """What a row can set up."""

    service: Subject
    proxy: FaultProxy
    elsewhere: FaultProxy
    clock: Timetable


@dataclass(frozen=True)
class Cell:
    """What happened, and what was said.

    Attributes:
        emails: that the person got.
        records: of the person that the service holds.
        told: what the caller was told.
        seconds: how long the call took, in virtual time.
        creates: how many requests to create the service got.
        tried: how many the client sent.
        doubted: whether the client ever took the outcome for unknown.
        leaked: whether another origin was spoken to.
        stranger, guest: the states that the next call reports for somebody who was never invited,
            and for the person.
    """

    emails: int
    records: int
    told: str
    seconds: float
    creates: int
    tried: int
    doubted: bool
    leaked: bool
    stranger: str
    guest: str


def said(call: Callable[[], InviteResult]) -> str:
    """What a caller is told, in words."""
    try:
        result = call()
    except GuestlistError as error:
        meaning = {False: "did not happen", True: "happened", None: "not known"}
        return f"{type(error).__name__}: {meaning[error.happened]}"
    return result.outcome + (", found by looking" if result.email_sent is None else "")


def ways() -> dict[str, dict[str, Any]]:
    """The ways to a service, and how their proxies are made."""
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(stranger)
    return {"plain": {}, "tls": {"tls": stranger}, "no tls": {"door": Door.GARBAGE}}


class Stage:
    """Sandbox and proxies, up as long as the `with` block lasts; the cells are played on them."""

    def __enter__(self) -> Stage:
        with ExitStack() as closing:
            self.sandbox = closing.enter_context(
                Sandbox([VultrService, AitronosService], switches=SWITCHES)
            )
            self.clock = Timetable(self.sandbox)
            self._elsewhere = closing.enter_context(
                FaultProxy(self.sandbox.url, lambda line, number: answering(200, b"{}"))
            )
            self._proxies = {
                (name, way): closing.enter_context(FaultProxy(hosted.base_url, **settings))
                for name, hosted in self.sandbox.services.items()
                for way, settings in ways().items()
            }
            self.direct = accounts_of(self.sandbox)
            self.accounts = {
                f"{name} {way}": self._account(name, way, proxy)
                for (name, way), proxy in self._proxies.items()
            }
            self._clients: dict[str, Client] = {}
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _account(self, service: str, way: str, proxy: FaultProxy) -> Provider:
        scheme = "http" if way == "plain" else "https"
        base_url = f"{scheme}://127.0.0.1:{proxy.port}"
        return self.direct[service].model_copy(update={"base_url": base_url})

    def client(self, column: str) -> Client:
        """The client of a column; one for all its cells, as an application would have it."""
        if column not in self._clients:
            opened = COLUMNS[column](self.accounts, self.clock)
            self._clients[column] = self._closing.enter_context(opened)
        return self._clients[column]

    def play(self, row: Row, column: str, service: str) -> Cell:
        """One cell of the matrix, from a fresh sandbox on."""
        self.sandbox.reset()
        subject, client = SUBJECTS[service], self.client(column)
        proxy = self._proxies[service, row.way]
        scene = Scene(subject, proxy, self._elsewhere, self.clock)
        for one in (proxy, self._elsewhere):
            one.seen.clear()
        client.events.clear()
        began = self.clock.monotonic()
        email = "rosa@example.net"
        name = f"{service} {row.way}"
        try:
            row.set_up(scene)
            told = said(
                lambda: client.invite(email, timeout=row.timeout, account=name, **subject.order)
            )
            seconds = self.clock.monotonic() - began
        finally:
            self.clock.clear()
            proxy.plan = ()
            proxy.door = Door.GARBAGE if row.way == "no tls" else Door.OPEN
            proxy.forget()
            proxy.start()
        creates = [one for one in proxy.seen if re.match(subject.create, one.line)]
        plain = f"{service} plain"
        return Cell(
            emails=len(list(self.sandbox.outbox.to(email))),
            records=self.records(service, email),
            told=told,
            seconds=seconds,
            creates=sum(one.forwarded for one in creates),
            tried=len(creates),
            doubted=any(event.name == "unknown" for event in client.events),
            leaked=bool(self._elsewhere.seen),
            stranger=client.status("nobody@example.net", plain).state,
            guest=client.status(email, plain).state,
        )

    def records(self, service: str, email: str) -> int:
        """How many invitations of an address the service holds."""
        held = self.sandbox.services[service].service.snapshot()["invitations"]
        return sum(one["email"] == email for one in held)
