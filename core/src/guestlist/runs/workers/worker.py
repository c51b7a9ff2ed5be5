"""Workers: carry out the runs of a ledger in PostgreSQL on any number of machines.

Procrastinate hands out chunks of orders. A chunk is a list of order numbers. The ledger decides
what is still to be sent: a worker claims an order in the ledger before its request leaves, and
orders that no chunk covers are cut into chunks again. So a chunk that is handed out twice, a worker
that dies, or a queue that is emptied loses nothing and sends nothing twice.

Each account has a queue of its own, so that a slow service does not delay the other accounts. A
worker takes chunks of the accounts that it has the keys of.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, partial
from typing import Any, Self

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.schema import SchemaManager
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import make_url, text

from guestlist.client import Guestlist
from guestlist.errors import (
    ConfigError,
    GuestlistError,
    LedgerError,
    ServiceTrouble,
    ServiceUnavailable,
    Unauthorized,
)
from guestlist.exchange.clock import Clock, Stopped, SystemClock
from guestlist.ledger import orders, runs
from guestlist.ledger.lock import account_lock
from guestlist.ledger.schema import LockId
from guestlist.ledger.store import Store
from guestlist.runs.account_worker import (
    MAX_SILENCE_SECONDS,
    MAX_UNANSWERED,
    AccountWorker,
    threads_needed,
)
from guestlist.runs.resume import record_completed_orders
from guestlist.runs.runner import CONFIGURE, Progress, RunSummary, unconfigured_error
from guestlist.runs.stop import Stop, StopClock
from guestlist.runs.tally import Tally
from guestlist.runs.unresolved_requests import LONGEST_LOOK_SECONDS
from guestlist.runs.work import orders_of_chunk
from guestlist.runs.workers import shared
from guestlist.runs.workers.presence import Presence
from guestlist.runs.workers.supervisor import Supervisor, enqueue_next_chunks
from guestlist.signals import handle_signals

TASK = "guestlist:chunk"
CHUNKS_AT_ONCE = 2
"""Chunks of one account that a worker processes in parallel. With one only, the worker would idle
while it waits for the last requests of a chunk."""
RETRY_SUFFIX = "-again"
HEARTBEAT_SECONDS = 1.0
"""Seconds between two heartbeats of a worker."""
DEAD_AFTER_SECONDS = 6.0
"""Seconds without a heartbeat after which a worker's chunks are given to other workers."""
CHECK_SECONDS = 1.0
"""Seconds between two checks for remaining orders and for dead workers."""
END_CHECK_SECONDS = 0.05
"""Seconds between two checks whether the running chunks have ended."""
POLL_SECONDS = 1.0
"""Seconds between two polls for chunks that were given back. PostgreSQL announces new chunks at
once."""

logger = logging.getLogger("guestlist.worker")
for name in ("procrastinate", "psycopg.pool"):  # their errors are raised as ours
    logging.getLogger(name).addHandler(logging.NullHandler())


class Queue:
    """The queue of a ledger, in a schema of its own in the same database.

    The schema's name contains a digest of the queue's tables: another version of Procrastinate
    creates a new queue, and the orders that wait in the old one are cut into chunks again.

    Raises:
        LedgerError: the database does not answer or refuses access.
        ConfigError: the ledger is not in PostgreSQL.
    """

    def __init__(self, store: Store) -> None:
        if store.is_sqlite:
            raise ConfigError(
                "many machines cannot share a SQLite file",
                hint="Keep the ledger in PostgreSQL: postgresql://user@host/name.",
            )
        self._store = store
        self.conninfo = _conninfo(store)
        _create(self.conninfo)
        self._app = App(
            connector=SyncPsycopgConnector(conninfo=self.conninfo, min_size=1, max_size=2)
        )
        self._app.open()

    def is_busy(self, account: str) -> bool:
        """Returns whether chunks of the account wait or are being processed."""
        with self._store.reading() as connection:
            return bool(
                connection.scalar(
                    text(
                        f"SELECT EXISTS (SELECT 1 FROM {queue_schema()}.procrastinate_jobs"  # noqa: S608
                        " WHERE queue_name IN (:name, :again) AND status IN ('todo', 'doing'))"
                    ),
                    {"name": queue_name(account), "again": queue_name(account, RETRY_SUFFIX)},
                )
            )

    def put(self, run: int, account: str, chunks: Sequence[Sequence[int]]) -> None:
        """Adds chunks to the account's queue."""
        jobs: list[Any] = [{"run": run, "account": account, "ids": list(ids)} for ids in chunks]
        with _translated():
            self._app.configure_task(TASK, queue=queue_name(account)).batch_defer(*jobs)

    def close(self) -> None:
        """Closes the queue's connections."""
        self._app.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def enqueue(store: Store, run: int, now: float) -> None:
    """Puts the orders that are left of a run into the queue. Accounts that were stopped start
    again.

    Raises:
        ConfigError: the ledger is not in PostgreSQL.
        LedgerError: the ledger fails.
    """
    shared.restart_accounts(store, run)
    with Queue(store) as queue:
        for account in orders.unsettled_counts(store, run):
            with account_lock(store, account) as mine:
                if mine:  # if the lock is not free, a worker is adding the chunks
                    enqueue_next_chunks(store, queue, run, account, now)


def watch_run(
    store: Store,
    run: int,
    stop: Stop,
    progress: Progress | None = None,
    *,
    clock: Clock | None = None,
    accounts: Collection[str] | None = None,
    too_long: Callable[[str], GuestlistError | None] = lambda _account: None,
) -> RunSummary:
    """Waits until the workers have carried out a run, and reports their progress.

    Returns early if `stop` is set, or if every account that has orders left is stopped, is not
    configured, waits for too long a pause or has made no progress for `MAX_SILENCE_SECONDS`. The
    workers go on in any case.

    Args:
        accounts: the configured accounts; None for all. Orders of other accounts are not waited
            for.
        too_long: returns the error for an account whose service asks for a pause that is too long
            to wait for; None if it does not.
    """
    clock = clock or SystemClock()
    last_progress: dict[str, tuple[int, float]] = {}
    while True:
        stopped = shared.stopped_accounts(store, run)
        tallies = shared.tallies(store, run)
        now = clock.monotonic()
        for account, tally in tallies.items():
            settled, since = last_progress.get(account, (-1, now))
            last_progress[account] = (tally.ended, now if tally.ended != settled else since)
            if account in stopped:
                tally.halted = LedgerError(stopped[account])
            elif tally.left and accounts is not None and account not in accounts:
                tally.halted = unconfigured_error(account, CONFIGURE)
            elif tally.left and (pause := too_long(account)) is not None:
                tally.halted = pause
            elif tally.left and now - last_progress[account][1] > MAX_SILENCE_SECONDS:
                tally.halted = _no_progress()
        if progress is not None:
            progress(tallies)
        left = [tally for tally in tallies.values() if tally.left]
        if not left and not shared.run_has_ended(store, run):
            runs.end_run(store, run, clock.now().timestamp())
        if all(tally.halted for tally in left) or stop.wait(CHECK_SECONDS):
            return RunSummary(tallies, interrupted=bool(stop))


def _no_progress() -> ServiceUnavailable:
    return ServiceUnavailable(
        f"no order was carried out for {MAX_SILENCE_SECONDS / 60:.0f} minutes",
        hint="Workers on other machines continue. Run `guestlist apply` again to continue here.",
    )


def work_on_runs(
    make: Callable[[Clock], AbstractContextManager[Guestlist]],
    url: str,
    *,
    stop: Stop | None = None,
) -> None:
    """Works on the runs of a ledger until Ctrl-C, SIGTERM or `stop`.

    Args:
        make: creates the client with a given clock.
        url: the URL of the ledger's database.

    Raises:
        LedgerError: the ledger fails. Every request that was sent is in the ledger.
    """
    # Not `stop or Stop()`, because a `Stop` that is not set is false.
    stop = Stop() if stop is None else stop
    store = Store(url)
    try:
        with (
            make(StopClock(stop)) as guests,
            Queue(store) as queue,
            handle_signals(lambda *_: stop()),
        ):
            _Worker(guests, store, queue, stop).run()
    finally:
        store.close()
    if stop.reason is not None:
        raise stop.reason


class _Worker:
    def __init__(self, guests: Guestlist, store: Store, queue: Queue, stop: Stop) -> None:
        self._guests = guests
        self._store = store
        self._queue = queue
        self._stop = stop
        self._presence = Presence(store)
        store.at_close(self._presence.close)
        self._app = App(connector=PsycopgConnector(conninfo=queue.conninfo, min_size=1, max_size=4))
        self._app.task(name=TASK)(self._chunk)
        self._under_way = 0
        self._threads = ThreadPoolExecutor(
            2 * CHUNKS_AT_ONCE * len(guests.accounts), "guestlist-chunk"
        )

    def run(self) -> None:
        supervisors = [
            threading.Thread(
                target=self._supervise, args=(account,), name=f"guestlist-supervisor-{account}"
            )
            for account in self._guests.accounts
        ]
        for supervisor in supervisors:
            supervisor.start()
        try:
            with _translated():
                asyncio.run(self._serve())
        except LedgerError as error:
            self._stop(error)
        finally:
            self._stop()
            for supervisor in supervisors:
                supervisor.join()
            self._threads.shutdown()

    async def _serve(self) -> None:
        asyncio.get_running_loop().set_exception_handler(_note)
        async with self._app.open_async():
            working = [
                asyncio.create_task(
                    self._app.run_worker_async(
                        queues=[queue_name(account, way)],
                        name=account,
                        concurrency=CHUNKS_AT_ONCE,
                        delete_jobs="always",
                        fetch_job_polling_interval=POLL_SECONDS,
                        update_heartbeat_interval=HEARTBEAT_SECONDS,
                        stalled_worker_timeout=DEAD_AFTER_SECONDS,
                        install_signal_handlers=False,
                    )
                )
                for account in self._guests.accounts
                for way in ("", RETRY_SUFFIX)
            ]
            try:
                while not self._stop and not any(task.done() for task in working):
                    await self._retry_stalled()
                    await asyncio.wait(working, timeout=CHECK_SECONDS)
            finally:
                self._stop()
                await self._end(working)

    async def _end(self, working: list[asyncio.Task[None]]) -> None:
        """Ends the Procrastinate workers once no chunk is being processed.

        A task can miss a cancellation that comes at an unlucky moment, so it is canceled
        repeatedly.
        """
        while self._under_way:
            await asyncio.sleep(END_CHECK_SECONDS)
        pending = set(working)
        while pending:
            for task in pending:
                task.cancel()
            _ended, pending = await asyncio.wait(pending, timeout=CHECK_SECONDS)
        for task in working:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _retry_stalled(self) -> None:
        """Gives the chunks of dead workers to other workers. Every worker does this.

        The chunks go into a second queue, because the first one may be full for minutes.
        """
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER_SECONDS):
            with suppress(ConnectorException):  # another worker was faster
                name = job.queue.removesuffix(RETRY_SUFFIX) + RETRY_SUFFIX
                await manager.retry_job(job, queue=name)

    async def _chunk(self, run: int, account: str, ids: list[int]) -> None:
        loop = asyncio.get_running_loop()
        self._under_way += 1
        try:
            await loop.run_in_executor(self._threads, self._work, run, account, ids)
        # Otherwise the worker would claim the same chunk again and again.
        except Exception as error:
            self._stop(error)
            raise
        finally:
            self._under_way -= 1

    def _work(self, run: int, account: str, ids: list[int]) -> None:
        if account in shared.stopped_accounts(self._store, run):
            return
        if not self._joined(run, account):
            return
        while shared.count_unanswered(self._store, account) >= MAX_UNANSWERED:
            if self._stop.wait(CHECK_SECONDS):
                return
        provider = self._guests.accounts[account]
        tally = Tally(account, left=len(ids))
        threads = -(-threads_needed(provider) // CHUNKS_AT_ONCE)
        account_worker = AccountWorker(
            self._guests, self._store, self._stop, tally, threads=threads, reconciles=False
        )
        account_worker.run(orders_of_chunk(self._store, account, ids))
        if isinstance(tally.halted, Unauthorized | ConfigError):
            now = self._guests.clock.now().timestamp()
            shared.stop_account(self._store, run, account, now, tally.halted)

    def _joined(self, run: int, account: str) -> bool:
        """Returns whether this process may send orders of a run. Waits until another process has
        resumed the run, or until the service answers."""
        pause = CHECK_SECONDS
        while not self._stop and account not in shared.stopped_accounts(self._store, run):
            try:
                if self._presence.join(run, account, partial(self._resume, run, account)):
                    return True
                pause = CHECK_SECONDS
            except LedgerError:
                raise
            except Stopped:
                return False
            except ServiceTrouble as trouble:
                self._guests.account(account).report_pause(trouble)
                pause = min(2 * pause, LONGEST_LOOK_SECONDS)
            except GuestlistError as refusal:
                now = self._guests.clock.now().timestamp()
                shared.stop_account(self._store, run, account, now, refusal)
            self._stop.wait(pause)
        return False

    def _resume(self, run: int, account: str) -> None:
        record_completed_orders(self._store, self._guests.account(account), run, account)

    def _supervise(self, account: str) -> None:
        supervisor = Supervisor(self._guests, self._store, self._queue, account)
        try:
            while not self._stop.wait(CHECK_SECONDS):
                supervisor.supervise()
                self._presence.leave_others(account, shared.unfinished_runs(self._store))
        except Stopped:
            pass
        except Exception as error:  # a ledger that fails, or a bug, stops the whole run
            self._stop(error)


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs errors of asyncio tasks that no code awaits.

    The usual one is a chunk that is missing at its end, because the worker was slow and was
    considered dead. Errors that end a worker are raised elsewhere.
    """
    logger.debug("%s: %r", context.get("message"), context.get("exception"))


def queue_name(account: str, way: str = "") -> str:
    """Returns the name of an account's queue. It has at most 63 characters, because PostgreSQL
    announces new chunks on a channel of that name.

    Args:
        way: `RETRY_SUFFIX` for the queue of chunks whose worker has died; empty for the usual
            queue.
    """
    return f"guestlist-{hashlib.blake2s(account.encode(), digest_size=8).hexdigest()}{way}"


@cache
def queue_schema() -> str:
    """Returns the name of the database schema that contains the queue's tables."""
    tables = hashlib.blake2s(SchemaManager.get_schema().encode(), digest_size=4).hexdigest()
    return f"guestlist_queue_{tables}"


def _conninfo(store: Store) -> str:
    url = make_url(store.engine.url).set(drivername="postgresql")
    plain = url.render_as_string(hide_password=False)
    options = str(conninfo_to_dict(plain).get("options") or "")
    return make_conninfo(plain, options=f"{options} -c search_path={queue_schema()}".strip())


def _create(conninfo: str) -> None:
    with _translated(), psycopg.connect(conninfo) as connection:
        connection.execute(f"SELECT pg_advisory_xact_lock({LockId.TABLES:d})")
        made = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
        if made is None or made[0] is None:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {queue_schema()}")
            connection.execute(SchemaManager.get_schema().encode())


@contextmanager
def _translated() -> Iterator[None]:
    """Turns errors of the queue into `LedgerError`."""
    try:
        yield
    except (ConnectorException, psycopg.Error) as error:
        detail = (str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[0]
        raise LedgerError(
            f"the queue in the ledger's database failed: {detail}",
            hint="Nothing is sent meanwhile. Run the command again when the database works.",
        ) from error
