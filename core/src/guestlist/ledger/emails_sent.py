"""How many mails people have had, for the guard that keeps them from getting too many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import and_, func, or_, select

from guestlist.changes import MAILS
from guestlist.ledger.schema import OrderState, orders
from guestlist.ledger.store import Store

AT_A_TIME = 5_000


def emails_since(store: Store, moment: datetime) -> Iterator[tuple[str, int]]:
    """Each person's key, and how many mails they have had since then: those that were sent, and
    those of which nobody knows.

    In the order of the keys, by code point, as Python sorts them. One person at a time is in
    memory; the ledger is read for as long as the iterator is, which keeps `forget` waiting.

    Raises:
        LedgerError: it cannot be read.
    """
    # SQLite compares bytes by itself, PostgreSQL as the country does
    key = orders.c.key if store.is_sqlite else orders.c.key.collate("C")
    sent = or_(
        and_(orders.c.state == OrderState.DONE, func.coalesce(orders.c.mail, True)),
        orders.c.state.in_((OrderState.INTENDED, OrderState.UNKNOWN)),
    )
    wanted = (
        select(key, func.count())
        .where(
            orders.c.action.in_([action.value for action in MAILS]),
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
    """The same, asked for one person after another, in the order of their keys."""

    def __init__(self, store: Store, moment: datetime) -> None:
        self._rows = emails_since(store, moment)
        self._next: tuple[str, int] | None = ("", 0)

    def __call__(self, key: str) -> int:
        """How many mails the person has had. Keys have to come in their order."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._rows, None)
        return self._next[1] if self._next is not None and self._next[0] == key else 0
