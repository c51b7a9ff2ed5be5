"""Reads the history of orders from the ledger, oldest first.

Orders are read in pages. So memory does not grow with the ledger,
and no run has to wait.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from guestlist.address import email_key
from guestlist.changes import Action, label
from guestlist.ledger.log import LineState, LogEntry, LogLine
from guestlist.ledger.order import ORIGIN
from guestlist.ledger.schema import OrderState, entries, moment, moment_or_none, orders, runs
from guestlist.ledger.store import Store
from guestlist.models import Role

PAGE = 1_000
"""Orders that are read together."""

STATES = {
    OrderState.ASKED: LineState.WAITING,
    OrderState.INTENDED: LineState.UNRESOLVED,
    OrderState.DEFERRED: LineState.DEFERRED,
    OrderState.DONE: LineState.DONE,
    OrderState.REFUSED: LineState.REFUSED,
    OrderState.UNKNOWN: LineState.UNKNOWN,
    OrderState.DROPPED: LineState.DROPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Criteria for orders. An empty field matches every order.

    Attributes:
        emails: addresses in any spelling; they are compared by key.
        since: only orders with an event at this time or later.
        until: only orders that were asked for before this time.
        run: the number of a run.
        actors: the persons or programs that asked for them.
        before: only orders with a lower number: those that were asked for earlier.
    """

    emails: Collection[str] = ()
    accounts: Collection[str] = ()
    actions: Collection[Action] = ()
    states: Collection[LineState] = ()
    since: datetime | None = None
    until: datetime | None = None
    run: int | None = None
    actors: Collection[str] = ()
    before: int | None = None


EVERYTHING = Search()


def log_lines(store: Store, search: Search = EVERYTHING) -> Iterator[LogLine]:
    """Yields the matching orders with their entries, in the order in which they were asked for.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    after = 0
    while True:
        with store.reading() as connection:
            wanted = _orders(search).where(orders.c.id > after).order_by(orders.c.id).limit(PAGE)
            page = _lines(connection, connection.execute(wanted).all())
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id


def latest(store: Store, number: int, search: Search = EVERYTHING) -> list[LogLine]:
    """Returns the last `number` matching orders, newest last.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with store.reading() as connection:
        wanted = _orders(search).order_by(orders.c.id.desc()).limit(number)
        return _lines(connection, connection.execute(wanted).all()[::-1])


def counts(store: Store, search: Search = EVERYTHING) -> Counter[LineState]:
    """Returns the number of matching orders by state.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with store.reading() as connection:
        rows = connection.execute(
            select(orders.c.state, func.count()).where(*_where(search)).group_by(orders.c.state)
        ).all()
    return Counter({STATES[OrderState(state)]: number for state, number in rows})


def _orders(search: Search) -> Select[Any]:
    return (
        select(orders, runs.c.source, *ORIGIN)
        .join_from(orders, runs, isouter=True)
        .where(*_where(search))
    )


def _where(search: Search) -> Iterator[ColumnElement[bool]]:
    if search.emails:
        yield orders.c.key.in_({email_key(email) for email in search.emails})
    if search.accounts:
        yield orders.c.account.in_(search.accounts)
    if search.actions:
        yield orders.c.action.in_([action.value for action in search.actions])
    if search.states:
        yield orders.c.state.in_([s for s, shown in STATES.items() if shown in search.states])
    if search.since is not None:
        last = func.coalesce(orders.c.settled, orders.c.intended, orders.c.asked)
        yield last >= search.since.timestamp()
    if search.until is not None:
        yield orders.c.asked < search.until.timestamp()
    if search.run is not None:
        yield orders.c.run == search.run
    if search.actors:
        theirs = select(runs.c.id).where(runs.c.actor.in_(search.actors))
        yield or_(orders.c.actor.in_(search.actors), orders.c.run.in_(theirs))
    if search.before is not None:
        yield orders.c.id < search.before


def _lines(connection: Connection, rows: Sequence[Any]) -> list[LogLine]:
    found = _entries(connection, [row.id for row in rows])
    return [_line(row, found[row.id]) for row in rows]


def _entries(connection: Connection, ids: Iterable[int]) -> dict[int, list[LogEntry]]:
    found: dict[int, list[LogEntry]] = defaultdict(list)
    for id, at, what, detail in connection.execute(
        select(entries.c.order, entries.c.at, entries.c.what, entries.c.detail)
        .where(entries.c.order.in_(list(ids)))
        .order_by(entries.c.id)
    ):
        found[id].append(LogEntry(at=moment(at), what=what, detail=detail))
    return found


def _labels(roles: Iterable[str | dict[str, Any]]) -> tuple[str, ...]:
    return tuple(label(one if isinstance(one, str) else Role(**one)) for one in roles)


def _line(row: Any, found: list[LogEntry]) -> LogLine:
    facts = json.loads(row.facts)
    state = STATES[OrderState(row.state)]
    reason = facts.get("reason", "")
    happened = [LogEntry(at=moment(row.asked), what="asked", detail=reason or None), *found]
    # A new plan drops many orders with one statement, which writes no entry for each.
    if state is LineState.DROPPED and row.outcome is None:
        happened.append(LogEntry(at=moment(row.settled), what="dropped"))
    return LogLine(
        id=row.id,
        run=row.run,
        source=row.source,
        actor=row.origin_actor,
        host=row.origin_host,
        job=row.origin_job,
        note=row.origin_note,
        account=row.account,
        email=row.email,
        key=row.key,
        action=row.action,
        roles=_labels(facts.get("roles", ())),
        deferred=_labels(facts.get("deferred", ())),
        options=facts.get("options", {}),
        reason=reason,
        state=state,
        asked_at=moment(row.asked),
        sent_at=moment_or_none(row.intended),
        settled_at=moment_or_none(row.settled),
        attempts=row.attempts,
        outcome=row.outcome,
        email_sent=row.email_sent,
        detail=row.detail,
        entries=tuple(happened),
    )
