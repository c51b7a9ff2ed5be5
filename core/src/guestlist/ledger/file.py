"""Checks the SQLite file of a ledger without writing to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from guestlist.errors import LedgerError
from guestlist.ledger.schema import ledger

BUSY = 30.0
"""Seconds to wait for another process that is writing to the same SQLite file."""

ANOTHER = "Name another file with ledger=PLACE, or as `url` in [ledger]."


def open_to_read(file: Path) -> sqlite3.Connection:
    """Returns a connection that never writes.

    SQLite keeps an index of the write-ahead log beside the file. If the index cannot be written and
    the log is empty, the file is opened as immutable.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    try:
        return _opened(file, "mode=ro")
    except sqlite3.OperationalError:
        log = file.with_name(f"{file.name}-wal")
        if not file.exists() or (log.exists() and log.stat().st_size):
            raise
        return _opened(file, "immutable=1")


def check_can_open(file: Path, *, read_only: bool = False) -> None:
    """Checks that a ledger can be opened, or created if the file does not exist.

    Raises:
        LedgerError: the file or its folder does not permit that. The message names the reason.
    """
    folder = file.parent
    if file.is_dir():
        why = "it is a folder"
    elif file.exists() and not file.is_file():
        why = "it is not a regular file"
    elif not folder.is_dir():
        why = f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}"
    elif file.exists() and not os.access(file, os.R_OK):
        why = "it is not readable"
    elif read_only:
        return
    elif file.exists() and not os.access(file, os.W_OK):
        why = "it is not writable"
    elif not os.access(folder, os.W_OK):  # SQLite writes its log beside the file
        why = f"the folder {folder} is not writable"
    else:
        return
    raise LedgerError(f"the ledger {file} cannot be opened: {why}", hint=ANOTHER)


def check_file(file: Path) -> None:
    """Checks that an existing file is a ledger, before anything is written to it.

    Raises:
        LedgerError: the file is something else.
    """
    if not file.is_file() or not file.stat().st_size:
        return
    try:
        with closing(open_to_read(file)) as connection:
            tables = _tables(connection)
    except sqlite3.OperationalError:
        return  # opening the ledger reports the reason
    except sqlite3.DatabaseError as error:
        raise LedgerError(
            f"{file} is not a SQLite database, or is damaged: {error}",
            hint=f"{ANOTHER} Restore a damaged ledger from a backup.",
        ) from None
    if tables and ledger.name not in tables:
        raise LedgerError(f"{file} is not a ledger: it contains other tables", hint=ANOTHER)


def _opened(file: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?{how}", uri=True, timeout=BUSY, check_same_thread=False
    )
    try:
        connection.isolation_level = None
        _tables(connection)  # SQLite opens the file with the first query
    except BaseException:
        connection.close()
        raise
    return connection


def _tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in rows}
