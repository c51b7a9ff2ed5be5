"""What happens, told to those who watch: one small value for logs, audit and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from guestlist.errors import in_time_units


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened on an account. Never holds a secret.

    Attributes:
        name: `answer` (an answer came), `failure` (none came), `retry` (a wait before sending
            again), `pace` (a wait to stay below the service's limit, or a `detail` in the way of
            one), `unknown` (a request whose outcome is not known), `look` (looking whether it
            happened), `wait` (a wait for somebody, until the next look), `record` (a list has
            a record that cannot be read as it should be; `email` is that record's), `outcome` (what
            a call did).
        account: the account's name.
        provider: the provider's name.
        at: when, by the client's clock, in UTC.
        email: the address that the call is about, if it is about one.
        method: the HTTP method of the request, such as `POST`.
        path: the path of the request, with secrets masked.
        status: the HTTP status of the answer.
        attempt: which try of the same request, from 1.
        seconds: how long it took, or how long the wait is.
        request_id: what to quote to the service's support.
        detail: the reason or outcome in a few words.
        retry_after: seconds after which the service asks to be called again, if the answer says so.
    """

    name: str
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

    def __str__(self) -> str:
        told = (
            self.email,
            f"{self.method} {self.path}" if self.method else None,
            str(self.status) if self.status else None,
            f"attempt {self.attempt}" if self.attempt and self.attempt > 1 else None,
            f"{self.seconds:.3f} s" if self.seconds is not None else None,
            f"request id {self.request_id}" if self.request_id else None,
            f"retry after {in_time_units(self.retry_after)}" if self.retry_after else None,
            self.detail,
        )
        return f"{self.account}: {self.name} " + ", ".join(part for part in told if part)
