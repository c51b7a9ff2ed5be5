"""Finds people who have not answered their invitation, and records answers.

Answers are entries of the log, so that every process on the ledger sees each answer once, in order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, func, insert, select, text

from guestlist.changes import ORDER, Action
from guestlist.ledger.emails import LEAVES_OPEN
from guestlist.ledger.schema import LockId, OrderState, entries, moment, orders
from guestlist.ledger.store import Store
from guestlist.models import Guest, State

ENDS = frozenset({State.ACCEPTED, State.DECLINED, State.EXPIRED, State.REVOKED, State.GONE})
"""States in which an invitation is over."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of an invitation.

    Attributes:
        id: number of the answer. Later answers have higher numbers.
    """

    id: int
    account: str
    email: str
    state: State
    at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person who was invited and has no recorded answer.

    Attributes:
        login: the person's login at the service. None if the ledger does not know it.
    """

    id: int
    account: str
    email: str
    login: str | None = None


_emails = orders.c.place.between(0, ORDER[Action.REPLACE])
_other, _theirs, _own = orders.alias(), entries.alias(), entries.alias()
_answered = exists().where(
    _theirs.c.order == _other.c.id,
    _other.c.account == orders.c.account,
    _other.c.key == orders.c.key,
    _theirs.c.what.in_(ENDS),
    # An answer counts if it came after the order began, even if it was recorded for another order.
    _theirs.c.id
    > select(func.min(_own.c.id))
    .where(_own.c.order == orders.c.id)
    .correlate(orders)
    .scalar_subquery(),
)


def waiting(store: Store, since: float) -> list[Waiting]:
    """Returns the people who were invited since a moment and have no recorded answer."""
    last = (
        select(func.max(orders.c.id))
        .where(_emails, orders.c.state == OrderState.DONE, orders.c.settled >= since)
        .group_by(orders.c.account, orders.c.key)
    )
    query = (
        select(orders.c.id, orders.c.account, orders.c.email, orders.c.facts)
        .where(orders.c.id.in_(last), orders.c.outcome.in_(LEAVES_OPEN), ~_answered)
        .order_by(orders.c.id)
    )
    with store.reading() as connection:
        return [
            Waiting(id, account, email, json.loads(facts).get("login"))
            for id, account, email, facts in connection.execute(query)
        ]


def record_answer(store: Store, one: Waiting, now: Guest, at: float) -> bool:
    """Records a person's status if it ends the invitation. Returns False if the invitation is still
    open, the answer is recorded already, or the ledger has forgotten the person."""
    if now.state not in ENDS:
        return False

    def write(connection: Connection) -> bool:
        if connection.dialect.name == "postgresql":
            # serialized, so that answers become visible in the order of their numbers
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LockId.ANSWERS:d})"))
        this = select(orders.c.id).where(orders.c.id == one.id, ~_answered)
        # locked, so that a concurrent delete waits and removes the new entry as well
        if connection.scalar(this.with_for_update(read=True, key_share=True)) is None:
            return False
        line = {"order": one.id, "at": at, "what": now.state.value, "detail": None}
        connection.execute(insert(entries), line)
        return True

    return store.write(write)


def answers(store: Store, after: int, limit: int) -> list[Answer]:
    """Returns answers in the order in which they were recorded."""
    query = (
        select(entries.c.id, orders.c.account, orders.c.email, entries.c.what, entries.c.at)
        .join(orders, orders.c.id == entries.c.order)
        .where(entries.c.id > after, entries.c.what.in_(ENDS), _emails)
        .order_by(entries.c.id)
        .limit(limit)
    )
    with store.reading() as connection:
        return [
            Answer(id, account, email, State(what), moment(at))
            for id, account, email, what, at in connection.execute(query)
        ]


def last_number(store: Store) -> int:
    """Returns the number of the last answer; 0 if there is none."""
    query = (
        select(func.max(entries.c.id))
        .join(orders, orders.c.id == entries.c.order)
        .where(entries.c.what.in_(ENDS), _emails)
    )
    with store.reading() as connection:
        return connection.scalar(query) or 0
