"""Sources of orders for an account worker: a whole run, or a chunk of it."""

from __future__ import annotations

from collections.abc import Sequence

from guestlist.ledger.order import Order
from guestlist.ledger.orders import next_of_action, next_rank, unsent_by_ids
from guestlist.ledger.store import Store

AT_A_TIME = 500
"""Orders that are read from the ledger together."""


class RunSource:
    """All orders of a run on one account, action by action. Each action is a pass."""

    def __init__(self, store: Store, run: int, account: str) -> None:
        self._store = store
        self._run = run
        self._account = account
        self._place: int | None = None
        self._after = 0

    def next(self) -> list[Order]:
        if self._place is None:
            self._place, self._after = next_rank(self._store, self._run, self._account), 0
        if self._place is None:
            return []
        orders = next_of_action(
            self._store, self._run, self._account, self._place, self._after, AT_A_TIME
        )
        if orders:
            self._after = orders[-1].id
        else:
            self._place = None
        return orders


class ChunkSource:
    """A chunk: some orders of one account, by number."""

    def __init__(self, store: Store, account: str, ids: Sequence[int]) -> None:
        self._store = store
        self._account = account
        self._ids = ids
        self._given = False

    def next(self) -> list[Order]:
        self._given = not self._given
        return unsent_by_ids(self._store, self._account, self._ids) if self._given else []
