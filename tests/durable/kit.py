"""A service in memory whose faults are scripted, a ledger beside it, and virtual time."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx
from sqlalchemy import event

from guestlist import Guestlist
from guestlist.changes import Action, Change
from guestlist.event import Event
from guestlist.exchange.account import Budget
from guestlist.exchange.clock import Clock, Stopped
from guestlist.ledger.order import Order
from guestlist.ledger.store import Store
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Effect, Flow, Page, Provider, Request, Response, operation
from guestlist.runs.runner import Runner, RunSummary
from guestlist.runs.stop import Stop
from pytest_guestlist.clock import VirtualClock

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
LIFETIME = timedelta(days=7)
LATE_EFFECT, LIST_LAG, TIMEOUT = 4.0, 1.0, 1.0
GRACE = LATE_EFFECT + LIST_LAG
Facts = dict[str, Any]
"""What was seen of somebody, as `Change` takes it."""
BUDGET = Budget(total=30.0, timeout=TIMEOUT)


class Plain(Provider):
    """A provider of the service below, which takes a second invitation of the same person."""

    name = "plain"
    title = "Plain"
    most_roles = 1
    lifetime = LIFETIME
    resend_moves_expiry = True
    late_effect = LATE_EFFECT
    list_lag = LIST_LAG
    substitutes: ClassVar[Mapping[str, str]] = {}

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        return _invitation((yield Request.post("invitations", json={"email": new.email})))

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        return _invitation((yield Request.post("invitations", str(invitation.id), "resend")))

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invitations", str(invitation.id))

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invitations")
        return Page([_read(raw) for raw in reply.items("items")])

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        reply = yield Request.get("members")
        return Page([_member(raw) for raw in reply.items("items")])

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.put("members", member.id, "roles", role.id)

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.delete("members", member.id, "roles", role.id)


class Paired(Plain):
    """Two requests make an invitation, and the lists do not show whether the second one came."""

    resend_moves_expiry = False

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        page = yield from self.invitations()
        open_ones = (one for one in page.items if one.state is State.PENDING)
        found = next((one for one in open_ones if one.email == new.email), None)
        if found is None:
            body = {"email": new.email}
            found = _invitation((yield Request.post("people", json=body, effect=Effect.PREPARE)))
        return _invitation((yield Request.post("invitations", str(found.id), "resend")))


class Summarized(Plain):
    """Reading a whole invitation takes a request for each; the list has only summaries."""

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        page = yield from super().invitations()
        return next((one for one in page.items if one.email == email), None)

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        page = yield from self.members()
        return next((one for one in page.items if one.email == email), None)

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        page = yield from super().invitations(cursor)
        for one in page.items:
            yield Request.get("invitations", str(one.id))
        return page

    @operation
    def invitation_summaries(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        page = yield from super().invitations(cursor)
        hidden = {"id": None, "expires_at": None}
        return Page([one.model_copy(update=hidden) for one in page.items])


class Hasty(Plain):
    """One that is wrong about its service: late effects come later than it says."""

    late_effect = 1.0
    list_lag = 0.0


class Blind(Provider):
    """One whose service tells nobody whom it has invited."""

    name = "blind"
    title = "Blind"
    late_effect = LATE_EFFECT

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        return _invitation((yield Request.post("invitations", json={"email": new.email})))


def _invitation(reply: Response) -> Invitation:
    return _read(reply.mapping())


def _read(raw: Mapping[str, Any]) -> Invitation:
    expires = raw["expires"] and datetime.fromtimestamp(raw["expires"], UTC)
    return Invitation(
        id=raw["id"],
        email=raw["email"],
        state=State(raw["state"]),
        raw_state=raw["state"],
        expires_at=expires,
        raw=raw,
    )


def _member(raw: Mapping[str, Any]) -> Member:
    roles = tuple(Role(id=role) for role in raw["roles"])
    return Member(id=raw["id"], email=raw["email"], roles=roles, raw=raw)


@dataclass
class Fault:
    """What befalls one request.

    Attributes:
        acts: seconds after which it takes effect; None for never.
        status: what is answered; None for no answer at all.
        content: answered instead of the record.
        media_type: of that content.
    """

    acts: float | None = 0.0
    status: int | None = None
    content: bytes | None = None
    media_type: str = "text/html"


LOST = Fault()
"""It acts, and no answer comes."""
PAGE = Fault(acts=None, status=201, content=b"<html>Created</html>")
"""A page answers with a success status, and no list will show an effect."""
OTHER = Fault(acts=None, status=201, content=b"[]", media_type="application/json")
"""The service reports success in a shape that the provider does not know, and shows no effect."""
VOID = Fault(acts=None)
"""It does not act, and no answer comes."""


def late(seconds: float) -> Fault:
    """It acts so many seconds later, and no answer comes."""
    return Fault(acts=seconds)


def refused(status: int) -> Fault:
    """It does not act, and this status comes."""
    return Fault(acts=None, status=status)


class Service(httpx.BaseTransport):
    """The service, and the network before it.

    Attributes:
        emails: how many went out, by address.
        faults: by address, those that its next changing requests meet.
        everybody: what every changing request meets.
        sent: is told of each changing request as its first byte would leave.
    """

    def __init__(self, clock: Clock) -> None:
        self.emails: Counter[str] = Counter()
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.everybody: Fault | None = None
        self.sent: Callable[[str, str], None] = lambda line, email: None
        self.answered: Callable[[], None] = lambda: None
        self.posts: Counter[str] = Counter()
        self.invitations: list[dict[str, Any]] = []
        self.people: list[dict[str, Any]] = []
        self._clock = clock
        self._late: list[tuple[float, Callable[[], object]]] = []
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = urlsplit(str(request.url)).path.strip("/").split("/")
        if request.method == "GET":
            with self._lock:
                self._come_true()
                return httpx.Response(200, json={"items": self._shown(path[0])})
        email = self._email(request, path)
        self.sent(f"{request.method} {'/'.join(path)}", email)
        with self._lock:
            self._come_true()
            self.posts[email] += 1
            mine = self.faults[email]
            fault = self.everybody or (mine.pop(0) if mine else Fault(status=200))
            made: dict[str, Any] = {}
            if fault.acts == 0.0:
                made = self._act(request.method, path, email)
            elif fault.acts is not None:
                due = self._clock.monotonic() + fault.acts
                self._late.append((due, lambda: self._act(request.method, path, email, due)))
        self.answered()
        if fault.status is None:
            raise httpx.ReadError("the connection broke")
        if fault.content is not None:
            headers = {"content-type": fault.media_type}
            return httpx.Response(fault.status, content=fault.content, headers=headers)
        return httpx.Response(fault.status, json=made)

    def _email(self, request: httpx.Request, path: list[str]) -> str:
        if path in (["invitations"], ["people"]):
            return str(json.loads(request.content)["email"])
        records = self.invitations if path[0] == "invitations" else self.people
        return str(next(one["email"] for one in records if one["id"] == path[1]))

    def _shown(self, what: str) -> list[dict[str, Any]]:
        now = self._clock.monotonic()
        if what == "members":
            return self.people
        return [one for one in self.invitations if one["made"] + LIST_LAG <= now]

    def _come_true(self) -> None:
        now = self._clock.monotonic()
        due = [act for at, act in self._late if at <= now]
        self._late = [(at, act) for at, act in self._late if at > now]
        for act in due:
            act()

    def _act(
        self, method: str, path: list[str], email: str, at: float | None = None
    ) -> dict[str, Any]:
        if path[0] == "members":
            person = next(one for one in self.people if one["id"] == path[1])
            held = set(person["roles"])
            person["roles"] = sorted(held | {path[3]} if method == "PUT" else held - {path[3]})
            return {}
        if path == ["people"]:
            return self.add_invitation(email, at=at)
        if path == ["invitations"]:
            self.emails[email] += 1
            return self.add_invitation(email, at=at)
        one = next(one for one in self.invitations if one["id"] == path[1])
        if method == "DELETE":
            one["state"] = "revoked"
        else:
            self.emails[email] += 1
            one.update(state="pending", expires=self._expiry())
        return one

    def _expiry(self) -> float:
        return (self._clock.now() + LIFETIME).timestamp()

    def add_invitation(
        self, email: str, state: str = "pending", at: float | None = None
    ) -> dict[str, Any]:
        """A record, without an email."""
        expires = self._expiry() if state == "pending" else START.timestamp()
        id = f"i-{len(self.invitations)}"
        made = {
            "id": id,
            "email": email,
            "state": state,
            "expires": expires,
            "made": self._clock.monotonic() if at is None else at,
        }
        self.invitations.append(made)
        return made

    def add_person(self, email: str, *roles: str) -> Member:
        """Somebody who is in."""
        self.people.append({"id": f"m-{len(self.people)}", "email": email, "roles": list(roles)})
        return _member(self.people[-1])

    def finish(self) -> None:
        """Lets all that is late take effect."""
        for _at, act in self._late:
            act()
        self._late.clear()


class StoppableClock(VirtualClock):
    """Virtual time whose sleeps end with the run."""

    def __init__(self, clock: VirtualClock, stop: Stop) -> None:
        super().__init__(START)
        self._clock = clock
        self._stop = stop

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._stop:
            raise Stopped
        self._clock.sleep(seconds)


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Machine:
    """One process after another on one ledger.

    Attributes:
        kinds: the accounts' providers.
        services: by account.
        events: all events of all processes.
    """

    place: Path
    kinds: Mapping[str, type[Provider]] = field(default_factory=lambda: {"plain": Plain})
    events: list[Event] = field(default_factory=list)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START))
    services: dict[str, Service] = field(init=False)

    def __post_init__(self) -> None:
        self.services = {account: Service(self.clock) for account in self.kinds}

    @property
    def service(self) -> Service:
        """The only service."""
        (service,) = self.services.values()
        return service

    @property
    def url(self) -> str:
        return f"sqlite:///{self.place}"

    def process(self) -> Process:
        """Another process. What it holds in memory is its own."""
        return Process(self, Stop())

    def begin(self, changes: Iterable[Change]) -> int:
        """Writes a run down."""
        with self.process() as process:
            return process.runner.begin(lambda: changes, "digest", "guestlist.toml")

    def first_run(self, changes: Iterable[Change]) -> RunSummary:
        """Begins a run and works on it, in one process, which reads nothing before."""
        with self.process() as process:
            run = process.runner.begin(lambda: changes, "digest", "guestlist.toml")
            return process.runner.run(run)

    def run(self, run: int, **how: Any) -> RunSummary:
        """Works on a run in a process of its own, which resumes it."""
        with self.process() as process:
            return process.runner.run(run, **how)

    def rows(self, what: str = "*", where: str = "1") -> list[dict[str, Any]]:
        """Orders as another process reads them."""
        with closing(sqlite3.connect(self.place)) as connection:
            connection.row_factory = sqlite3.Row
            query = f"SELECT {what} FROM orders WHERE {where} ORDER BY id"  # noqa: S608
            return [dict(row) for row in connection.execute(query)]


class Process:
    """What one process holds in memory; to be used in a `with` block."""

    def __init__(self, machine: Machine, stop: Stop) -> None:
        self.stop = stop
        self.store = Store(machine.url)
        self.clock = StoppableClock(machine.clock, stop)
        self.guests = Guestlist(
            {name: kind(base_url=f"https://{name}.test") for name, kind in machine.kinds.items()},
            transport=_ByHost(machine.services),
            clock=self.clock,
            budget=BUDGET,
            watch=machine.events.append,
        )
        self.runner = Runner(self.guests, self.store, stop)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def die(self, *, commit: Callable[[], None]) -> None:
        """Has each commit begin with this, which may raise."""
        event.listen(self.store.engine, "commit", lambda _connection: commit())


class _ByHost(httpx.BaseTransport):
    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._services[request.url.host.partition(".")[0]].handle_request(request)


def change(
    email: str, action: Action = Action.INVITE, account: str = "plain", **more: Any
) -> Change:
    """A change about somebody."""
    return Change(action=action, account=account, email=email, key=email, **more)


def invites(count: int, account: str = "plain") -> list[Change]:
    """So many people to invite."""
    return [change(f"guest{number}@example.com", account=account) for number in range(count)]


def an_order(number: int = 1, email: str = "ada@example.com") -> Order:
    """The order of a number, as the ledger gives it before anything is sent."""
    return Order(number, 1, change(email), 0, None)
