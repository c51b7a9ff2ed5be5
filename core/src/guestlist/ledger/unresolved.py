"""Finds emails whose outcome stays unknown. The people must not get another email before somebody
has confirmed it."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import exists, func, select

from guestlist.changes import SENDS_EMAIL, Action, Unresolved
from guestlist.ledger.schema import IS_PREPARED, IS_UNKNOWN, OrderState, orders
from guestlist.ledger.store import Store

ROWS_PER_READ = 5_000
RESOLVING = SENDS_EMAIL | {Action.REVOKE, Action.REMOVE}
"""Actions after which an earlier unknown outcome does not matter any more."""

_later = orders.alias()
IS_RESOLVED = exists().where(
    _later.c.key == orders.c.key,
    _later.c.account == orders.c.account,
    _later.c.id > orders.c.id,
    _later.c.state == OrderState.DONE,
    _later.c.action.in_([action.value for action in RESOLVING]),
)
"""Whether a later order has been carried out, so that an unknown outcome no longer matters."""


def unresolved(store: Store, since: float = 0.0) -> Iterator[Unresolved]:
    """Yields, for each account and person, the last order to send an email whose outcome stays
    unknown, unless a later order has been carried out.

    Args:
        since: only orders whose outcome was recorded as unknown at this time or later.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    last = (
        select(func.max(orders.c.id))
        .where(
            IS_UNKNOWN,
            orders.c.action.in_([action.value for action in SENDS_EMAIL]),
            orders.c.settled >= since,
            ~IS_RESOLVED,
        )
        .group_by(orders.c.account, orders.c.key)
    )
    wanted = (
        select(
            orders.c.account,
            orders.c.key,
            orders.c.action,
            func.coalesce(orders.c.intended, orders.c.settled),
            orders.c.detail,
        )
        .where(orders.c.id.in_(last))
        .order_by(orders.c.id)
    )
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS_PER_READ).execute(wanted)
        for account, key, action, at, detail in rows:
            yield Unresolved(account, key, Action(action), at, detail or "")


def prepared(store: Store) -> Iterator[tuple[str, str]]:
    """Yields the accounts and keys of people whose open invitation proves no email, because an
    order may have created a record without sending one (`Effect.PREPARE`).

    Raises:
        LedgerError: the ledger cannot be read.
    """
    wanted = select(orders.c.account, orders.c.key).where(IS_PREPARED, ~IS_RESOLVED).distinct()
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS_PER_READ).execute(wanted)
        yield from map(tuple, rows)
