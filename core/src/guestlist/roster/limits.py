"""Limits on a plan: emails per person, invitations and removals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from guestlist.changes import SENDS_EMAIL, Action, Change
from guestlist.humanize import quantity


@dataclass(frozen=True)
class Limits:
    """Limits on a plan. None means no limit.

    Attributes:
        emails_per_person: maximum number of emails to one person within `period`, over all
            accounts.
        period: the period in which emails to one person are counted.
        invitations: number of emails that one run may send without confirmation.
        removals: number of people that one run may remove without confirmation. A revoked
            invitation counts as a removal.
        protected: people who lose neither membership nor roles, such as the owner of an API key:
            keys of addresses, and logins or ids of members.
    """

    emails_per_person: int | None = None
    period: timedelta = timedelta(days=7)
    invitations: int | None = None
    removals: int | None = None
    protected: frozenset[str] = frozenset()


class EmailLimiter:
    """Enforces the limit on emails per person.

    Changes must arrive grouped by person, because only the count of one person is kept.
    """

    def __init__(self, limits: Limits, emails_sent: Callable[[str], int] | None) -> None:
        self._limit = limits.emails_per_person
        self._period = limits.period
        self._emails_sent = emails_sent
        self._key = ""
        self._count = 0

    def check(self, change: Change) -> Change:
        """Returns the change, or a `cannot` change if the person would get too many emails."""
        if self._limit is None or change.action not in SENDS_EMAIL:
            return change
        if change.key != self._key:
            self._key = change.key
            self._count = self._emails_sent(change.key) if self._emails_sent else 0
        if self._count >= self._limit:
            reason = (
                f"had {quantity(self._count, 'email')} in {_period_text(self._period)},"
                f" and the limit is {self._limit}"
            )
            return change.model_copy(update={"action": Action.CANNOT, "reason": reason})
        self._count += 1
        return change


def _period_text(period: timedelta) -> str:
    """Returns the period in the largest unit in which it is a whole number."""
    minutes = round(period / timedelta(minutes=1))
    for unit, size in (("day", 24 * 60), ("hour", 60)):
        if minutes % size == 0:
            return quantity(minutes // size, unit)
    return quantity(minutes, "minute")
