"""Reads and writes what the workers of several machines share in the ledger."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, func, select, text

from guestlist.ledger.schema import IS_OPEN, LockId, OrderState, halts, orders, runs
from guestlist.ledger.store import Store, insert_absent
from guestlist.runs.tally import Tally

PLANNED = "a new plan is being made"
"""Reason stored for accounts that are paused while a new plan is made."""


def unfinished_runs(store: Store) -> list[int]:
    """Returns the numbers of the runs that have not ended, oldest first."""
    with store.reading() as connection:
        return list(
            connection.scalars(select(runs.c.id).where(runs.c.ended.is_(None)).order_by(runs.c.id))
        )


def count_unanswered(store: Store, account: str) -> int:
    """Returns the number of an account's orders whose request got no answer and must still be
    looked up."""
    with store.reading() as connection:
        return (
            connection.scalar(
                select(func.count()).where(
                    IS_OPEN,
                    orders.c.account == account,
                    orders.c.state == OrderState.INTENDED,
                    orders.c.gave_up_at.is_not(None),
                )
            )
            or 0
        )


# ---------------------------------------------------------------------------- stopped accounts


def stop_account(store: Store, run: int, account: str, now: float, why: Exception) -> None:
    """Stops an account's orders of a run until the run is applied again."""
    store.write(lambda connection: add_halt(connection, run, account, now, str(why)))


def add_halt(connection: Connection, run: int, account: str, now: float, why: str) -> None:
    """Stops an account as `stop_account` does, in the current transaction."""
    insert_absent(connection, halts, {"run": run, "account": account, "at": now, "why": why})


def restart_accounts(store: Store, run: int) -> None:
    """Restarts all stopped accounts of a run."""
    store.make(lambda connection: connection.execute(delete(halts).where(halts.c.run == run)))


def stopped_accounts(store: Store, run: int) -> dict[str, str]:
    """Returns the stopped accounts of a run, with the reason."""
    with store.reading() as connection:
        rows = connection.execute(select(halts.c.account, halts.c.why).where(halts.c.run == run))
        return {row.account: row.why for row in rows}


def pause_all(store: Store, now: float) -> bool:
    """Stops all accounts of all unfinished runs while a plan is made that will replace the runs.
    Returns whether there are any."""

    def pause(connection: Connection) -> bool:
        left = select(orders.c.run, orders.c.account).where(
            IS_OPEN,
            orders.c.state < OrderState.DEFERRED,
            orders.c.run.in_(select(runs.c.id).where(runs.c.ended.is_(None))),
        )
        rows = connection.execute(left.distinct()).all()
        for row in rows:
            add_halt(connection, row.run, row.account, now, PLANNED)
        return bool(rows)

    is_paused = store.make(pause)
    if is_paused:
        # A worker may have begun to claim an order before it could see the pause. This waits until
        # all such claims are committed; claims that begin later do see it.
        store.make(lambda c: c.execute(text(f"LOCK TABLE {orders.name} IN SHARE MODE")))
    return is_paused


def end_pause(store: Store) -> None:
    """Ends the pause of `pause_all`. Accounts that are stopped for another reason stay stopped."""
    store.make(lambda connection: connection.execute(delete(halts).where(halts.c.why == PLANNED)))


def end_abandoned_pause(store: Store, account: str) -> None:
    """Ends the pause of `pause_all` if no process holds the lock of an account any more: the
    process that began the pause was killed."""
    # A single statement suffices: a process takes the lock before it pauses the accounts.
    is_free = text(
        "NOT EXISTS (SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE datname = current_database() AND locktype = 'advisory' AND granted"
        " AND classid = :lock AND objid = (hashtext(:account)::bigint & 4294967295)::oid)"
    ).bindparams(lock=int(LockId.ACCOUNT), account=account)
    left = delete(halts).where(halts.c.why == PLANNED, is_free)
    store.make(lambda connection: connection.execute(left))


# ---------------------------------------------------------------------------- progress


def run_has_ended(store: Store, run: int) -> bool:
    """Returns whether a run has ended."""
    with store.reading() as connection:
        return bool(
            connection.scalar(select(exists().where(runs.c.id == run, runs.c.ended.is_not(None))))
        )


def tallies(store: Store, run: int) -> dict[str, Tally]:
    """Returns the counts of a run by account, as the ledger holds them."""
    counted = (
        select(
            orders.c.account,
            orders.c.state,
            orders.c.outcome,
            orders.c.email_sent,
            func.count().label("n"),
        )
        .where(orders.c.run == run)
        .group_by(orders.c.account, orders.c.state, orders.c.outcome, orders.c.email_sent)
    )
    counts: dict[str, Tally] = {}
    with store.reading() as connection:
        rows = connection.execute(counted).all()
    for row in rows:
        tally = counts.setdefault(row.account, Tally(row.account))
        if row.state == OrderState.DONE:
            tally.done[row.outcome] += row.n
        elif row.state == OrderState.REFUSED:
            tally.refused[row.outcome] += row.n
        elif row.state == OrderState.UNKNOWN:
            tally.unknown += row.n
        elif row.state in (OrderState.ASKED, OrderState.INTENDED):
            tally.left += row.n
        tally.unresolved += row.n * (row.state == OrderState.INTENDED)
        tally.emails += row.n * (row.email_sent is True)
    return counts
