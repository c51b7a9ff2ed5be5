"""Deleting from the ledger: a person, on request, and what has been kept long enough.

On SQLite what is deleted is gone from the file as well. Deleting alone would leave it in free pages
and in the write-ahead log, with what the rows were before they were changed. So the file is written
anew without its free space (`VACUUM`), and the log is emptied into it. On PostgreSQL the server's
own vacuum frees the space.

No run may be under way meanwhile: while others use a SQLite file, nothing in it can be overwritten.
A worker that has read an order before it was deleted finds it taken, because no number is ever
given again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, update

from guestlist.address import email_key
from guestlist.errors import LedgerError
from guestlist.ledger.lock import exclusive
from guestlist.ledger.schema import OrderState, entries, halts, orders, paces, runs
from guestlist.ledger.store import Store

BATCH = 5_000
"""Orders that are deleted with one transaction."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was deleted.

    Attributes:
        orders, entries: rows.
        mentions: places in other rows that named the person, such as an invitation's `invited_by`.
            The rows stay, without the address.
    """

    orders: int = 0
    entries: int = 0
    mentions: int = 0

    def __add__(self, other: Erased) -> Erased:
        return Erased(
            self.orders + other.orders,
            self.entries + other.entries,
            self.mentions + other.mentions,
        )


def forget(store: Store, email: str, *, force: bool = False) -> Erased:
    """Deletes everything about a person, in all accounts. Waiting orders for the person are not
    carried out, and deferred roles are not given. Where rows about others name the person, the
    address is replaced.

    Args:
        email: the address, in any spelling.
        force: also while it is in doubt whether an order of theirs has happened. It may have, and
            nothing will be known of it.

    Raises:
        LedgerError: an order is in doubt, a run is under way, or it cannot be written.
    """
    with exclusive(store):
        erased = store.make(lambda connection: _forget(connection, email, force=force))
        _overwrite(store)
    return erased


def expire(store: Store, older_than: datetime) -> Erased:
    """Deletes the orders that were settled before a moment, and the runs that have none left.
    What waits, is owed or in doubt stays, however old it is.

    Raises:
        LedgerError: a run is under way, or it cannot be written.
    """
    moment = older_than.timestamp()
    old = and_(orders.c.state >= OrderState.DONE, orders.c.settled < moment)
    erased, after = Erased(), 0
    with exclusive(store):
        while (last := _end_of_batch(store, old, after)) is not None:
            batch = and_(old, orders.c.id > after, orders.c.id <= last)
            erased += store.make(partial(_delete, which=batch))
            after = last
        store.make(lambda connection: _delete_runs(connection, moment))
        _overwrite(store)
    return erased


def _forget(connection: Connection, email: str, *, force: bool) -> Erased:
    theirs = orders.c.key == email_key(email)
    states = connection.scalars(select(orders.c.state).where(theirs).with_for_update())
    if OrderState.INTENDED in states.all() and not force:
        raise LedgerError(
            "nobody knows yet whether an order of theirs has happened",
            hint="`guestlist settle` finds out; --force deletes it all the same.",
        ).about(email=email)
    spellings = {email, email_key(email), *connection.scalars(select(orders.c.email).where(theirs))}
    return _delete(connection, theirs) + Erased(mentions=_replace_mentions(connection, spellings))


DELETED = "(deleted)"
"""What stands where rows about others named the person."""
MENTIONING = (
    *(orders.c[name] for name in ("facts", "detail", "actor", "note")),
    entries.c.detail,
    halts.c.why,
    runs.c.actor,
    runs.c.note,
    paces.c.state,
)
"""The columns that may hold anybody's address."""


def _replace_mentions(connection: Connection, spellings: Collection[str]) -> int:
    """Replaces an address in rows about others, and returns the number of places.

    Args:
        spellings: of the address. Upper and lower case are the same.
    """
    written = {*spellings, *(json.dumps(one, ensure_ascii=False)[1:-1] for one in spellings)}
    whole = "|".join(map(re.escape, sorted(written, key=len, reverse=True)))
    # not as a part of another address
    pattern = re.compile(rf"(?<![\w.+-])(?:{whole})(?![\w-])(?!\.\w)", re.IGNORECASE)
    number = 0
    for column in MENTIONING:
        keys = list(column.table.primary_key.columns)
        lowered = func.lower(column)
        named = or_(*(lowered.contains(one.lower(), autoescape=True) for one in written))
        for row in connection.execute(select(column, *keys).where(named)).all():
            text = pattern.sub(DELETED, row[0])
            if text != row[0]:
                this = and_(*(key == value for key, value in zip(keys, row[1:], strict=True)))
                connection.execute(update(column.table).where(this).values({column.name: text}))
                number += 1
    return number


def _delete(connection: Connection, which: ColumnElement[bool]) -> Erased:
    told = connection.execute(
        delete(entries).where(entries.c.order.in_(select(orders.c.id).where(which)))
    )
    return Erased(connection.execute(delete(orders).where(which)).rowcount, told.rowcount)


def _end_of_batch(store: Store, which: ColumnElement[bool], after: int) -> int | None:
    """The number of the last order of the next batch."""
    batch = (
        select(orders.c.id)
        .where(which, orders.c.id > after)
        .order_by(orders.c.id)
        .limit(BATCH)
        .subquery()
    )
    with store.reading() as connection:
        last: int | None = connection.scalar(select(func.max(batch.c.id)))
    return last


def _delete_runs(connection: Connection, moment: float) -> None:
    """The last run stays: whether there is one to go on with is read from it."""
    newest = select(func.max(runs.c.id)).scalar_subquery()
    connection.execute(
        delete(runs).where(
            runs.c.id < newest,
            or_(runs.c.ended < moment, and_(runs.c.ended.is_(None), runs.c.began < moment)),
            ~exists().where(orders.c.run == runs.c.id),
        )
    )


def _overwrite(store: Store) -> None:
    """Leaves nothing of what was deleted in the files of a SQLite ledger."""
    if not store.is_sqlite:
        return
    try:
        with store.reading() as connection:
            connection.exec_driver_sql("VACUUM")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
        if busy:
            raise LedgerError("somebody else reads it")
    except LedgerError as error:
        raise LedgerError(
            f"deleted, but traces are left in the file {store.name}: {error.message}",
            hint="Do the same again when nobody else uses it.",
        ) from error
