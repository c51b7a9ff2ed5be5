"""What a plan may ask of people and services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from guestlist.changes import MAILS, Action, Change


@dataclass(frozen=True)
class Limits:
    """What a plan may ask of people and services. None for any number.

    Attributes:
        mails_per_person: mails that one person may get within the period, from all accounts
            together.
        period: the one that `mails_per_person` is about.
        invitations: mails of one run; more have to be confirmed.
        removals: people taken out in one run, be it that their invitation is revoked; more have to
            be confirmed.
        protected: keys of people from whom nothing is taken, such as whoever an API key belongs
            to.
    """

    mails_per_person: int | None = None
    period: timedelta = timedelta(days=7)
    invitations: int | None = None
    removals: int | None = None
    protected: frozenset[str] = frozenset()


class EmailLimiter:
    """Sees to it that nobody gets more mails than the limits allow. Knows of one person at a time:
    the accounts of a person come one after another."""

    def __init__(self, limits: Limits, mails: Callable[[str], int] | None) -> None:
        self._limit = limits.mails_per_person
        self._period = limits.period
        self._mails = mails
        self._key = ""
        self._count = 0

    def check(self, change: Change) -> Change:
        """The change, or that it cannot be made."""
        if self._limit is None or change.action not in MAILS:
            return change
        if change.key != self._key:
            self._key = change.key
            self._count = self._mails(change.key) if self._mails else 0
        if self._count >= self._limit:
            reason = (
                f"had {_counted(self._count, 'mail')} in {_period_text(self._period)},"
                f" and {self._limit} is the limit"
            )
            return change.model_copy(update={"action": Action.CANNOT, "reason": reason})
        self._count += 1
        return change


def _period_text(period: timedelta) -> str:
    """As `[limits]` has it: in the largest unit that is whole."""
    minutes = round(period / timedelta(minutes=1))
    for unit, size in (("day", 24 * 60), ("hour", 60)):
        if minutes % size == 0:
            return _counted(minutes // size, unit)
    return _counted(minutes, "minute")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + "s" * (count != 1)
