"""What workers on several machines ask the ledger: it is all that they have in common."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, func, select, text

from guestlist.ledger.lock import LOCK
from guestlist.ledger.schema import IS_OPEN, OrderState, halts, orders, runs
from guestlist.ledger.store import Store, insert_absent
from guestlist.runs.tally import Tally

PLANNED = "a new plan is being made"
"""Why accounts rest while one is."""


def unfinished_runs(store: Store) -> list[int]:
    """The runs that did not come to their end, the oldest first."""
    with store.reading() as connection:
        return list(
            connection.scalars(select(runs.c.id).where(runs.c.ended.is_(None)).order_by(runs.c.id))
        )


def count_unanswered(store: Store, account: str) -> int:
    """How many orders of an account got no answer and are to be looked for."""
    with store.reading() as connection:
        return (
            connection.scalar(
                select(func.count()).where(
                    IS_OPEN,
                    orders.c.account == account,
                    orders.c.state == OrderState.INTENDED,
                    orders.c.doubted.is_not(None),
                )
            )
            or 0
        )


# ---------------------------------------------------------------------------- accounts that rest


def stop_account(connection: Connection, run: int, account: str, now: float, why: str) -> None:
    """Says that an account's orders of a run rest until somebody asks for the run again."""
    insert_absent(connection, halts, {"run": run, "account": account, "at": now, "why": why})


def restart_accounts(store: Store, run: int) -> None:
    """Lets all accounts of a run go on."""
    store.make(lambda connection: connection.execute(delete(halts).where(halts.c.run == run)))


def stopped_accounts(store: Store, run: int) -> dict[str, str]:
    """The accounts whose orders of a run rest, and why."""
    with store.reading() as connection:
        rows = connection.execute(select(halts.c.account, halts.c.why).where(halts.c.run == run))
        return {row.account: row.why for row in rows}


def pause_all(store: Store, now: float) -> bool:
    """Has all accounts of all runs rest, while a plan is made that is to take their place; returns
    whether there are any."""

    def pause(connection: Connection) -> bool:
        left = select(orders.c.run, orders.c.account).where(
            IS_OPEN,
            orders.c.state < OrderState.OWED,
            orders.c.run.in_(select(runs.c.id).where(runs.c.ended.is_(None))),
        )
        rows = connection.execute(left.distinct()).all()
        for row in rows:
            stop_account(connection, row.run, row.account, now, PLANNED)
        return bool(rows)

    return store.make(pause)


def end_pause(store: Store) -> None:
    """Lets them go on. What rests for another reason still does."""
    store.make(lambda connection: connection.execute(delete(halts).where(halts.c.why == PLANNED)))


def end_abandoned_pause(store: Store, account: str) -> None:
    """The same, where nobody is in the block of `sole` for an account: whoever has had them rest
    is gone."""
    # one statement: who is in the block, and has them rest, was in it before
    nobody = text(
        "NOT EXISTS (SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE datname = current_database() AND locktype = 'advisory' AND granted"
        " AND classid = :lock AND objid = (hashtext(:account)::bigint & 4294967295)::oid)"
    ).bindparams(lock=LOCK, account=account)
    left = delete(halts).where(halts.c.why == PLANNED, nobody)
    store.make(lambda connection: connection.execute(left))


# ---------------------------------------------------------------------------- how far it is


def has_ended(store: Store, run: int) -> bool:
    """Whether nothing of a run is left to do."""
    with store.reading() as connection:
        return bool(
            connection.scalar(select(exists().where(runs.c.id == run, runs.c.ended.is_not(None))))
        )


def tallies(store: Store, run: int) -> dict[str, Tally]:
    """What a run has done so far, as the ledger knows it, by account."""
    counted = (
        select(
            orders.c.account,
            orders.c.state,
            orders.c.outcome,
            orders.c.mail,
            func.count().label("n"),
        )
        .where(orders.c.run == run)
        .group_by(orders.c.account, orders.c.state, orders.c.outcome, orders.c.mail)
    )
    told: dict[str, Tally] = {}
    with store.reading() as connection:
        rows = connection.execute(counted).all()
    for row in rows:
        tally = told.setdefault(row.account, Tally(row.account))
        if row.state == OrderState.DONE:
            tally.done[row.outcome] += row.n
        elif row.state == OrderState.REFUSED:
            tally.refused[row.outcome] += row.n
        elif row.state == OrderState.UNKNOWN:
            tally.unknown += row.n
        elif row.state in (OrderState.ASKED, OrderState.INTENDED):
            tally.left += row.n
        tally.in_doubt += row.n * (row.state == OrderState.INTENDED)
        tally.mails += row.n * (row.mail is True)
    return told
