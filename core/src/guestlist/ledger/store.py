"""The database of a ledger: how it is opened, read and written.

On SQLite the journal is a write-ahead log and every commit is synced to the disk. All that
concerns what is sent goes through one writer (`Store.write`): what many threads want written at the
same time is committed together, because the sync is what costs.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Insert, Table, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from guestlist.errors import ConfigError, LedgerError
from guestlist.ledger.file import BUSY, check_file, check_place, open_to_read
from guestlist.ledger.migrations import check_version, is_outdated, migrate

T = TypeVar("T")

MAX_BATCH = 512
"""Changes that are committed together at most."""
LATER = "guestlist_later"
READING = {"guestlist_reading": True}
PASSWORDS = ("password", "sslpassword")
"""What of a PostgreSQL URL is secret, besides the password before the host."""
DEADLOCK = "40P01"
"""PostgreSQL's code for it."""
AGAIN = 0.01
"""Seconds between two tries, where SQLite itself does not wait."""


class Store:
    """An open database. Any number of threads may use one.

    Args:
        read_only: nothing is ever written, so that a file may be where nothing can be.

    Raises:
        ConfigError: the URL is none, or names a kind of database that is not supported.
        LedgerError: it cannot be opened, is no ledger, or is of another version.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self._read_only = read_only
        self.url = url
        self.engine = _engine(url, read_only=read_only)
        self._unsynced = _engine(url, synchronous="NORMAL") if self.is_sqlite else self.engine
        self._apart = self.engine if self.is_sqlite else _engine(url, connections=0)
        self.name = _name(self.engine)
        self._queue: queue.SimpleQueue[tuple[Callable[[Connection], Any], Future[Any]] | None]
        self._queue = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closing = ExitStack()
        self._file: tuple[int, int] | None = None
        try:
            self._open()
            if self.is_sqlite:
                self._file = _identity(self.name)
                for engine in (self.engine, self._unsynced):  # connecting creates a missing file
                    event.listen(engine, "do_connect", lambda *_: self._check_same_file())
        except BaseException:
            self.close()
            raise

    def _check_same_file(self) -> None:
        """Checks that the file is still the one that was opened. SQLite goes on with a file that
        was deleted or replaced, and what it writes then is lost.

        Raises:
            LedgerError: it is not.
        """
        if self._file is not None and _identity(self.name) != self._file:
            raise LedgerError(
                f"the ledger {self.name} was deleted or replaced while it was in use",
                hint="Nothing more was sent. Put the file back, or restore a backup, and go on.",
            )

    def _open(self) -> None:
        if self.is_sqlite:
            file = Path(self.engine.url.database or "")
            check_place(file, read_only=self._read_only)
            check_file(file)
        with self.reading() as connection:
            if self._read_only or not is_outdated(connection, self.name):
                check_version(connection, self.name)
                return
        with self.translated(), self.engine.begin() as connection:
            migrate(connection, self.name)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with. On SQLite each statement sees what is there by then; on
        PostgreSQL they are in a transaction, which does not outlast the block."""
        with self.translated(), self.engine.connect() as connection:
            yield connection.execution_options(**READING)

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        """A connection to be held for long. However many there are, they take none of those that
        everybody else shares."""
        with self.translated(), self._apart.connect() as connection:
            yield connection

    @contextmanager
    def pacing(self) -> Iterator[Connection]:
        """A transaction for the pace. It need not survive a power cut, so nobody waits for the
        disk."""
        with self.translated(), self._unsynced.begin() as connection:
            yield connection

    def make(self, change: Callable[[Connection], T]) -> T:
        """Makes a change with a transaction of its own, in the thread of the caller: for much at a
        time. Made more than once where the database undoes it in favour of another's.

        Raises:
            LedgerError: it is not made.
        """
        with self.translated():
            return self._make(change)

    def write(self, change: Callable[[Connection], T]) -> T:
        """Makes a change, together with those of other threads, and returns once it is on disk.
        Made more than once where one of the others keeps them from being made together.

        Raises:
            LedgerError: it is not.
        """
        made: Future[T] = Future()
        with self._starting:  # what is queued after `close` has said the last is nobody's to write
            self._start()
            self._queue.put((change, made))
        return made.result()

    def at_close(self, callback: Callable[[], object]) -> None:
        """Registers a callback that `close` calls before it closes the connections."""
        self._closing.callback(callback)

    def close(self) -> None:
        """Waits for what is being written, and closes the database."""
        with self._starting:
            if self._writer is not None:
                self._queue.put(None)
                self._writer.join()
                self._writer = None
        self._closing.close()
        self.engine.dispose()
        self._unsynced.dispose()
        self._apart.dispose()

    def _start(self) -> None:
        if self._writer is None:
            self._writer = threading.Thread(
                target=self._write_all, name="guestlist-ledger", daemon=True
            )
            self._writer.start()

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            last = False
            with suppress(queue.Empty):
                while len(batch) < MAX_BATCH:
                    more = self._queue.get_nowait()
                    if more is None:
                        last = True
                        break
                    batch.append(more)
            self._commit(batch)
            if last:
                return

    def _make(self, change: Callable[[Connection], T]) -> T:
        """Alone. It is never undone for ever: whenever it is, another one has got on."""
        while True:
            try:
                with self.engine.begin() as connection, _together(connection):
                    self._check_same_file()
                    return change(connection)
            except OperationalError as error:
                if not _was_undone(error):
                    raise

    def _commit(self, batch: list[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        try:
            if len(batch) == 1:
                results = [self._make(batch[0][0])]
            else:
                with self.engine.begin() as connection, _together(connection):
                    self._check_same_file()
                    results = [change(connection) for change, _made in batch]
        except BaseException as error:  # whatever it is, nobody may wait for ever
            if len(batch) > 1 and (_is_of_one(error) or _was_undone(error)):
                for one in batch:
                    self._commit([one])
                return
            for _change, made in batch:
                made.set_exception(self._failure(error))
        else:
            for (_change, made), result in zip(batch, results, strict=True):
                made.set_result(result)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns errors of the database into `LedgerError`."""
        try:
            yield
        except SQLAlchemyError as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> LedgerError:
        """An error of its own for everybody who waits, because each adds whom it is about."""
        if isinstance(error, LedgerError):
            return LedgerError(error.message, hint=error.hint)
        original = getattr(error, "orig", None)
        if getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return LedgerError(
                f"another process has been writing to the ledger {self.name} for {BUSY:.0f} s",
                hint="Let it go on or end it: it may be stopped (Ctrl-Z), or hang. Then try again.",
            )
        said = str(original or error).strip() or type(error).__name__
        if self._read_only:
            what = "cannot be read"
            hint = "Copy it, with the files beside it, into a folder where you may write."
        else:
            what = "fails"
            hint = "Nothing is sent that cannot be written down. Run it again when it works."
        failure = LedgerError(f"the ledger {self.name} {what}: {said.splitlines()[0]}", hint=hint)
        failure.__cause__ = error
        return failure


def _identity(name: str) -> tuple[int, int] | None:
    """Returns what tells a file from every other; None if there is none."""
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_of_one(error: BaseException) -> bool:
    """Whether an error is about one change, and says nothing of those that were made together with
    it. A database that fails, fails for each: it would keep everybody waiting once for each."""
    if isinstance(error, IntegrityError | DataError):
        return True
    return not isinstance(error, DBAPIError | PoolTimeout)


def _was_undone(error: BaseException) -> bool:
    """Whether PostgreSQL has undone a transaction because it and another one waited for each other.
    SQLite has one that writes at a time."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == DEADLOCK


def later(connection: Connection, statement: Insert, row: dict[str, Any]) -> None:
    """Has a row inserted at the end of the transaction, together with others."""
    connection.info[LATER].setdefault(statement, []).append(row)


def insert_absent(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Inserts a row unless there is one with its key, also when others do so at the same time."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite as dialect
    else:  # not imported for everybody: it takes longer than opening a ledger
        from sqlalchemy.dialects import postgresql as dialect  # type: ignore[no-redef]
    connection.execute(dialect.insert(table).values(row).on_conflict_do_nothing())


@contextmanager
def _together(connection: Connection) -> Iterator[None]:
    rows: dict[Insert, list[dict[str, Any]]] = {}
    connection.info[LATER] = rows
    yield
    for statement, some in rows.items():
        connection.execute(statement, some)


def _engine(
    url: str, *, synchronous: str = "FULL", connections: int = 5, read_only: bool = False
) -> Engine:
    """
    Args:
        synchronous: when SQLite waits for the disk.
        connections: to PostgreSQL, that are kept; 0 for as many as are wanted.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(
                f"a ledger cannot be kept in {parsed.get_backend_name()}",
                hint="It can be a SQLite file (sqlite:///guestlist.db) or PostgreSQL.",
            )
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_to_read(parsed) if read_only else _sqlite(parsed, synchronous)
        return create_engine(parsed, pool_pre_ping=True, pool_size=connections)
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError(
            "the ledger's URL is invalid",
            hint="Write sqlite:///guestlist.db or postgresql://user@host/name.",
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"PostgreSQL needs the package {error.name}",
            hint='Install it with `pip install "guestlist[durable]"`.',
        ) from None


def _sqlite(url: URL, synchronous: str) -> Engine:
    file = url.database or ":memory:"
    if file.endswith(":memory:") or url.query.get("mode") == "memory":
        raise ConfigError(
            "a ledger cannot be kept in memory: each thread would have another",
            hint="Name a file: sqlite:///guestlist.db.",
        )
    engine = create_engine(url, connect_args={"timeout": BUSY, "check_same_thread": False})

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is said below, and nowhere else
        _use_write_ahead_log(connection)
        for pragma in (f"synchronous = {synchronous}", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    def begun(connection: Connection) -> None:
        if not connection.get_execution_options().get("guestlist_reading"):
            # at once: a transaction that becomes one of writing later can fail for being late
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    return engine


def _sqlite_to_read(url: URL) -> Engine:
    file = Path(url.database or "")
    return create_engine(url, creator=lambda: open_to_read(file))


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Several processes may open a new file at once. SQLite does not wait then by itself."""
    ends = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(AGAIN)
        else:
            return


def _name(engine: Engine) -> str:
    if engine.dialect.name == "sqlite":
        return str(Path(engine.url.database or ""))
    return engine.url.difference_update_query(PASSWORDS).render_as_string(hide_password=True)
