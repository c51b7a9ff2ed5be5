"""An account as the exchange sees it: a provider with its name, pace, clock and watchers."""

from __future__ import annotations

import json
import logging
import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from guestlist._version import __version__
from guestlist.errors import ConfigError, GuestlistError, InvalidOrder
from guestlist.event import Event
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.exchange.pace import Pace
from guestlist.exchange.redact import MASK, Redactor
from guestlist.exchange.step import Outgoing
from guestlist.models import Role
from guestlist.provider import Limit, Provider, Request

logger = logging.getLogger("guestlist")

UNLIMITED = Limit(1_000_000, 60.0)
"""Where no limit is declared, so that a service can still ask for a rest."""

PLAIN = re.compile(r"[A-Za-z0-9_.~-]+").fullmatch
"""Matches what a URL holds as it is (RFC 3986, unreserved)."""

LONGEST_REST = 3600.0
"""Seconds after which a service is asked again, however long a rest it wants: one wrong header must
not silence a program that runs for months."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one call may cost. All times are seconds.

    Attributes:
        total: after which the call ends, whatever it was doing: with an error that says how far
            it came.
        waiting: that it may spend without a request under way: for the service's pace, before
            another try, and until a look is final.
        attempts: how many times one request may be tried.
        timeout: without progress after which one request is given up.
        max_body: octets of an answer that are read at most.

    Raises:
        ConfigError: fewer attempts than one.
    """

    total: float = 120.0
    attempts: int = 4
    timeout: float = 15.0
    max_body: int = 32 * 1024 * 1024
    waiting: float = math.inf

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigError("a request has to be tried at least once", hint="Set attempts to 1.")


@dataclass
class Account:
    """One configured provider, under the name that the user chose."""

    name: str
    provider: Provider
    clock: Clock = field(default_factory=SystemClock)
    watch: Callable[[Event], None] | None = None
    """Receives every event, besides the log."""
    ready: Callable[[str], None] | None = field(default=None, repr=False)
    """Called with the service's URL before a request is paced: makes what sending needs."""
    random: random.Random = field(default_factory=random.Random, repr=False)
    """For jitter."""
    paces: tuple[Pace, ...] = field(default=(), repr=False)
    """Shared with other accounts, where the service counts them together."""
    roles: tuple[float, list[Role]] | None = field(default=None, repr=False)
    """What can be granted, and when (monotonic, seconds) it was read."""

    def __post_init__(self) -> None:
        self.paces = self.paces or paces_of(self.provider)
        self.redact = Redactor(self.provider.secrets(), self.provider.secret_fields)
        self._logger = logger.getChild(self.name)
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": f"guestlist/{__version__} (provider {self.provider.name})",
        }

    @property
    def grace(self) -> float:
        """Seconds after which a look that finds nothing is final: what got no answer can no longer
        take effect, and the service's lists show what did. At least twice the time-out, counted
        by `Call.grace`."""
        return self.provider.late_effect + self.provider.list_lag

    def rest(self, seconds: float, *, refused: bool = False) -> None:
        """Lets no call of this account go for so long: the service has asked for it.

        Args:
            seconds: at most `LONGEST_REST` of them are believed.
            refused: whether a request was refused.
        """
        if seconds > 0:
            for pace in self.paces:
                rest = min(seconds, LONGEST_REST)
                pace.push_back(self.clock.monotonic(), rest, refused=refused)

    def outgoing(self, request: Request, budget: Budget, remaining: float) -> Outgoing:
        """The request as it goes on the wire. Credentials are added unless it is public.

        Raises:
            InvalidOrder: a path segment that would change the path: empty, `.` or `..`; text that
                is no Unicode, a number that is none.
            ConfigError: credentials that no header can carry.
        """
        headers = dict(self._headers)
        content = None
        try:
            url = self.provider.base_url + _path(request) + _query(request)
            if request.json is not None:
                headers["Content-Type"] = "application/json"
                content = _json(request.json)
        except InvalidOrder:
            raise
        except ValueError as error:
            raise InvalidOrder(f"the request holds what cannot be sent: {error}") from None
        if not request.public:
            headers.update(self._credentials())
        return Outgoing(
            method=request.method,
            url=url,
            headers=headers,
            content=content,
            timeout=min(budget.timeout, remaining),
            total=remaining,
            max_body=budget.max_body,
            hidden=_hidden(request),
        )

    def _credentials(self) -> Mapping[str, str]:
        credentials = self.provider.authorize()
        if not all(value.isascii() and value.isprintable() for value in credentials.values()):
            raise ConfigError(
                "the credentials hold a character that cannot be sent",
                hint="Copy the key once more: it has letters, digits and signs of ASCII only.",
            )
        return credentials

    def tell(self, name: str, request: Request | None = None, **facts: Any) -> None:
        """Emits an event, if anybody watches or logs at that level."""
        level = logging.WARNING if name == "unknown" else logging.DEBUG
        if name == "outcome":
            level = logging.INFO
        logged = self._logger.isEnabledFor(level)
        if self.watch is None and not logged:
            return
        for text in ("detail", "request_id"):
            if facts.get(text):
                facts[text] = self.redact(facts[text])
        if request is not None:
            facts.update(method=request.method, path=self.redact(_path(request, masked=True)))
        event = Event(name, self.name, self.provider.name, self.clock.now(), **facts)
        if logged:
            self._logger.log(level, "%s", event)
        if self.watch is not None:
            try:
                self.watch(event)
            except Exception as error:  # what was sent stays sent, whoever stumbles over the news
                self._logger.warning(
                    "%s: whoever watches events failed: %s", self.name, self.redact(repr(error))
                )


def paces_of(provider: Provider) -> tuple[Pace, ...]:
    """A fresh pace for each limit of an account."""
    return tuple(map(Pace, provider.limits)) or (Pace(UNLIMITED),)


@dataclass
class Call:
    """One call of a verb on one account: its budget, and what it has used of it."""

    account: Account
    budget: Budget = field(default_factory=Budget)
    email: str | None = None
    attempts: int = 0
    waited: float = 0.0
    sent: Request | None = None
    """The last request that may have changed something."""

    def __post_init__(self) -> None:
        self._ends = self.account.clock.monotonic() + self.budget.total

    @property
    def provider(self) -> Provider:
        return self.account.provider

    @property
    def remaining(self) -> float:
        """Seconds left of the budget; never negative."""
        return max(0.0, self._ends - self.account.clock.monotonic())

    def exceeded(self, wait: float, attempt: int = 0) -> str | None:
        """What of the budget does not allow another request in so many seconds, after so many
        attempts; None when it is allowed."""
        budget = self.budget
        if attempt >= budget.attempts:
            return f"{attempt} attempts" if attempt > 1 else "one attempt"
        if wait > 0 and self.waited + wait > budget.waiting:
            return f"{budget.waiting:g} s of waiting"
        return f"{budget.total:g} s in all" if wait >= self.remaining else None

    @property
    def grace(self) -> float:
        """Seconds to wait before a look that finds nothing is believed."""
        return max(self.account.grace, 2 * self.budget.timeout + self.provider.list_lag)

    def about(self, error: GuestlistError) -> GuestlistError:
        """The error with everything it should tell, and nothing it must not."""
        error.about(account=self.account.name, email=self.email)
        error.attempts = error.attempts or self.attempts
        error.waited = error.waited or self.waited
        redact = self.account.redact
        error.message = redact(error.message)
        error.args = (error.message,)
        error.hint = redact(error.hint)
        error.code = redact(error.code) if error.code else None
        error.request_id = redact(error.request_id) if error.request_id else None
        redact.mask_behind(error)
        return error


def _json(value: Any) -> bytes:
    """Raises ValueError for a number that is none, and for half of a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def _path(request: Request, *, masked: bool = False) -> str:
    segments = []
    for segment in request.path:
        text = segment.get_secret_value() if isinstance(segment, SecretStr) else segment
        if text in ("", ".", ".."):
            raise InvalidOrder(f"{text!r} cannot be an identifier")
        hide = masked and isinstance(segment, SecretStr)
        segments.append(MASK if hide else _quoted(text))
    return "/" + "/".join(segments)


def _hidden(request: Request) -> tuple[str, ...]:
    parts = (*request.path, *request.query.values())
    secrets = (part.get_secret_value() for part in parts if isinstance(part, SecretStr))
    return tuple(_quoted(secret) for secret in secrets if secret)


def _query(request: Request) -> str:
    pairs = (
        f"{_quoted(name)}={_quoted(_text(value))}"
        for name, value in request.query.items()
        if value is not None
    )
    query = "&".join(pairs)
    return f"?{query}" if query else ""


def _quoted(text: str) -> str:
    """Percent-encoded, which is nearly always the same."""
    return text if PLAIN(text) else quote(text, safe="")


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)
