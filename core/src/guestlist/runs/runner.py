"""Carries out the runs of a ledger on this machine, with one account worker for each account."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial

from guestlist.changes import Change
from guestlist.client import Guestlist
from guestlist.errors import UnknownAccount
from guestlist.exchange.account import MAX_BACK_OFF_SECONDS
from guestlist.ledger import orders, runs
from guestlist.ledger.order import SKEW, Order
from guestlist.ledger.origin import Origin
from guestlist.ledger.store import Store
from guestlist.runs.account_worker import AccountWorker
from guestlist.runs.stop import Stop
from guestlist.runs.tally import Tally
from guestlist.runs.work import Orders, no_orders, orders_of_run
from guestlist.runs.workers import shared
from guestlist.runs.workers.presence import Presence

PROGRESS_SECONDS = 0.1
"""Seconds between two progress reports."""
QUIET_SECONDS = 10.0
"""Maximum wait, in seconds, for other machines to finish their requests. After that, the outcome of
these requests is looked up."""

CONFIGURE = "Configure it again, or make a new plan."
"""Hint for orders of a run whose account is not configured."""

Progress = Callable[[Mapping[str, Tally]], None]
"""A function that is called from time to time with the counts of each account."""


@dataclass
class RunSummary:
    """The result of a run.

    Attributes:
        tallies: the counts by account.
        interrupted: whether the run was stopped.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def left(self) -> int:
        """Number of orders that still have to be carried out."""
        return sum(tally.left for tally in self.tallies.values())

    @property
    def failed(self) -> bool:
        """Whether an order failed, is unresolved or is left."""
        return self.left > 0 or any(
            tally.refused or tally.unknown or tally.halted for tally in self.tallies.values()
        )


class Runner:
    """Carries out the runs of a ledger on this machine. Only one process at a time may do so for a
    SQLite file.

    Args:
        guests: the client. Its clock must be a `StopClock` with the same `stop`, so that waiting
            calls end at once.
        stop: ends the run early.
        origin: the person who starts the runs; by default the user of this process.
    """

    def __init__(
        self, guests: Guestlist, store: Store, stop: Stop, origin: Origin | None = None
    ) -> None:
        self._guests = guests
        self._store = store
        self._stop = stop
        self._origin = origin or Origin.here()
        self._begun: set[int] = set()

    @cached_property
    def presence(self) -> Presence:
        """The locks that show which runs this process works on. PostgreSQL only."""
        presence = Presence(self._store)
        self._store.at_close(presence.close)
        return presence

    def reconcile(self, accounts: Collection[str] = ()) -> RunSummary:
        """Looks up the outcomes of all unanswered requests. Sends only reading requests.

        Args:
            accounts: names of the accounts; empty for all.
        """
        requests = [
            order
            for order in orders.unanswered_orders(self._store)
            if not accounts or order.change.account in accounts
        ]
        left = Counter(order.change.account for order in requests)
        work = {account: no_orders() for account in self._known(left)}
        summary = self._work(work, requests, None, left)
        hint = "Configure it again. `guestlist forget` with force=True deletes a person with them."
        self._add_unconfigured(summary, left, hint)
        return summary

    def begin(
        self,
        changes: Callable[[], Iterable[Change]],
        roster: str,
        source: str,
        *,
        replace: bool = True,
        before: runs.Claims | None = None,
    ) -> int:
        """Stores a new run with the current time; see `begin_run`. Sends nothing."""
        now = self._guests.clock.now().timestamp()
        run = runs.begin_run(
            self._store,
            changes,
            roster,
            source,
            now,
            replace=replace,
            before=before,
            origin=self._origin,
            joined=None if self._store.is_sqlite else self.presence.begin,
        )
        self._begun.add(run)
        return run

    @contextmanager
    def paused_workers(self) -> Iterator[None]:
        """Pauses the workers of other machines while a plan is made.

        Before the block begins, the workers have time to finish their requests. After the block,
        runs that no new run has replaced go on.
        """
        # On SQLite, the lock of the file already excludes other processes.
        if self._store.is_sqlite:
            yield
            return
        try:
            if shared.pause_all(self._store, self._guests.clock.now().timestamp()):
                self._wait_until_quiet()
            yield
        finally:
            shared.end_pause(self._store)

    def claims(self) -> runs.Claims | None:
        """Returns a snapshot of attempt counts for `begin`, to be taken before planning. None on
        SQLite, where only one process works on runs.

        After taking the snapshot, waits until the services' lists show all changes that were made
        before it. A plan made from older lists would invite those people again.
        """
        before = None if self._store.is_sqlite else runs.attempts_by_account(self._store)
        clock = self._guests.clock
        lags = {name: one.list_lag for name, one in self._guests.accounts.items() if one.list_lag}
        for account, lag in sorted(lags.items(), key=lambda item: -item[1]):
            if orders.settled_since(self._store, account, clock.now().timestamp() - lag - SKEW):
                clock.sleep(lag)
                break
        return before

    def _wait_until_quiet(self) -> None:
        """Waits until no request of a run is in flight, at most `QUIET_SECONDS`."""
        clock = self._guests.clock
        ends = clock.monotonic() + QUIET_SECONDS
        while self._is_under_way(clock.now().timestamp()) and clock.monotonic() < ends:
            clock.sleep(PROGRESS_SECONDS)

    def _is_under_way(self, now: float) -> bool:
        """Returns whether a process may be waiting for an answer to an order of a run."""
        total = self._guests.budget.total
        return any(
            order.run is not None and order.gave_up_at is None and order.over(total, now) > now
            for order in orders.unanswered_orders(self._store)
        )

    def run(self, run: int, progress: Progress | None = None) -> RunSummary:
        """Carries out all orders of a run, and ends the run if none is left.

        If another process has begun the run, the services are read first: see
        `guestlist.runs.resume`.

        Raises:
            LedgerError: the ledger fails. Every request that was sent is in the ledger.
        """
        left = orders.unsettled_counts(self._store, run)
        requests = orders.unanswered_orders(self._store, run=run)
        work = {account: orders_of_run(self._store, run, account) for account in self._known(left)}
        resumed = None if run in self._begun else run
        summary = self._work(work, requests, progress, left, resumed)
        self._begun.add(run)
        self._add_unconfigured(summary, left, CONFIGURE)
        if not orders.unsettled_count(self._store, run):
            runs.end_run(self._store, run, self._guests.clock.now().timestamp())
        return summary

    def _known(self, accounts: Iterable[str]) -> list[str]:
        return [account for account in accounts if account in self._guests.accounts]

    def _add_unconfigured(self, summary: RunSummary, left: Mapping[str, int], hint: str) -> None:
        """Adds the orders of accounts that are not configured to a summary."""
        for account in left.keys() - self._guests.accounts.keys():
            error = unconfigured_error(account, hint)
            summary.tallies[account] = Tally(account, left=left[account], halted=error)

    def _work(
        self,
        work: Mapping[str, Orders],
        requests: list[Order],
        progress: Progress | None,
        left: Mapping[str, int],
        resumed: int | None = None,
    ) -> RunSummary:
        summary = RunSummary()
        ends: dict[threading.Thread, threading.Event] = {}
        for account, source in work.items():
            mine = [order for order in requests if order.change.account == account]
            tally = Tally(account, left=left[account])
            summary.tallies[account] = tally
            pause = min(self._guests.budget.waiting, MAX_BACK_OFF_SECONDS)
            account_worker = AccountWorker(
                self._guests, self._store, self._stop, tally, longest_pause=pause
            )
            ended = threading.Event()
            run_account = partial(
                self._run_account, account_worker, source, mine, tally, ended, resumed
            )
            thread = threading.Thread(target=run_account, name=f"guestlist-{account}")
            ends[thread] = ended
        try:
            for thread in ends:
                thread.start()
            while not all(ended.is_set() for ended in ends.values()):
                for ended in ends.values():
                    ended.wait(PROGRESS_SECONDS / len(ends))
                if progress is not None:
                    progress(summary.tallies)
        except KeyboardInterrupt:
            self._stop()
            summary.interrupted = True
        except BaseException:  # an exception of the progress callback
            self._stop()
            raise
        finally:
            _wait_for(ends)
        if self._stop.reason is not None:
            raise self._stop.reason
        summary.interrupted = summary.interrupted or bool(self._stop)
        return summary

    def _run_account(
        self,
        account_worker: AccountWorker,
        work: Orders,
        requests: list[Order],
        tally: Tally,
        ended: threading.Event,
        resumed: int | None,
    ) -> None:
        try:
            account_worker.recover(requests, alone=self._store.is_sqlite)
            if resumed is not None:
                account_worker.resume(resumed)
            account_worker.run(work)
        except Exception as error:
            tally.halted = error
            self._stop(error)  # a ledger that fails, or a bug, stops the whole run
        finally:
            ended.set()


def _wait_for(ends: Mapping[threading.Thread, threading.Event]) -> None:
    """Waits until all threads have ended, also if Ctrl-C is pressed again. As long as a request is
    in flight, no other process may take over the ledger.

    Args:
        ends: events that the threads set at their end. `Thread.join` and `is_alive` are not
            reliable: before Python 3.13 they report a thread as ended if Ctrl-C has interrupted
            them.
    """
    for thread, ended in ends.items():
        if thread.ident is None:  # the thread was not started
            continue
        while not ended.is_set():
            with suppress(KeyboardInterrupt):
                ended.wait()
        with suppress(KeyboardInterrupt):
            thread.join()


def unconfigured_error(account: str, hint: str) -> UnknownAccount:
    """Returns the error for orders of an account that is not configured."""
    return UnknownAccount(
        "the ledger has orders for an account that is not configured", hint=hint, account=account
    )
