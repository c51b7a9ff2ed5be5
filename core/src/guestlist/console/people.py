"""Stores the people of all accounts, as last read, in a temporary database.

Pages never wait for a service: they show what was read last, and when. A refresh reads the lists of
every account in the background. Each result of a change updates its cell at once.
"""

from __future__ import annotations

import sqlite3
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

from guestlist.address import email_key, is_email, login_key
from guestlist.changes import without_secrets
from guestlist.client import Guestlist
from guestlist.console.words import ATTENTION, LAST_DAY, MEMBERS, OPEN, TAB_OF, state_of
from guestlist.errors import ConfigError, GuestlistError
from guestlist.exchange.clock import Stopped
from guestlist.models import Access, Guest, Invitation, Role
from guestlist.roster.file import read_roster
from guestlist.runs.people import People as Found
from guestlist.runs.people import who
from guestlist.runs.person import Person
from guestlist.runs.progress import ReadingAccount, RunEvent
from guestlist.runs.stop import Stop

PAGE_ROWS = 50
"""Rows on a page. 50 rows with 17 accounts take 60 KB."""
NEVER = float("inf")
KEPT_NUMBERS = 1_000
OLD_SECONDS = 300.0
"""Opening the page of people reads all accounts again if the last reading is older than this."""
LAST_READING_SECONDS = 5.0
"""How long the console waits for a reading when it ends."""

SCHEMA = """
CREATE TABLE people (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL DEFAULT '',
    who TEXT NOT NULL,
    search TEXT NOT NULL,
    sort TEXT NOT NULL,
    wanted INTEGER,
    unclear TEXT NOT NULL DEFAULT '',
    attention INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE names (
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    person INTEGER NOT NULL,
    PRIMARY KEY (account, name)
);
CREATE INDEX names_by_person ON names (person);
CREATE INDEX people_by_name ON people (sort, id);
CREATE INDEX people_by_attention ON people (attention DESC, sort, id);
CREATE TABLE cells (
    person INTEGER NOT NULL REFERENCES people (id),
    account TEXT NOT NULL,
    state TEXT NOT NULL,
    tab TEXT NOT NULL,  -- the part of the page of invitations, or empty
    due REAL NOT NULL,  -- the expiry of the invitation, or infinity
    roles TEXT NOT NULL DEFAULT '',
    guest TEXT NOT NULL,
    PRIMARY KEY (person, account)
);
CREATE INDEX cells_by_state ON cells (account, state, person);
CREATE INDEX cells_by_due ON cells (state, due, person);
CREATE INDEX cells_by_tab ON cells (tab, due, person, account);
CREATE TABLE held (
    role TEXT NOT NULL,
    account TEXT NOT NULL,
    person INTEGER NOT NULL,
    PRIMARY KEY (role, account, person)
) WITHOUT ROWID;
CREATE INDEX held_by_person ON held (person, account);
CREATE TABLE access (
    person INTEGER NOT NULL,
    account TEXT NOT NULL,
    at REAL NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (person, account)
);
"""


@dataclass
class AccountReading:
    """When and how an account was read.

    Attributes:
        at: when its lists were read completely; None if never.
        error: why the last reading failed; None if it did not.
        problem: the first record that could not be read; None if all were read.
        reading: what is being read now; empty if nothing is.
        roles: everything that can be granted.
    """

    at: datetime | None = None
    error: GuestlistError | None = None
    problem: GuestlistError | None = None
    reading: str = ""
    roles: tuple[Role, ...] = ()


@dataclass(frozen=True)
class Filter:
    """The filters of the page of people. An empty field matches everyone."""

    text: str = ""
    account: str = ""
    state: str = ""
    role: str = ""
    outside_roster: bool = False
    by_name: bool = False

    def __bool__(self) -> bool:
        return bool(self.text or self.account or self.state or self.role or self.outside_roster)


@dataclass(frozen=True)
class Cell:
    """One person in one account."""

    account: str
    state: str
    expires: datetime | None
    roles: tuple[str, ...]


@dataclass(frozen=True)
class PersonRow:
    """One person with the cells of all accounts.

    Attributes:
        who: the address, else the login or id.
        unclear: the accounts that do not show whether the person is in them.
        wanted: 1 if the roster names the person, 0 if not; None without a roster.
    """

    id: int
    token: str
    key: str
    name: str
    who: str
    wanted: int | None
    attention: bool
    unclear: tuple[str, ...] = ()
    cells: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class AccessReading:
    """A person's effective access to an account, and when it was read."""

    access: Access
    at: datetime


@dataclass(frozen=True)
class OpenInvitation:
    """One line of the page of invitations."""

    token: str
    who: str
    name: str
    account: str
    state: str
    expires: datetime | None
    guest: Guest


class PeopleIndex:
    """The people of all accounts.

    Args:
        client: reads the accounts.
        roster: the roster file, or None.
    """

    def __init__(self, client: Guestlist, roster: Path | None) -> None:
        self._client = client
        self._roster = roster
        self._lock = threading.RLock()
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._db.executescript(SCHEMA)
        self._stop = Stop()
        self._ended = False
        self._next_change = NEVER
        self._numbers: dict[tuple[str, tuple[object, ...]], int] = {}
        self.is_reading = False
        self.roster_error: GuestlistError | None = None
        self.readings = {name: AccountReading() for name in client.accounts}
        self._read_at = float("-inf")
        self._threads: list[threading.Thread] = []

    # ------------------------------------------------------------------ reading

    def begin(self) -> None:
        """Starts to read all accounts in the background, if the last reading is old or there was
        none."""
        if monotonic() - self._read_at > OLD_SECONDS:
            self.refresh()

    def refresh(self) -> None:
        """Starts to read all accounts in the background, unless they are being read."""
        if self._start_reading():
            self._in_background(self._read)

    def refresh_now(self) -> None:
        """Reads all accounts, and returns afterwards."""
        if self._start_reading():
            self._read()

    def _start_reading(self) -> bool:
        with self._lock:
            if self.is_reading or self._ended:
                return False
            self.is_reading = True
            self._read_at = monotonic()
        for one in self.readings.values():
            one.reading = "is being read"
        return True

    def stop(self) -> None:
        """Starts no further reading."""
        self._ended = True

    def close(self, seconds: float | None = None) -> None:
        """Waits until the current reading ends, and deletes the temporary database.

        Args:
            seconds: the longest wait.
        """
        self._ended = True
        for thread in self._threads:
            thread.join(LAST_READING_SECONDS if seconds is None else seconds)
        self._stop()  # A reading that takes longer ends before its next request.
        with self._lock:
            self._db.close()

    def _in_background(self, work: Callable[[], None]) -> None:
        """Runs a function in a thread that does not keep the process from ending."""
        thread = threading.Thread(target=work, name="guestlist-console-read", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _read(self) -> None:
        """Reads the people and the roles of all accounts."""
        reading = ThreadPoolExecutor(max(1, len(self.readings)))
        try:
            roles = {
                name: reading.submit(self._roles, name)
                for name, provider in self._client.accounts.items()
                if provider.supports("roles")
            }
            with self._who() as found:
                errors = {**found.errors}
                at = self._client.clock.now()
                with self._lock:
                    self._replace(found)
            problems = {one.account: one for one in found.problems}
            for name, one in self.readings.items():
                one.error, one.problem = errors.get(name), problems.get(name)
                if name in roles:
                    try:
                        one.roles = roles[name].result()
                    except GuestlistError as error:
                        one.error = one.error or error
                if name not in errors:
                    one.at = at
        except GuestlistError as error:
            for one in self.readings.values():
                one.error = error
        except (Stopped, sqlite3.ProgrammingError):
            pass  # the console was closed meanwhile
        finally:
            reading.shutdown(cancel_futures=True)
            for one in self.readings.values():
                one.reading = ""
            self.is_reading = False

    def _who(self) -> Found:
        """Returns the people of all accounts. If the roster cannot be read, reads without it."""
        self.roster_error = None
        if self._roster is not None:
            try:
                return who(
                    read_roster(self._roster, allow_empty=True),
                    client=self._client,
                    on_progress=self._follow,
                    stop=self._stop,
                )
            except ConfigError as error:
                self.roster_error = error
        return who(client=self._client, on_progress=self._follow, stop=self._stop)

    def _follow(self, event: RunEvent) -> None:
        if isinstance(event, ReadingAccount):
            self.readings[event.account].reading = f"{event.count:,} {event.what}"

    def _roles(self, name: str) -> tuple[Role, ...]:
        return tuple(self._client.roles(account=name))

    # ------------------------------------------------------------------ writing

    def _replace(self, found: Found) -> None:
        """Replaces the cells of all accounts that were read."""
        read = [name for name in self.readings if name not in found.errors]
        with self._transaction():
            self._db.executemany("DELETE FROM cells WHERE account = ?", [(one,) for one in read])
            self._db.executemany("DELETE FROM held WHERE account = ?", [(one,) for one in read])
            self._db.execute("DELETE FROM names")
            self._db.execute("UPDATE people SET wanted = NULL, attention = 0, unclear = ''")
            for person in found:
                if person.guests:
                    self._put_person(person)
            self._db.execute(
                "DELETE FROM people WHERE NOT EXISTS (SELECT 1 FROM cells WHERE person = id)"
            )
            self._mark_attention()

    def _put_person(self, person: Person) -> None:
        who = person.label
        name = next(
            (one.member.name for one in person.guests if one.member and one.member.name), ""
        )
        id = self._person(person.key, who, name, " ".join([*person.also, *person.logins.values()]))
        wanted = None if self._roster is None else int(person.in_roster)
        if wanted is not None or person.unclear:
            self._db.execute(
                "UPDATE people SET wanted = ?, unclear = ? WHERE id = ?",
                (wanted, "\n".join(person.unclear), id),
            )
        names = [("", email_key(one)) for one in (person.email, *person.also) if one]
        names += [(account, login_key(login)) for account, login in person.logins.items()]
        self._db.executemany(
            "INSERT OR REPLACE INTO names VALUES (?, ?, ?)", [(*one, id) for one in names]
        )
        for guest in person.guests:
            self._put(id, guest)

    def put(self, guest: Guest, access: Access | None = None) -> None:
        """Stores one person's state, as a call has returned it.

        Args:
            access: the person's effective access; None if it was not read.
        """
        now = self._client.clock.now().timestamp()
        with self._lock, self._transaction():
            person = self._person_of(guest)
            known = "SELECT 1 FROM cells WHERE person = ? AND account = ?"
            is_known = self._db.execute(known, (person, guest.account)).fetchone() is not None
            if is_known or state_of(guest) not in ("gone", "unclear"):
                self._put(person, guest)
            if access is not None:
                bare = access.model_copy(update={"guest": _bare(access.guest)})
                self._db.execute(
                    "INSERT OR REPLACE INTO access VALUES (?, ?, ?, ?)",
                    (person, guest.account, now, bare.model_dump_json(exclude_defaults=True)),
                )
                if access.is_member and not access.effective and not guest.suspended:
                    self._db.execute(
                        "UPDATE cells SET state = 'no_access' WHERE person = ? AND account = ?",
                        (person, guest.account),
                    )
            else:
                self._db.execute(
                    "DELETE FROM access WHERE person = ? AND account = ?", (person, guest.account)
                )
            self._db.execute("UPDATE people SET attention = 0 WHERE id = ?", (person,))
            self._mark_attention()

    def _put(self, person: int, guest: Guest) -> None:
        bare = _bare(guest)
        member, invitation = bare.member, bare.invitation
        expires = invitation.expires_at if invitation else None
        held = (member.roles if member else None) or (invitation.roles if invitation else ())
        roles = list(dict.fromkeys(role.label for role in held))
        state = state_of(bare)
        self._db.execute(
            "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                person,
                bare.account,
                state,
                TAB_OF.get(state, ""),
                expires.timestamp() if expires else NEVER,
                "\n".join(roles),
                bare.model_dump_json(exclude_defaults=True),
            ),
        )
        self._db.execute(
            "DELETE FROM held WHERE person = ? AND account = ?", (person, bare.account)
        )
        self._db.executemany(
            "INSERT INTO held VALUES (?, ?, ?)", [(role, bare.account, person) for role in roles]
        )

    def _person(self, key: str, who: str, name: str | None, others: str = "") -> int:
        """Returns the number of a person, who is added if they are new."""
        name = (name or "").replace("\0", "\ufffd")
        row = self._db.execute("SELECT id, name FROM people WHERE key = ?", (key,)).fetchone()
        if row is not None and (row[1] or not name):
            return int(row[0])
        facts = (name, who, _searchable(f"{name} {who} {others}"), _searchable(name or who))
        if row is not None:
            query = "UPDATE people SET name = ?, who = ?, search = ?, sort = ? WHERE id = ?"
            self._db.execute(query, (*facts, row[0]))
            return int(row[0])
        query = (
            "INSERT INTO people (name, who, search, sort, token, key) VALUES (?,?,?,?,?,?)"
            " RETURNING id"
        )
        return int(self._db.execute(query, (*facts, token_of(key), key)).fetchone()[0])

    def _person_of(self, guest: Guest) -> int:
        """Returns the number of the person to whom an account's record belongs."""
        names = [(guest.account, login_key(guest.login))] if guest.login else []
        names += [("", email_key(guest.email))] if guest.email else []
        for name in names:
            query = "SELECT person FROM names WHERE account = ? AND name = ?"
            found = self._db.execute(query, name).fetchone()
            if found is not None:
                return int(found[0])
        member = guest.member
        return self._person(guest.key, guest.label or guest.key, member.name if member else "")

    def _mark_attention(self) -> None:
        """Updates the states that depend on the time."""
        now = self._client.clock.now().timestamp()
        soon = now + LAST_DAY.total_seconds()
        self._db.execute(
            "UPDATE cells SET state = 'expired', tab = 'expired'"
            " WHERE state = 'invited' AND due <= ?",
            (now,),
        )
        marks = ",".join("?" * len(ATTENTION))
        self._db.execute(
            "UPDATE people SET attention = 1 WHERE NOT attention AND id IN ("  # noqa: S608
            f"SELECT person FROM cells WHERE state IN ({marks}) UNION ALL"
            " SELECT person FROM cells WHERE state = 'invited' AND due <= ?)",
            (*ATTENTION, soon),
        )
        later = "SELECT min(due) FROM cells WHERE state = 'invited' AND due > ?"
        next_expiry = self._db.execute(later, (now,)).fetchone()[0]
        next_last_day = self._db.execute(later, (soon,)).fetchone()[0]
        self._next_change = min(
            next_expiry or NEVER, (next_last_day or NEVER) - LAST_DAY.total_seconds()
        )
        self._numbers.clear()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # ------------------------------------------------------------------ asking

    def count(self, chosen: Filter = Filter()) -> int:
        """Returns the exact number of people who match."""
        where, values = _where(chosen)
        return self._number(f"SELECT count(*) FROM people p {where}", values)  # noqa: S608

    def page(self, chosen: Filter, page: int, rows: int = PAGE_ROWS) -> list[PersonRow]:
        """Returns one page of the people who match.

        Args:
            page: the number of the page, from 1.
        """
        where, values = _where(chosen)
        order = "p.sort, p.id" if chosen.by_name else "p.attention DESC, p.sort, p.id"
        with self._lock:
            query = (
                "SELECT p.id, p.token, p.key, p.name, p.who, p.wanted, p.attention, p.unclear"  # noqa: S608
                f" FROM people p {where} ORDER BY {order} LIMIT ? OFFSET ?"
            )
            found = self._db.execute(query, (*values, rows, (page - 1) * rows)).fetchall()
            return self._with_cells(found)

    def person(self, token: str) -> PersonRow | None:
        """Returns the person with this token, or None."""
        with self._lock:
            self._expire()
            found = self._db.execute(
                "SELECT id, token, key, name, who, wanted, attention, unclear FROM people"
                " WHERE token = ?",
                (token,),
            ).fetchall()
            rows = self._with_cells(found)
        return rows[0] if rows else None

    def token(self, account: str, name: str) -> str:
        """Returns the token of the person with an address, or with a login in an account; empty if
        nobody has it."""
        keys = ("", email_key(name)) if is_email(name) else (account, login_key(name))
        with self._lock:
            found = self._db.execute(
                "SELECT token FROM people JOIN names n ON n.person = id"
                " WHERE n.account = ? AND n.name = ?",
                keys,
            ).fetchone()
        return str(found[0]) if found else ""

    def guests(self, person: PersonRow) -> dict[str, Guest]:
        """Returns the person's record in each account."""
        with self._lock:
            found = self._db.execute(
                "SELECT account, guest FROM cells WHERE person = ?", (person.id,)
            ).fetchall()
        return {account: Guest.model_validate_json(body) for account, body in found}

    def access(self, person: PersonRow) -> dict[str, AccessReading]:
        """Returns the person's effective access to each account in which it was read."""
        with self._lock:
            found = self._db.execute(
                "SELECT account, at, body FROM access WHERE person = ?", (person.id,)
            ).fetchall()
        return {
            account: AccessReading(
                Access.model_validate_json(body), datetime.fromtimestamp(at, UTC)
            )
            for account, at, body in found
        }

    def invitations(
        self, tab: str, account: str, page: int | None, rows: int = PAGE_ROWS
    ) -> list[OpenInvitation]:
        """Returns the invitations of a part of their page, the soonest to expire first.

        Args:
            tab: one of `words.TABS`.
            account: only those of this account; empty for all.
            page: the number of the page, from 1; None for all of them.
        """
        where, values = _tab_where(tab, account)
        limit = "" if page is None else f" LIMIT {rows:d} OFFSET {(page - 1) * rows:d}"
        query = (
            "SELECT p.token, p.who, p.name, c.account, c.state, c.due, c.guest"  # noqa: S608
            f" FROM (SELECT person, account FROM cells {where}"
            f" ORDER BY due, person, account{limit}) found"
            " JOIN cells c ON c.person = found.person AND c.account = found.account"
            " JOIN people p ON p.id = c.person ORDER BY c.due, p.sort, c.account"
        )
        with self._lock:
            self._expire()
            found = self._db.execute(query, values).fetchall()
        return [
            OpenInvitation(
                token, who, name, named, state, _moment(due), Guest.model_validate_json(guest)
            )
            for token, who, name, named, state, due, guest in found
        ]

    def numbers(self, account: str) -> tuple[int, int]:
        """Returns the number of members and of open invitations of an account."""
        with self._lock:
            query = "SELECT count(*) FROM cells WHERE account = ? AND state = ?"
            members = sum(self._number(query, (account, one)) for one in MEMBERS)
            return members, sum(self._number(query, (account, one)) for one in OPEN)

    def other_names(self, person: PersonRow) -> list[tuple[str, str]]:
        """Returns the names by which a person is known, each with the account of a login; the
        account is empty for an address."""
        with self._lock:
            query = "SELECT account, name FROM names WHERE person = ? ORDER BY account, name"
            return self._db.execute(query, (person.id,)).fetchall()

    def count_invitations(self, tab: str, account: str = "") -> int:
        """Returns the number of invitations in a part of their page."""
        where, values = _tab_where(tab, account)
        return self._number(f"SELECT count(*) FROM cells {where}", values)  # noqa: S608

    def expiring(self) -> int:
        """Returns the number of invitations that expire within a day."""
        soon = (self._client.clock.now() + LAST_DAY).replace(second=0, microsecond=0)
        query = "SELECT count(*) FROM cells WHERE state = 'invited' AND due <= ?"
        return self._number(query, (soon.timestamp(),))

    def _expire(self) -> None:
        """Updates the states if an invitation has expired since, or expires within a day."""
        if self._client.clock.now().timestamp() >= self._next_change:
            with self._transaction():
                self._mark_attention()

    def _number(self, query: str, values: Sequence[object] = ()) -> int:
        """Returns the number that a query counts. It is kept until something changes."""
        key = (query, tuple(values))
        with self._lock:
            self._expire()
            if len(self._numbers) > KEPT_NUMBERS:
                self._numbers.clear()
            if key not in self._numbers:
                self._numbers[key] = int(self._db.execute(query, values).fetchone()[0])
            return self._numbers[key]

    def _with_cells(self, found: Sequence[tuple[Any, ...]]) -> list[PersonRow]:
        marks = ",".join("?" * len(found))
        cells: dict[object, dict[str, Cell]] = defaultdict(dict)
        with closing(
            self._db.execute(
                f"SELECT person, account, state, due, roles FROM cells"  # noqa: S608
                f" WHERE person IN ({marks})",
                [row[0] for row in found],
            )
        ) as read:
            for person, account, state, due, roles in read:
                listed = tuple(roles.split("\n")) if roles else ()
                cells[person][account] = Cell(account, state, _moment(due), listed)
        return [
            PersonRow(
                *(id, token, key, name, who, wanted, bool(attention)),
                unclear=tuple(filter(None, unclear.split("\n"))),
                cells=cells[id],
            )
            for id, token, key, name, who, wanted, attention, unclear in found
        ]


def token_of(key: str) -> str:
    """Returns the text by which links name a person. Addresses stay out of links, because these
    are kept in histories and logs."""
    return sha256(key.encode("utf-8", "replace")).hexdigest()[:20]


def _where(chosen: Filter) -> tuple[str, list[object]]:
    parts: list[str] = []
    values: list[object] = []
    for word in _searchable(chosen.text).split():
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        parts.append("p.search LIKE ? ESCAPE '\\'")
        values.append(f"%{escaped}%")
    cell: list[str] = []
    if chosen.account:
        cell.append("c.account = ?")
        values.append(chosen.account)
    if chosen.state == "attention" and not chosen.account:
        parts.append("p.attention")
    elif chosen.state == "attention":
        cell.append(f"c.state IN ({','.join('?' * len(ATTENTION))})")
        values += ATTENTION
    elif chosen.state == "member":
        cell.append(f"c.state IN ({','.join('?' * len(MEMBERS))})")
        values += MEMBERS
    elif chosen.state:
        cell.append("c.state = ?")
        values.append(chosen.state)
    # EXISTS, because many people may have the role, and IN would build a list of all of them.
    if chosen.role:
        values.append(chosen.role)
        condition = " AND ".join(["h.person = p.id", *cell, "h.role = ?"])
        parts.append(
            "EXISTS (SELECT 1 FROM held h JOIN cells c"  # noqa: S608
            f" ON c.person = h.person AND c.account = h.account WHERE {condition})"
        )
    elif cell:
        condition = " AND ".join(cell)
        parts.append(f"p.id IN (SELECT c.person FROM cells c WHERE {condition})")  # noqa: S608
    if chosen.outside_roster:
        parts.append("p.wanted = 0")
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values


def _tab_where(tab: str, account: str) -> tuple[str, list[str]]:
    if account:
        return "WHERE tab = ? AND account = ?", [tab, account]
    return "WHERE tab = ?", [tab]


def _bare(guest: Guest) -> Guest:
    """Returns a guest without secrets and without the service's own records."""

    def clean(invitation: Invitation) -> Invitation:
        return without_secrets(invitation).model_copy(update={"raw": None})

    return guest.model_copy(
        update={
            "invitation": guest.invitation and clean(guest.invitation),
            "invitations": tuple(map(clean, guest.invitations)),
            "member": guest.member and guest.member.model_copy(update={"raw": None}),
        }
    )


def _searchable(text: str) -> str:
    # SQLite compares texts only up to a NUL character.
    return unicodedata.normalize("NFKC", text).casefold().replace("\0", "")


def _moment(seconds: float) -> datetime | None:
    return None if seconds == NEVER else datetime.fromtimestamp(seconds, UTC)
