"""The database of a ledger: opens, reads and writes it.

SQLite uses a write-ahead log, and syncs every commit to the disk. All records about requests go
through one writer thread (`Store.write`), which commits the changes of many threads together,
because the sync is the expensive part.
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

from guestlist.errors import MORE_FILES, ConfigError, LedgerError, missing_package_error
from guestlist.exchange.faults import TOO_MANY_FILES, too_many_open_files
from guestlist.ledger.file import BUSY, check_can_open, check_file, open_to_read
from guestlist.ledger.migrations import check_version, is_outdated, migrate

T = TypeVar("T")

MAX_BATCH = 512
"""Maximum number of changes that are committed together."""
LATER = "guestlist_later"
READING = {"guestlist_reading": True}
PASSWORDS = ("password", "sslpassword")
"""Query parameters of a PostgreSQL URL that are secret, besides the password before the host."""
DEADLOCK = "40P01"
"""PostgreSQL's error code for a deadlock."""
RETRY_SECONDS = 0.01
"""Seconds between two attempts in cases in which SQLite itself does not wait for a lock."""


class Store:
    """An open database. Any number of threads may use one.

    Args:
        read_only: never write, so that the ledger may be in a read-only folder.

    Raises:
        ConfigError: the URL is invalid, or names a database that is not supported.
        LedgerError: the database cannot be opened, is not a ledger, or has another version.
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
        """Checks that the file is still the one that was opened. SQLite keeps using a file that was
        deleted or replaced, and its later writes are lost.

        Raises:
            LedgerError: the file was deleted or replaced.
        """
        if self._file is not None and _identity(self.name) != self._file:
            raise LedgerError(
                f"the ledger {self.name} was deleted or replaced while it was in use",
                hint="Nothing more was sent. Put the file back or restore a backup.",
            )

    def _open(self) -> None:
        if self.is_sqlite:
            file = Path(self.engine.url.database or "")
            check_can_open(file, read_only=self._read_only)
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
        """Yields a connection for reading. On SQLite each statement sees the latest data; on
        PostgreSQL the statements share a transaction that ends with the block."""
        with self.translated(), self.engine.connect() as connection:
            yield connection.execution_options(**READING)

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        """Yields a connection that may be kept for a long time, because it does not belong to the
        pool."""
        with self.translated(), self._apart.connect() as connection:
            yield connection

    @contextmanager
    def pacing(self) -> Iterator[Connection]:
        """Yields a transaction for rate limiters. It is not synced to the disk, because a rate
        limiter need not survive a power cut."""
        with self.translated(), self._unsynced.begin() as connection:
            yield connection

    def make(self, change: Callable[[Connection], T]) -> T:
        """Makes a large change in a transaction of its own, in the caller's thread. `change` is
        called again if PostgreSQL resolves a deadlock by undoing it.

        Raises:
            LedgerError: the change was not made.
        """
        with self.translated():
            return self._make(change)

    def write(self, change: Callable[[Connection], T]) -> T:
        """Makes a change, together with those of other threads, and returns once it is on disk.
        `change` is called again if another change prevents the common commit.

        Raises:
            LedgerError: the change was not made.
        """
        made: Future[T] = Future()
        # The lock prevents that a change is queued after the end mark of `close`.
        with self._starting:
            self._start()
            self._queue.put((change, made))
        return made.result()

    def at_close(self, callback: Callable[[], object]) -> None:
        """Registers a callback that `close` calls before it closes the connections."""
        self._closing.callback(callback)

    def close(self) -> None:
        """Waits until pending changes are written, and closes the database."""
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
        """Runs a change in its own transaction, and retries it after a deadlock; some transaction
        always makes progress."""
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
        except BaseException as error:  # any error must reach the waiting threads
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
        """Returns a new error for each waiting thread, because each adds its account and
        address."""
        if isinstance(error, LedgerError):
            return LedgerError(error.message, hint=error.hint)
        original = getattr(error, "orig", None)
        if getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return LedgerError(
                f"another process has been writing to the ledger {self.name} for {BUSY:.0f} s",
                hint="It may be suspended (Ctrl-Z) or hang. Resume or end it, then try again.",
            )
        if getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_CANTOPEN:
            try:
                os.close(os.open(os.devnull, os.O_RDONLY))
            except OSError as probe:  # SQLite does not say why it cannot open a file
                if too_many_open_files(probe):
                    why = f"the ledger {self.name} cannot be opened: {TOO_MANY_FILES}"
                    return LedgerError(why, hint=MORE_FILES)
        text = str(original or error).strip() or type(error).__name__
        if self._read_only:
            what = "cannot be read"
            hint = "Copy it, with the files beside it, into a folder where you may write."
        else:
            what = "fails"
            hint = "Nothing was sent without a record. Run the command again when the ledger works."
        failure = LedgerError(f"the ledger {self.name} {what}: {text.splitlines()[0]}", hint=hint)
        failure.__cause__ = error
        return failure


def _identity(name: str) -> tuple[int, int] | None:
    """Returns the device and inode of a file; None if the file does not exist."""
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_of_one(error: BaseException) -> bool:
    """Returns whether an error concerns only one change of a batch. If the database itself fails,
    the batch is not repeated change by change: each change would wait for the same failure."""
    if isinstance(error, IntegrityError | DataError):
        return True
    return not isinstance(error, DBAPIError | PoolTimeout)


def _was_undone(error: BaseException) -> bool:
    """Returns whether PostgreSQL has undone a transaction because of a deadlock. SQLite has no
    deadlocks, because it runs one writing transaction at a time."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == DEADLOCK


def insert_at_commit(connection: Connection, statement: Insert, row: dict[str, Any]) -> None:
    """Inserts a row at the end of the transaction, together with other rows."""
    connection.info[LATER].setdefault(statement, []).append(row)


def insert_absent(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Inserts a row unless one with its key exists. Works also if other processes insert it at the
    same time."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite as dialect
    else:  # imported here, because the import takes longer than opening a ledger
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
    """Returns an engine for the database of a URL.

    Args:
        synchronous: SQLite's setting that decides when a commit waits for the disk.
        connections: number of PostgreSQL connections that the pool keeps; 0 for no limit.

    Raises:
        ConfigError: the URL is invalid, or a package is missing.
    """
    try:
        parsed = _parsed(url)
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
        raise missing_package_error("PostgreSQL", error, "durable") from None


def _parsed(url: str) -> URL:
    """Returns the parts of a URL.

    Raises:
        ConfigError: the port is not a number, or the host is malformed. The message does not show
            the URL, because it may contain a password.
    """
    try:
        parsed = make_url(url)
        if parsed.port is None or 0 < parsed.port < 65536:
            return parsed
    except ValueError:  # not an ArgumentError: SQLAlchemy reads the port as a number
        pass
    raise ConfigError(
        "the host or the port in the ledger's URL is invalid",
        hint="Write postgresql://user@host:5432/name, and an IPv6 address as [::1].",
    )


def _sqlite(url: URL, synchronous: str) -> Engine:
    file = url.database or ":memory:"
    if file.endswith(":memory:") or url.query.get("mode") == "memory":
        raise ConfigError(
            "a ledger cannot be kept in memory: each thread would get a database of its own",
            hint="Name a file: sqlite:///guestlist.db.",
        )
    engine = create_engine(url, connect_args={"timeout": BUSY, "check_same_thread": False})

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # `begun` below starts the transactions
        _use_write_ahead_log(connection)
        for pragma in (f"synchronous = {synchronous}", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    def begun(connection: Connection) -> None:
        if not connection.get_execution_options().get("guestlist_reading"):
            # IMMEDIATE locks at once. A transaction that locks with its first write fails if
            # another one has written meanwhile.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    return engine


def _sqlite_to_read(url: URL) -> Engine:
    file = Path(url.database or "")
    return create_engine(url, creator=lambda: open_to_read(file))


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Turns on the write-ahead log. Retries while another process opens the same new file, because
    SQLite does not wait in this case."""
    ends = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            return


def _name(engine: Engine) -> str:
    if engine.dialect.name == "sqlite":
        return str(Path(engine.url.database or ""))
    return engine.url.difference_update_query(PASSWORDS).render_as_string(hide_password=True)
