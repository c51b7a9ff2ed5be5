"""Carries out a run together with the workers of other machines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from guestlist.client import Guestlist
from guestlist.errors import GuestlistError
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.ledger.store import Store
from guestlist.runs.runner import Progress, RunSummary
from guestlist.runs.stop import Stop
from guestlist.runs.tally import Tally
from guestlist.runs.workers.worker import enqueue, watch_run, work_on_runs


def run_together(
    store: Store,
    run: int,
    make: Callable[[Clock], AbstractContextManager[Guestlist]],
    stop: Stop,
    progress: Progress | None = None,
    *,
    accounts: Collection[str] | None = None,
    too_long: Callable[[str], GuestlistError | None] = lambda _account: None,
) -> RunSummary:
    """Puts a run into the queue, works on it as well, and waits for its end.

    The run needs no other worker. Other workers go on if this process is stopped.

    Args:
        make: creates a client for this process with a given clock.
        stop: ends the waiting and the work of this process.
        accounts: the accounts that are configured here; None for all.
        too_long: see `watch_run`.

    Raises:
        LedgerError: the ledger fails. Every request that was sent is in the ledger.
    """
    ends = Stop()
    with ThreadPoolExecutor(1, "guestlist-worker") as here:
        try:
            working = here.submit(work_on_runs, make, store.url, stop=ends)

            def watch(tallies: Mapping[str, Tally]) -> None:
                if working.done():
                    working.result()  # raises the error that ended the worker
                if progress is not None:
                    progress(tallies)

            enqueue(store, run, SystemClock().now().timestamp())
            return watch_run(store, run, stop, watch, accounts=accounts, too_long=too_long)
        except KeyboardInterrupt:
            stop()
            return watch_run(store, run, stop, progress, accounts=accounts)
        finally:
            ends()
