"""Results of the operations that only Aitronos has."""

from __future__ import annotations

from guestlist.models import Answered, Model


class Status(Answered):
    """One of the statuses that an organization defines for its members."""

    id: str
    name: str
    description: str | None = None


class ResendFailure(Model):
    """A person whose invitation was not sent again."""

    id: str
    """The user or membership id, as passed to `bulk_resend`."""
    reason: str
    """The service's error message."""


class BulkResend(Answered):
    """The result of `bulk_resend`: how many emails were sent, and which failed."""

    sent: int
    failed: int
    failures: tuple[ResendFailure, ...] = ()
