"""Scratch space in which people are brought together by their address, however many they are.

A private temporary database of SQLite: it is on disk as soon as it outgrows its cache, nobody else
can open it, and it is gone when it is closed, however the program ends.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple

from guestlist.errors import GuestlistError

CACHE_KIB = 16 * 1024
"""KiB of the database that are kept in memory, and of what is being sorted."""
BATCH_ROWS = 1000
"""Rows that are written at once."""


class Kind(IntEnum):
    """What a fact about somebody is. In the order in which those about one person are told."""

    WANTED = 0
    NOT_YET = 1
    ENDED = 2
    DEFERRED = 3
    BASIS = 4
    """What a change rested on when it was planned."""
    INVITATION = 5
    MEMBER = 6
    HELD = 7
    """What a member holds, where that had to be asked for."""
    COMPLETE = 8
    """The complete invitation of a person whose INVITATION is a summary, where it was asked for."""
    UNRESOLVED = 9
    """An earlier email to the person of which nobody knows whether it went out."""


class Fact(NamedTuple):
    """One thing that is known of one person in one account.

    Attributes:
        key: the address as it is compared.
        account: the number of the account, which is its place among the names.
        kind: a `Kind`.
        ask: of an entry of the roster: whether the roles that the person holds matter. Of a
            member: whether they are not in the record. Of an invitation: whether it is a summary.
        brief: what mostly suffices to decide; few people differ in it.
        body: all of it.
        place: of an entry of the roster, where it is written, such as `guestlist.toml:12`.
    """

    key: str
    account: int
    kind: int
    ask: bool
    brief: str
    body: str
    place: str = ""


class PlanStore:
    """Facts and changes on disk. Any number of threads may add; one at a time reads.

    Raises:
        GuestlistError: from any method: the disk is full, or cannot be written.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        with _as_guestlist_errors():
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._db.executescript(
                f"""
                PRAGMA journal_mode = off;
                PRAGMA synchronous = off;
                PRAGMA cache_size = -{CACHE_KIB};
                CREATE TABLE fact (key TEXT, account INT, kind INT, ask INT, brief TEXT, body TEXT,
                                   place TEXT);
                CREATE TABLE asking (account INT, key TEXT, body TEXT);
                CREATE TABLE summary (key TEXT, account INT, kind INT, ask INT, brief TEXT,
                                      body TEXT, place TEXT);
                CREATE TABLE problem (account INT, text TEXT, people INT, who TEXT, place TEXT,
                                      PRIMARY KEY (account, text)) WITHOUT ROWID;
                CREATE TABLE change (account INT, place INT, key TEXT, body TEXT);
                BEGIN;
                """
            )

    def close(self) -> None:
        """Frees the space. Nothing can be read after it; a thread that still adds gets an error."""
        with self._lock:
            self._db.close()

    # ------------------------------------------------------------------ facts

    def add(self, facts: Iterable[Fact]) -> None:
        """Keeps facts, all of them or, after an error, some."""
        self._insert("INSERT INTO fact VALUES (?, ?, ?, ?, ?, ?, ?)", facts)

    def people(self) -> Iterator[list[Fact]]:
        """What is known, by person and account, in the order of the keys."""
        rows = self._read(
            "SELECT key, account, kind, ask, brief, body, place FROM fact"
            " ORDER BY key, account, kind, rowid"
        )
        found: list[Fact] = []
        for row in map(Fact._make, rows):
            if found and (row[0] != found[0][0] or row[1] != found[0][1]):
                yield found
                found = []
            found.append(row)
        if found:
            yield found

    def members_without_roles(
        self, account: int, size: int, *, everybody: bool = False
    ) -> Iterator[list[tuple[str, str]]]:
        """Key and body of the members of whom has to be asked what they hold, so many at a time.

        Args:
            everybody: also of those of whom nobody wants to know.
        """
        with self._lock, _as_guestlist_errors():
            self._db.execute(
                "INSERT INTO asking SELECT account, key, max(iif(kind = :member, body, NULL))"
                " FROM fact WHERE account = :account GROUP BY key"
                " HAVING max(ask AND kind = :member)"
                " AND (:everybody OR max(ask AND kind < :seen))",
                {
                    "account": account,
                    "member": Kind.MEMBER,
                    "everybody": everybody,
                    "seen": Kind.INVITATION,
                },
            )
        yield from self._batches("asking WHERE", account, size)

    def people_with_summaries(self, account: int, size: int) -> Iterator[list[list[Fact]]]:
        """The facts about each person in an account whose invitation is a summary, for `size`
        people at a time. Others may add facts meanwhile."""
        columns = "key, account, kind, ask, brief, body, place"
        with self._lock, _as_guestlist_errors():
            self._db.execute(
                f"INSERT INTO summary SELECT {columns} FROM fact"  # noqa: S608
                " WHERE account = :account AND key IN"
                " (SELECT key FROM fact WHERE account = :account AND kind = :invitation AND ask)"
                " ORDER BY key, kind, rowid",
                {"account": account, "invitation": Kind.INVITATION},
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
        """Key and body of the people who are wanted in an account, so many at a time."""
        return self._batches(f"fact WHERE kind = {Kind.WANTED:d} AND", account, size)

    def _batches(self, source: str, account: int, size: int) -> Iterator[list[tuple[str, str]]]:
        """Rows of an account, so many at a time, while others are being added."""
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
        """Counts one more person for whom something is wanted that nobody can have.

        Args:
            place: where the roster asks for it.
        """
        with self._lock, _as_guestlist_errors():
            self._db.execute(
                "INSERT INTO problem VALUES (?, ?, 1, ?, ?)"
                " ON CONFLICT DO UPDATE SET people = people + 1",
                (account, text, who, place),
            )

    def problems(self) -> Iterator[tuple[int, str, int, str, str]]:
        """Yields account, text, how many people each problem is about, the first of them, and the
        place in the roster."""
        return self._read(
            "SELECT account, text, people, who, place FROM problem ORDER BY account, text"
        )

    def add_changes(self, changes: Iterable[tuple[int, int, str, str]]) -> None:
        """Keeps changes: account, place of the action in the order, key and body."""
        self._insert("INSERT INTO change VALUES (?, ?, ?, ?)", changes)

    def changes(self, account: int | None = None) -> Iterator[str]:
        """The bodies of the changes, by account and in the order of execution."""
        rows = self._read(
            "SELECT body FROM change WHERE ? IN (account, -1) ORDER BY account, place, key, rowid",
            -1 if account is None else account,
        )
        return (body for (body,) in rows)

    def _insert(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        iterator = iter(rows)
        while batch := list(
            islice(iterator, BATCH_ROWS)
        ):  # the lock is free while the rows are made
            with self._lock, _as_guestlist_errors():
                self._db.executemany(query, batch)

    def _read(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        with _as_guestlist_errors():
            # `yield from` would close the cursor when the reader goes, the database being closed
            for row in self._db.execute(query, values):  # noqa: UP028
                yield row


_key_of = attrgetter("key")


@contextmanager
def _as_guestlist_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise GuestlistError(
            f"the temporary file of the plan cannot be written: {error}",
            hint="Make room, or name another folder in SQLITE_TMPDIR. Nothing was changed.",
        ) from error
