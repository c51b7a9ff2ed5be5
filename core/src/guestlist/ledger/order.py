"""One order: a change that was asked for, as a row of the ledger."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

from guestlist.changes import Action, Change, role_key
from guestlist.exchange.recording import Preparation
from guestlist.ledger.origin import NOBODY, Origin
from guestlist.ledger.schema import OrderState, entries, orders, runs
from guestlist.ledger.store import insert_at_commit
from guestlist.models import OPEN_STATES, Guest, Invitation

SKEW = 10.0
"""Seconds by which the clocks of two machines may differ."""

IN_COLUMNS = {"action", "account", "email", "key", "prepared"}
"""Fields of a change that have a column of their own."""

COLUMNS = (
    orders.c.id,
    orders.c.run,
    orders.c.account,
    orders.c.key,
    orders.c.email,
    orders.c.action,
    orders.c.facts,
    orders.c.attempts,
    orders.c.intended,
    orders.c.gave_up_at,
    orders.c.answered,
    orders.c.preparation,
    orders.c.state,
)
"""The columns that `read` needs."""

_ADD_ENTRY = insert(entries)


@dataclass(frozen=True, slots=True)
class Order:
    """One order of the ledger.

    Attributes:
        intended: time at which the latest request was about to leave; None if nothing was sent.
        gave_up_at: time at which the sender stopped waiting for an answer; None if it may still
            wait.
        answered: whether the service reported success in an answer that does not show the record.
            Even if its lists do not show the record either, the order must not be sent again.
        preparation: the progress of an invitation of two requests; None if nothing was prepared.
        state: the state of the order when it was read.
    """

    id: int
    run: int | None
    change: Change
    attempts: int
    intended: float | None
    gave_up_at: float | None = None
    answered: bool = False
    preparation: Preparation | None = None
    state: OrderState = OrderState.ASKED

    @property
    def is_prepared(self) -> bool:
        """Whether the email of the order was certainly not sent, although the service may have a
        record of the person by now."""
        return self.preparation is Preparation.PREPARED

    def over(self, total: float, now: float) -> float:
        """Returns the time when no request of the order can be in flight any more.

        Args:
            total: seconds that the sender may take. The sender may be another machine with another
                clock.
        """
        return (now if self.intended is None else self.intended) + total + SKEW

    @property
    def known(self) -> Guest:
        """The person's status when the order was made."""
        change = self.change
        return Guest(
            account=change.account,
            email=change.email or None,
            login=change.login,
            state=change.state,
            invitation=change.invitation,
            invitations=change.invitations or self._open,
            member=change.member,
        )

    @property
    def _open(self) -> tuple[Invitation, ...]:
        one = self.change.invitation
        return (one,) if one is not None and one.state in OPEN_STATES else ()


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """The outcome of an order.

    Attributes:
        outcome: one word, such as `invited`.
        email_sent: whether an email was sent; None if no email was due or if that is unknown.
        detail: a warning or an error message.
        deferred: the roles to defer because of the outcome.
        preparation: the progress of an invitation of two requests; None if nothing was prepared.
    """

    outcome: str
    email_sent: bool | None = None
    detail: str | None = None
    deferred: tuple[Change, ...] = ()
    preparation: Preparation | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A settled order with its outcome."""

    change: Change
    state: OrderState
    outcome: str
    detail: str | None


def row_of(
    change: Change,
    run: int | None,
    now: float,
    state: int = OrderState.ASKED,
    origin: Origin = NOBODY,
) -> dict[str, Any]:
    """Returns the row of a new order.

    Args:
        origin: who made a single call or deferred a role. Orders of a run have the origin of the
            run.
    """
    return {
        **origin.columns(),
        "run": run,
        "account": change.account,
        "key": change.key,
        "email": change.email,
        "action": change.action.value,
        "place": change.place,
        "role": role_key(change.roles[0]) if change.action is Action.SETTLE else None,
        "facts": change.model_dump_json(exclude=IN_COLUMNS, exclude_defaults=True),
        "preparation": Preparation.PREPARED if change.prepared else None,
        "state": state,
        "asked": now,
    }


def read(row: Any) -> Order:
    """Returns the order in a row of `COLUMNS`."""
    id, run, account, key, email, action, facts, attempts, intended, gave_up_at, *last = row
    answered, preparation, state = last
    fields = {"account": account, "key": key, "email": email, "action": action, **json.loads(facts)}
    change = Change.model_validate(fields)
    return Order(
        id,
        run,
        change,
        attempts,
        intended,
        gave_up_at,
        bool(answered),
        None if preparation is None else Preparation(preparation),
        OrderState(state),
    )


ORIGIN = [
    func.coalesce(runs.c[name], orders.c[name]).label(f"origin_{name}")
    for name in Origin.__annotations__
]
"""The columns with the origin of an order: that of its run, or its own."""


def origin_of(connection: Connection, id: int) -> Origin:
    """Returns who started an order's run, or made its call."""
    wanted = select(*ORIGIN).join_from(orders, runs, isouter=True).where(orders.c.id == id)
    row: Any = connection.execute(wanted).one()
    return Origin(*row)


def add_entry(connection: Connection, id: int, now: float, what: str, detail: str | None) -> None:
    """Adds an entry to an order's history in the current transaction."""
    insert_at_commit(
        connection, _ADD_ENTRY, {"order": id, "at": now, "what": what, "detail": detail}
    )
