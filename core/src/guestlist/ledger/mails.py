"""How many mails people have had, for the guard that keeps them from getting too many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import and_, func, or_, select

from guestlist.ledger.schema import OrderState, orders
from guestlist.ledger.store import Store
from guestlist.roster.change import MAILS

AT_A_TIME = 5_000


def mails_since(store: Store, moment: datetime) -> Iterator[tuple[str, int]]:
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
