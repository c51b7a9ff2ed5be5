"""What Aitronos tells that no other service does, as values."""

from __future__ import annotations

from guestlist.models import Answered, Model


class Status(Answered):
    """A word that an organization uses for where its people stand."""

    id: str
    name: str
    description: str | None = None


class ResendFailure(Model):
    """One person whose invitation was not sent again."""

    id: str
    """The user or membership id, as it was asked for."""
    reason: str
    """In the service's words."""


class BulkResend(Answered):
    """What sending many invitations again came to."""

    sent: int
    failed: int
    failures: tuple[ResendFailure, ...] = ()
