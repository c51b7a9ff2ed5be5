"""The outcome of an order."""

from __future__ import annotations

from dataclasses import dataclass

from guestlist.changes import Change
from guestlist.exchange.recording import Preparation


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """The outcome of an order.

    Attributes:
        outcome: one word, such as `invited`.
        email_sent: whether an email was sent; None if no email was due or if that is unknown.
        detail: a warning or an error message.
        deferred: deferred grants that begin with the outcome.
        preparation: the progress of an invitation of two requests; None if nothing was prepared.
    """

    outcome: str
    email_sent: bool | None = None
    detail: str | None = None
    deferred: tuple[Change, ...] = ()
    preparation: Preparation | None = None
