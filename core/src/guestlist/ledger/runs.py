"""Runs: orders that are carried out together, and continued after a crash."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, exists, func, insert, select, update
from sqlalchemy.sql import ColumnElement

from guestlist.changes import IMPOSSIBLE, Action, Change
from guestlist.errors import Conflict
from guestlist.ledger.deferred_grants import apply_deferral
from guestlist.ledger.order import row_of
from guestlist.ledger.origin import NOBODY, Origin
from guestlist.ledger.schema import IS_OPEN, OrderState, orders, runs
from guestlist.ledger.store import Store

ROWS_PER_STATEMENT = 5_000
"""Rows that are inserted with one statement."""

Claims = Mapping[str, int | None]
"""Attempts of the unfinished runs, by account. None for an account with an order in flight or
unresolved."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run, as stored in the ledger."""

    id: int
    began: float
    roster: str
    source: str
    actor: str | None = None


def begin_run(
    store: Store,
    changes: Callable[[], Iterable[Change]],
    roster: str,
    source: str,
    now: float,
    *,
    replace: bool = False,
    before: Claims | None = None,
    origin: Origin = NOBODY,
    joined: Callable[[int, Collection[str]], None] | None = None,
) -> int:
    """Stores a new run with its orders in one transaction, and returns its number.

    Args:
        changes: returns the changes. Each call starts from the first one.
        roster: the digest of the roster; empty for a run of deferred grants.
        source: the name of the roster's file.
        replace: whether to end earlier runs and drop their orders that were not begun.
        before: the result of `claims` from before the plan was made, if other processes work on the
            earlier runs.
        origin: the person or program that starts the run.
        joined: called with the run's number and its accounts before any other process can see the
            run.

    Raises:
        Conflict: another process has worked on an earlier run since `before`, so that the plan may
            repeat changes.
    """

    def begin(connection: Connection) -> int:
        moved: set[str] = set()
        if replace:
            # `drop_orders` waits until other processes have finished claiming orders.
            drop_orders(connection, now)
            if before is not None:
                moved = _moved(before, _claims(connection))
            connection.execute(update(runs).where(runs.c.ended.is_(None)).values(ended=now))
        row = {"began": now, "roster": roster, "source": source, **origin.columns()}
        made = connection.execute(insert(runs).values(row).returning(runs.c.id))
        run = int(made.scalar_one())
        add_orders(connection, changes(), run=run, now=now, origin=origin)
        _check_unmoved(connection, run, moved)
        if joined is not None:
            of_run = select(orders.c.account).where(orders.c.run == run).distinct()
            joined(run, connection.scalars(of_run).all())
        return run

    return store.make(begin)


def attempts_by_account(store: Store) -> Claims:
    """Returns the attempts of the unfinished runs, by account."""
    with store.reading() as connection:
        return _claims(connection)


def _claims(connection: Connection) -> Claims:
    unfinished = select(runs.c.id).where(runs.c.ended.is_(None))
    begun = connection.execute(
        select(orders.c.account, func.sum(orders.c.attempts))
        .where(orders.c.run.in_(unfinished))
        .group_by(orders.c.account)
    )
    under_way = connection.scalars(
        select(orders.c.account)
        .where(IS_OPEN, orders.c.run.is_not(None), orders.c.state == OrderState.INTENDED)
        .distinct()
    )
    return {row[0]: row[1] for row in begun} | dict.fromkeys(under_way)


def _moved(before: Claims, now: Claims) -> set[str]:
    """Returns the accounts on which a run has gone on, or may have."""
    return {
        account
        for account in before.keys() | now.keys()
        if now.get(account) is None or now[account] != before.get(account)
    }


def _check_unmoved(connection: Connection, run: int, moved: set[str]) -> None:
    if not moved:
        return
    asked = connection.scalars(select(orders.c.account).where(orders.c.run == run).distinct())
    if stale := sorted(moved.intersection(asked)):
        raise Conflict(
            f"an earlier run has continued while the plan was made: {', '.join(stale)}",
            hint="Nothing was sent for the plan. Run the command again in a minute or two.",
        )


def end_run(store: Store, run: int, now: float) -> None:
    """Records that no order of a run is left."""
    store.write(lambda c: c.execute(update(runs).where(runs.c.id == run).values(ended=now)))


def unfinished_run(store: Store) -> Run | None:
    """Returns the last run of a roster if it has not ended; else None."""
    with store.reading() as connection:
        row = connection.execute(
            select(
                runs.c.id, runs.c.began, runs.c.roster, runs.c.source, runs.c.actor, runs.c.ended
            )
            .where(runs.c.roster != "")
            .order_by(runs.c.id.desc())
            .limit(1)
        ).first()
    return None if row is None or row.ended is not None else Run(*row[:5])


def add_orders(
    connection: Connection,
    changes: Iterable[Change],
    *,
    run: int,
    now: float,
    origin: Origin = NOBODY,
) -> None:
    """Stores the orders of a run. Sends nothing.

    Omits changes that cannot be made. A change of a deferred grant creates no order: the existing
    grant becomes due or is withdrawn, or a grant is added.

    Args:
        origin: the person or program that starts the run. Stored with grants that are added.
    """
    doable = (change for change in changes if change.action not in IMPOSSIBLE)
    while some := list(islice(doable, ROWS_PER_STATEMENT)):
        rows = [
            row_of(change, run, now)
            for change in some
            if not apply_deferral(connection, change, run, now, origin)
        ]
        if rows:
            connection.execute(insert(orders), rows)


def drop_orders(connection: Connection, now: float) -> None:
    """Drops the orders of earlier runs that were not begun, because a new plan replaces them.
    Deferred grants that had become due are deferred again."""
    _drop(connection, now, orders.c.run.is_not(None))


def defer_again(connection: Connection, now: float) -> None:
    """Defers the grants again that a run has not carried out."""
    _drop(connection, now, orders.c.run.in_(select(runs.c.id).where(runs.c.roster == "")))


_besides = orders.alias()
_is_owed_besides = exists().where(
    _besides.c.state == OrderState.DEFERRED,
    _besides.c.account == orders.c.account,
    _besides.c.key == orders.c.key,
    _besides.c.role == orders.c.role,
)


def _drop(connection: Connection, now: float, which: ColumnElement[bool]) -> None:
    not_begun = (IS_OPEN, orders.c.state == OrderState.ASKED, which)
    connection.execute(
        update(orders)
        .where(
            orders.c.state
            == OrderState.ASKED,  # checked again, because another process may have claimed it
            orders.c.id.in_(
                select(func.min(orders.c.id))
                .where(*not_begun, orders.c.action == Action.SETTLE, ~_is_owed_besides)
                .group_by(orders.c.account, orders.c.key, orders.c.role)
            ),
        )
        .values(state=OrderState.DEFERRED, run=None)
    )
    connection.execute(
        update(orders).where(*not_begun).values(state=OrderState.DROPPED, settled=now)
    )
