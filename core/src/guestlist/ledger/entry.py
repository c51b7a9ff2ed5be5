"""The line of one order while it is being carried out: what the exchange writes to."""

from __future__ import annotations

from sqlalchemy import Connection

from guestlist.changes import Action, Change
from guestlist.errors import GuestlistError, Unsupported
from guestlist.exchange.clock import Clock
from guestlist.ledger import deferred_grants, orders
from guestlist.ledger.order import Order
from guestlist.ledger.orders import Taken
from guestlist.ledger.origin import NOBODY, Origin
from guestlist.ledger.outcome import Done
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store

NOT_HAPPENED = Done("did not happen")


class OrderEntry:
    """Writes one order's way down. Every method returns when it is on disk.

    Attributes:
        mark: when a request was last about to leave; the token by which nobody else's writing is
            taken for ours. None as long as nothing was sent.
        attempts: how often somebody has begun to carry it out.
    """

    def __init__(self, store: Store, order: Order, clock: Clock) -> None:
        self.order = order
        self.mark = order.intended
        self.attempts = order.attempts
        self._store = store
        self._clock = clock

    def intend(self, request: str) -> None:
        """Says that a request is about to leave.

        Raises:
            Taken: the order is another worker's.
            LedgerError: it cannot be written.
        """
        id, now, mark = self.order.id, self._now(), self.mark
        if not self._store.write(lambda c: orders.intend(c, id, request, now, mark)):
            raise Taken("another worker has taken the order")
        self.attempts += mark is None
        self.mark = now

    def done(self, done: Done) -> bool:
        """Says that it came about, and which roles the person is owed from now on. False, here and
        below, when somebody else has written since."""
        return self._settle(OrderState.DONE, done)

    def refused(self, error: GuestlistError) -> bool:
        """Record that the order failed. A deferred grant stays deferred, because the next `settle`
        may succeed; only what the service cannot do at all is given up."""
        change = self.order.change
        again = change.action is Action.SETTLE and not isinstance(error, Unsupported)
        owed = (change.model_copy(update={"member": None}),) if again else ()
        done = Done(type(error).__name__, detail=error.message, owed=owed)
        return self._settle(OrderState.REFUSED, done)

    def not_happened(self) -> bool:
        """Says that a look has found nothing, and that it is not tried again."""
        return self._settle(OrderState.REFUSED, NOT_HAPPENED)

    def replaced(self, connection: Connection, now: float) -> bool:
        """The same, in the transaction in which a call takes its place."""
        return orders.settle(
            connection, self.order.id, now, self.mark, OrderState.REFUSED, NOT_HAPPENED
        )

    def unknown(self, error: GuestlistError) -> bool:
        """Says that nobody will ever know."""
        return self._settle(OrderState.UNKNOWN, Done("unknown", detail=error.message))

    def doubted(self, why: str) -> None:
        """Says that no answer will come any more. Does nothing when nothing was sent."""
        if self.mark is None:
            return
        id, now, mark = self.order.id, self._now(), self.mark
        self._store.write(lambda c: orders.mark_unanswered(c, id, now, mark, why))

    def ask_again(self, change: Change, why: str, *, counts: bool = True) -> None:
        """Puts it back: nothing happened. Does nothing when nothing was sent.

        Args:
            counts: whether the attempt counts as one; not when this machine was to blame.
        """
        if self.mark is None:
            return
        id, now, mark = self.order.id, self._now(), self.mark
        attempts = self.attempts = self.attempts - (not counts)
        self._store.write(
            lambda c: orders.ask_again(c, id, now, mark, change, why, attempts=attempts)
        )
        self.mark = None

    def _settle(self, state: OrderState, done: Done) -> bool:
        id, now, mark = self.order.id, self._now(), self.mark
        return self._store.write(lambda c: orders.settle(c, id, now, mark, state, done))

    def _now(self) -> float:
        return self._clock.now().timestamp()


class SingleEntry:
    """The line of a single call. It is begun when a request is about to leave, or at the end.

    Args:
        instead: an order of a run that did not happen. The call's first request takes its place.
        origin: who makes the call.
    """

    def __init__(
        self,
        store: Store,
        change: Change,
        clock: Clock,
        instead: OrderEntry | None = None,
        origin: Origin = NOBODY,
    ) -> None:
        self._store = store
        self._change = change
        self._clock = clock
        self._instead = instead
        self._origin = origin
        self._begun: OrderEntry | None = None

    def intend(self, request: str) -> None:
        """Says that a request is about to leave.

        Raises:
            Taken: the run has gone on with the order that this call was to take the place of.
        """
        if self._begun is not None:
            self._begun.intend(request)
            return
        now = self._clock.now().timestamp()
        id = self._store.write(lambda c: self._begin(c, request, now))
        if id is None:
            raise Taken(
                "a run is about to do it", hint="Nothing was sent now. Ask again when it has ended."
            )
        order = Order(id, None, self._change, attempts=1, intended=now)
        self._begun = OrderEntry(self._store, order, self._clock)

    def _begin(self, connection: Connection, request: str, now: float) -> int | None:
        """In one transaction, or a crash could leave a line that nobody works on, or lose what the
        run was asked for."""
        if self._instead is not None and not self._instead.replaced(connection, now):
            return None
        id = orders.add_single(connection, self._change, now, self._origin)
        orders.intend(connection, id, request, now, None)
        return id

    def ended(self, outcome: str, mail: bool | None) -> None:
        """Says what the call did; what the person is owed counts from now on."""
        self._settle(OrderState.DONE, Done(outcome, mail, owed=self._change.owed_roles()))

    def failed(self, error: GuestlistError) -> None:
        """Says that it failed. What may have happened all the same stays in doubt."""
        if error.happened and not error.half_done:
            done = Done("done", detail=error.message, owed=self._change.owed_roles())
            self._settle(OrderState.DONE, done)
        elif self._begun is not None and error.happened is None:
            self._begun.doubted(error.message)
        else:
            self._settle(OrderState.REFUSED, Done(type(error).__name__, detail=error.message))

    def _settle(self, state: OrderState, done: Done) -> None:
        begun, now = self._begun, self._clock.now().timestamp()

        def write(connection: Connection) -> None:
            if begun is None:
                id = orders.add_single(connection, self._change, now, self._origin)
                mark = None
            else:
                id, mark = begun.order.id, begun.mark
            orders.settle(connection, id, now, mark, state, done)
            if state is OrderState.DONE and self._change.action is Action.ASSIGN:
                deferred_grants.complete(connection, self._change, now)
            if state is OrderState.DONE and self._change.action in (Action.REVOKE, Action.REMOVE):
                deferred_grants.cancel(connection, self._change, now)

        self._store.write(write)
