"""Reads from the ledger which emails people were sent: how many, when, and with which outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import and_, exists, func, or_, select

from guestlist.changes import SENDS_EMAIL, Action, Unresolved
from guestlist.ledger.schema import IS_PREPARED, IS_UNKNOWN, OrderState, orders
from guestlist.ledger.store import Store
from guestlist.models import Outcome

ROWS_PER_READ = 5_000
SENDING = [action.value for action in SENDS_EMAIL]
RESOLVING = [*SENDING, Action.REVOKE.value, Action.REMOVE.value]
"""Actions after which an earlier unknown outcome does not matter any more."""
LEAVES_OPEN = frozenset(
    {Outcome.INVITED, Outcome.RESENT, Outcome.ALREADY_INVITED, Outcome.AWAITING_APPROVAL}
)
"""Outcomes after which a person has an open invitation."""

_later = orders.alias()
IS_RESOLVED = exists().where(
    _later.c.key == orders.c.key,
    _later.c.account == orders.c.account,
    _later.c.id > orders.c.id,
    _later.c.state == OrderState.DONE,
    _later.c.action.in_(RESOLVING),
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
            orders.c.action.in_(SENDING),
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
    """Yields the accounts and keys of people whose open invitation does not prove that they got an
    email, because an order may have created a record without sending one (`Effect.PREPARE`).

    Raises:
        LedgerError: the ledger cannot be read.
    """
    wanted = select(orders.c.account, orders.c.key).where(IS_PREPARED, ~IS_RESOLVED).distinct()
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS_PER_READ).execute(wanted)
        yield from map(tuple, rows)


def last_invited(store: Store, account: str, keys: Collection[str]) -> dict[str, float]:
    """Returns, by person, when the ledger last recorded an open invitation, in seconds since 1970.
    Leaves out people whose last order had another result: a revocation, a removal or a membership.

    Args:
        keys: the normalized addresses of the people, at most a few hundred.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    wanted = (
        select(orders.c.key, orders.c.action, orders.c.outcome, orders.c.settled)
        .where(
            orders.c.key.in_(keys),
            orders.c.account == account,
            orders.c.state == OrderState.DONE,
            orders.c.action.in_(RESOLVING),
        )
        .order_by(orders.c.id)
    )
    found: dict[str, float] = {}
    with store.reading() as connection:
        for key, action, outcome, at in connection.execute(wanted):
            found.pop(key, None)
            if action in SENDS_EMAIL and outcome in LEAVES_OPEN:
                found[key] = at
    return found


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
            orders.c.action.in_(SENDING),
            sent,
            func.coalesce(orders.c.settled, orders.c.intended) >= moment.timestamp(),
        )
        .group_by(key)
        .order_by(key)
    )
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=ROWS_PER_READ).execute(wanted)
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
