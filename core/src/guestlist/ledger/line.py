"""What the log tells of an order: values without a database behind them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from guestlist.changes import Action
from guestlist.models import Model


class LineState(StrEnum):
    """What has become of an order, in a word."""

    WAITING = "waiting"
    """Nothing was sent for it yet."""
    IN_DOUBT = "in_doubt"
    """A request was about to leave, and no answer is written down: it has to be looked for."""
    OWED = "owed"
    """A role that is given once the person has accepted the invitation."""
    DONE = "done"
    REFUSED = "refused"
    """It did not happen, and trying again would not help."""
    UNKNOWN = "unknown"
    """It may have happened, and no look can tell."""
    DROPPED = "dropped"
    """A later plan took its place before anything was sent, or it is not wanted any more."""


class LogEntry(Model):
    """One thing that happened to an order."""

    at: datetime
    what: str
    """`asked`, `sent`, `did not happen`, `dropped`, or the outcome."""
    detail: str | None = None
    """The request that was about to leave, the error, or a warning."""


class LogLine(Model):
    """One order, and all that happened to it. Times are in UTC."""

    id: int
    run: int | None
    """None for a single call."""
    source: str | None
    """The file that the run was made from."""
    actor: str | None = None
    """Who started the run or made the call. None in lines that an older guestlist has written."""
    host: str | None = None
    """The name of the machine."""
    job: str | None = None
    """The address of the CI job."""
    note: str | None = None
    """Why, as the actor said it."""
    account: str
    email: str
    key: str
    """The address as it is compared (`guestlist.address.email_key`)."""
    action: Action
    roles: tuple[str, ...] = ()
    """What people call them: `Member`, `group:Engineering`."""
    owed: tuple[str, ...] = ()
    """Roles that the service takes only once the invitation is accepted."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The provider's own options."""
    reason: str = ""
    """Why it was asked for, in a few words."""
    state: LineState
    asked_at: datetime
    sent_at: datetime | None
    """When a request was last about to leave."""
    settled_at: datetime | None
    attempts: int
    outcome: str | None
    """In a word; of a refusal, the class of the error."""
    mail: bool | None
    """Whether one was sent; None when none was due or nobody knows."""
    detail: str | None
    """The error, or a warning."""
    entries: tuple[LogEntry, ...] = ()
    """Oldest first."""

    @property
    def last_at(self) -> datetime:
        """When it was settled; else when it was sent; else when it was asked for."""
        return self.settled_at or self.sent_at or self.asked_at
