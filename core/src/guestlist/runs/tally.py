"""What a run has done so far, account by account: for progress, the summary and the exit code."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from guestlist.errors import GuestlistError

SHOWN = 20
"""Errors that are kept for people; the others are counted, and in the ledger."""


@dataclass
class Tally:
    """The counts of one account. Written by the threads of a lane, read by anybody.

    Attributes:
        left: orders that nothing was sent for, or that are in doubt.
        done: orders by their outcome.
        refused: orders that failed for good, by the kind of error.
        unknown: orders of which no look can tell whether they happened.
        in_doubt: orders that are still to be looked for.
        mails: that were sent.
        problems: the first errors.
        halted: why the lane ended before its orders did; None when it did not.
    """

    account: str
    left: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    in_doubt: int = 0
    mails: int = 0
    problems: list[GuestlistError] = field(default_factory=list)
    halted: Exception | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def was_done(self, outcome: str, mail: bool | None) -> None:
        """Counts an order that came to its end."""
        with self._guard:
            self.done[outcome] += 1
            self.mails += mail is True
            self.left -= 1

    def was_refused(self, error: GuestlistError) -> None:
        """Counts an order that failed for good."""
        with self._guard:
            self.refused[type(error).__name__] += 1
            self.left -= 1
            self._show(error)

    def stays_unknown(self, error: GuestlistError) -> None:
        """Counts an order that nobody can tell of."""
        with self._guard:
            self.unknown += 1
            self.left -= 1
            self._show(error)

    def is_in_doubt(self, more: int) -> None:
        """Counts orders that are to be looked for, or, below zero, that were."""
        with self._guard:
            self.in_doubt += more

    @property
    def ended(self) -> int:
        """Orders that are worked on no more."""
        return self.done.total() + self.refused.total() + self.unknown

    def _show(self, error: GuestlistError) -> None:
        if len(self.problems) < SHOWN:
            self.problems.append(error)
