"""How an older ledger becomes one of today.

A migration is a function that changes the schema from one version to the next; there is one for
each version after the first. All that are missing run in one transaction when a ledger is opened.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, insert, inspect, select, text, update

from guestlist.errors import LedgerError
from guestlist.ledger.schema import MAKING, VERSION, ledger, metadata

MIGRATIONS: dict[int, Callable[[Connection], None]] = {}
"""From a version to the next. An empty ledger is created as of today."""


def migrate(connection: Connection, name: str) -> None:
    """Creates the tables, or brings them up to date.

    Args:
        name: what people know the ledger by.

    Raises:
        LedgerError: it was written by a newer guestlist.
    """
    if connection.dialect.name == "postgresql":  # two processes may open an empty ledger at once
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MAKING})"))
    if not inspect(connection).has_table(ledger.name):
        metadata.create_all(connection)
        connection.execute(insert(ledger).values(version=VERSION))
        return
    version = _version(connection, name)
    for older in range(version, VERSION):
        MIGRATIONS[older](connection)
    if version < VERSION:
        connection.execute(update(ledger).values(version=VERSION))


def check_version(connection: Connection, name: str) -> None:
    """Sees to it that a ledger which is only read is one of today.

    Args:
        name: as of `migrate`.

    Raises:
        LedgerError: it is none, or of another version.
    """
    if not inspect(connection).has_table(ledger.name):
        raise LedgerError(f"{name} is not a ledger: it is empty", hint="Name another one.")
    version = _version(connection, name)
    if version < VERSION:
        raise LedgerError(
            f"the ledger {name} is of version {version}, and this guestlist reads {VERSION}",
            hint="`guestlist settle`, where it can be written, brings it up to date.",
        )


def _version(connection: Connection, name: str) -> int:
    version = connection.scalar(select(ledger.c.version)) or 0
    if version > VERSION:
        raise LedgerError(
            f"the ledger {name} is of version {version}, and this guestlist knows {VERSION}",
            hint="Upgrade guestlist.",
        )
    return version
