"""Roles that people are owed: each once, until it is given, or the roster wants it no more."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, TextClause, select, update
from sqlalchemy.sql import ColumnElement

from guestlist.changes import Action, Change, RoleRef, role_key
from guestlist.ledger.order import COLUMNS, Order, read, row_of, say
from guestlist.ledger.schema import IS_OWED, OrderState, orders
from guestlist.ledger.store import Store, insert_absent

ROWS_PER_READ = 5_000


def all_deferred(store: Store) -> Iterator[Order]:
    """Yields the deferred grants, oldest first. They are read in pages: however many there are, few
    are in memory."""
    after = 0
    while True:
        wanted = select(*COLUMNS).where(IS_OWED, orders.c.id > after).order_by(orders.c.id)
        with store.reading() as connection:
            rows = connection.execute(wanted.limit(ROWS_PER_READ)).all()
        yield from map(read, rows)
        if len(rows) < ROWS_PER_READ:
            return
        after = rows[-1].id


def defer(connection: Connection, change: Change, now: float) -> None:
    """Writes down that a role is owed, unless it is already. What a single call had asked for and a
    roster asks for now, is the roster's from now on."""
    row = row_of(change, None, now, OrderState.OWED)
    insert_absent(connection, orders, row)
    if not change.single:
        connection.execute(update(orders).where(*_same_grant(change)).values(facts=row["facts"]))


def complete(connection: Connection, change: Change, now: float) -> None:
    """Writes down that a role is not owed any more: it was given otherwise."""
    connection.execute(
        update(orders)
        .where(*_same_grant(change))
        .values(state=OrderState.DONE, settled=now, outcome="assigned")
    )


def cancel(connection: Connection, change: Change, now: float) -> None:
    """Writes down that nothing is owed to somebody who was asked to be out: whoever invites the
    person anew says anew what for."""
    connection.execute(
        update(orders)
        .where(IS_OWED, orders.c.account == change.account, orders.c.key == change.key)
        .values(
            state=OrderState.DROPPED,
            settled=now,
            outcome="withdrawn",
            detail=f"{change.action}d meanwhile",
        )
    )


def apply_deferral(connection: Connection, change: Change, run: int, now: float) -> bool:
    """Applies a change of deferred grants. Returns False if the change needs an order."""
    if change.action is Action.SETTLE:
        return _make_due(connection, change, run)
    if change.action is Action.DEFER:
        for deferred in change.owed_roles():
            defer(connection, deferred, now)
        return True
    if change.action is Action.WITHDRAW:
        _withdraw(connection, change, run, now)
        return True
    return False


def _make_due(connection: Connection, change: Change, run: int) -> bool:
    """Makes an owed role an order of a run, now that the person has accepted. False when the
    ledger knows of no such debt."""
    due = {"state": OrderState.ASKED, "run": run, "facts": row_of(change, run, 0.0)["facts"]}
    return connection.execute(update(orders).where(*_same_grant(change)).values(due)).rowcount > 0


def _withdraw(connection: Connection, change: Change, run: int, now: float) -> None:
    """Writes down that a role is owed no more, and what is owed instead."""
    settled = {"state": OrderState.DROPPED, "settled": now, "run": run}
    ids = connection.scalars(
        update(orders)
        .where(*_same_grant(change))
        .values(**settled, outcome="withdrawn", detail=change.reason)
        .returning(orders.c.id)
    ).all()
    for id in ids:
        say(connection, id, now, "withdrawn", change.reason)
    for instead in change.owed_roles():
        defer(connection, instead, now)


def _same_grant(change: Change) -> tuple[ColumnElement[bool] | TextClause, ...]:
    return (
        IS_OWED,
        orders.c.account == change.account,
        orders.c.key == change.key,
        orders.c.role.in_(_keys(change.roles[0])),
    )


def _keys(role: RoleRef) -> set[str]:
    """Return what the column `role` may hold for a role. Version 0.1 stored the name as typed."""
    if isinstance(role, str):
        return {role}
    return {role_key(role), role.id, role.label, role.name or role.id}
