"""The simulated environment: virtual time, one service in memory, and a history of its records."""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

from guestlist.address import email_key
from guestlist.exchange.account import FORM
from guestlist.exchange.step import Outgoing
from guestlist.provider import Effect, Response
from guestlist.sandbox.service import AdjustableClock, Email, Outbox, SandboxRefusal, Service
from pytest_guestlist.calling import call_service

EPOCH = 1_800_000_000.25
"""The start of a run in seconds since 1970. Not a whole second, because services cut off
fractions."""

LAPSED = "expired"
OPEN = frozenset({"pending", "awaiting_approval"})
"""The words of `Service.snapshot` for an invitation that can still lead to membership."""


class Time:
    """Virtual time: runs scheduled actions in order. Actions take no time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Schedules an action at a moment in seconds. If the moment has passed, the action is
        next."""
        heapq.heappush(self._due, (max(moment, self.now), next(self._number), action))

    def run(self) -> None:
        """Runs all scheduled actions, and those that they schedule."""
        while self._due:
            self.now, _, action = heapq.heappop(self._due)
            action()


class ClientClock:
    """The clock of one client. Its wall clock may be stepped; its monotonic one never is."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.offset = 0.0

    def monotonic(self) -> float:
        return self._time.now

    def now(self) -> datetime:
        return datetime.fromtimestamp(EPOCH + self._time.now + self.offset, UTC)

    def sleep(self, seconds: float) -> None:
        raise AssertionError("the simulation's driver handles sleeps itself")

    async def asleep(self, seconds: float) -> None:
        raise AssertionError("the simulation's driver handles sleeps itself")


@dataclass(frozen=True, slots=True)
class Truth:
    """The records of the service about one address at one moment."""

    open: frozenset[str] = frozenset()
    """Ids of the invitations that can be accepted."""
    members: frozenset[str] = frozenset()
    lapsed: frozenset[str] = frozenset()
    """Ids of the expired invitations."""

    @property
    def here(self) -> bool:
        """Whether the person is invited or a member."""
        return bool(self.open or self.members)


@dataclass(frozen=True, slots=True)
class Landed:
    """A request or a click of an invitee that reached the service and was not a read.

    Attributes:
        by: the number of the call that sent it; None for the invitee, and before the run.
        emails: the emails that the service sent because of it.
        touched: the addresses whose records it changed.
        accepted: whether the service did not refuse it.
        prepares: whether the request only prepares an invitation (`Effect.PREPARE`).
    """

    at: float
    by: int | None
    emails: tuple[Email, ...]
    touched: frozenset[str]
    accepted: bool
    prepares: bool = False


class SimulatedService:
    """One service in memory, called without sockets and without an event loop.

    Args:
        kind: the service.
        lag: the number of seconds for which lists may lack a new invitation.
        page: the maximum number of records in a page; None for the service's own size.
        dated: whether its answers have a `Date` header.
        refuses: returns whether an answer is a refusal.
    """

    def __init__(
        self,
        kind: type[Service],
        time: Time,
        random: Random,
        *,
        lag: float = 0.0,
        page: int | None = None,
        dated: bool = True,
        profile: str | None = None,
        switches: Mapping[str, str] | None = None,
        refuses: Callable[[Response], bool],
    ) -> None:
        self._time = time
        self._random = random
        self._lag = lag
        self._page = page
        self._dated = dated
        self.refuses = refuses
        self.clock = AdjustableClock(lambda: EPOCH + time.now)
        self.outbox = Outbox(self.clock)
        self.service = kind(
            clock=self.clock,
            outbox=self.outbox,
            seed=random.getrandbits(32),
            profile=profile,
            **(switches or {}),
        )
        self.landed: list[Landed] = []
        self.lagged = False
        self._shows_at: dict[str, float] = {}
        self._truth: dict[str, Truth] = {}
        self.history: list[tuple[float, dict[str, Truth]]] = []
        self._notice(new_shows_at=0.0)

    def truth(self, email: str) -> Truth:
        """Returns the current records about an address."""
        return self._truth.get(email_key(email), Truth())

    def members(self, email: str) -> set[str]:
        """Returns the ids of the current members with an address."""
        members = self.service.snapshot()["members"]
        return {one["id"] for one in members if email_key(one["email"]) == email_key(email)}

    def truths(self, email: str, since: float, until: float) -> list[Truth]:
        """Returns all records about an address between two moments, in order."""
        key = email_key(email)
        before = [known for at, known in self.history if at < since]
        during = [known for at, known in self.history if since <= at <= until]
        return [known.get(key, Truth()) for known in (*before[-1:], *during)]

    def answer(self, outgoing: Outgoing, effect: Effect, by: int | None) -> Response:
        """Returns the service's answer to a request that reaches it now."""
        if effect is Effect.READ:
            hidden = [id for id, at in self._shows_at.items() if at > self._time.now]
            self.lagged = self.lagged or bool(hidden)
            with self.service.hide(hidden) if hidden else nullcontext():
                return self._date(call_service(self.service, self._in_small_pages(outgoing)))
        emails = len(self.outbox.emails)
        response = call_service(self.service, outgoing)
        self._land(by, emails, not self.refuses(response), effect is Effect.PREPARE)
        return self._date(response)

    def _date(self, response: Response) -> Response:
        if not self._dated:
            return response
        date = format_datetime(self.clock.now(), usegmt=True)
        return replace(response, headers={**response.headers, "date": date})

    def click(self, action: Callable[[str], None], invitation: str) -> bool:
        """Accepts or declines as the invitee. Returns False if the service refuses."""
        emails = len(self.outbox.emails)
        try:
            action(invitation)
        except SandboxRefusal:
            return False
        self._land(None, emails, True)
        return True

    def restart_history(self) -> None:
        """Forgets all earlier records and requests."""
        self.landed.clear()
        self.history.clear()
        self._shows_at.clear()
        self._notice(new_shows_at=0.0)

    def _land(self, by: int | None, emails: int, accepted: bool, prepares: bool = False) -> None:
        lag = self._lag * self._random.choice((0.0, self._random.random(), 1.0, 1.0))
        touched = self._notice(self._time.now + lag)
        sent = tuple(self.outbox.emails[emails:])
        self.landed.append(Landed(self._time.now, by, sent, touched, accepted, prepares))

    def _notice(self, new_shows_at: float) -> frozenset[str]:
        """Reads the current records. Returns the addresses whose records have changed."""
        snapshot = self.service.snapshot()
        found: defaultdict[str, tuple[set[str], set[str], set[str]]]
        found = defaultdict(lambda: (set(), set(), set()))
        for record in snapshot["invitations"]:
            if record["state"] in OPEN:
                found[email_key(record["email"])][0].add(record["id"])
            if record["state"] == LAPSED:
                found[email_key(record["email"])][2].add(record["id"])
            if self._lag and record["id"] not in self._shows_at:
                self._shows_at[record["id"]] = new_shows_at
        for record in snapshot["members"]:
            found[email_key(record["email"])][1].add(record["id"])
        truth = {key: Truth(*map(frozenset, ids)) for key, ids in found.items()}
        changed = {
            key
            for key in truth.keys() | self._truth.keys()
            if truth.get(key) != self._truth.get(key)
        }
        self._truth = truth
        self.history.append((self._time.now, truth))
        return frozenset(changed)

    def _in_small_pages(self, outgoing: Outgoing) -> Outgoing:
        """Returns the request with a smaller page size, if it has a page size."""
        if self._page is None:
            return outgoing
        url, content = outgoing.url, outgoing.content
        address, mark, query = url.partition("?")
        pairs = [
            (name, str(self._page) if name in PAGE_SIZES else value)
            for name, value in parse_qsl(query, keep_blank_values=True)
        ]
        body = body_of(outgoing)
        if isinstance(body, dict) and PAGE_SIZES & body.keys():
            small = dict.fromkeys(PAGE_SIZES & body.keys(), self._page)
            content = json.dumps(body | small).encode()
        return Outgoing(
            method=outgoing.method,
            url=address + mark + urlencode(pairs),
            headers=outgoing.headers,
            content=content,
            timeout=outgoing.timeout,
            total=outgoing.total,
            max_body=outgoing.max_body,
        )


PAGE_SIZES = frozenset({"per_page", "page_size", "limit", "take", "count"})
"""The names that services use for the page size."""
PAGE_STARTS = frozenset({"cursor", "offset", "page", "skip", "start", "startIndex"})
"""The names that services use for the start of a page."""


def body_of(outgoing: Outgoing) -> Any:
    """Returns the JSON body of a request; an empty object if it has none, or sends a form."""
    if not outgoing.content or outgoing.headers.get("Content-Type") == FORM:
        return {}
    return json.loads(outgoing.content)


def later(moment: timedelta) -> float:
    """Returns a duration in seconds, plus a margin of one hour."""
    return moment.total_seconds() + 3600.0


def open_emails(site: SimulatedService, addresses: Collection[str]) -> Iterator[Email]:
    """Yields the emails to some addresses whose invitation is still open, the newest first."""
    keys = {email_key(address) for address in addresses}
    for mail in reversed(site.outbox.emails):
        if email_key(mail.to) in keys and mail.invitation in site.truth(mail.to).open:
            yield mail
