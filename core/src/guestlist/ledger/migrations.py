"""Brings an older ledger up to date.

A migration changes the schema from one version to the next. There is one for each version after the
first. Opening a ledger runs all that are missing, in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlalchemy import Connection, insert, inspect, select, text, update

from guestlist.errors import LedgerError
from guestlist.ledger.schema import VERSION, LockId, ledger, metadata


def _add_origins(connection: Connection) -> None:
    """Adds who started a run or a call (version 2), whether an unreadable answer reported success,
    and the index of orders whose outcome is unknown. Rate limiters begin anew: their rows have
    another form now."""
    for table in ("runs", "orders"):
        for column in ("actor", "host", "job", "note"):
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column} TEXT"))
    connection.execute(text("ALTER TABLE orders ADD COLUMN answered BOOLEAN"))
    connection.execute(
        text("CREATE INDEX orders_unknown ON orders (account, key) WHERE state = 12")
    )
    connection.execute(text("DELETE FROM paces"))


def _rename_words(connection: Connection) -> None:
    """Renames the column `mail`, the actions `assign` and `unassign`, and the deferred roles of a
    change, which were stored as `owed` (version 3)."""
    connection.execute(text("ALTER TABLE orders RENAME COLUMN mail TO email_sent"))
    connection.execute(text("DROP INDEX orders_owed"))
    connection.execute(
        text("CREATE UNIQUE INDEX orders_deferred ON orders (account, key, role) WHERE state = 2")
    )
    for older in ("assign", "unassign"):
        connection.execute(
            text("UPDATE orders SET action = :newer WHERE action = :older"),
            {"older": older, "newer": f"{older}_role"},
        )
    last = 0
    while rows := connection.execute(
        text(
            "SELECT id, facts FROM orders WHERE id > :last AND facts LIKE '%\"owed\"%'"
            " ORDER BY id LIMIT 1000"
        ),
        {"last": last},
    ).all():
        for id, facts in rows:
            change = json.loads(facts)
            if "owed" in change:  # and not only in a text
                change["deferred"] = change.pop("owed")
                connection.execute(
                    text("UPDATE orders SET facts = :facts WHERE id = :id"),
                    {"id": id, "facts": json.dumps(change)},
                )
        last = rows[-1].id


def _add_tokens(connection: Connection) -> None:
    """Adds the tokens of the HTTP API (version 4)."""
    time = "DOUBLE PRECISION" if connection.dialect.name == "postgresql" else "DOUBLE"
    connection.execute(
        text(
            "CREATE TABLE tokens (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL,"
            ' hash TEXT NOT NULL, "right" TEXT NOT NULL,'
            f" created {time} NOT NULL, created_by TEXT, expires {time} NOT NULL,"
            f" used {time}, revoked {time})"
        )
    )
    connection.execute(text("CREATE UNIQUE INDEX tokens_hash ON tokens (hash)"))


def _add_preparation(connection: Connection) -> None:
    """Adds the progress of an invitation of two requests (version 5)."""
    connection.execute(text("ALTER TABLE orders ADD COLUMN preparation SMALLINT"))
    connection.execute(
        text("CREATE INDEX orders_prepared ON orders (account, key) WHERE preparation IS NOT NULL")
    )


MIGRATIONS: dict[int, Callable[[Connection], None]] = {
    1: _add_origins,
    2: _rename_words,
    3: _add_tokens,
    4: _add_preparation,
}
"""By the version that they start from. An empty ledger is created in the newest version."""


def migrate(connection: Connection, name: str) -> None:
    """Creates the tables, or migrates them to the current version.

    Args:
        name: the ledger's name in messages.

    Raises:
        LedgerError: a newer guestlist has written the ledger.
    """
    # Two processes may open an empty ledger at the same time.
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LockId.TABLES:d})"))
    if not inspect(connection).has_table(ledger.name):
        metadata.create_all(connection)
        connection.execute(insert(ledger).values(version=VERSION))
        return
    version = _version(connection, name)
    for older in range(version, VERSION):
        MIGRATIONS[older](connection)
    if version < VERSION:
        connection.execute(update(ledger).values(version=VERSION))


def is_outdated(connection: Connection, name: str) -> bool:
    """Returns whether the ledger needs `migrate`. Does not wait for other processes.

    Args:
        name: the ledger's name in messages.

    Raises:
        LedgerError: a newer guestlist has written the ledger.
    """
    return not inspect(connection).has_table(ledger.name) or _version(connection, name) < VERSION


def check_version(connection: Connection, name: str) -> None:
    """Checks that a ledger can be read without a migration.

    Args:
        name: the ledger's name in messages.

    Raises:
        LedgerError: the database is empty, or the ledger has another version.
    """
    if not inspect(connection).has_table(ledger.name):
        raise LedgerError(f"{name} is not a ledger: it is empty", hint="Name another one.")
    version = _version(connection, name)
    if version < VERSION:
        raise LedgerError(
            f"the ledger {name} has version {version}, and this guestlist reads version {VERSION}",
            hint="Open it where it can be written: `guestlist settle` brings it up to date.",
        )


def _version(connection: Connection, name: str) -> int:
    version: int | None = connection.scalar(select(ledger.c.version))
    if version is None:
        raise LedgerError(
            f"the ledger {name} is damaged: its table {ledger.name!r} is empty",
            hint="Restore it from a backup.",
        )
    if version > VERSION:
        raise LedgerError(
            f"the ledger {name} has version {version}, and this guestlist knows version {VERSION}",
            hint="Upgrade guestlist.",
        )
    return version
