"""Deferred grants: roles that people get once they have accepted the invitation.

The ledger stores each grant once, until the role is given or the roster no longer wants it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Column, Connection, TextClause, and_, select, tuple_, update
from sqlalchemy.sql import ColumnElement

from guestlist.changes import Action, Change, RoleRef, role_key
from guestlist.ledger.order import COLUMNS, Order, add_entry, read, row_of
from guestlist.ledger.origin import Origin
from guestlist.ledger.schema import IS_DEFERRED, OrderState, orders
from guestlist.ledger.store import Store, insert_absent

ROWS_PER_READ = 5_000


def all_deferred(store: Store) -> Iterator[Order]:
    """Yields the deferred grants, oldest first. Reads them in pages, so that memory stays small."""
    yield from _paged(store, IS_DEFERRED, orders.c.id)


def of_person(store: Store, account: str, keys: Collection[str]) -> list[Order]:
    """Returns the deferred grants of a person in an account.

    Args:
        keys: the keys of the person's addresses and login.
    """
    wanted = and_(IS_DEFERRED, orders.c.account == account, orders.c.key.in_(list(keys)))
    return list(_paged(store, wanted, orders.c.id))


def deferred_by_person(store: Store, account: str) -> Iterator[Order]:
    """Yields the deferred grants of an account, those of a person one after another. Reads them in
    pages; the ledger may be changed meanwhile."""
    yield from _paged(
        store, and_(IS_DEFERRED, orders.c.account == account), orders.c.key, orders.c.id
    )


def _paged(
    store: Store, which: ColumnElement[bool] | TextClause, *by: Column[Any]
) -> Iterator[Order]:
    """Yields the orders that a condition selects.

    Args:
        by: the columns that they are sorted by. Together they are different for each order.
    """
    wanted = select(*COLUMNS).where(which).order_by(*by).limit(ROWS_PER_READ)
    page = wanted
    while True:
        with store.reading() as connection:
            rows = connection.execute(page).all()
        yield from map(read, rows)
        if len(rows) < ROWS_PER_READ:
            return
        last = rows[-1]._mapping
        page = wanted.where(tuple_(*by) > tuple_(*(last[column] for column in by)))


def defer(connection: Connection, change: Change, now: float, origin: Origin) -> None:
    """Stores a deferred grant, unless the ledger has it already. If a single call had asked for the
    role and the roster asks for it now, the grant belongs to the roster from now on.

    Args:
        origin: the person or program that asked for the role.
    """
    row = row_of(change, None, now, OrderState.DEFERRED, origin)
    insert_absent(connection, orders, row)
    if not change.single:
        connection.execute(update(orders).where(*_same_grant(change)).values(facts=row["facts"]))


def complete(connection: Connection, change: Change, now: float) -> None:
    """Marks a deferred grant as done, because the role was assigned by another call."""
    connection.execute(
        update(orders)
        .where(*_same_grant(change))
        .values(state=OrderState.DONE, settled=now, outcome="assigned")
    )


def cancel(connection: Connection, account: str, key: str, now: float, why: str) -> None:
    """Cancels all deferred grants of a person who has left an account. A new invitation has to name
    its roles again."""
    connection.execute(
        update(orders)
        .where(IS_DEFERRED, orders.c.account == account, orders.c.key == key)
        .values(state=OrderState.DROPPED, settled=now, outcome="withdrawn", detail=why)
    )


def apply_deferral(
    connection: Connection, change: Change, run: int, now: float, origin: Origin
) -> bool:
    """Applies a change of deferred grants. Returns False if the change needs an order.

    Args:
        origin: the person or program that starts the run.
    """
    if change.action is Action.SETTLE:
        return _make_due(connection, change, run)
    if change.action is Action.DEFER:
        for deferred in change.deferred_changes():
            defer(connection, deferred, now, origin)
        return True
    if change.action is Action.WITHDRAW:
        _withdraw(connection, change, run, now, origin)
        return True
    return False


def _make_due(connection: Connection, change: Change, run: int) -> bool:
    """Makes a deferred grant an order of a run, because the person has accepted. Returns False if
    the ledger does not have the grant."""
    due = {"state": OrderState.ASKED, "run": run, "facts": row_of(change, run, 0.0)["facts"]}
    return connection.execute(update(orders).where(*_same_grant(change)).values(due)).rowcount > 0


def _withdraw(connection: Connection, change: Change, run: int, now: float, origin: Origin) -> None:
    """Cancels a deferred grant, and stores the grants that replace it."""
    settled = {"state": OrderState.DROPPED, "settled": now, "run": run}
    ids = connection.scalars(
        update(orders)
        .where(*_same_grant(change))
        .values(**settled, outcome="withdrawn", detail=change.reason)
        .returning(orders.c.id)
    ).all()
    for id in ids:
        add_entry(connection, id, now, "withdrawn", change.reason)
    for instead in change.deferred_changes():
        defer(connection, instead, now, origin)


def _same_grant(change: Change) -> tuple[ColumnElement[bool] | TextClause, ...]:
    return (
        IS_DEFERRED,
        orders.c.account == change.account,
        orders.c.key == change.key,
        orders.c.role.in_(_keys(change.roles[0])),
    )


def _keys(role: RoleRef) -> set[str]:
    """Returns the values that the column `role` may hold for a role. Version 0.1 stored the name as
    typed."""
    if isinstance(role, str):
        return {role}
    return {role_key(role), role.id, role.label, role.name or role.id}
