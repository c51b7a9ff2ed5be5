"""Shows which processes work on a run, when several machines share a ledger in PostgreSQL.

Each process that works on a run's orders of an account holds a shared lock of the database. The
database releases the lock when the process ends, for whatever reason. A process that finds no other
holder resumes the run; see `guestlist.runs.resume`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack

from sqlalchemy import Connection, text

from guestlist.ledger.lock import KEEP_ALIVE
from guestlist.ledger.schema import LockId
from guestlist.ledger.store import Store

Work = tuple[int, str]
"""A run's number and an account's name."""


class Presence:
    """The presence locks of this process. Any number of threads may use one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._closing = ExitStack()
        self._connection: Connection | None = None
        self._held: set[Work] = set()
        self._guard = threading.Lock()
        self._turns: dict[Work, threading.Lock] = {}

    def begin(self, run: int, accounts: Collection[str]) -> None:
        """Takes the locks of a run that this process has just stored."""
        for account in accounts:
            self._lock("pg_try_advisory_lock_shared", (run, account))
            self._held.add((run, account))

    def join(self, run: int, account: str, resume: Callable[[], None]) -> bool:
        """Returns whether this process may send orders of a run.

        Args:
            resume: called before the first order if no other process works on the run.

        Returns:
            False if another process is resuming the run at this moment.
        """
        work = (run, account)
        with self._turn(work):
            if work in self._held and self._is_connected():
                return True
            if self._lock("pg_try_advisory_lock", work):
                try:
                    resume()
                    self._lock("pg_try_advisory_lock_shared", work)
                finally:
                    self._lock("pg_advisory_unlock", work)
            elif not self._lock("pg_try_advisory_lock_shared", work):
                return False
            self._held.add(work)
            return True

    def leave(self, run: int) -> None:
        """Releases the locks of a run."""
        self._release([work for work in tuple(self._held) if work[0] == run])

    def leave_others(self, account: str, runs: Collection[int]) -> None:
        """Releases the locks of an account's runs, except for `runs`.

        If a released run is worked on again later, its ledger has been restored from a backup.
        """
        held = tuple(self._held)
        self._release([work for work in held if work[1] == account and work[0] not in runs])

    def _release(self, some: Collection[Work]) -> None:
        for work in some:
            with self._turn(work):
                self._held.discard(work)
                self._lock("pg_advisory_unlock_shared", work)

    def _turn(self, work: Work) -> threading.Lock:
        return self._turns.setdefault(work, threading.Lock())

    def close(self) -> None:
        """Releases all locks."""
        with self._guard:
            self._held.clear()
            # Otherwise the pool would keep the connection and its locks.
            if self._connection is not None:
                self._connection.invalidate()
            self._connection = None
            self._closing.close()

    def _is_connected(self) -> bool:
        with self._guard, self._store.translated():
            return bool(self._connected().scalar(text("SELECT true")))

    def _lock(self, function: str, work: Work) -> bool:
        name = f"{work[0]} {work[1]}"
        query = text(f"SELECT {function}(hashtextextended(:name, {LockId.PRESENCE:d}))")
        with self._guard, self._store.translated():
            return self._connected().scalar(query, {"name": name}) is not False

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._closing.enter_context(self._store.apart())
            self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            for name, value in KEEP_ALIVE.items():
                self._connection.execute(text(f"SET tcp_keepalives_{name} = {value}"))
        return self._connection
