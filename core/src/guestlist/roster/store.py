"""Temporary store that groups facts about people by their address, for any number of people.

It is a private temporary SQLite database. It moves to disk when it outgrows its cache, no other
process can open it, and it disappears when it is closed or the program ends.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple

from guestlist.changes import ORDER, Action, Change
from guestlist.errors import GuestlistError

CACHE_KIB = 16 * 1024
"""KiB of memory for pages of the database, and as much again for sorting."""
BATCH_ROWS = 1000
"""Number of rows in one write."""


class Kind(IntEnum):
    """Kind of a fact about a person. Facts about one person are sorted by it."""

    WANTED = 0
    NOT_YET = 1
    ENDED = 2
    DEFERRED = 3
    BASIS = 4
    """The state of the person that a saved change is based on."""
    INVITATION = 5
    MEMBER = 6
    HELD = 7
    """The roles of a member, if they had to be requested separately."""
    COMPLETE = 8
    """The complete invitation, requested because the INVITATION is only a summary."""
    UNRESOLVED = 9
    """An earlier email to the person whose outcome is unknown."""
    ALIAS = 10
    """Another key of the person, made from another address or a login. The key is in `brief`. A
    login as typed is in `body`."""
    PREPARED = 11
    """An earlier attempt may have created an open invitation of the person without an email."""


_KINDS = {kind.name.lower(): kind for kind in Kind}
"""The kinds as parameters of queries."""


class Fact(NamedTuple):
    """One fact about one person in one account.

    Attributes:
        key: the address in the form in which addresses are compared.
        account: the index of the account in the list of account names.
        kind: a `Kind`.
        ask: whether more data may have to be requested. For a roster entry: whether the roles of
            the person matter. For a member: whether the record lacks the roles. For an invitation:
            whether it is a summary.
        brief: the parts that usually suffice for a decision, as JSON. Many people share one brief,
            so it can be cached.
        body: the complete record.
        place: file and line of a roster entry, such as `guestlist.toml:12`.
    """

    key: str
    account: int
    kind: int
    ask: bool
    brief: str
    body: str
    place: str = ""


class PlanStore:
    """Stores facts and changes on disk. Any number of threads may add, one thread may read.

    Raises:
        GuestlistError: from any method: the disk is full, or cannot be written.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_aliases = False
        with _as_guestlist_errors():
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._db.executescript(
                f"""
                PRAGMA journal_mode = off;
                PRAGMA synchronous = off;
                PRAGMA cache_size = -{CACHE_KIB};
                CREATE TABLE fact (key TEXT, account INT, kind INT, ask INT, brief TEXT, body TEXT,
                                   place TEXT);
                CREATE TABLE alias (account INT, name TEXT, key TEXT, place TEXT,
                                    PRIMARY KEY (account, name)) WITHOUT ROWID;
                CREATE TABLE asking (account INT, key TEXT, body TEXT);
                CREATE TABLE summary (key TEXT, account INT, kind INT, ask INT, brief TEXT,
                                      body TEXT, place TEXT);
                CREATE TABLE problem (account INT, text TEXT, people INT, who TEXT, place TEXT,
                                      PRIMARY KEY (account, text)) WITHOUT ROWID;
                CREATE TABLE change (account INT, place INT, key TEXT, body TEXT);
                BEGIN;
                """
            )
        # Python 3.13 and later warn about a database that was left open.
        weakref.finalize(self, self._db.close)

    def close(self) -> None:
        """Closes and deletes the database. A thread that still adds facts gets an error."""
        with self._lock:
            self._db.close()

    # ------------------------------------------------------------------ facts

    def add(self, facts: Iterable[Fact]) -> None:
        """Stores facts. After an error, some of them may be stored."""
        self._insert("INSERT INTO fact VALUES (?, ?, ?, ?, ?, ?, ?)", facts)

    def learn_aliases(self) -> Iterator[tuple[Fact, str, str]]:
        """Prepares `key_of` with the ALIAS facts so far.

        Yields:
            Each alias that belongs to two people: its fact, and key and place of the other person.
        """
        with self._lock, _as_guestlist_errors():
            self._db.execute(
                "INSERT OR IGNORE INTO alias SELECT account, brief, key, place FROM fact"
                " WHERE kind = ?",
                (Kind.ALIAS,),
            )
            found = self._db.execute("SELECT count(*) FROM alias").fetchone()
        self._has_aliases = bool(found[0])
        if not self._has_aliases:
            return
        rows = self._read(
            "SELECT f.*, a.key, a.place FROM fact f JOIN alias a"
            " ON a.account = f.account AND a.name = f.brief AND a.key <> f.key"
            " WHERE f.kind = :alias"
            " UNION ALL SELECT a.key, a.account, :alias, 0, a.name, '', a.place, f.key, f.place"
            " FROM fact f JOIN alias a ON a.account = f.account AND a.name = f.key"
            " WHERE f.kind < :deferred AND a.key <> f.key",
        )
        for *fact, key, place in rows:
            yield Fact(*fact), key, place

    def key_of(self, account: int, names: Sequence[str]) -> str:
        """Returns the key of the person in the roster who has one of these keys as an alias; else
        the first name."""
        if self._has_aliases:
            with self._lock, _as_guestlist_errors():
                for name in names:
                    row = self._db.execute(
                        "SELECT key FROM alias WHERE account = ? AND name = ?", (account, name)
                    ).fetchone()
                    if row is not None:
                        return str(row[0])
        return names[0]

    def keys_of(self, name: str) -> list[str]:
        """Returns the keys of the people in the roster for whom `name` is an alias in any
        account."""
        return [key for (key,) in self._read("SELECT DISTINCT key FROM alias WHERE name = ?", name)]

    def people(self, key: str | None = None) -> Iterator[list[Fact]]:
        """Yields the facts about each person in each account, ordered by key.

        Args:
            key: yield only the facts with this key; None for all.
        """
        rows = self._read(
            "SELECT key, account, kind, ask, brief, body, place FROM fact"
            " WHERE :key IS NULL OR key = :key ORDER BY key, account, kind, rowid",
            key=key,
        )
        for _, facts in groupby(map(Fact._make, rows), attrgetter("key", "account")):
            yield list(facts)

    def members_without_roles(
        self, account: int, size: int, *, everybody: bool = False
    ) -> Iterator[list[tuple[str, str]]]:
        """Yields key and body of members whose roles have to be requested.

        Args:
            size: number of members per batch.
            everybody: include members whose roles the roster does not mention.
        """
        with self._lock, _as_guestlist_errors():
            self._db.execute(
                "INSERT INTO asking SELECT account, key, max(iif(kind = :member, body, NULL))"
                " FROM fact WHERE account = :account GROUP BY key"
                " HAVING max(ask AND kind = :member)"
                " AND (:everybody OR max(ask AND kind < :invitation))",
                _KINDS | {"account": account, "everybody": everybody},
            )
        yield from self._batches("asking WHERE", account, size)

    def accepted_without_member(self, account: int) -> Iterator[str]:
        """Yields an accepted invitation of each wanted person who is not a member."""
        rows = self._read(
            "SELECT max(iif(kind IN (:invitation, :complete) AND brief LIKE '[\"accepted\"%',"
            " body, NULL)) AS record FROM fact WHERE account = :account GROUP BY key"
            " HAVING record IS NOT NULL AND max(kind = :wanted) AND NOT max(kind = :member)",
            account=account,
        )
        return (body for (body,) in rows)

    def absent(self, account: int, size: int) -> Iterator[list[str]]:
        """Yields the keys of the wanted people of whom the service has no record, `size` at a
        time."""
        rows = self._read(
            "SELECT key FROM fact WHERE account = :account GROUP BY key"
            " HAVING max(kind = :wanted) AND NOT max(kind IN (:member, :invitation))",
            account=account,
        )
        while some := [key for (key,) in islice(rows, size)]:
            yield some

    def has_unidentified(self, account: int) -> bool:
        """Returns whether a wanted person without a known login is neither a member nor invited."""
        rows = self._read(
            "SELECT 1 FROM fact WHERE account = :account GROUP BY key"
            " HAVING max(kind = :wanted) AND NOT max(kind = :member)"
            " AND NOT max(kind = :alias AND body <> '')"
            " AND NOT max(kind = :invitation AND (brief LIKE '[\"pending\"%'"
            " OR brief LIKE '[\"awaiting_approval\"%'))",
            account=account,
        )
        return next(iter(list(rows)), None) is not None

    def unlisted_members(self, account: int) -> Iterator[str]:
        """Yields the members who are not in the roster, and did not accept an invitation to their
        own address."""
        rows = self._read(
            "SELECT max(iif(kind = :member, body, NULL)) AS record FROM fact"
            " WHERE account = :account GROUP BY key"
            " HAVING record IS NOT NULL AND NOT max(kind IN (:wanted, :not_yet, :invitation))",
            account=account,
        )
        return (body for (body,) in rows)

    def people_with_summaries(self, account: int, size: int) -> Iterator[list[list[Fact]]]:
        """Yields the facts about people whose invitation is a summary, `size` people per batch.

        Other threads may add facts in the meantime.
        """
        columns = "key, account, kind, ask, brief, body, place"
        with self._lock, _as_guestlist_errors():
            self._db.execute(
                f"INSERT INTO summary SELECT {columns} FROM fact"  # noqa: S608
                " WHERE account = :account AND key IN"
                " (SELECT key FROM fact WHERE account = :account AND kind = :invitation AND ask)"
                " ORDER BY key, kind, rowid",
                _KINDS | {"account": account},
            )
        last = ""
        while True:
            with self._lock, _as_guestlist_errors():
                rows = self._db.execute(
                    f"SELECT {columns} FROM summary WHERE account = ? AND key IN"  # noqa: S608
                    " (SELECT DISTINCT key FROM summary WHERE account = ? AND key > ?"
                    "  ORDER BY key LIMIT ?) ORDER BY key, rowid",
                    (account, account, last, size),
                ).fetchall()
            if not rows:
                return
            people = [list(facts) for _, facts in groupby(map(Fact._make, rows), _key_of)]
            last = people[-1][0].key
            yield people

    def wanted(self, account: int, size: int) -> Iterator[list[tuple[str, str]]]:
        """Yields key and body of the people wanted in an account, `size` people per batch."""
        return self._batches(f"fact WHERE kind = {Kind.WANTED:d} AND", account, size)

    def _batches(self, source: str, account: int, size: int) -> Iterator[list[tuple[str, str]]]:
        """Yields rows of an account in batches. Other threads may add rows in the meantime."""
        last = 0
        while True:
            with self._lock, _as_guestlist_errors():
                rows = self._db.execute(
                    f"SELECT key, body, rowid FROM {source} account = ? AND rowid > ?"  # noqa: S608
                    " ORDER BY rowid LIMIT ?",
                    (account, last, size),
                ).fetchall()
            if not rows:
                return
            last = rows[-1][2]
            yield [(key, body) for key, body, _ in rows]

    # ------------------------------------------------------------------ results

    def add_problem(self, account: int, text: str, who: str, place: str) -> None:
        """Counts one more person affected by a roster entry that is impossible in the account.

        Args:
            text: the problem.
            who: the person's address.
            place: file and line of the roster entry.
        """
        with self._lock, _as_guestlist_errors():
            self._db.execute(
                "INSERT INTO problem VALUES (?, ?, 1, ?, ?)"
                " ON CONFLICT DO UPDATE SET people = people + 1",
                (account, text, who, place),
            )

    def problems(self) -> Iterator[tuple[int, str, int, str, str]]:
        """Yields each problem: account, text, number of people, first person, place in the
        roster."""
        return self._read(
            "SELECT account, text, people, who, place FROM problem ORDER BY account, text"
        )

    def add_changes(self, changes: Iterable[tuple[int, Change]]) -> None:
        """Stores changes, each with the index of its account."""
        rows = (
            (
                account,
                ORDER[change.action],
                change.key,
                change.model_dump_json(exclude_defaults=True),
            )
            for account, change in changes
        )
        self._insert("INSERT INTO change VALUES (?, ?, ?, ?)", rows)

    def changes(self, account: int | None = None) -> Iterator[str]:
        """Yields the changes as JSON, by account, in the order of execution."""
        rows = self._read(
            "SELECT body FROM change WHERE ? IN (account, -1) ORDER BY account, place, key, rowid",
            -1 if account is None else account,
        )
        return (body for (body,) in rows)

    def counts(self) -> dict[int, dict[Action, int]]:
        """Returns the number of changes by account and action."""
        found: dict[int, dict[Action, int]] = {}
        actions = list(Action)
        for account, place, number in self._read(
            "SELECT account, place, count(*) FROM change GROUP BY account, place"
        ):
            found.setdefault(account, {})[actions[place]] = number
        return found

    def _insert(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        iterator = iter(rows)
        while batch := list(islice(iterator, BATCH_ROWS)):  # rows are computed without the lock
            with self._lock, _as_guestlist_errors():
                self._db.executemany(query, batch)

    def _read(self, query: str, *values: Any, **named: Any) -> Iterator[tuple[Any, ...]]:
        """Yields the rows of a query, which may name each `Kind`: `kind = :wanted`."""
        with _as_guestlist_errors():
            # `yield from` would close the cursor after the database when the reader stops early.
            for row in self._db.execute(query, values or _KINDS | named):  # noqa: UP028
                yield row


_key_of = attrgetter("key")


@contextmanager
def _as_guestlist_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise GuestlistError(
            f"cannot write the temporary file of the plan: {error}",
            hint="Free disk space, or set SQLITE_TMPDIR to another folder. Nothing was changed.",
        ) from error
