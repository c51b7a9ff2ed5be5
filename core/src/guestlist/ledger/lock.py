"""Locks on a ledger: one run at a time, and one worker at a time for an account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import text

from guestlist.errors import LedgerError
from guestlist.ledger.schema import LockId
from guestlist.ledger.store import Store

PLANNING = ""
"""Name to pass to `account_lock` instead of an account: the lock of the process that plans all
accounts."""
PATIENCE_SECONDS = 0.2
"""Seconds that a run waits for a process that holds the lock only to check whether it is free."""
KEEP_ALIVE = {"idle": 5, "interval": 5, "count": 3}
"""TCP keepalive settings, in seconds and a count. With them, PostgreSQL notices a dead worker and
releases its locks."""


@contextmanager
def account_lock(store: Store, account: str) -> Iterator[bool]:
    """Yields whether this process alone holds the lock of an account. PostgreSQL only.

    The database releases the lock if the worker, its machine or the network between them dies.
    """
    with store.apart() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        for name, value in KEEP_ALIVE.items():
            connection.execute(text(f"SET tcp_keepalives_{name} = {value}"))
        key = {"lock": int(LockId.ACCOUNT), "account": account}
        lock = "advisory_lock(:lock, hashtext(:account))"
        mine = bool(connection.scalar(text(f"SELECT pg_try_{lock}"), key))
        try:
            yield mine
        finally:
            if mine:
                connection.execute(text(f"SELECT pg_{lock.replace('_lock', '_unlock')}"), key)


def is_at_work(store: Store) -> bool:
    """Returns whether a process works on a run of the ledger. With PostgreSQL, returns whether a
    process plans a run, because any number of workers may carry one out.

    Takes the lock for an instant. `exclusive` waits that long.
    """
    lock = _file_lock(store) if store.is_sqlite else account_lock(store, PLANNING)
    with lock as mine:
        return not mine


@contextmanager
def exclusive(store: Store) -> Iterator[None]:
    """Keeps other processes from planning and beginning a run on the same ledger. With a SQLite
    file, other processes cannot work on a run either.

    The lock is released when the process ends, even if it is killed.

    Raises:
        LedgerError: another process holds the lock.
    """
    if store.is_sqlite:
        with _file_lock(store, PATIENCE_SECONDS) as mine:
            _check_alone(store, mine)
            yield
    else:
        with account_lock(store, PLANNING) as mine:
            _check_alone(store, mine)
            yield


@contextmanager
def _file_lock(store: Store, seconds: float = 0.0) -> Iterator[bool]:
    # The path is resolved so that all links to a file share a lock. The suffix is appended, because
    # `with_suffix` would turn `ledger.2026` into `ledger.lock`.
    file = Path(store.name).resolve()
    lock = FileLock(file.with_name(f"{file.name}.lock"))
    try:
        lock.acquire(timeout=seconds)
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
