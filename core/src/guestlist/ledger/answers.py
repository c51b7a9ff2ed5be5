"""Whoever was invited, until they have answered: for programs that want to learn of it.

The answers are lines of the log, so that every process on the ledger sees each of them, once and in
order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, exists, func, insert, select, text

from guestlist.changes import ORDER, Action
from guestlist.ledger.schema import ANSWERING, OrderState, entries, orders
from guestlist.ledger.store import Store
from guestlist.models import Guest, Outcome, State

OPEN = (Outcome.INVITED, Outcome.RESENT, Outcome.ALREADY_INVITED, Outcome.AWAITING_APPROVAL)
"""What an order came to that leaves somebody with an invitation to answer."""
ENDS = frozenset({State.ACCEPTED, State.DECLINED, State.EXPIRED, State.REVOKED, State.GONE})
"""Where nothing more will come of an invitation."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an invitation.

    Attributes:
        id: grows from answer to answer.
    """

    id: int
    account: str
    email: str
    state: State
    at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who was invited, and is not known to have answered."""

    id: int
    account: str
    email: str


_mails = orders.c.place <= ORDER[Action.REPLACE]
_other, _theirs, _own = orders.alias(), entries.alias(), entries.alias()
_answered = exists().where(
    _theirs.c.order == _other.c.id,
    _other.c.account == orders.c.account,
    _other.c.key == orders.c.key,
    _theirs.c.what.in_(ENDS),
    # what was noted since the order began counts, whichever order of theirs it was noted of
    _theirs.c.id
    > select(func.min(_own.c.id))
    .where(_own.c.order == orders.c.id)
    .correlate(orders)
    .scalar_subquery(),
)


def waiting(store: Store, since: float) -> list[Waiting]:
    """Those who were invited since then, and are not known to have answered."""
    last = (
        select(func.max(orders.c.id))
        .where(_mails, orders.c.state == OrderState.DONE, orders.c.settled >= since)
        .group_by(orders.c.account, orders.c.key)
    )
    query = (
        select(orders.c.id, orders.c.account, orders.c.email)
        .where(orders.c.id.in_(last), orders.c.outcome.in_(OPEN), ~_answered)
        .order_by(orders.c.id)
    )
    with store.reading() as connection:
        return [Waiting(*row) for row in connection.execute(query)]


def note(store: Store, one: Waiting, now: Guest, at: float) -> bool:
    """Writes down where somebody stands, if that is the end of the invitation. False if it is not,
    is known already, or is of somebody whom the ledger has forgotten."""
    if now.state not in ENDS:
        return False

    def write(connection: Connection) -> bool:
        if connection.dialect.name == "postgresql":
            # one machine at a time, so that answers appear in the order of their numbers
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ANSWERING})"))
        this = select(orders.c.id).where(orders.c.id == one.id, ~_answered)
        # locked: whoever deletes it meanwhile waits, and deletes the line as well
        if connection.scalar(this.with_for_update(read=True, key_share=True)) is None:
            return False
        line = {"order": one.id, "at": at, "what": now.state.value, "detail": None}
        connection.execute(insert(entries), line)
        return True

    return store.write(write)


def answers(store: Store, after: int, limit: int) -> list[Answer]:
    """What became of invitations, in the order in which it was noticed."""
    query = (
        select(entries.c.id, orders.c.account, orders.c.email, entries.c.what, entries.c.at)
        .join(orders, orders.c.id == entries.c.order)
        .where(entries.c.id > after, entries.c.what.in_(ENDS), _mails)
        .order_by(entries.c.id)
        .limit(limit)
    )
    with store.reading() as connection:
        return [
            Answer(id, account, email, State(what), datetime.fromtimestamp(at, UTC))
            for id, account, email, what, at in connection.execute(query)
        ]


def last(store: Store) -> int:
    """The number of the last answer; 0 for none."""
    query = (
        select(func.max(entries.c.id))
        .join(orders, orders.c.id == entries.c.order)
        .where(entries.c.what.in_(ENDS), _mails)
    )
    with store.reading() as connection:
        return connection.scalar(query) or 0
