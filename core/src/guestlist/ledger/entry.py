"""The line of one order while it is being carried out: what the exchange writes to."""

from __future__ import annotations

from functools import partial

from guestlist.exchange.clock import Clock
from guestlist.ledger.orders import Order, Taken, ask_again, intend, settle
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store
from guestlist.roster import Change


class OrderEntry:
    """Writes one order's way down. Every method returns when it is on disk.

    Attributes:
        mark: when a request was last about to leave; the token by which nobody else's writing is
            taken for ours. None as long as nothing was sent.
    """

    def __init__(self, store: Store, order: Order, clock: Clock) -> None:
        self.order = order
        self.mark = order.intended
        self._store = store
        self._clock = clock

    def intend(self, request: str) -> None:
        """Says that a request is about to leave.

        Raises:
            Taken: the order is another worker's.
            LedgerError: it cannot be written.
        """
        now = self._now()
        taken = self._store.write(
            lambda connection: intend(connection, self.order.id, request, now, self.mark)
        )
        if not taken:
            raise Taken("another worker has taken the order")
        self.mark = now

    def settle(
        self,
        state: OrderState,
        *,
        outcome: str | None = None,
        mail: bool | None = None,
        detail: str | None = None,
        owed: tuple[Change, ...] = (),
    ) -> None:
        """Says what has become of it, and which roles the person is owed from now on."""
        change = partial(
            settle,
            id=self.order.id,
            now=self._now(),
            mark=self.mark,
            state=state,
            outcome=outcome,
            mail=mail,
            detail=detail,
            owed=owed,
        )
        self._store.write(change)

    def ask_again(self, change: Change, why: str) -> None:
        """Puts it back: nothing happened. Does nothing when nothing was sent."""
        if self.mark is None:
            return
        now, mark = self._now(), self.mark
        self._store.write(
            lambda connection: ask_again(connection, self.order.id, now, mark, change, why)
        )
        self.mark = None

    def _now(self) -> float:
        return self._clock.now().timestamp()
