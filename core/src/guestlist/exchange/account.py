"""One configured account: a provider with its name, rate limiter, clock and event listener."""

from __future__ import annotations

import json
import logging
import math
import random
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field, fields
from datetime import MAXYEAR, datetime, timedelta
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from guestlist.address import email_key, person_key
from guestlist.errors import ConfigError, GuestlistError, InvalidArgument, in_time_units
from guestlist.event import Event, EventName
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.exchange.headers import constant_headers, iter_secret_parts
from guestlist.exchange.rate_limiter import RateLimiter
from guestlist.exchange.recent_writes import RecentWrites
from guestlist.exchange.recording import Preparation, Strategy
from guestlist.exchange.redact import MASK, Redactor
from guestlist.exchange.retry_after import date_of
from guestlist.exchange.secret_files import SecretFiles
from guestlist.exchange.step import Outgoing
from guestlist.models import Guest, Role
from guestlist.provider import Effect, Flow, Provider, RecordProblem, Request, Token
from guestlist.provider.messages import Query

logger = logging.getLogger("guestlist")

LEVELS = {
    EventName.UNKNOWN: logging.WARNING,
    EventName.RECORD: logging.WARNING,
    EventName.PAUSE: logging.WARNING,
    EventName.OUTCOME: logging.INFO,
}
"""Log levels of events. All others are logged at DEBUG."""


def _level(event: EventName) -> int:
    return LEVELS.get(event, logging.DEBUG)


PLAIN = re.compile(r"[A-Za-z0-9_.~-]+").fullmatch
"""Matches text that needs no percent-encoding in a URL (RFC 3986, unreserved characters)."""

FORM = "application/x-www-form-urlencoded"

TOKEN_MARGIN_SECONDS = 30.0
"""An access token is replaced this many seconds before it expires, or a tenth of its lifetime
before, if that is later."""

MAX_BACK_OFF_SECONDS = 3600.0
"""Longest pause in seconds, even if the service asks for a longer one. One wrong header must not
silence a program that runs for months."""

PAUSE_REPORT_SECONDS = 60.0
"""Seconds between two `pause` events of an account."""
MIN_REPORTED_PAUSE_SECONDS = 1.0
"""Shorter pauses, in seconds, are not reported, because services ask for them all the time."""

PAUSE_END = "%Y-%m-%d %H:%M UTC"
"""Format of the end of a pause in messages."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one call. All times are in seconds.

    Attributes:
        total: the longest duration of the call. It ends with an error if the time is over.
        waiting: the longest time without a request in progress: waiting for the rate limit, before
            another attempt, and until a lookup is conclusive.
        attempts: the largest number of attempts to send one request.
        timeout: the longest time without progress after which one request is given up.
        max_body: the largest size of an answer in bytes.

    Raises:
        ConfigError: a value is not a number, or too small.
    """

    total: float = 120.0
    attempts: int = 4
    timeout: float = 15.0
    max_body: int = 32 * 1024 * 1024
    waiting: float = math.inf

    def __post_init__(self) -> None:
        values = ((one.name, getattr(self, one.name)) for one in fields(self))
        wrong = [problem for name, value in values if (problem := budget_problem(name, value))]
        if wrong:
            raise ConfigError.of(wrong)


def budget_problem(name: str, value: Any, *, bounded: bool = False) -> ConfigError | None:
    """Returns the error for an invalid value of a budget, or None if the value is valid.

    Args:
        bounded: whether the value must be above 0 and finite, as in a budget that applies to all
            calls.
    """
    whole, wrong = name in ("attempts", "max_body"), ""
    least = int(whole)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        wrong = f"it has to be a {'whole ' * whole}number"
    elif not value >= least:
        wrong = f"it has to be at least {least}"
    elif bounded and not 0 < value < math.inf:
        wrong = "it has to be above 0 and finite"
    return ConfigError(wrong, where=f"budget.{name}: ", place=(name,)) if wrong else None


@dataclass
class Account:
    """One configured provider, under the name that the user chose."""

    name: str
    provider: Provider
    clock: Clock = field(default_factory=SystemClock)
    watch: Callable[[Event], None] | None = None
    """Receives every event, in addition to the log. A falsy listener receives none."""
    ready: Callable[[str], None] | None = field(default=None, repr=False)
    """Called once with the service's URL, before the first request, to prepare the transport."""
    random: random.Random = field(default_factory=random.Random, repr=False)
    """Source of the jitter."""
    sharing: InitVar[RateLimiter | None] = None
    """A rate limiter that this account shares with others; None to create one for it alone."""
    unresolved: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)
    """Calls that ended before their outcome was known: see `guestlist.verbs.strategies`."""
    roles: tuple[float, list[Role]] | None = field(default=None, repr=False)
    """The roles of the account, and the monotonic time in seconds at which they were read."""
    logins: dict[str, str] = field(default_factory=dict, repr=False)
    """The logins with which this client has invited people, by address. The record of such an
    invitation may show only the login."""

    def __post_init__(self, sharing: RateLimiter | None) -> None:
        self.rate_limiter = sharing or RateLimiter(*self.provider.limits)
        self.redact = Redactor(self.provider.secrets(), self.provider.secret_fields)
        self.recent_writes = RecentWrites(self.provider.list_lag)
        self._dated: tuple[datetime, float] | None = None
        self._logger = logger.getChild(self.name)
        self._secret_files = SecretFiles(self.provider)
        self._headers = constant_headers(self.provider)
        self._credentials_known: Mapping[str, str] = {}
        self._pause_reported = -math.inf
        self._pause_guard = threading.Lock()
        self._token: tuple[Token, float] | None = None
        self._reported: set[tuple[str, str | int, str]] = set()

    def get_ready(self) -> None:
        """Calls `ready` if it has not been called yet."""
        ready = self.ready  # Read only once, because another thread may set it to None in between.
        if ready is not None:
            ready(self.provider.base_url)
            self.ready = None  # cleared last, so that other threads wait in `ready` until then

    @property
    def is_dated(self) -> bool:
        """Whether `now` returns the service's time. False if no answer had a date so far."""
        return self._dated is not None

    def now(self) -> datetime:
        """Returns the current time of the service, to compare with the dates of its records.

        It is the `Date` of the service's last answer that had one, plus the time since. It is late
        by at most one second and the time that the answer took to arrive. Before the first such
        answer, returns this machine's time, which may be wrong.
        """
        if self._dated is None:
            return self.clock.now()
        date, came = self._dated
        return date + timedelta(seconds=self.clock.monotonic() - came)

    def just_made(self, email: str) -> Guest | None:
        """Returns a guest that this client created, if the service's lists may not show it yet."""
        return self.recent_writes.of(email, self.clock.monotonic())

    def note_time(self, headers: Mapping[str, str]) -> None:
        """Sets the service's time from the `Date` header of an answer.

        Args:
            headers: headers of the answer, with names in lower case.
        """
        date = date_of(headers)
        if date is not None and date.year < MAXYEAR:  # a later date would overflow
            self._dated = (date, self.clock.monotonic())

    def back_off(
        self,
        seconds: float,
        *,
        refused: bool = False,
        pause: float = 0.0,
        reason: str = "",
        limiter: RateLimiter | None = None,
    ) -> None:
        """Delays the next requests, because the service has asked for a pause. If the rate limiter
        is shared, blocks until the pause is in the ledger.

        Args:
            seconds: length of the pause, which is cut to `MAX_BACK_OFF_SECONDS`.
            refused: whether the service refused a request.
            pause: length of the pause in seconds as the service named it, without a cut; 0 if the
                service named none.
            reason: text of the service's answer.
            limiter: the rate limiter of the requests to delay. By default, that of all requests.
        """
        if seconds > 0:
            length = min(seconds, MAX_BACK_OFF_SECONDS)
            (limiter or self.rate_limiter).push_back(
                self.clock.monotonic(), length, refused=refused, pause=pause, reason=reason
            )

    def pause_left(self, limiter: RateLimiter) -> float:
        """Returns the seconds until the end of the pause that the service asked for; else 0."""
        return limiter.pause_left(self.clock.monotonic())

    def report_pause(self, asked: GuestlistError | None = None, left: float | None = None) -> None:
        """Emits a `pause` event while a caller waits for the end of a pause.

        Emits at most one event a minute, and none for a pause of less than a second.

        Args:
            asked: an error whose `retry_after` names the pause. If the pause of the whole account
                ends at the same time or later, that one is reported instead.
            left: remaining seconds of the error's pause. By default `retry_after`.
        """
        paused = max(self.rate_limiter.with_parts, key=self.pause_left)
        seconds = self.pause_left(paused)
        reason = paused.pause_reason if seconds else ""
        if asked is not None and asked.retry_after and asked.status:
            of_error = asked.retry_after if left is None else left
            if of_error > seconds + 1:
                seconds, reason = of_error, reason_of_pause(asked)
        with self._pause_guard:
            now = self.clock.monotonic()
            is_early = now - self._pause_reported < PAUSE_REPORT_SECONDS - 1
            if seconds < MIN_REPORTED_PAUSE_SECONDS or is_early:
                return
            self._pause_reported = now
        end = self.clock.now() + timedelta(seconds=seconds)
        why = reason or "the service asked for a pause"
        until = in_time_units(seconds) if seconds < 60 else f"until {end:{PAUSE_END}}"
        self.emit(EventName.PAUSE, retry_after=seconds, detail=f"{why}, waiting {until}")

    def address(self, request: Request) -> str:
        """Returns the URL of a request.

        Raises:
            InvalidArgument: the request contains text that is not valid Unicode.
        """
        try:
            origin = getattr(self.provider, request.origin)
            slash = "/" if self.provider.trailing_slash else ""
            query = _pairs(request.query)
            return f"{origin}{_path(request)}{slash}{'?' if query else ''}{query}"
        except ValueError as error:
            raise _unsendable(error) from None

    def outgoing(self, request: Request, budget: Budget) -> Outgoing:
        """Returns a request in the form in which it is sent, with credentials unless it is public.

        Raises:
            InvalidArgument: the request contains text that is not valid Unicode, or a number that
                JSON cannot represent.
            ConfigError: the credentials contain a character that headers cannot contain.
        """
        headers = dict(self._headers)
        content = None
        url = self.address(request)
        try:
            if request.json is not None:
                headers["Content-Type"] = self.provider.media_type
                content = _json(request.json)
            elif request.form is not None:
                headers["Content-Type"] = FORM
                content = _pairs(request.form).encode()
        except ValueError as error:
            raise _unsendable(error) from None
        hidden = _secrets_in((*request.path, *request.query.values()))
        if hidden:
            self.redact.add(
                hidden
            )  # not percent-encoded, because a service may echo the decoded form
        if request.form:
            self.redact.add(_secrets_in(request.form.values()))
        if not request.public and request.origin == "base_url":
            headers.update(self._credentials())
        return Outgoing(
            method=request.method,
            url=url,
            headers=headers,
            content=content,
            timeout=budget.timeout,
            total=budget.total,
            max_body=budget.max_body,
            hidden=tuple(map(_quoted, hidden)),
            fresh=request.effect is Effect.CREATE,
        )

    def renew_credentials(self, outgoing: Outgoing, request: Request) -> None:
        """Updates the credentials in a request, which may have changed during a wait."""
        if not request.public and request.origin == "base_url":
            outgoing.headers = {**outgoing.headers, **self._credentials()}

    def _credentials(self) -> Mapping[str, str]:
        self.read_secrets()
        credentials = dict(self._secret_files.provider.authorize())
        if (token := self.token) is not None:
            credentials["Authorization"] = f"{token.scheme} {token.value}"
        if credentials != self._credentials_known:
            if not all(value.isascii() and value.isprintable() for value in credentials.values()):
                raise ConfigError(
                    "the credentials contain a character that cannot be sent",
                    hint="Copy the key again. It may contain only ASCII letters, digits and signs.",
                )
            self.redact.add_credentials(iter_secret_parts(credentials))
            self._credentials_known = credentials
        return credentials

    def read_secrets(self, *, again: bool = False) -> bool:
        """Reads the files of secret settings if they have changed since they were last read.

        Args:
            again: read them even if they look unchanged, because a credential was refused.

        Returns:
            Whether the secrets have changed.
        """
        before = self._secret_files.problem
        changed = self._secret_files.read(again=again)
        problem = self._secret_files.problem
        if problem and problem != before:
            self._logger.warning("%s: %s; the secret read before stays in use", self.name, problem)
        if changed:
            self.redact.know(self._secret_files.provider.secrets())
            self._token = None
        return changed

    @property
    def token(self) -> Token | None:
        """The current access token. None if there is none, or it is about to expire."""
        known = self._token
        return known[0] if known is not None and self.clock.monotonic() < known[1] else None

    def fetch_token(self) -> Flow[Token]:
        """Returns the flow that fetches an access token with the credentials as they are now."""
        self.read_secrets()
        return self._secret_files.provider.fetch_token()

    def keep_token(self, token: Token, asked: float) -> None:
        """Stores an access token for all calls.

        Args:
            asked: monotonic time in seconds at which the token was requested.
        """
        lifetime = math.inf if token.expires_in is None else token.expires_in
        self.redact.add_credentials((token.value,))
        self._token = token, asked + lifetime - min(TOKEN_MARGIN_SECONDS, lifetime / 10)

    def forget_token(self, token: Token | None) -> bool:
        """Forgets an access token that the service refused.

        Returns:
            Whether another token may be accepted. False if no token was sent.
        """
        known = self._token
        if known is not None and known[0] is token:
            self._token = None
        return token is not None

    @property
    def secrets_version(self) -> int:
        """How many times the contents of the secret files have changed."""
        return self._secret_files.version

    def describe(self, request: Request) -> str:
        """Returns the method and path of a request, with secrets masked: `GET /v2/users`."""
        return f"{request.method} {self._masked_path(request)}"

    def _masked_path(self, request: Request) -> str:
        slash = "/" if self.provider.trailing_slash else ""
        return self.redact(_path(request, masked=True) + slash)

    def report(self, operation: str, problem: RecordProblem) -> None:
        """Emits one event for each record that cannot be parsed completely.

        Args:
            operation: the list that contains the record, such as `members`.
        """
        known = (operation, problem.id or problem.position, problem.reason)
        if known in self._reported:
            return
        self._reported.add(known)
        done = "read as far as it can be" if problem.kept else "skipped"
        self.emit(
            EventName.RECORD, email=problem.email, detail=f"`{operation}`, {problem}; it is {done}"
        )

    def is_watched(self, name: EventName) -> bool:
        """Whether a listener or the log would receive an event of this name."""
        return bool(self.watch) or self._logger.isEnabledFor(_level(name))

    def emit(self, name: EventName, request: Request | None = None, **facts: Any) -> None:
        """Sends an event to the log and to the listener, if one of them would receive it."""
        if not self.is_watched(name):
            return
        for text in ("detail", "request_id"):
            if facts.get(text):
                facts[text] = self.redact(facts[text])
        if request is not None:
            facts.update(method=request.method, path=self._masked_path(request))
        event = Event(name, self.name, self.provider.name, self.clock.now(), **facts)
        extra = {
            "account": self.name,
            "event": name.value,
            "email_key": email_key(event.email) if event.email else None,
            "request_id": event.request_id,
        }
        self._logger.log(_level(name), "%s", event, extra=extra)
        if self.watch:
            try:
                self.watch(event)
            except Exception as error:  # a listener's error must not look like a failed request
                self._logger.warning(
                    "%s: an event listener raised: %s", self.name, self.redact(repr(error))
                )


def reason_of_pause(error: GuestlistError) -> str:
    """Returns the reason for a pause that an answer asked for: its status and message."""
    return f"HTTP {error.status}: {error.message}" if error.status else error.message


@dataclass
class Call:
    """One call of a verb on one account, with its budget and how much of it is used.

    Attributes:
        strategy: supplies facts from before the call, and records the call.
    """

    account: Account
    budget: Budget = field(default_factory=Budget)
    email: str | None = None
    login: str | None = field(default=None, kw_only=True)
    """The person's login at the service, if the caller has given it."""
    strategy: Strategy = field(default_factory=Strategy)
    attempts: int = 0
    waited: float = 0.0
    sent: Request | None = None
    """The last request that may have changed something."""
    fetches_token: bool = False
    """Whether the call fetches the account's access token."""
    sure: bool = True
    """Whether the last 2xx response certainly did not contain an error."""
    answered: bool = False
    """Whether the service reported success in an answer that does not show the record."""
    prepared: bool = False
    """Whether an `Effect.PREPARE` request, of this call or of an earlier one, may have created a
    record of the guest that looks like an invitation."""

    def __post_init__(self) -> None:
        self.prepared = self.strategy.is_prepared
        self._ends = self.account.clock.monotonic() + self.budget.total

    @property
    def provider(self) -> Provider:
        return self.account.provider

    @property
    def who(self) -> str:
        """The person's address, else the login with a leading `@`."""
        return self.email or f"@{self.login}"

    @property
    def key(self) -> str:
        """The text by which the person is compared with others, as in `Guest.key`."""
        return person_key(self.email, self.login)

    @property
    def preparation(self) -> Preparation | None:
        """The progress of the guest's invitation; None if no request has prepared it."""
        return self.preparation_after(self.sent)

    def was_sent(self, request: Request) -> None:
        """Notes that a request that may change something has left."""
        self.prepared = self.preparation_after(request) is not None
        self.sent = request

    def preparation_after(self, request: Request | None) -> Preparation | None:
        """Returns the progress of the guest's invitation after a request has left.

        Args:
            request: the last request that changes something; None if none has left yet.
        """
        prepares = request is not None and request.effect is Effect.PREPARE
        if not self.prepared and not (prepares and self.provider.shows_prepared):
            return None
        return Preparation.PREPARED if prepares or request is None else Preparation.SENDING

    @property
    def remaining(self) -> float:
        """Seconds left of the budget; never negative."""
        left = self._ends - self.account.clock.monotonic()
        return left if left > 0.0 else 0.0

    @property
    def patience(self) -> float:
        """Seconds that the call may wait now; never negative."""
        return max(0.0, min(self.remaining, self.budget.waiting - self.waited))

    def exceeded(self, wait: float, attempt: int = 0) -> str | None:
        """Returns the part of the budget that does not allow another request, such as `4 attempts`;
        None if the request is allowed.

        Args:
            wait: seconds until the request would be sent.
            attempt: number of attempts so far.
        """
        budget = self.budget
        if attempt >= budget.attempts:
            return f"{attempt} attempts" if attempt > 1 else "one attempt"
        if wait > 0 and self.waited + wait > budget.waiting:
            return f"{budget.waiting:g} s of waiting"
        return f"{budget.total:g} s in all" if wait >= self.remaining else None

    @property
    def grace(self) -> float:
        """The grace period in seconds; see the function `grace`."""
        return grace(self.provider, self.budget)

    def about(self, error: GuestlistError) -> GuestlistError:
        """Returns the error, with account, address and attempts added and secrets masked."""
        error.about(account=self.account.name, email=self.email)
        error.attempts = error.attempts or self.attempts
        error.waited = error.waited or self.waited
        redact = self.account.redact
        error.message = redact(error.message)
        error.args = (error.message,)
        error.hint = redact.ours(error.hint)
        error.code = redact(error.code) if error.code else None
        error.request_id = redact(error.request_id) if error.request_id else None
        redact.mask_behind(error)
        return error


def grace(provider: Provider, budget: Budget) -> float:
    """Returns the grace period in seconds, after which a lookup that finds nothing is conclusive.

    By then a request without an answer can no longer take effect, and the service's lists show the
    effects of all requests.
    """
    return max(provider.late_effect, 2 * budget.timeout) + provider.list_lag


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _json(value: Any) -> bytes:
    """Encodes a value as JSON. Raises ValueError for NaN, infinity and a lone surrogate."""
    return _encode(value).encode()


def _unsendable(error: ValueError) -> InvalidArgument:
    return InvalidArgument(f"the request contains a value that cannot be sent: {error}")


def _path(request: Request, *, masked: bool = False) -> str:
    segments = []
    for segment in request.path:
        if not isinstance(segment, SecretStr):
            segments.append(_quoted(str(segment)))
        else:
            segments.append(MASK if masked else _quoted(segment.get_secret_value()))
    return "/" + "/".join(segments)


def _secrets_in(values: Iterable[Any]) -> tuple[str, ...]:
    """Returns the secrets among the values of a request."""
    hidden = (value.get_secret_value() for value in values if isinstance(value, SecretStr))
    return tuple(secret for secret in hidden if secret)


def _pairs(fields: Query) -> str:
    """Encodes fields as the query of a URL or as a form."""
    return "&".join(
        f"{_quoted(name)}={_quoted(_text(value))}"
        for name, value in fields.items()
        if value is not None
    )


def _quoted(text: str) -> str:
    """Returns a text percent-encoded. Most texts need no encoding, and most others are addresses
    whose only special character is the `@`."""
    if PLAIN(text):
        return text
    return "%40".join(part if PLAIN(part) else quote(part, safe="") for part in text.split("@"))


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)
