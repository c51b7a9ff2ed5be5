"""`Event`: one thing that happened on an account, for logs, audits and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from guestlist.errors import in_time_units


class EventName(StrEnum):
    """The kind of an event."""

    ANSWER = "answer"
    """The service answered."""
    FAILURE = "failure"
    """No answer came."""
    RETRY = "retry"
    """The client waits before it sends again."""
    PACE = "pace"
    """The client waits to stay below the service's limit, or the limit could not be kept, which
    `detail` explains."""
    UNKNOWN = "unknown"
    """The outcome of a request is unknown."""
    LOOK = "look"
    """The client looks up whether a request took effect."""
    WAIT = "wait"
    """The client waits for a person until it looks again."""
    PAUSE = "pause"
    """The service asked for a pause, and the client waits for its end, which `detail` names with
    the reason. At most one a minute for an account."""
    RECORD = "record"
    """A list contains a record that cannot be read; `email` is the record's."""
    OUTCOME = "outcome"
    """A call has ended; `detail` is its result."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened on an account. It never contains a secret.

    Attributes:
        name: the kind of event.
        account: the account's name.
        provider: the provider's name.
        at: the time in UTC, by the client's clock.
        email: the address of the person, if the call is about one person.
        method: the HTTP method of the request, such as `POST`.
        path: the path of the request, with secrets masked.
        status: the HTTP status code of the answer.
        attempt: the number of the attempt to send the same request, from 1.
        seconds: the duration of the request or of the wait.
        request_id: the service's id of the request, for its support.
        detail: the reason or result in a few words.
        retry_after: seconds until the service accepts requests again, if the answer gives them.
    """

    name: EventName
    account: str
    provider: str
    at: datetime
    email: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    attempt: int | None = None
    seconds: float | None = None
    request_id: str | None = None
    detail: str | None = None
    retry_after: float | None = None

    def __post_init__(self) -> None:
        EventName(self.name)  # raises ValueError for any other text

    def __str__(self) -> str:
        parts = (
            self.email,
            f"{self.method} {self.path}" if self.method else None,
            str(self.status) if self.status else None,
            f"attempt {self.attempt}" if self.attempt and self.attempt > 1 else None,
            f"{self.seconds:.3f} s" if self.seconds is not None else None,
            f"request id {self.request_id}" if self.request_id else None,
            f"retry after {in_time_units(self.retry_after)}" if self.retry_after else None,
            self.detail,
        )
        return f"{self.account}: {self.name} " + ", ".join(part for part in parts if part)
