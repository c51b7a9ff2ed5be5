"""Records the progress of one order while it is carried out. The exchange calls these methods."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from guestlist.changes import SENDS_EMAIL, Action, Change
from guestlist.errors import GuestlistError, Unsupported
from guestlist.exchange.clock import Clock
from guestlist.exchange.recording import Preparation
from guestlist.ledger import deferred_grants, orders
from guestlist.ledger.log import NO_EFFECT
from guestlist.ledger.order import Order, OrderOutcome
from guestlist.ledger.orders import OrderTaken
from guestlist.ledger.origin import NOBODY, Origin
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store


def _preparation(error: GuestlistError) -> Preparation | None:
    """Returns the progress of an invitation that ended with an error."""
    return Preparation.PREPARED if error.prepared else None


class OrderEntry:
    """Records the progress of one order. Each method returns once the record is on disk.

    Attributes:
        mark: the time of the last `intend`; None if no request has left. It identifies the sender,
            so that two processes cannot record for the same order.
        attempts: number of attempts to carry out the order.
    """

    def __init__(self, store: Store, order: Order, clock: Clock) -> None:
        self.order = order
        self.mark = order.intended
        self.attempts = order.attempts
        self._store = store
        self._clock = clock

    def intend(self, request: str, preparation: Preparation | None = None) -> None:
        """Records that a request is about to leave.

        Args:
            preparation: the progress of the invitation after the request has left.

        Raises:
            OrderTaken: another worker has the order.
            LedgerError: the record cannot be written.
        """
        id, now, mark = self.order.id, self._now(), self.mark
        if not self._store.write(
            lambda c: orders.record_intent(c, id, request, now, mark, preparation)
        ):
            raise OrderTaken("another worker has taken the order")
        self.attempts += mark is None
        self.mark = now
        self.order = replace(self.order, preparation=preparation)

    def done(self, done: OrderOutcome) -> bool:
        """Records success, and defers the roles that have to wait for acceptance. Like the methods
        below, returns False if another process has recorded a result since."""
        done = replace(done, preparation=self.order.preparation)
        return self._settle(OrderState.DONE, done)

    def refused(self, error: GuestlistError) -> bool:
        """Records that the order failed. A deferred grant stays deferred, because the next `settle`
        may succeed, unless the service does not support it at all."""
        change = self.order.change
        again = change.action is Action.SETTLE and not isinstance(error, Unsupported)
        deferred = (change.model_copy(update={"member": None}),) if again else ()
        done = OrderOutcome(
            type(error).__name__,
            detail=error.message,
            deferred=deferred,
            preparation=_preparation(error),
        )
        return self._settle(OrderState.REFUSED, done)

    def not_happened(self) -> bool:
        """Records that a lookup has found no effect, and that the order is not repeated."""
        return self._settle(OrderState.REFUSED, self._not_happened)

    def replaced(self, connection: Connection, now: float) -> bool:
        """Records that the order had no effect, in the transaction that stores the call which
        replaces it."""
        return orders.record_outcome(
            connection, self.order.id, now, self.mark, OrderState.REFUSED, self._not_happened
        )

    @property
    def _not_happened(self) -> OrderOutcome:
        """Returns the outcome of an order without effect. Keeps the mark of an order that was only
        prepared."""
        left = Preparation.PREPARED if self.order.is_prepared else None
        why = "no answer came, and a lookup has found no effect"
        return OrderOutcome(NO_EFFECT, detail=why, preparation=left)

    def unknown(self, error: GuestlistError) -> bool:
        """Records that the outcome stays unknown."""
        done = OrderOutcome("unknown", detail=error.message, preparation=self.order.preparation)
        return self._settle(OrderState.UNKNOWN, done)

    def answered(self, why: str) -> None:
        """Records that the service reported success in an answer that does not show the record.
        Does nothing if no request has left."""
        if self.mark is None:
            return
        id, now, mark = self.order.id, self._now(), self.mark
        self._store.write(lambda c: orders.mark_answered(c, id, now, mark, why))
        self.order = replace(self.order, answered=True)

    def unanswered(self, why: str) -> None:
        """Records that no answer will arrive any more. Does nothing if no request has left."""
        if self.mark is None:
            return
        id, now, mark = self.order.id, self._now(), self.mark
        self._store.write(lambda c: orders.mark_unanswered(c, id, now, mark, why))

    def ask_again(
        self, change: Change, why: str, *, counts: bool = True, prepared: bool = False
    ) -> None:
        """Puts the order back into the queue, because it had no effect. Does nothing if no request
        has left.

        Args:
            counts: whether the request counts as an attempt. Pass False if this machine caused the
                failure.
            prepared: whether the attempt may have left a record without an email.
        """
        if self.mark is None:
            return
        id, now, mark = self.order.id, self._now(), self.mark
        attempts = self.attempts = self.attempts - (not counts)
        left = Preparation.PREPARED if prepared else None
        self._store.write(
            lambda c: orders.requeue(
                c, id, now, mark, change, why, attempts=attempts, preparation=left
            )
        )
        self.mark = None
        self.order = replace(self.order, preparation=left)

    def _settle(self, state: OrderState, done: OrderOutcome) -> bool:
        id, now, mark = self.order.id, self._now(), self.mark
        return self._store.write(lambda c: orders.record_outcome(c, id, now, mark, state, done))

    def _now(self) -> float:
        return self._clock.now().timestamp()


class SingleEntry:
    """Records the progress of a single call. The order is stored when a request is about to leave,
    or at the end.

    Args:
        instead: an order of a run that had no effect. The call's first request replaces it.
        origin: the person or program that makes the call.
        began: the time before the call read the guest's records, in seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        change: Change,
        clock: Clock,
        instead: OrderEntry | None = None,
        origin: Origin = NOBODY,
        began: float | None = None,
    ) -> None:
        self._store = store
        self._change = change
        self._clock = clock
        self._began = began
        self._instead = instead
        self._origin = origin
        self._begun: OrderEntry | None = None

    def intend(self, request: str, preparation: Preparation | None = None) -> None:
        """Records that a request is about to leave.

        Args:
            preparation: the progress of the invitation after the request has left.

        Raises:
            OrderTaken: the run has meanwhile sent the order that this call was to replace, or
                another program has sent the guest an email since this call read the records.
        """
        if self._begun is not None:
            self._begun.intend(request, preparation)
            return
        now = self._clock.now().timestamp()
        id = self._store.write(lambda c: self._begin(c, request, preparation, now))
        if id is None:
            raise OrderTaken(
                "another program is about to make the same change",
                hint="Nothing was sent by this call. Repeat it once that program has finished.",
            )
        order = Order(id, None, self._change, attempts=1, intended=now, preparation=preparation)
        self._begun = OrderEntry(self._store, order, self._clock)

    def answered(self, why: str) -> None:
        """Records that the service reported success in an answer that does not show the record."""
        if self._begun is not None:
            self._begun.answered(why)

    def _begin(
        self, connection: Connection, request: str, preparation: Preparation | None, now: float
    ) -> int | None:
        """Stores the order and its first record in one transaction. Otherwise a crash could leave
        an order that no process works on, or lose the order of the run."""
        change, began = self._change, self._began
        if began is not None and change.action in SENDS_EMAIL:
            other_was_faster = orders.email_was_sent_since(connection, change, began)
            if other_was_faster:
                return None
        if self._instead is not None and not self._instead.replaced(connection, now):
            return None
        return orders.add_for_single_call(
            connection,
            change,
            now,
            self._origin,
            request=request,
            preparation=preparation,
        )

    def ended(self, outcome: str, email_sent: bool | None) -> None:
        """Records the outcome of the call, and defers the roles that have to wait for
        acceptance."""
        done = OrderOutcome(outcome, email_sent, deferred=self._change.deferred_changes())
        self._settle(OrderState.DONE, done)

    def failed(self, error: GuestlistError) -> None:
        """Records that the call failed. It stays unresolved if it may have had an effect."""
        if error.happened and not error.half_done:
            done = OrderOutcome(
                "done", detail=error.message, deferred=self._change.deferred_changes()
            )
            self._settle(OrderState.DONE, done)
        elif self._begun is not None and error.happened is None:
            self._begun.unanswered(error.message)
        else:
            done = OrderOutcome(
                type(error).__name__, detail=error.message, preparation=_preparation(error)
            )
            self._settle(OrderState.REFUSED, done)

    def _settle(self, state: OrderState, done: OrderOutcome) -> None:
        begun, now = self._begun, self._clock.now().timestamp()

        if begun is not None and state is OrderState.DONE:
            done = replace(done, preparation=begun.order.preparation)

        def write(connection: Connection) -> None:
            if begun is None:
                id = orders.add_for_single_call(connection, self._change, now, self._origin)
                mark = None
            else:
                id, mark = begun.order.id, begun.mark
            orders.record_outcome(connection, id, now, mark, state, done)
            if state is OrderState.DONE and self._change.action is Action.ASSIGN_ROLE:
                deferred_grants.complete(connection, self._change, now)
            if state is OrderState.DONE and self._change.action in (Action.REVOKE, Action.REMOVE):
                change, why = self._change, f"{self._change.action}d meanwhile"
                deferred_grants.cancel(connection, change.account, change.key, now, why)

        self._store.write(write)
