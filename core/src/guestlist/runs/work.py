"""The orders that an account worker carries out: those of a whole run, or of a chunk.

Each function yields some unsent orders of one action at a time. An empty list ends a pass. The next
pass begins with the orders that were put back meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestlist.ledger.order import Order
from guestlist.ledger.orders import next_of_action, next_rank, unsent_by_ids
from guestlist.ledger.store import Store

Orders = Iterator[list[Order]]
ORDERS_PER_READ = 500


def orders_of_run(store: Store, run: int, account: str) -> Orders:
    """Yields the orders of a run on one account, action by action. Each action is a pass."""
    while True:
        place, after = next_rank(store, run, account), 0
        while place is not None and (
            some := next_of_action(store, run, account, place, after, ORDERS_PER_READ)
        ):
            yield some
            after = some[-1].id
        yield []


def orders_of_chunk(store: Store, account: str, ids: Sequence[int]) -> Orders:
    """Yields the orders of one account that have these numbers."""
    while True:
        yield unsent_by_ids(store, account, ids)
        yield []


def no_orders() -> Orders:
    """Yields no orders: for an account worker that only looks up unanswered requests."""
    while True:
        yield []
