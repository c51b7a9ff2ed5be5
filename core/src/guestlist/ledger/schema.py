"""The tables of the ledger, the same on SQLite and on PostgreSQL.

Times are seconds since 1970, UTC. `VERSION` counts the changes of the schema; `migrations` brings
an older ledger up to date.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum, unique
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

VERSION = 5


@unique
class LockId(IntEnum):
    """The ids of the advisory locks that guestlist takes in PostgreSQL."""

    TABLES = 8617
    """Held while tables are created or migrated."""
    ANSWERS = 8618
    """Held while an answer is recorded, so that their numbers are in the order of recording."""
    PRESENCE = 8619
    """Lock on a run and an account. Processes that send the run's orders share it; the process
    that resumes the run holds it alone for that time."""
    ACCOUNT = 8620
    """Exclusive lock on an account, held by the one process that works on it."""
    EMAIL = 8621
    """Held while a call records that it is about to send a guest an email."""


metadata = MetaData()
_id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys automatically


class StoredText(TypeDecorator[str]):
    """Text from a service or a person. PostgreSQL cannot store NUL characters, so they are
    removed."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace("\0", "")


def moment(seconds: float) -> datetime:
    """Returns a stored time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    """Returns a stored time in UTC; None for NULL."""
    return None if seconds is None else moment(seconds)


class OrderState(IntEnum):
    """The state of an order."""

    ASKED = 0
    """Nothing was sent for it."""
    INTENDED = 1
    """A request was about to leave, and no answer is recorded. After a crash, its effect is unknown
    until it is looked for."""
    DEFERRED = 2
    """A deferred grant: it waits until the person has accepted the invitation."""
    DONE = 10
    REFUSED = 11
    """It had no effect, and trying again would not help."""
    UNKNOWN = 12
    """It may have had an effect, and the service does not show it. It is sent again only if a
    person asks for that."""
    DROPPED = 13
    """A later plan replaced it before anything was sent, or the roster does not ask for it any
    more."""


def _origin() -> tuple[Column[Any], ...]:
    """Returns the columns of an `origin.Origin`."""
    return Column("actor", Text), Column("host", Text), Column("job", Text), Column("note", Text)


ledger = Table("guestlist", metadata, Column("version", Integer, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("id", _id, primary_key=True),
    Column("began", Double, nullable=False),
    Column("ended", Double),
    Column("roster", Text, nullable=False),  # a digest of its content
    Column("source", Text, nullable=False),  # the file's name
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
    Column("place", SmallInteger, nullable=False),  # rank of the action in the order of execution
    Column("role", Text),  # key of the deferred role
    Column("facts", Text, nullable=False),  # the rest of the change, as JSON
    Column("state", SmallInteger, nullable=False),
    Column("asked", Double, nullable=False),
    # time at which the latest request was about to leave; another value shows that another process
    # has recorded a request since
    Column("intended", Double),
    # time at which the sender stopped waiting for an answer
    Column("doubted", Double, key="gave_up_at"),
    # whether the service reported success in an answer that does not show the record
    Column("answered", Boolean),
    # the progress of an invitation of two requests (`Preparation`); NULL if nothing was prepared
    Column("preparation", SmallInteger),
    Column("settled", Double),
    Column("attempts", SmallInteger, nullable=False, default=0),
    Column("outcome", Text),
    # Whether an email was sent; NULL if unknown or if none was to be sent.
    Column("email_sent", Boolean),
    Column("detail", StoredText),  # the error, or a warning
    *_origin(),  # Only single calls store their origin here. The origin of a run is in `runs`.
    # numbers are never reused, because a worker may still hold that of a deleted order
    sqlite_autoincrement=True,
)
# A partial index is used only by a query that repeats its condition literally, not as a parameter.
# With a million settled rows, it turns 300 ms into 2 ms.
IS_OPEN = text("state < 3")
IS_DEFERRED = text("state = 2")
IS_UNKNOWN = text("state = 12")
IS_PREPARED = text("preparation IS NOT NULL")


def _part(name: str, condition: TextClause, *columns: Column[Any], unique: bool = False) -> None:
    Index(name, *columns, sqlite_where=condition, unique=unique).ddl_if(dialect="sqlite")
    # as DDL text: Index(postgresql_where=...) would load PostgreSQL's dialect for SQLite users too
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
_part("orders_deferred", IS_DEFERRED, orders.c.account, orders.c.key, orders.c.role, unique=True)
_part("orders_unknown", IS_UNKNOWN, orders.c.account, orders.c.key)
_part("orders_prepared", IS_PREPARED, orders.c.account, orders.c.key)
Index("orders_person", orders.c.key, orders.c.settled)
Index("orders_run", orders.c.run)  # `watch_run` counts a run's orders every second

entries = Table(
    "entries",
    metadata,
    Column("id", _id, primary_key=True),
    Column("order", _id, ForeignKey("orders.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Double, nullable=False),
    Column("what", Text, nullable=False),
    Column("detail", StoredText),
    # Numbers are never reused, because programs read the answers after a certain number.
    sqlite_autoincrement=True,
)

halts = Table(
    "halts",
    metadata,
    Column("run", _id, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("account", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("why", StoredText, nullable=False),
)

paces = Table(
    "paces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),  # stored as the actor of calls that use the token
    Column("hash", Text, nullable=False),  # SHA-256 of the token, which is not stored
    Column("right", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("created_by", Text),
    Column("expires", Double, nullable=False),
    Column("used", Double),
    Column("revoked", Double),
)
Index("tokens_hash", tokens.c.hash, unique=True)
