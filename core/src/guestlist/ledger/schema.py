"""The tables of the ledger, the same on SQLite and on PostgreSQL.

Times are seconds since 1970, UTC. `VERSION` counts the changes of the schema; `migrations` brings
an older ledger up to date.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TextClause,
    TypeDecorator,
    event,
    text,
)

VERSION = 2

MAKING, ANSWERING = 8617, 8618
"""PostgreSQL's locks of whoever makes tables, and of whoever writes an answer down."""

metadata = MetaData()
_id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER by itself


class Words(TypeDecorator[str]):
    """What a service or somebody else has said. PostgreSQL's text cannot hold every character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace("\0", "")


class OrderState(IntEnum):
    """What has become of an order."""

    ASKED = 0
    """Nothing was sent for it."""
    INTENDED = 1
    """A request was about to leave. Until an answer is written down, nobody knows: after a crash
    it has to be looked for."""
    OWED = 2
    """Waits until the person has accepted the invitation."""
    DONE = 10
    REFUSED = 11
    """It did not happen, and trying again would not help."""
    UNKNOWN = 12
    """It may have happened, and no look can tell. Never sent again by itself."""
    DROPPED = 13
    """A later plan took its place before anything was sent, or it is not wanted any more."""


def _origin() -> tuple[Column[Any], ...]:
    """The columns that say who started something; see `origin.Origin`."""
    return Column("actor", Text), Column("host", Text), Column("job", Text), Column("note", Text)


ledger = Table("guestlist", metadata, Column("version", Integer, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("id", _id, primary_key=True),
    Column("began", Double, nullable=False),
    Column("ended", Double),
    Column("roster", Text, nullable=False),  # its digest: what was asked for
    Column("source", Text, nullable=False),  # the file's name, for people
    *_origin(),
)

orders = Table(
    "orders",
    metadata,
    Column("id", _id, primary_key=True),
    Column("run", _id, ForeignKey("runs.id")),  # NULL: a single call
    Column("account", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("place", SmallInteger, nullable=False),  # of the action in the order of execution
    Column("role", Text),  # the owed one
    Column("facts", Text, nullable=False),  # the rest of the change, as JSON
    Column("state", SmallInteger, nullable=False),
    Column("asked", Double, nullable=False),
    # when a request was last about to leave; also the token of its sender
    Column("intended", Double),
    # since when no request of it is under way any more, though no answer came
    Column("doubted", Double),
    Column("settled", Double),
    Column("attempts", SmallInteger, nullable=False, default=0),
    Column("outcome", Text),
    Column("mail", Boolean),  # whether one was sent; NULL: none was due, or nobody knows
    Column("detail", Words),  # the error, or a warning
    *_origin(),  # of a single call; those of a run have theirs in `runs`
    sqlite_autoincrement=True,  # a number is never given again, whoever still has it in mind
)
# An index of a part is used only by a query that repeats its condition word for word, not as a
# parameter. With a million rows that have come to their end it makes 2 ms of 300.
IS_OPEN = text("state < 3")
IS_OWED = text("state = 2")
IS_UNKNOWN = text("state = 12")


def _part(name: str, condition: TextClause, *columns: Column[Any], unique: bool = False) -> None:
    Index(name, *columns, sqlite_where=condition, unique=unique).ddl_if(dialect="sqlite")
    # said in words: to say it in the Index too would load PostgreSQL's dialect for everybody
    names = ", ".join(column.name for column in columns)
    kind = "UNIQUE INDEX" if unique else "INDEX"
    statement = f"CREATE {kind} {name} ON {orders.name} ({names}) WHERE {condition.text}"
    made = DDL(statement)  # type: ignore[no-untyped-call]
    event.listen(orders, "after_create", made.execute_if(dialect="postgresql"))


_part(
    "orders_open",
    IS_OPEN,
    orders.c.run,
    orders.c.account,
    orders.c.state,
    orders.c.place,
    orders.c.id,
)
_part("orders_owed", IS_OWED, orders.c.account, orders.c.key, orders.c.role, unique=True)
_part("orders_unknown", IS_UNKNOWN, orders.c.account, orders.c.key)
Index("orders_person", orders.c.key, orders.c.settled)
Index("orders_run", orders.c.run)  # whoever watches a run counts its orders every second

entries = Table(
    "entries",
    metadata,
    Column("id", _id, primary_key=True),
    Column("order", _id, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Double, nullable=False),
    Column("what", Text, nullable=False),
    Column("detail", Words),
    sqlite_autoincrement=True,  # programs ask for the answers after the last number they know
)

halts = Table(
    "halts",
    metadata,
    Column("run", _id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("account", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("why", Words, nullable=False),
)

paces = Table(
    "paces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
)
