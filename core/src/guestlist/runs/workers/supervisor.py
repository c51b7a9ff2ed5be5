"""Supervises one account of the runs that several workers share.

The supervisor reconciles requests without an answer, and cuts the remaining orders into chunks.
Every worker runs one for each account; a lock lets one of them at a time act.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from guestlist.client import Guestlist
from guestlist.errors import GuestlistError, LedgerError
from guestlist.ledger import orders, runs
from guestlist.ledger.lock import PLANNING, account_lock
from guestlist.ledger.order import SKEW
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store
from guestlist.runs.tally import Tally
from guestlist.runs.unresolved_requests import (
    FIRST_LOOK_SECONDS,
    LONGEST_LOOK_SECONDS,
    UnresolvedRequests,
)
from guestlist.runs.workers import shared

ORDERS_PER_CHUNK = 100
"""Orders in a chunk. A dead worker delays as many orders until its death is noticed."""
CHUNKS_PER_BATCH = 100
"""Chunks that are put into the queue with one statement."""


class ChunkQueue(Protocol):
    """A queue in which chunks wait for a worker."""

    def is_busy(self, account: str) -> bool:
        """Returns whether chunks of the account wait or are being processed."""

    def put(self, run: int, account: str, chunks: Sequence[Sequence[int]]) -> None:
        """Adds chunks. A chunk is a list of order numbers."""


class Supervisor:
    """Divides the remaining orders of one account into chunks, and looks up the outcome of its
    unanswered requests."""

    def __init__(self, guests: Guestlist, store: Store, queue: ChunkQueue, account: str) -> None:
        self._guests = guests.account(account)
        self._store = store
        self._queue = queue
        self._account = account
        self._clock = guests.clock
        self._next_look = -math.inf
        self._pause = FIRST_LOOK_SECONDS

    def supervise(self) -> None:
        """Looks up unanswered requests that are due, and adds chunks of orders to the queue. Does
        nothing while another worker supervises the account.

        Raises:
            LedgerError: the ledger fails.
        """
        with account_lock(self._store, self._account) as mine:
            if not mine:
                return
            self._look()
            # A process that was killed while planning cannot end its own pause.
            shared.end_abandoned_pause(self._store, PLANNING)
            for run in shared.unfinished_runs(self._store):
                enqueue_next_chunks(
                    self._store, self._queue, run, self._account, self._clock.now().timestamp()
                )

    def _look(self) -> None:
        """Looks for the effects of requests without an answer, and of requests that a dead worker
        has sent."""
        wall = self._clock.now().timestamp()
        total = self._guests.budget.total
        lost = [
            order
            for order in orders.unanswered_orders(self._store, self._account)
            if order.gave_up_at is not None
            or order.over(total, wall) <= wall
            or (order.intended or 0.0) > wall + SKEW  # the clock was set back
        ]
        if not lost:
            self._pause = FIRST_LOOK_SECONDS
            return
        if self._clock.monotonic() < self._next_look:
            return
        unresolved = UnresolvedRequests(self._guests, self._account, Tally(self._account))
        unresolved.recover(self._store, lost, alone=False)
        try:
            trouble = unresolved.look()
        except LedgerError:
            raise
        except GuestlistError as refusal:
            for run in {order.run for order in lost if order.run is not None}:
                shared.stop_account(self._store, run, self._account, wall, refusal)
        else:
            self._guests.report_pause(trouble)
        self._next_look = self._clock.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_LOOK_SECONDS)


def enqueue_next_chunks(
    store: Store, queue: ChunkQueue, run: int, account: str, now: float
) -> None:
    """Cuts the next orders of an account into chunks once the previous chunks are done, and ends
    the run if no order is left. Call it only while holding the account's lock.

    Orders are carried out action by action: no action begins while an order of an earlier action is
    unresolved.
    """
    if queue.is_busy(account) or account in shared.stopped_accounts(store, run):
        return
    waiting = orders.next_rank(store, run, account)
    unanswered = orders.next_rank(store, run, account, OrderState.INTENDED)
    if waiting is None and unanswered is None and not orders.unsettled_count(store, run):
        runs.end_run(store, run, now)
    if waiting is None or (unanswered is not None and unanswered < waiting):
        return
    after = 0
    while ids := orders.next_ids(
        store, run, account, waiting, after, ORDERS_PER_CHUNK * CHUNKS_PER_BATCH
    ):
        queue.put(
            run,
            account,
            [ids[at : at + ORDERS_PER_CHUNK] for at in range(0, len(ids), ORDERS_PER_CHUNK)],
        )
        after = ids[-1]
