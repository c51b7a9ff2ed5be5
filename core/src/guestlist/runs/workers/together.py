"""Carrying out a run together with the workers of other machines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from guestlist.client import Guestlist
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.ledger.store import Store
from guestlist.runs.runner import Progress, Summary
from guestlist.runs.stop import Stop
from guestlist.runs.tally import Tally
from guestlist.runs.workers.worker import enqueue, follow, run_worker


def run_together(
    store: Store,
    run: int,
    make: Callable[[Clock], AbstractContextManager[Guestlist]],
    url: str,
    stop: Stop,
    progress: Progress | None = None,
    *,
    accounts: Collection[str] | None = None,
) -> Summary:
    """Gives a run to the workers, is one of them until it has ended, and watches it.

    Nobody else has to be there. Where there are others, they go on when this is stopped.

    Args:
        make: makes a client for this process, with the clock that is given.
        url: of the ledger's database, which is PostgreSQL.
        stop: ends the watching, and the work here.
        accounts: those that are configured here; None for all.

    Raises:
        LedgerError: the ledger fails. Nothing was sent that it does not hold.
    """
    ends = Stop()
    with ThreadPoolExecutor(1, "guestlist-worker") as here:
        try:
            working = here.submit(run_worker, make, url, stop=ends)

            def watch(tallies: Mapping[str, Tally]) -> None:
                if working.done():
                    working.result()  # raises what it has ended for
                if progress is not None:
                    progress(tallies)

            enqueue(store, run, SystemClock().now().timestamp())
            return follow(store, run, stop, watch, accounts=accounts)
        except KeyboardInterrupt:
            stop()
            return follow(store, run, stop, progress, accounts=accounts)
        finally:
            ends()
