"""Deletes from the ledger: a person on request, and orders that were kept long enough.

On SQLite the deleted data also disappear from the file. A plain DELETE would leave them in free
pages and in the write-ahead log, together with earlier versions of the rows. So the file is
rewritten without its free space (`VACUUM`), and the log is emptied into it. On PostgreSQL the
server's own vacuum frees the space.

No run may be under way: SQLite cannot overwrite pages that other processes use. A worker that has
read an order before it was deleted cannot send it, because order numbers are never reused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, update

from guestlist.address import email_key, login_key
from guestlist.errors import LedgerError
from guestlist.ledger.lock import exclusive
from guestlist.ledger.schema import OrderState, entries, halts, orders, paces, runs, tokens
from guestlist.ledger.store import Store

BATCH = 5_000
"""Orders that are deleted in one transaction."""


@dataclass(frozen=True, slots=True)
class Erased:
    """The numbers of deleted rows.

    Attributes:
        orders: deleted orders.
        entries: deleted history entries.
        mentions: places in other rows that named the person, such as an invitation's `invited_by`.
            These rows stay, without the address.
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
    carried out, and deferred roles are not assigned. Where rows about others name the person, the
    address or login is replaced. A login may be a common word: it is recognized with a leading `@`,
    as the person who sent an invitation, and as a whole text.

    Args:
        email: the address, in any spelling, or a login with a leading `@`. Orders that name the
            person by a login that other orders of the person contain are found too.
        force: delete even if a request for the person is unresolved. It may have had an effect that
            the ledger then does not know.

    Raises:
        LedgerError: a request is unresolved, a run is under way, or the ledger cannot be written.
    """
    with exclusive(store):
        erased = store.make(lambda connection: _forget(connection, email, force=force))
        _overwrite(store)
    return erased


def expire(store: Store, older_than: datetime) -> Erased:
    """Deletes the orders that were settled before a moment, and runs without orders. Orders that
    wait, are deferred or unresolved stay, however old they are.

    Raises:
        LedgerError: a run is under way, or the ledger cannot be written.
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
    key = login_key(email) if email.strip().startswith("@") else email_key(email)
    keys, logins = _names_of(connection, key)
    theirs = or_(orders.c.key.in_(keys), *(_names_login(login) for login in logins))
    states = connection.scalars(select(orders.c.state).where(theirs).with_for_update())
    if OrderState.INTENDED in states.all() and not force:
        raise LedgerError(
            "a request for this person is unresolved",
            hint="Run `guestlist settle` to find out its outcome, or delete it with force=True.",
        ).about(email=email)
    written = connection.scalars(select(orders.c.email).where(theirs))
    spellings = {one for one in (email, *keys, *written) if one and not one.startswith("@")}
    mentions = _replace_mentions(connection, spellings, logins)
    return _delete(connection, theirs) + Erased(mentions=mentions)


def _names_of(connection: Connection, key: str) -> tuple[set[str], set[str]]:
    """Returns the keys and the logins under which the ledger knows a person."""
    keys, logins = {key}, {key[1:]} if key.startswith("@") else set[str]()
    # The first pass finds the logins of an address, the second finds other keys of these logins.
    for _ in range(2):
        theirs = or_(orders.c.key.in_(keys), *(_names_login(login) for login in logins))
        for other, facts in connection.execute(select(orders.c.key, orders.c.facts).where(theirs)):
            keys.add(other)
            if login := json.loads(facts).get("login"):
                logins.add(login)
                keys.add(login_key(login))
    return keys, logins


def _names_login(login: str) -> ColumnElement[bool]:
    """Returns the condition that an order contains a login."""
    field = f'"login":{json.dumps(login, ensure_ascii=False)}'
    return func.lower(orders.c.facts).contains(field.lower(), autoescape=True)


DELETED = "(deleted)"
"""Replaces a person's address or login in rows about others."""
MENTIONING = (
    *(orders.c[name] for name in ("facts", "detail", "actor", "note")),
    entries.c.detail,
    halts.c.why,
    runs.c.actor,
    runs.c.note,
    paces.c.state,
    tokens.c.name,
    tokens.c.created_by,
)
"""The columns that may contain a person's address or login."""


def _replace_mentions(
    connection: Connection, spellings: Collection[str], logins: Collection[str]
) -> int:
    """Replaces a person's names in rows about others, and returns the number of places.

    Args:
        spellings: spellings of the address. Case does not matter.
        logins: the logins. Case does not matter.
    """
    addresses, names = _as_written(spellings), _as_written(logins)
    whole = _one_of([*addresses, *(f"@{login}" for login in names)])
    # The lookarounds prevent a match inside a longer address or login.
    patterns = [rf"(?<![\w.+-]){whole}(?![\w-])(?!\.\w)"]
    patterns += [rf'(?<="invited_by":"){_one_of(names)}(?=")', rf"\A{_one_of(names)}\Z"]
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    written = [*addresses, *names]
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


def _as_written(names: Iterable[str]) -> set[str]:
    """Returns names as they are written in text and in JSON."""
    return {form for one in names for form in (one, json.dumps(one, ensure_ascii=False)[1:-1])}


def _one_of(names: Collection[str]) -> str:
    """Returns a regular expression that matches one of the names, or nothing if there is none."""
    longest_first = sorted(names, key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, longest_first))})" if names else "(?!)"


def _delete(connection: Connection, which: ColumnElement[bool]) -> Erased:
    deleted = connection.execute(
        delete(entries).where(entries.c.order.in_(select(orders.c.id).where(which)))
    )
    return Erased(connection.execute(delete(orders).where(which)).rowcount, deleted.rowcount)


def _end_of_batch(store: Store, which: ColumnElement[bool], after: int) -> int | None:
    """Returns the number of the last order of the next batch; None if no order is left."""
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
    """Deletes ended runs without orders. The last run stays, because it decides whether there is a
    run to resume."""
    newest = select(func.max(runs.c.id)).scalar_subquery()
    connection.execute(
        delete(runs).where(
            runs.c.id < newest,
            or_(runs.c.ended < moment, and_(runs.c.ended.is_(None), runs.c.began < moment)),
            ~exists().where(orders.c.run == runs.c.id),
        )
    )


def _overwrite(store: Store) -> None:
    """Removes all traces of deleted rows from the files of a SQLite ledger."""
    if not store.is_sqlite:
        return
    try:
        with store.reading() as connection:
            connection.exec_driver_sql("VACUUM")
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
        if busy:
            raise LedgerError("another process reads it")
    except LedgerError as error:
        raise LedgerError(
            f"deleted, but traces are left in the file {store.name}: {error.message}",
            hint="Run the command again when no other process uses the ledger.",
        ) from error
