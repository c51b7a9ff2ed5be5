"""Counts the emails that people were sent, for the limit of emails per person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import and_, func, or_, select

from guestlist.changes import SENDS_EMAIL
from guestlist.ledger.schema import OrderState, orders
from guestlist.ledger.store import Store

AT_A_TIME = 5_000


def emails_since(store: Store, moment: datetime) -> Iterator[tuple[str, int]]:
    """Yields each person's key with the number of emails since a moment: emails that were sent, and
    emails of orders whose outcome is unknown.

    Sorted by key, by code point, as Python sorts strings. Keeps one person at a time in memory.
    While the iterator is open, `forget` has to wait.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    # The collation is given, because PostgreSQL would sort by the locale, and SQLite sorts by
    # bytes.
    key = orders.c.key if store.is_sqlite else orders.c.key.collate("C")
    sent = or_(
        and_(orders.c.state == OrderState.DONE, func.coalesce(orders.c.email_sent, True)),
        orders.c.state.in_((OrderState.INTENDED, OrderState.UNKNOWN)),
    )
    wanted = (
        select(key, func.count())
        .where(
            orders.c.action.in_([action.value for action in SENDS_EMAIL]),
            sent,
            func.coalesce(orders.c.settled, orders.c.intended) >= moment.timestamp(),
        )
        .group_by(key)
        .order_by(key)
    )
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=AT_A_TIME).execute(wanted)
        yield from map(tuple, rows)


class EmailsPerPerson:
    """Looks up the numbers of `emails_since` for one person after another, in the order of their
    keys."""

    def __init__(self, store: Store, moment: datetime) -> None:
        self._rows = emails_since(store, moment)
        self._next: tuple[str, int] | None = ("", 0)

    def __call__(self, key: str) -> int:
        """Returns the number of emails of a person. Keys must be passed in ascending order."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._rows, None)
        return self._next[1] if self._next is not None and self._next[0] == key else 0
