"""What a plan may ask of people and services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guestlist.roster.change import MAILS, Action, Change


@dataclass(frozen=True)
class Limits:
    """What a plan may ask of people and services. None for any number.

    Attributes:
        mails_per_person: mails that one person may get within `days`, from all accounts together.
        days: the period that `mails` counts.
        invitations: mails of one run; more have to be confirmed.
        removals: people taken out in one run; more have to be confirmed.
        keep: keys of people from whom nothing is taken, such as whoever an API key belongs to.
    """

    mails_per_person: int | None = None
    days: int = 7
    invitations: int | None = None
    removals: int | None = None
    keep: frozenset[str] = frozenset()


class Guard:
    """Sees to it that nobody gets more mails than the limits allow. Knows of one person at a time:
    the accounts of a person come one after another."""

    def __init__(self, limits: Limits, mails: Callable[[str], int] | None) -> None:
        self._most = limits.mails_per_person
        self._days = limits.days
        self._mails = mails
        self._key = ""
        self._count = 0

    def pass_(self, change: Change) -> Change:
        """The change, or that it cannot be made."""
        if self._most is None or change.action not in MAILS:
            return change
        if change.key != self._key:
            self._key = change.key
            self._count = self._mails(change.key) if self._mails else 0
        if self._count >= self._most:
            reason = (
                f"had {_mails(self._count)} in {self._days} days, and {self._most} is the limit"
            )
            return change.model_copy(update={"action": Action.CANNOT, "reason": reason})
        self._count += 1
        return change


def _mails(count: int) -> str:
    return f"{count} mail" + "s" * (count != 1)
