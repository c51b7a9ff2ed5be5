"""Stores orders, and moves each one from state to state until it is settled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import (
    Connection,
    Double,
    Select,
    SmallInteger,
    and_,
    bindparam,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql import ColumnElement

from guestlist import errors
from guestlist.changes import ORDER, Action, Change
from guestlist.errors import GuestlistError, OutcomeUnknown
from guestlist.exchange.recording import Preparation
from guestlist.ledger.deferred_grants import defer
from guestlist.ledger.emails import IS_RESOLVED
from guestlist.ledger.log import NO_EFFECT
from guestlist.ledger.order import (
    COLUMNS,
    Ended,
    Order,
    OrderOutcome,
    add_entry,
    origin_of,
    read,
    row_of,
)
from guestlist.ledger.origin import NOBODY, Origin
from guestlist.ledger.schema import (
    IS_OPEN,
    IS_PREPARED,
    IS_UNKNOWN,
    LockId,
    OrderState,
    halts,
    orders,
    runs,
)
from guestlist.ledger.store import Store

ASK = "It is not sent again by itself. Ask the person, or `guestlist status`."
"""Hint for an order whose outcome stays unknown."""

_ADD_SINGLE = insert(orders).returning(orders.c.id)
# A condition of the statement that claims an order, because a new run may replace this one while
# its chunks are processed.
_MAY_BEGIN = and_(
    ~exists().where(halts.c.run == orders.c.run, halts.c.account == orders.c.account),
    ~exists().where(runs.c.id == orders.c.run, runs.c.ended.is_not(None)),
)


def add_for_single_call(
    connection: Connection,
    change: Change,
    now: float,
    origin: Origin = NOBODY,
    *,
    request: str | None = None,
    preparation: Preparation | None = None,
) -> int:
    """Stores the order of a single call and returns its number.

    Args:
        request: the request that is about to leave; None if none will be sent.
        preparation: the progress of the invitation after the request has left.
    """
    row = row_of(change, None, now, origin=origin)
    if request is not None:
        row |= {
            "state": OrderState.INTENDED,
            "intended": now,
            "attempts": 1,
            "preparation": preparation,
        }
    made = connection.execute(_ADD_SINGLE, row)
    id = int(made.scalar_one())
    if request is not None:
        add_entry(connection, id, now, "sent", request)
    return id


def email_was_sent_since(connection: Connection, change: Change, since: float) -> bool:
    """Returns whether a request that may have sent the guest an email has left after a time. Until
    the transaction ends, no other process can record such a request."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        guest = {"guest": f"{change.account} {change.key}"}
        lock = f"SELECT pg_advisory_xact_lock({LockId.EMAIL:d}, hashtext(:guest))"
        connection.execute(text(lock), guest)
    sent = select(orders.c.id).where(
        orders.c.key == change.key,
        orders.c.account == change.account,
        orders.c.place.between(0, ORDER[Action.REPLACE]),
        orders.c.intended > since,
        orders.c.state.in_((OrderState.INTENDED, OrderState.DONE, OrderState.UNKNOWN)),
    )
    return connection.execute(sent.limit(1)).first() is not None


def _read_all(store: Store, wanted: Select[Any]) -> list[Order]:
    """Returns the orders that a query of `COLUMNS` selects."""
    with store.reading() as connection:
        rows = connection.execute(wanted).all()
    return [read(row) for row in rows]


def last_unanswered(store: Store, account: str, key: str) -> Order | None:
    """Returns the last order to send a guest an email whose request got no answer, whose outcome
    stays unknown, or which was only prepared; None if there is none. Prefers an order whose request
    got no answer."""
    wanted = (
        select(*COLUMNS)
        .where(
            orders.c.key == key,
            orders.c.account == account,
            or_(
                orders.c.state == OrderState.INTENDED,
                and_(or_(IS_UNKNOWN, orders.c.preparation.is_not(None)), ~IS_RESOLVED),
            ),
            orders.c.place.between(0, ORDER[Action.REPLACE]),
        )
        .order_by(orders.c.state != OrderState.INTENDED, orders.c.id.desc())
        .limit(1)
    )
    return next(iter(_read_all(store, wanted)), None)


ROLE_CHANGES = frozenset({Action.ASSIGN_ROLE, Action.SETTLE, Action.UNASSIGN_ROLE})
"""The actions that change the roles of a member."""


def unanswered_role_changes(store: Store, account: str, key: str) -> list[Order]:
    """Returns the changes of a guest's roles whose requests got no answer, newest first."""
    return _read_all(
        store,
        select(*COLUMNS)
        .where(
            orders.c.key == key,
            orders.c.account == account,
            orders.c.state == OrderState.INTENDED,
            orders.c.place.in_([ORDER[action] for action in ROLE_CHANGES]),
        )
        .order_by(orders.c.id.desc()),
    )


def next_rank(
    store: Store, run: int, account: str, state: OrderState = OrderState.ASKED
) -> int | None:
    """Returns the rank of the first action that still has orders in `state`; None if there is
    none."""
    with store.reading() as connection:
        return connection.scalar(
            select(orders.c.place)
            .where(_open(state, run, account))
            .order_by(orders.c.place)
            .limit(1)
        )


def next_of_action(
    store: Store, run: int, account: str, place: int, after: int, limit: int
) -> list[Order]:
    """Returns the next unsent orders of one action, sorted by number.

    Args:
        place: rank of the action.
        after: number of the last order that was read.
    """
    wanted = _asked(select(*COLUMNS), run, account, place, after, limit)
    return _read_all(store, wanted)


def next_of_any_action(store: Store, run: int, account: str, after: int, limit: int) -> list[Order]:
    """Returns the next unsent orders of a run, with any action, sorted by number."""
    wanted = (
        select(*COLUMNS)
        .where(_open(OrderState.ASKED, run, account), orders.c.id > after)
        .order_by(orders.c.id)
        .limit(limit)
    )
    return _read_all(store, wanted)


def next_ids(store: Store, run: int, account: str, place: int, after: int, limit: int) -> list[int]:
    """Returns the numbers of the orders that `next_of_action` would return."""
    wanted = _asked(select(orders.c.id), run, account, place, after, limit)
    with store.reading() as connection:
        return list(connection.scalars(wanted))


def _asked(
    what: Select[Any], run: int, account: str, place: int, after: int, limit: int
) -> Select[Any]:
    return (
        what.where(
            _open(OrderState.ASKED, run, account),
            orders.c.place == place,
            orders.c.id > after,
            _MAY_BEGIN,
        )
        .order_by(orders.c.id)
        .limit(limit)
    )


def _open(state: OrderState, run: int | None, account: str) -> ColumnElement[bool]:
    return and_(
        IS_OPEN,
        orders.c.run == run,
        orders.c.account == account,
        orders.c.state == state,
    )


def unsent_by_ids(store: Store, account: str, ids: Iterable[int]) -> list[Order]:
    """Returns the unsent orders with the given numbers, in order of execution."""
    return _read_all(
        store,
        select(*COLUMNS)
        .where(
            orders.c.id.in_(list(ids)),
            orders.c.account == account,
            orders.c.state == OrderState.ASKED,
            _MAY_BEGIN,
        )
        .order_by(orders.c.place, orders.c.id),
    )


def unanswered_orders(
    store: Store, account: str | None = None, run: int | None = None
) -> list[Order]:
    """Returns the orders whose request has left without a recorded answer."""
    where: list[Any] = [IS_OPEN, orders.c.state == OrderState.INTENDED]
    if account is not None:
        where.append(orders.c.account == account)
    if run is not None:
        where.append(orders.c.run == run)
    return _read_all(store, select(*COLUMNS).where(*where).order_by(orders.c.id))


def settled_since(store: Store, account: str, since: float) -> bool:
    """Returns whether an order of an account was settled at `since` or later."""
    recent = exists().where(orders.c.account == account, orders.c.settled >= since)
    with store.reading() as connection:
        return bool(connection.scalar(select(recent)))


def unsettled_counts(store: Store, run: int) -> dict[str, int]:
    """Returns the number of unsettled orders of a run, by account."""
    with store.reading() as connection:
        rows = connection.execute(
            select(orders.c.account, func.count())
            .where(IS_OPEN, orders.c.run == run, orders.c.state < OrderState.DEFERRED)
            .group_by(orders.c.account)
        ).all()
    return {row.account: row[1] for row in rows}


def unsettled_count(store: Store, run: int) -> int:
    """Returns the number of unsettled orders of a run."""
    return sum(unsettled_counts(store, run).values())


def replacement_failed(store: Store, order: Order) -> bool:
    """Returns whether an order of the same run that was to give the person a role has failed, or
    has an unknown outcome."""
    same_person = and_(
        orders.c.key == order.change.key,
        orders.c.account == order.change.account,
        orders.c.run == order.run,
    )
    failed = and_(
        orders.c.action.in_((Action.ASSIGN_ROLE, Action.SETTLE)),
        orders.c.state.in_((OrderState.REFUSED, OrderState.UNKNOWN)),
    )
    with store.reading() as connection:
        return bool(connection.scalar(select(exists().where(same_person, failed))))


def settled_orders(store: Store, run: int, limit: int) -> list[Ended]:
    """Returns the first settled orders of a run with their outcomes."""
    with store.reading() as connection:
        rows = connection.execute(
            select(*COLUMNS, orders.c.state, orders.c.outcome, orders.c.detail)
            .where(orders.c.run == run, orders.c.settled.is_not(None))
            .order_by(orders.c.id)
            .limit(limit)
        ).all()
    width = len(COLUMNS)
    return [
        Ended(read(row[:width]).change, OrderState(row.state), row.outcome or "", row.detail)
        for row in rows
    ]


def failed_order_errors(store: Store, run: int, limit: int) -> list[GuestlistError]:
    """Returns errors for the failed orders of a run, of all processes. Orders whose outcome stays
    unknown come first in each account.

    Args:
        limit: number of errors for each account.
    """
    rank = func.row_number().over(
        partition_by=orders.c.account, order_by=(orders.c.state.desc(), orders.c.id)
    )
    failed = (
        select(
            orders.c.account,
            orders.c.email,
            orders.c.state,
            orders.c.outcome,
            orders.c.detail,
            rank.label("rank"),
        )
        .where(
            orders.c.run == run,
            orders.c.state.in_((OrderState.REFUSED, OrderState.UNKNOWN)),
        )
        .subquery()
    )
    with store.reading() as connection:
        rows = connection.execute(
            select(failed).where(failed.c.rank <= limit).order_by(failed.c.account, failed.c.rank)
        ).all()
    return [
        _failure(OrderState(row.state), row.outcome, row.detail).about(
            account=row.account, email=row.email
        )
        for row in rows
    ]


def _failure(state: OrderState, outcome: str, detail: str | None) -> GuestlistError:
    """Returns the error that a settled order stands for, as far as the ledger holds it."""
    if state is OrderState.UNKNOWN:
        return OutcomeUnknown(detail or "it may have happened", hint=ASK)
    # An error class of a plugin is not in `errors`, so it becomes a GuestlistError.
    kind = getattr(errors, outcome, GuestlistError)
    return cast("GuestlistError", kind(detail or outcome, hint="The ledger holds the details."))


# ---------------------------------------------------------------------------- progress of one order

# The statements are built once: building them takes longer than executing them.
_THIS = orders.c.id == bindparam("this")
_ASKED = (_THIS, orders.c.state == OrderState.ASKED)
_SENT = (
    _THIS,
    orders.c.state == OrderState.INTENDED,
    orders.c.intended == bindparam("mark", type_=Double),
)
_INTENDED = {
    "state": OrderState.INTENDED,
    "intended": bindparam("now"),
    "gave_up_at": None,
    "answered": None,
    "preparation": bindparam("preparation", type_=SmallInteger),
}
_BEGIN = (
    update(orders).where(*_ASKED, _MAY_BEGIN).values(**_INTENDED, attempts=orders.c.attempts + 1)
)
_GO_ON = update(orders).where(*_SENT).values(**_INTENDED)
_SETTLED: dict[str, Any] = {
    "state": bindparam("to"),
    "settled": bindparam("now"),
    "outcome": bindparam("what"),
    "email_sent": bindparam("sent_email"),
    "detail": bindparam("why"),
    "preparation": bindparam("preparation", type_=SmallInteger),
}
_SETTLE_ASKED = update(orders).where(*_ASKED).values(**_SETTLED)
_SETTLE = update(orders).where(*_SENT).values(**_SETTLED)
_this = orders.alias()
_of_this = (_this.c.id == bindparam("this"), _this.c.key == orders.c.key)
# Updates other orders, too: an order of a run may complete an invitation that a later single call
# has prepared.
_COMPLETE = (
    update(orders)
    .where(IS_PREPARED, exists().where(*_of_this, _this.c.account == orders.c.account))
    .values(preparation=None)
)


def record_intent(
    connection: Connection,
    id: int,
    request: str,
    now: float,
    mark: float | None,
    preparation: Preparation | None = None,
) -> bool:
    """Records that a request is about to leave. Returns False if another sender has the order, its
    account is stopped, or its run was replaced.

    Args:
        mark: the time of the sender's previous record; None for the first one.
        preparation: the progress of the invitation after the request has left.
    """
    taken = connection.execute(
        _BEGIN if mark is None else _GO_ON,
        {"this": id, "mark": mark, "now": now, "preparation": preparation},
    )
    if taken.rowcount:
        add_entry(connection, id, now, "sent", request)
    return bool(taken.rowcount)


def record_outcome(
    connection: Connection,
    id: int,
    now: float,
    mark: float | None,
    state: OrderState,
    done: OrderOutcome,
) -> bool:
    """Records the outcome of an order, and defers the roles that have to wait for acceptance.
    Returns False if another process has settled the order or put it back.

    Args:
        mark: the time when its sender recorded the last request; None if no request has left.
    """
    facts = {
        "to": state,
        "what": done.outcome,
        "sent_email": done.email_sent,
        "why": done.detail,
        "preparation": done.preparation,
    }
    settled = connection.execute(
        _SETTLE_ASKED if mark is None else _SETTLE,
        {"this": id, "mark": mark, "now": now, **facts},
    )
    if settled.rowcount:
        add_entry(connection, id, now, done.outcome, done.detail)
        if state is OrderState.DONE and done.preparation is not None:
            connection.execute(_COMPLETE, {"this": id})
        if done.deferred:
            origin = origin_of(connection, id)
            for change in done.deferred:
                defer(connection, change, now, origin)
    return bool(settled.rowcount)


def mark_unanswered(
    connection: Connection, id: int, now: float, mark: float, why: str, *, counts: bool = True
) -> bool:
    """Records that no answer will arrive any more. From now on, any process may look up the effect.

    Args:
        counts: whether the request counts as an attempt.
    """
    attempts = orders.c.attempts - (0 if counts else 1)
    updated = connection.execute(
        update(orders).where(*_SENT).values(gave_up_at=now, attempts=attempts),
        {"this": id, "mark": mark},
    )
    if updated.rowcount:
        add_entry(connection, id, now, "no answer", why)
    return bool(updated.rowcount)


def mark_answered(connection: Connection, id: int, now: float, mark: float, why: str) -> bool:
    """Records that the service reported success in an answer that does not show the record."""
    updated = connection.execute(
        update(orders).where(*_SENT).values(answered=True), {"this": id, "mark": mark}
    )
    if updated.rowcount:
        add_entry(connection, id, now, "unreadable answer", why)
    return bool(updated.rowcount)


def mark_all_unanswered(
    connection: Connection, some: Iterable[Order], now: float, why: str
) -> None:
    """Marks several orders whose senders are gone as unanswered. These requests do not count as
    attempts."""
    for order in some:
        if order.intended is not None:
            mark_unanswered(connection, order.id, now, order.intended, why, counts=False)


def requeue(
    connection: Connection,
    id: int,
    now: float,
    mark: float,
    change: Change,
    why: str,
    *,
    attempts: int,
    preparation: Preparation | None = None,
) -> bool:
    """Puts an order back to be sent again, because it had no effect. Stores the status that the
    last lookup has found.

    Args:
        preparation: `PREPARED` if the attempt has left a record without an email.
    """
    again = connection.execute(
        update(orders)
        .where(*_SENT)
        .values(
            state=OrderState.ASKED,
            intended=None,
            gave_up_at=None,
            attempts=attempts,
            preparation=preparation,
            facts=row_of(change, None, now)["facts"],
        ),
        {"this": id, "mark": mark},
    )
    if again.rowcount:
        add_entry(connection, id, now, NO_EFFECT, why)
    return bool(again.rowcount)


class OrderTaken(GuestlistError):
    """Another worker has taken the order. Nothing was sent by this one."""
