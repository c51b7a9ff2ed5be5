"""Carrying out what the ledger holds, on this machine: a lane for each account, side by side."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property

from guestlist.changes import Change
from guestlist.client import Guestlist
from guestlist.errors import UnknownAccount
from guestlist.exchange.account import LONGEST_REST
from guestlist.ledger import orders, runs
from guestlist.ledger.order import Order
from guestlist.ledger.origin import Origin
from guestlist.ledger.store import Store
from guestlist.runs.account_worker import AccountWorker, Work
from guestlist.runs.stop import Stop
from guestlist.runs.tally import Tally
from guestlist.runs.work import RunWork
from guestlist.runs.workers import shared
from guestlist.runs.workers.presence import Presence

PROGRESS_SECONDS = 0.1
"""Seconds between two looks at how far the account workers are."""
QUIET_SECONDS = 10.0
"""Seconds that other machines are given to end what they have under way; then it is looked for."""

CONFIGURE = "Configure it again, or make a new plan."
"""What to do about what is left of a run for an account that is not configured."""

Progress = Callable[[Mapping[str, Tally]], None]
"""Told now and then how far each account is."""


@dataclass
class Summary:
    """What a run did.

    Attributes:
        tallies: by account.
        interrupted: somebody asked it to end.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def left(self) -> int:
        """Orders that are still to be worked on."""
        return sum(tally.left for tally in self.tallies.values())

    @property
    def failed(self) -> bool:
        """Whether anything did not come about."""
        return self.left > 0 or any(
            tally.refused or tally.unknown or tally.halted for tally in self.tallies.values()
        )


class Runner:
    """Works on a ledger on this machine. One process at a time does, where it is a SQLite file.

    Args:
        guests: the client. Its clock has to be a `StopClock` of the same signal, so that whoever
            waits ends at once.
        stop: the signal to end early.
        origin: who starts the runs; by default the user of this process.
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

    def reconcile(
        self, accounts: Collection[str] = (), progress: Progress | None = None
    ) -> Summary:
        """Find out what became of all requests without an answer. Sends only requests that read.

        Args:
            accounts: only those of these accounts; empty for all.
        """
        doubts = [
            order
            for order in orders.unanswered(self._store)
            if not accounts or order.change.account in accounts
        ]
        left = Counter(order.change.account for order in doubts)
        work: dict[str, Work] = {account: Nothing() for account in self._known(left)}
        summary = self._work(work, doubts, progress, left)
        hint = "Configure it again; or `guestlist forget --force` deletes a person with them."
        self._tell_unconfigured(summary, left, hint)
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
        """Stores a new run, as `begin_run` does, at this moment. Nothing is sent yet."""
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
    def resting(self) -> Iterator[None]:
        """The time of planning: other machines take no orders of earlier runs meanwhile, and were
        given time to end those that they had under way. What no run has replaced goes on
        afterwards."""
        if self._store.is_sqlite:  # the ledger's lock has ended whoever worked on it
            yield
            return
        try:
            if shared.pause_all(self._store, self._guests.clock.now().timestamp()):
                self._wait_until_calm()
            yield
        finally:
            shared.end_pause(self._store)

    def claims(self) -> runs.Claims | None:
        """What `begin` has to know from before the plan is made; None where nobody else works on a
        run."""
        return None if self._store.is_sqlite else runs.claims(self._store)

    def _wait_until_calm(self) -> None:
        """Until nobody waits for an answer any more, and lists show what was answered last."""
        clock = self._guests.clock
        ends = clock.monotonic() + QUIET_SECONDS
        while self._is_under_way(clock.now().timestamp()) and clock.monotonic() < ends:
            clock.sleep(PROGRESS_SECONDS)
        lags = (provider.list_lag for provider in self._guests.accounts.values())
        clock.sleep(max(lags, default=0.0))

    def _is_under_way(self, now: float) -> bool:
        """Whether somebody may be waiting for an answer to an order of a run."""
        total = self._guests.budget.total
        return any(
            order.run is not None and order.doubted is None and order.over(total, now) > now
            for order in orders.unanswered(self._store)
        )

    def run(self, run: int, progress: Progress | None = None) -> Summary:
        """Carries out all orders of a run, and ends it when none is left.

        If another process has begun the run, the services are read first: see `resume`.

        Raises:
            LedgerError: something could not be stored; nothing was sent for it.
        """
        left = orders.left(self._store, run)
        doubts = orders.unanswered(self._store, run=run)
        work: dict[str, Work] = {
            account: RunWork(self._store, run, account) for account in self._known(left)
        }
        resumed = None if run in self._begun else run
        summary = self._work(work, doubts, progress, left, resumed)
        self._begun.add(run)
        self._tell_unconfigured(summary, left, CONFIGURE)
        if not orders.left(self._store, run):
            runs.end_run(self._store, run, self._guests.clock.now().timestamp())
        return summary

    def _known(self, accounts: Iterable[str]) -> list[str]:
        return [account for account in accounts if account in self._guests.accounts]

    def _tell_unconfigured(self, summary: Summary, left: Mapping[str, int], hint: str) -> None:
        """Says of accounts that are not configured what is left of them."""
        for account in left.keys() - self._guests.accounts.keys():
            error = unconfigured(account, hint)
            summary.tallies[account] = Tally(account, left=left[account], halted=error)

    def _work(
        self,
        work: Mapping[str, Work],
        doubts: list[Order],
        progress: Progress | None,
        left: Mapping[str, int],
        resumed: int | None = None,
    ) -> Summary:
        summary = Summary()
        ends: dict[threading.Thread, threading.Event] = {}
        for account, source in work.items():
            mine = [order for order in doubts if order.change.account == account]
            tally = Tally(account, left=left[account])
            summary.tallies[account] = tally
            pause = min(self._guests.budget.waiting, LONGEST_REST)
            account_worker = AccountWorker(
                self._guests, self._store, self._stop, tally, longest_pause=pause
            )
            ended = threading.Event()
            thread = threading.Thread(
                target=_run_account,
                args=(
                    account_worker,
                    source,
                    mine,
                    self._stop,
                    tally,
                    self._store.is_sqlite,
                    ended,
                    resumed,
                ),
                name=f"guestlist-{account}",
            )
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
        except BaseException:  # of whoever shows the progress
            self._stop()
            raise
        finally:
            _wait_for(ends)
        if self._stop.reason is not None:
            raise self._stop.reason
        summary.interrupted = summary.interrupted or bool(self._stop)
        return summary


def _wait_for(ends: Mapping[threading.Thread, threading.Event]) -> None:
    """Waits until nothing is under way any more, also when Ctrl-C asks once more for the end: as
    long as something is, nobody else may believe that they are alone.

    Args:
        ends: when each thread is done. `Thread.join` and `is_alive` do not tell that: before Python
            3.13 they take a thread for ended once Ctrl-C has come while one of them was called.
    """
    for thread, ended in ends.items():
        if thread.ident is None:  # it was not started
            continue
        while not ended.is_set():
            with suppress(KeyboardInterrupt):
                ended.wait()
        with suppress(KeyboardInterrupt):
            thread.join()


def _run_account(
    account_worker: AccountWorker,
    work: Work,
    doubts: list[Order],
    stop: Stop,
    tally: Tally,
    is_alone: bool,
    ended: threading.Event,
    resumed: int | None,
) -> None:
    try:
        account_worker.recover(doubts, alone=is_alone)
        if resumed is not None:
            account_worker.resume(resumed)
        account_worker.run(work)
    except Exception as error:
        tally.halted = error
        stop(error)  # a ledger that fails ends everything; so does a bug of ours
    finally:
        ended.set()


def unconfigured(account: str, hint: str) -> UnknownAccount:
    """Says that there are orders that nobody here can carry out."""
    return UnknownAccount(
        "the ledger has orders for an account that is not configured", hint=hint, account=account
    )


class Nothing:
    """No orders: only doubts are to be settled."""

    def next(self) -> list[Order]:
        return []
