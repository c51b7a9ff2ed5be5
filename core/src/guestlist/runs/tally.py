"""Counts the orders of a run by outcome, for each account. Progress reports, the summary and the
exit code use the counts."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from guestlist.errors import GuestlistError

SHOWN = 20
"""Errors of an account that are kept for the report. The others are counted, and are in the ledger.
"""


@dataclass
class Tally:
    """The counts of one account. The threads of its account worker write them; any thread may read
    them.

    Attributes:
        left: orders that are unsent or unresolved.
        done: successful orders by outcome.
        refused: failed orders by the class of the error. They are not tried again.
        unknown: orders whose outcome stays unknown, because the service does not show it.
        unresolved: orders whose request got no answer and must still be looked up.
        emails: number of emails sent.
        problems: the first errors.
        halted: the error that stopped the account before all orders were carried out; else None.
    """

    account: str
    left: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    unresolved: int = 0
    emails: int = 0
    problems: list[GuestlistError] = field(default_factory=list)
    halted: Exception | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def was_done(self, outcome: str, email_sent: bool | None) -> None:
        """Counts a successful order."""
        with self._guard:
            self.done[outcome] += 1
            self.emails += email_sent is True
            self.left -= 1

    def was_refused(self, error: GuestlistError) -> None:
        """Counts a failed order."""
        with self._guard:
            self.refused[type(error).__name__] += 1
            self.left -= 1
            self._show(error)

    def stays_unknown(self, error: GuestlistError) -> None:
        """Counts an order whose outcome stays unknown."""
        with self._guard:
            self.unknown += 1
            self.left -= 1
            self._show(error)

    def is_unresolved(self, more: int) -> None:
        """Adds to the number of orders whose request got no answer. A negative number subtracts."""
        with self._guard:
            self.unresolved += more

    @property
    def ended(self) -> int:
        """Number of orders that need no more work."""
        return self.done.total() + self.refused.total() + self.unknown

    def _show(self, error: GuestlistError) -> None:
        if len(self.problems) < SHOWN:
            self.problems.append(error)
