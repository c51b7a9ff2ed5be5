"""The values that `guestlist log` shows of an order. They need no database."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from guestlist.changes import Action
from guestlist.models import Model


class LineState(StrEnum):
    """The state of an order."""

    WAITING = "waiting"
    """Nothing was sent for it yet."""
    UNRESOLVED = "unresolved"
    """A request was about to leave, and no answer is recorded. The next run looks for its
    effect."""
    DEFERRED = "deferred"
    """A deferred grant: the role is assigned once the person has accepted the invitation."""
    DONE = "done"
    REFUSED = "refused"
    """It had no effect, and trying again would not help."""
    UNKNOWN = "unknown"
    """It may have had an effect, and the service does not show whether it had."""
    DROPPED = "dropped"
    """A later plan replaced it before anything was sent, or the roster does not ask for it any
    more."""


class LogEntry(Model):
    """One event in the history of an order."""

    at: datetime
    what: str
    """`asked`, `sent`, `did not happen`, `dropped`, or the outcome."""
    detail: str | None = None
    """The request that was about to leave, the error, or a warning."""


class LogLine(Model):
    """One order with its history. Times are in UTC."""

    id: int
    run: int | None
    """The number of the run; None for a single call."""
    source: str | None
    """The name of the roster file that the run was made from."""
    actor: str | None = None
    """The person or program that started the run or made the call. None in lines that an older
    guestlist has written."""
    host: str | None = None
    """The name of the machine."""
    job: str | None = None
    """The address of the CI job."""
    note: str | None = None
    """The reason that the actor gave."""
    account: str
    email: str
    key: str
    """The address as it is compared (`guestlist.address.email_key`)."""
    action: Action
    roles: tuple[str, ...] = ()
    """Names or labels of the roles: `Member`, `group:Engineering`."""
    deferred: tuple[str, ...] = ()
    """Deferred roles: the service accepts them only once the invitation is accepted."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the provider."""
    reason: str = ""
    """Why the change was planned."""
    state: LineState
    asked_at: datetime
    sent_at: datetime | None
    """When the last request was about to leave."""
    settled_at: datetime | None
    attempts: int
    outcome: str | None
    """The outcome in a word; for a failed order, the class of the error."""
    email_sent: bool | None
    """Whether an email was sent; None if no email was due or if that is unknown."""
    detail: str | None
    """The error, or a warning."""
    entries: tuple[LogEntry, ...] = ()
    """Oldest first."""

    @property
    def last_at(self) -> datetime:
        """The time of the last state: settled, sent or asked for."""
        return self.settled_at or self.sent_at or self.asked_at
