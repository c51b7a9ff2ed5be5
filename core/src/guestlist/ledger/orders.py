"""Orders: which there are, and the way of each from being asked for to its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import (
    Connection,
    Double,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql import ColumnElement

from guestlist import errors
from guestlist.changes import ORDER, Action, Change
from guestlist.errors import GuestlistError, OutcomeUnknown
from guestlist.ledger.deferred_grants import defer
from guestlist.ledger.order import COLUMNS, Ended, Order, read, row_of, say
from guestlist.ledger.origin import NOBODY, Origin
from guestlist.ledger.outcome import Done
from guestlist.ledger.schema import IS_OPEN, OrderState, halts, orders, runs
from guestlist.ledger.store import Store

ASK = "It is not sent again by itself. Ask the person, or `guestlist status`."
"""What to do about an order of which nobody knows whether it happened."""

# Said with the claim itself, because a chunk may wait or be worked on while a run is replaced.
_MAY_BEGIN = and_(
    ~exists().where(halts.c.run == orders.c.run, halts.c.account == orders.c.account),
    ~exists().where(runs.c.id == orders.c.run, runs.c.ended.is_not(None)),
)


def add_single(connection: Connection, change: Change, now: float, origin: Origin = NOBODY) -> int:
    """Stores the order of a single call and returns its number."""
    row = row_of(change, None, now, origin=origin)
    made = connection.execute(insert(orders).values(row).returning(orders.c.id))
    return int(made.scalar_one())


def last_unanswered(store: Store, account: str, key: str) -> Order | None:
    """The last order to send a guest a mail of which nobody knows whether it happened."""
    with store.reading() as connection:
        row = connection.execute(
            select(*COLUMNS)
            .where(
                orders.c.key == key,
                orders.c.account == account,
                orders.c.state == OrderState.INTENDED,
                orders.c.place <= ORDER[Action.REPLACE],
            )
            .order_by(orders.c.id.desc())
            .limit(1)
        ).first()
    return None if row is None else read(row)


def next_place(
    store: Store, run: int, account: str, state: OrderState = OrderState.ASKED
) -> int | None:
    """The place of the first kind of order of which one was not begun, or is in another state that
    is none of the last; None when there is none."""
    with store.reading() as connection:
        return connection.scalar(
            select(orders.c.place)
            .where(_open(state, run, account))
            .order_by(orders.c.place)
            .limit(1)
        )


def asked(store: Store, run: int, account: str, place: int, after: int, limit: int) -> list[Order]:
    """The next orders of one place that nothing was sent for, by number."""
    wanted = _asked(select(*COLUMNS), run, account, place, after, limit)
    with store.reading() as connection:
        rows = connection.execute(wanted).all()
    return [read(row) for row in rows]


def waiting(store: Store, run: int, account: str, after: int, limit: int) -> list[Order]:
    """Returns the next orders of a run that wait, of any action, by number."""
    wanted = (
        select(*COLUMNS)
        .where(_open(OrderState.ASKED, run, account), orders.c.id > after)
        .order_by(orders.c.id)
        .limit(limit)
    )
    with store.reading() as connection:
        rows = connection.execute(wanted).all()
    return [read(row) for row in rows]


def asked_ids(
    store: Store, run: int, account: str, place: int, after: int, limit: int
) -> list[int]:
    """Their numbers alone."""
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


def chosen(store: Store, account: str, ids: Iterable[int]) -> list[Order]:
    """Those of some orders of an account that nothing was sent for, in their order of execution."""
    with store.reading() as connection:
        rows = connection.execute(
            select(*COLUMNS)
            .where(
                orders.c.id.in_(list(ids)),
                orders.c.account == account,
                orders.c.state == OrderState.ASKED,
                _MAY_BEGIN,
            )
            .order_by(orders.c.place, orders.c.id)
        ).all()
    return [read(row) for row in rows]


def unanswered(store: Store, account: str | None = None, run: int | None = None) -> list[Order]:
    """The orders of which nobody knows whether they happened."""
    where: list[Any] = [IS_OPEN, orders.c.state == OrderState.INTENDED]
    if account is not None:
        where.append(orders.c.account == account)
    if run is not None:
        where.append(orders.c.run == run)
    with store.reading() as connection:
        rows = connection.execute(select(*COLUMNS).where(*where).order_by(orders.c.id)).all()
    return [read(row) for row in rows]


def left(store: Store, run: int) -> dict[str, int]:
    """How many orders of a run are still to be worked on, by account."""
    with store.reading() as connection:
        rows = connection.execute(
            select(orders.c.account, func.count())
            .where(IS_OPEN, orders.c.run == run, orders.c.state < OrderState.OWED)
            .group_by(orders.c.account)
        ).all()
    return {row.account: row[1] for row in rows}


def ended(store: Store, run: int, limit: int) -> list[Ended]:
    """What has become of the first orders of a run."""
    with store.reading() as connection:
        rows = connection.execute(
            select(*COLUMNS, orders.c.state, orders.c.outcome, orders.c.detail)
            .where(orders.c.run == run, orders.c.settled.is_not(None))
            .order_by(orders.c.id)
            .limit(limit)
        ).all()
    told = len(COLUMNS)
    return [
        Ended(read(row[:told]).change, OrderState(row.state), row.outcome or "", row.detail)
        for row in rows
    ]


def failures(store: Store, run: int, limit: int) -> list[GuestlistError]:
    """What became of orders of a run that did not come about, whichever process has met it: the
    first ones of each account, and before them those of which nobody knows whether they happened.

    Args:
        limit: for each account.
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
    """The error that an order has come to, as far as the ledger tells it."""
    if state is OrderState.UNKNOWN:
        return OutcomeUnknown(detail or "it may have happened", hint=ASK)
    # a plugin's own kinds are not known here by their names
    kind = getattr(errors, outcome, GuestlistError)
    return cast("GuestlistError", kind(detail or outcome, hint="`guestlist log` tells more."))


# ---------------------------------------------------------------------------- one order's way

# The statements of every order are made once: making them takes longer than carrying them out.
_THIS = orders.c.id == bindparam("this")
_ASKED = (_THIS, orders.c.state == OrderState.ASKED)
_SENT = (
    _THIS,
    orders.c.state == OrderState.INTENDED,
    orders.c.intended == bindparam("mark", type_=Double),
)
_INTENDED = {"state": OrderState.INTENDED, "intended": bindparam("now"), "doubted": None}
_BEGIN = (
    update(orders).where(*_ASKED, _MAY_BEGIN).values(**_INTENDED, attempts=orders.c.attempts + 1)
)
_GO_ON = update(orders).where(*_SENT).values(**_INTENDED)
_SETTLED: dict[str, Any] = {
    "state": bindparam("to"),
    "settled": bindparam("now"),
    "outcome": bindparam("what"),
    "mail": bindparam("mailed"),
    "detail": bindparam("why"),
}
_SETTLE_ASKED = update(orders).where(*_ASKED).values(**_SETTLED)
_SETTLE = update(orders).where(*_SENT).values(**_SETTLED)


def intend(connection: Connection, id: int, request: str, now: float, mark: float | None) -> bool:
    """Writes down that a request is about to leave. False when the order is somebody else's, or
    rests, or its run was replaced.

    Args:
        mark: when the same sender last wrote so; None for the first time.
    """
    taken = connection.execute(
        _BEGIN if mark is None else _GO_ON, {"this": id, "mark": mark, "now": now}
    )
    if taken.rowcount:
        say(connection, id, now, "sent", request)
    return bool(taken.rowcount)


def settle(
    connection: Connection,
    id: int,
    now: float,
    mark: float | None,
    state: OrderState,
    done: Done,
) -> bool:
    """Writes down what has become of an order, and which roles the person is owed from now on.
    False when somebody else has settled it, or has put it back.

    Args:
        mark: when its sender last wrote that a request was about to leave; None when none was.
    """
    facts = {"to": state, "what": done.outcome, "mailed": done.mail, "why": done.detail}
    settled = connection.execute(
        _SETTLE_ASKED if mark is None else _SETTLE,
        {"this": id, "mark": mark, "now": now, **facts},
    )
    if settled.rowcount:
        say(connection, id, now, done.outcome, done.detail)
        for change in done.owed:
            defer(connection, change, now)
    return bool(settled.rowcount)


def mark_unanswered(
    connection: Connection, id: int, now: float, mark: float, why: str, *, counts: bool = True
) -> bool:
    """Writes down that no answer will come any more. From now on anybody may look for it.

    Args:
        counts: whether the attempt counts as one.
    """
    attempts = orders.c.attempts - (0 if counts else 1)
    doubted = connection.execute(
        update(orders).where(*_SENT).values(doubted=now, attempts=attempts),
        {"this": id, "mark": mark},
    )
    if doubted.rowcount:
        say(connection, id, now, "no answer", why)
    return bool(doubted.rowcount)


def mark_all_unanswered(
    connection: Connection, some: Iterable[Order], now: float, why: str
) -> None:
    """The same of several orders, whose senders are gone: these attempts do not count."""
    for order in some:
        if order.intended is not None:
            mark_unanswered(connection, order.id, now, order.intended, why, counts=False)


def ask_again(
    connection: Connection,
    id: int,
    now: float,
    mark: float,
    change: Change,
    why: str,
    *,
    attempts: int,
) -> bool:
    """Puts an order back: it certainly did not happen. Its facts are those of the last look."""
    again = connection.execute(
        update(orders)
        .where(*_SENT)
        .values(
            state=OrderState.ASKED,
            intended=None,
            doubted=None,
            attempts=attempts,
            facts=row_of(change, None, now)["facts"],
        ),
        {"this": id, "mark": mark},
    )
    if again.rowcount:
        say(connection, id, now, "did not happen", why)
    return bool(again.rowcount)


class Taken(GuestlistError):
    """Another worker has taken the order; nothing was sent here."""
