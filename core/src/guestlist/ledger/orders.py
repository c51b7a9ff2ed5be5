"""Orders: what was asked for, one row each, and what has become of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    Select,
    TextClause,
    and_,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql import ColumnElement

from guestlist.errors import GuestlistError
from guestlist.ledger.outcome import Done
from guestlist.ledger.schema import IS_OPEN, IS_OWED, OrderState, entries, orders, runs
from guestlist.ledger.store import Store, insert_absent, later
from guestlist.models import Guest
from guestlist.roster import Action, Change
from guestlist.roster.change import ORDER

MANY = 5_000
"""Rows that are written with one statement."""

SKEW = 10.0
"""Seconds by which the clocks of two machines may differ."""

IN_COLUMNS = {"action", "account", "email", "key"}
"""What of a change has a column of its own."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the ledger holds it."""

    id: int
    run: int | None
    change: Change
    attempts: int
    intended: float | None
    doubted: float | None = None

    def over(self, total: float, now: float) -> float:
        """When no request of it is under way any more, for certain: of a sender that is given
        `total` seconds, and whose clock may be another machine's."""
        return (now if self.intended is None else self.intended) + total + SKEW

    @property
    def known(self) -> Guest:
        """Where the guest stood when the order was made."""
        change = self.change
        return Guest(
            account=change.account,
            email=change.email,
            state=change.state,
            invitation=change.invitation,
            member=change.member,
        )


def begin_run(
    store: Store,
    changes: Callable[[], Iterable[Change]],
    roster: str,
    source: str,
    now: float,
    *,
    replace: bool = False,
) -> int:
    """Writes a new run down with its orders, all of it or nothing; returns its number.

    Args:
        changes: tells them, from the first one at each call.
        roster: the digest of what is asked for; empty for what follows from an earlier run.
        source: the name of its file.
        replace: what earlier runs did not begin is dropped.
    """

    def begin(connection: Connection) -> int:
        if replace:
            drop(connection, now)
        made = connection.execute(
            insert(runs).values(began=now, roster=roster, source=source).returning(runs.c.id)
        )
        run = int(made.scalar_one())
        add(connection, changes(), run=run, now=now)
        return run

    return store.make(begin)


def end_run(store: Store, run: int, now: float) -> None:
    """Says that nothing of a run is left to do."""
    store.write(lambda c: c.execute(update(runs).where(runs.c.id == run).values(ended=now)))


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was begun."""

    id: int
    began: float
    roster: str
    source: str


def unfinished_run(store: Store) -> Run | None:
    """The last run of a roster, if it did not come to its end."""
    with store.reading() as connection:
        row = connection.execute(
            select(runs.c.id, runs.c.began, runs.c.roster, runs.c.source, runs.c.ended)
            .where(runs.c.roster != "")
            .order_by(runs.c.id.desc())
            .limit(1)
        ).first()
    return None if row is None or row.ended is not None else Run(*row[:4])


def add(connection: Connection, changes: Iterable[Change], *, run: int, now: float) -> None:
    """Writes orders down. Nothing was sent for them.

    Changes that cannot be made are left out. A role that the ledger knows as owed falls due, or is
    owed no more.
    """
    doable = (change for change in changes if change.action is not Action.CANNOT)
    while some := list(islice(doable, MANY)):
        rows = [
            _row(change, run, now)
            for change in some
            if not _is_of_a_debt(connection, change, run, now)
        ]
        if rows:
            connection.execute(insert(orders), rows)


def add_single(connection: Connection, change: Change, now: float) -> int:
    """Writes the order of a single call down; returns its number."""
    made = connection.execute(insert(orders).values(_row(change, None, now)).returning(orders.c.id))
    return int(made.scalar_one())


def last_doubt(store: Store, account: str, key: str) -> Order | None:
    """The last order to send a guest a mail of which nobody knows whether it happened."""
    with store.reading() as connection:
        row = connection.execute(
            select(*_columns)
            .where(
                orders.c.key == key,
                orders.c.account == account,
                orders.c.state == OrderState.INTENDED,
                orders.c.place <= ORDER[Action.REPLACE],
            )
            .order_by(orders.c.id.desc())
            .limit(1)
        ).first()
    return None if row is None else _order(row)


def _row(
    change: Change, run: int | None, now: float, state: int = OrderState.ASKED
) -> dict[str, Any]:
    return {
        "run": run,
        "account": change.account,
        "key": change.key,
        "email": change.email,
        "action": change.action.value,
        "place": ORDER[change.action],
        "role": change.roles[0] if change.action is Action.SETTLE else None,
        "facts": change.model_dump_json(exclude=IN_COLUMNS, exclude_defaults=True),
        "state": state,
        "asked": now,
    }


_columns = (
    orders.c.id,
    orders.c.run,
    orders.c.account,
    orders.c.key,
    orders.c.email,
    orders.c.action,
    orders.c.facts,
    orders.c.attempts,
    orders.c.intended,
    orders.c.doubted,
)


def _order(row: Any) -> Order:
    id, run, account, key, email, action, facts, attempts, intended, doubted = row
    told = {"account": account, "key": key, "email": email, "action": action, **json.loads(facts)}
    return Order(id, run, Change.model_validate(told), attempts, intended, doubted)


def _open(state: OrderState, run: int | None, account: str) -> ColumnElement[bool]:
    return and_(
        IS_OPEN,
        orders.c.run == run,
        orders.c.account == account,
        orders.c.state == state,
    )


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
    wanted = _asked(select(*_columns), run, account, place, after, limit)
    with store.reading() as connection:
        rows = connection.execute(wanted).all()
    return [_order(row) for row in rows]


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
            _open(OrderState.ASKED, run, account), orders.c.place == place, orders.c.id > after
        )
        .order_by(orders.c.id)
        .limit(limit)
    )


def chosen(store: Store, account: str, ids: Iterable[int]) -> list[Order]:
    """Those of some orders of an account that nothing was sent for, in their order of execution."""
    with store.reading() as connection:
        rows = connection.execute(
            select(*_columns)
            .where(
                orders.c.id.in_(list(ids)),
                orders.c.account == account,
                orders.c.state == OrderState.ASKED,
            )
            .order_by(orders.c.place, orders.c.id)
        ).all()
    return [_order(row) for row in rows]


def in_doubt(store: Store, account: str | None = None, run: int | None = None) -> list[Order]:
    """The orders of which nobody knows whether they happened."""
    where: list[Any] = [IS_OPEN, orders.c.state == OrderState.INTENDED]
    if account is not None:
        where.append(orders.c.account == account)
    if run is not None:
        where.append(orders.c.run == run)
    with store.reading() as connection:
        rows = connection.execute(select(*_columns).where(*where).order_by(orders.c.id)).all()
    return [_order(row) for row in rows]


def left(store: Store, run: int) -> dict[str, int]:
    """How many orders of a run are still to be worked on, by account."""
    with store.reading() as connection:
        rows = connection.execute(
            select(orders.c.account, func.count())
            .where(IS_OPEN, orders.c.run == run, orders.c.state < OrderState.OWED)
            .group_by(orders.c.account)
        ).all()
    return {row.account: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class Ended:
    """An order that has come to its end."""

    change: Change
    state: OrderState
    outcome: str
    detail: str | None


def ended(store: Store, run: int, limit: int) -> list[Ended]:
    """What has become of the first orders of a run."""
    with store.reading() as connection:
        rows = connection.execute(
            select(*_columns, orders.c.state, orders.c.outcome, orders.c.detail)
            .where(orders.c.run == run, orders.c.settled.is_not(None))
            .order_by(orders.c.id)
            .limit(limit)
        ).all()
    told = len(_columns)
    return [
        Ended(_order(row[:told]).change, OrderState(row.state), row.outcome or "", row.detail)
        for row in rows
    ]


_besides = orders.alias()
_is_owed_besides = exists().where(
    _besides.c.state == OrderState.OWED,
    _besides.c.account == orders.c.account,
    _besides.c.key == orders.c.key,
    _besides.c.role == orders.c.role,
)


def drop(connection: Connection, now: float) -> None:
    """Drops what was asked for and not begun, in runs before: a later plan takes its place. Roles
    that were owed are owed again, each once."""
    _drop(connection, now, orders.c.run.is_not(None))


def _drop(connection: Connection, now: float, which: ColumnElement[bool]) -> None:
    not_begun = (IS_OPEN, orders.c.state == OrderState.ASKED, which)
    connection.execute(
        update(orders)
        .where(
            orders.c.id.in_(
                select(func.min(orders.c.id))
                .where(*not_begun, orders.c.action == Action.SETTLE, ~_is_owed_besides)
                .group_by(orders.c.account, orders.c.key, orders.c.role)
            )
        )
        .values(state=OrderState.OWED, run=None)
    )
    connection.execute(
        update(orders).where(*not_begun).values(state=OrderState.DROPPED, settled=now)
    )


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
_BEGIN = update(orders).where(*_ASKED).values(**_INTENDED, attempts=orders.c.attempts + 1)
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
_SAY = insert(entries)


def intend(connection: Connection, id: int, request: str, now: float, mark: float | None) -> bool:
    """Writes down that a request is about to leave. False when the order is somebody else's.

    Args:
        mark: when the same sender last wrote so; None for the first time.
    """
    taken = connection.execute(
        _BEGIN if mark is None else _GO_ON, {"this": id, "mark": mark, "now": now}
    )
    if taken.rowcount:
        _say(connection, id, now, "sent", request)
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
        _say(connection, id, now, done.outcome, done.detail)
        for change in done.owed:
            _owe(connection, change, now)
    return bool(settled.rowcount)


def doubt(
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
        _say(connection, id, now, "no answer", why)
    return bool(doubted.rowcount)


def doubt_all(connection: Connection, some: Iterable[Order], now: float, why: str) -> None:
    """The same of several orders, whose senders are gone: these attempts do not count."""
    for order in some:
        if order.intended is not None:
            doubt(connection, order.id, now, order.intended, why, counts=False)


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
            facts=_row(change, None, now)["facts"],
        ),
        {"this": id, "mark": mark},
    )
    if again.rowcount:
        _say(connection, id, now, "did not happen", why)
    return bool(again.rowcount)


def _say(connection: Connection, id: int, now: float, what: str, detail: str | None) -> None:
    later(connection, _SAY, {"order": id, "at": now, "what": what, "detail": detail})


# ---------------------------------------------------------------------------- owed roles


def owe_again(connection: Connection, now: float) -> None:
    """Roles that a run of owed ones did not come to are owed again."""
    _drop(connection, now, orders.c.run.in_(select(runs.c.id).where(runs.c.roster == "")))


def _owe(connection: Connection, change: Change, now: float) -> None:
    """Writes down that a role is owed, unless it is already. What a single call had asked for and a
    roster asks for now, is the roster's from now on."""
    row = _row(change, None, now, OrderState.OWED)
    insert_absent(connection, orders, row)
    if not change.single:
        connection.execute(update(orders).where(*_same_owed(change)).values(facts=row["facts"]))


def _is_of_a_debt(connection: Connection, change: Change, run: int, now: float) -> bool:
    """Does what a change means for a role that is owed. False when there has to be an order."""
    if change.action is Action.SETTLE:
        return _fall_due(connection, change, run)
    if change.action is Action.WITHDRAW:
        _withdraw(connection, change, run, now)
        return True
    return False


def _withdraw(connection: Connection, change: Change, run: int, now: float) -> None:
    """Writes down that a role is owed no more, and what is owed instead."""
    settled = {"state": OrderState.DROPPED, "settled": now, "run": run}
    ids = connection.scalars(
        update(orders)
        .where(*_same_owed(change))
        .values(**settled, outcome="withdrawn", detail=change.reason)
        .returning(orders.c.id)
    ).all()
    for id in ids:
        _say(connection, id, now, "withdrawn", change.reason)
    for instead in change.owed_roles():
        _owe(connection, instead, now)


def _fall_due(connection: Connection, change: Change, run: int) -> bool:
    """Makes an owed role an order of a run, now that the person has accepted. False when the
    ledger knows of no such debt."""
    due = {"state": OrderState.ASKED, "run": run, "facts": _row(change, run, 0.0)["facts"]}
    return connection.execute(update(orders).where(*_same_owed(change)).values(due)).rowcount > 0


def pay(connection: Connection, change: Change, now: float) -> None:
    """Writes down that a role is not owed any more: it was given otherwise."""
    connection.execute(
        update(orders)
        .where(*_same_owed(change))
        .values(state=OrderState.DONE, settled=now, outcome="assigned")
    )


def _same_owed(change: Change) -> tuple[ColumnElement[bool] | TextClause, ...]:
    return (
        IS_OWED,
        orders.c.account == change.account,
        orders.c.key == change.key,
        orders.c.role == change.roles[0],
    )


def owed(store: Store, account: str | None = None) -> list[Order]:
    """The roles that people are owed."""
    where: list[Any] = [IS_OWED]
    if account is not None:
        where.append(orders.c.account == account)
    with store.reading() as connection:
        rows = connection.execute(select(*_columns).where(*where).order_by(orders.c.id)).all()
    return [_order(row) for row in rows]


class Taken(GuestlistError):
    """Another worker has taken the order; nothing was sent here."""
