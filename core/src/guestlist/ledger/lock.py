"""Locks on a ledger: one run at a time, and one worker at a time for an account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import text

from guestlist.errors import LedgerError
from guestlist.ledger.store import Store

LOCK = 8618
"""The first key of the locks that workers take for an account."""
PLANNING = ""
"""Stands for an account: for whoever plans all of them."""
KEEP_ALIVE = {"idle": 5, "interval": 5, "count": 3}
"""Seconds after which the database asks a silent worker whether it is there, and how often."""


@contextmanager
def account_lock(store: Store, account: str) -> Iterator[bool]:
    """Whether nobody else is in this block for the same account. The database lets go when the
    worker, its machine or the network between them dies."""
    with store.apart() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        for name, value in KEEP_ALIVE.items():
            connection.execute(text(f"SET tcp_keepalives_{name} = {value}"))
        key = {"lock": LOCK, "account": account}
        lock = "advisory_lock(:lock, hashtext(:account))"
        mine = bool(connection.scalar(text(f"SELECT pg_try_{lock}"), key))
        try:
            yield mine
        finally:
            if mine:
                connection.execute(text(f"SELECT pg_{lock.replace('_lock', '_unlock')}"), key)


@contextmanager
def exclusive(store: Store) -> Iterator[None]:
    """Keeps every other process from planning and beginning a run on the same ledger; on a SQLite
    file, from working on one as well.

    The lock ends with the process, however it ends.

    Raises:
        LedgerError: another one has it.
    """
    if store.is_sqlite:
        with _file_lock(store) as mine:
            _check_alone(store, mine)
            yield
    else:
        with account_lock(store, PLANNING) as mine:
            _check_alone(store, mine)
            yield


@contextmanager
def _file_lock(store: Store) -> Iterator[bool]:
    # beside the file itself, wherever links lead to it, and under its whole name
    file = Path(store.name).resolve()
    lock = FileLock(file.with_name(f"{file.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _check_alone(store: Store, mine: bool) -> None:
    if not mine:
        raise LedgerError(
            f"another run is under way on {store.name}", hint="Wait for its end, or stop it."
        )
