"""Fills a ledger with orders of the past, by the same functions that a run uses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, text

from guestlist.address import email_key
from guestlist.changes import ORDER, Action, Change
from guestlist.ledger import orders, runs
from guestlist.ledger.order import OrderOutcome
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store

T = TypeVar("T")

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"


def day(number: float) -> datetime:
    """Noon of a day, so many days after the first."""
    return NOON + timedelta(days=number)


class Story:
    """Tells a ledger what has happened. Times are in days after the first noon."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def run(self, began: float = 0.0, *, ended: float | None = None) -> int:
        then = day(began).timestamp()
        number = runs.begin_run(self.store, tuple, "digest", "guestlist.toml", then)
        if ended is not None:
            runs.end_run(self.store, number, day(ended).timestamp())
        return number

    def asked(
        self,
        email: str = ADA,
        at: float = 0.0,
        *,
        action: Action = Action.INVITE,
        account: str = "cloud",
        run: int | None = None,
        **facts: Any,
    ) -> int:
        """Nothing was sent for it; the order's number."""
        change = Change(action=action, account=account, email=email, key=email_key(email), **facts)
        if run is None:
            return self._write(lambda c: orders.add_for_single_call(c, change, day(at).timestamp()))
        now = day(at).timestamp()
        self.store.make(lambda connection: runs.add_orders(connection, [change], run=run, now=now))
        work = orders.next_of_action(self.store, run, account, ORDER[action], 0, 1_000_000)
        return work[-1].id

    def sent(self, id: int, at: float = 0.0) -> int:
        """A request was about to leave."""
        now = day(at).timestamp()
        assert self._write(lambda c: orders.record_intent(c, id, "POST /v2/invitation", now, None))
        return id

    def doubtful(self, email: str = ADA, at: float = 0.0, **facts: Any) -> int:
        """Asked and sent, and no answer is written down."""
        return self.sent(self.asked(email, at, **facts), at)

    def settled(
        self,
        email: str = ADA,
        at: float = 0.0,
        state: OrderState = OrderState.DONE,
        outcome: str = "invited",
        *,
        email_sent: bool | None = None,
        detail: str | None = None,
        **facts: Any,
    ) -> int:
        """Asked, sent and settled in a moment; deferred roles count from now on."""
        id = self.doubtful(email, at, **facts)
        assert self.settle(
            id, at, state, OrderOutcome(outcome, email_sent, detail, self._owed(email, facts))
        )
        return id

    def settle(self, id: int, at: float, state: OrderState, done: OrderOutcome) -> bool:
        """An answer to what was sent in the same moment."""
        now = day(at).timestamp()
        return self._write(lambda c: orders.record_outcome(c, id, now, now, state, done))

    def not_happened(self, id: int, at: float, sent: float, **facts: Any) -> None:
        """Ada's invitation is put back."""
        change = Change(action=Action.INVITE, account="cloud", email=ADA, key=ADA, **facts)
        now, mark = day(at).timestamp(), day(sent).timestamp()
        assert self._write(
            lambda c: orders.requeue(c, id, now, mark, change, "HTTP 503", attempts=1)
        )

    def _owed(self, email: str, facts: dict[str, Any]) -> tuple[Change, ...]:
        told = {"action": Action.INVITE, "account": "cloud", "key": email_key(email), **facts}
        told.pop("run", None)
        return Change(email=email, **told).deferred_changes()

    def _write(self, change: Callable[[Connection], T]) -> T:
        return self.store.write(change)


def one_waits(store: Store) -> bool:
    """Returns whether a transaction in PostgreSQL waits for another one."""
    with store.reading() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))
