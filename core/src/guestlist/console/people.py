"""The people of all accounts, as last read, in a temporary database.

Pages never wait for a service: they show what was read last, and when. A refresh reads the lists of
every account in the background. Each result of a change updates its cell at once.
"""

from __future__ import annotations

import sqlite3
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guestlist.address import email_key, login_key, person_key
from guestlist.changes import without_secrets
from guestlist.client import Guestlist
from guestlist.console.words import ATTENTION, LAST_DAY, state_of
from guestlist.errors import GuestlistError
from guestlist.models import Access, Guest, Invitation, Member, Role
from guestlist.verbs.states import best_member, conclude_from

if TYPE_CHECKING:
    from guestlist.roster.file import Roster

PAGE_ROWS = 50
"""Rows of a page. 50 rows of 17 accounts are 60 KB."""
LAST_READING_SECONDS = 2.0
"""How long the end of the console waits for a reading."""

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
    attention INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX people_by_name ON people (sort, id);
CREATE INDEX people_by_attention ON people (attention DESC, sort, id);
CREATE TABLE cells (
    person INTEGER NOT NULL REFERENCES people (id),
    account TEXT NOT NULL,
    state TEXT NOT NULL,
    expires REAL,
    roles TEXT NOT NULL DEFAULT '',
    guest TEXT NOT NULL,
    PRIMARY KEY (person, account)
);
CREATE INDEX cells_by_state ON cells (account, state, person);
CREATE INDEX cells_by_expiry ON cells (state, expires);
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
        problems: records that could not be read.
        roles: everything that can be granted.
    """

    at: datetime | None = None
    error: GuestlistError | None = None
    reading: bool = False
    problems: int = 0
    roles: tuple[Role, ...] = ()
    members: int = 0
    invitations: int = 0


@dataclass(frozen=True)
class Filter:
    """What the page of people shows. An empty field leaves everybody in."""

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
class Row:
    """One person with the cells of all accounts.

    Attributes:
        who: the address, else the login or id.
        wanted: 1 if the roster names the person, 0 if not; None without a roster.
    """

    id: int
    token: str
    key: str
    name: str
    who: str
    wanted: int | None
    attention: bool
    cells: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownAccess:
    """What a person may do in an account, when it was read."""

    access: Access
    at: datetime


@dataclass(frozen=True)
class OpenRow:
    """One line of the page of invitations."""

    token: str
    who: str
    name: str
    account: str
    state: str
    expires: datetime | None
    guest: Guest


class People:
    """The people of all accounts.

    Args:
        client: reads the accounts.
        roster: the roster file; None if there is none.
    """

    def __init__(self, client: Guestlist, roster: Path | None) -> None:
        self._client = client
        self._roster = roster
        self._lock = threading.RLock()
        self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._db.executescript(SCHEMA)
        self._aliases: dict[tuple[str, str], str] = {}
        self._wanted: frozenset[str] | None = None
        self.roster_error: GuestlistError | None = None
        self.readings = {name: AccountReading() for name in client.accounts}
        self._begun = False
        self._threads: list[threading.Thread] = []

    # ------------------------------------------------------------------ reading

    def begin(self) -> None:
        """Starts the first reading, once."""
        with self._lock:
            begun, self._begun = self._begun, True
        if not begun:
            self.refresh()

    def refresh(self) -> None:
        """Starts to read all accounts in the background, except those that are being read."""
        with self._lock:
            self._begun = True
            due = [name for name, one in self.readings.items() if not one.reading]
            for name in due:
                self.readings[name].reading = True
        if due:
            self._in_background(self._refresh, due)

    def refresh_now(self) -> None:
        """Reads all accounts, and returns afterwards."""
        with self._lock:
            self._begun = True
            for one in self.readings.values():
                one.reading = True
        self._refresh(list(self.readings), wait=True)

    @property
    def is_reading(self) -> bool:
        """Whether an account is being read."""
        return any(one.reading for one in self.readings.values())

    def close(self) -> None:
        """Waits shortly for readings, and deletes the temporary database."""
        for thread in self._threads:
            thread.join(LAST_READING_SECONDS)
        with self._lock:
            self._db.close()

    def _refresh(self, names: Sequence[str], *, wait: bool = False) -> None:
        try:
            self._read_roster()
        except GuestlistError as error:
            self.roster_error = error
        if wait:
            for name in names:
                self._read(name)
        else:
            for name in names:
                self._in_background(self._read, name)

    def _in_background(self, work: Callable[..., None], *arguments: Any) -> None:
        """Runs a function in a thread that does not keep the process from ending."""
        thread = threading.Thread(
            target=work, args=arguments, name="guestlist-console-read", daemon=True
        )
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _read_roster(self) -> None:
        if self._roster is None:
            return
        from guestlist.roster.file import read_roster

        roster: Roster = read_roster(self._roster, allow_empty=True)
        aliases: dict[tuple[str, str], str] = {}
        wanted = set()
        for one in roster.wanted():
            wanted.add(one.key)
            for address in one.also:
                aliases["", email_key(address)] = one.key
            if one.login:
                aliases[one.account, login_key(one.login)] = one.key
        with self._lock:
            self._aliases, self._wanted, self.roster_error = aliases, frozenset(wanted), None

    def _read(self, name: str) -> None:
        reading = self.readings[name]
        try:
            guests = list(self._guests(name))
            roles: tuple[Role, ...] = ()
            if self._client.accounts[name].supports("roles"):
                roles = tuple(self._client.roles(account=name))
            with self._lock:
                self._replace(name, guests)
                reading.roles = roles
                reading.at = self._client.clock.now()
                reading.error = None
        except GuestlistError as error:
            reading.error = error
        except sqlite3.ProgrammingError:
            pass  # the console was closed meanwhile
        finally:
            reading.reading = False

    def _guests(self, name: str) -> Iterator[Guest]:
        """Yields everybody in an account, from its two lists."""
        client = self._client
        account = client._accounts.by_name[name]
        provider = client.accounts[name]
        invitations: dict[str, list[Invitation]] = defaultdict(list)
        members: dict[str, list[Member]] = defaultdict(list)
        problems = 0
        if provider.supports("invitations"):
            listed = client.invitations(account=name, complete=False)
            for invitation in listed:
                bare = without_secrets(invitation).model_copy(update={"raw": None})
                invitations[email_key(invitation.email)].append(bare)
            problems += len(listed.problems)
        if provider.supports("members"):
            present = client.members(account=name)
            for member in present:
                key = person_key(member.address, member.login or member.email, member.id)
                members[key].append(member.model_copy(update={"raw": None}))
            problems += len(present.problems)
        reading = self.readings[name]
        reading.problems = problems
        reading.members, reading.invitations = len(members), len(invitations)
        for key in dict.fromkeys([*invitations, *members]):
            records, found = invitations.get(key, []), best_member(members.get(key, ()))
            email = found.address if found else None
            email = email or (records[0].email if records else None)
            login = found.login if found else None
            yield conclude_from(account, email, records, found, login=login)

    # ------------------------------------------------------------------ writing

    def _replace(self, account: str, guests: Iterable[Guest]) -> None:
        with self._transaction():
            self._db.execute("DELETE FROM cells WHERE account = ?", (account,))
            for guest in guests:
                self._put(guest)
            self._db.execute(
                "DELETE FROM people WHERE NOT EXISTS (SELECT 1 FROM cells WHERE person = id)"
            )
            if self._wanted is not None:
                self._mark_wanted()
            self._db.execute("UPDATE people SET attention = 0 WHERE attention")
            self._mark_attention()

    def put(self, guest: Guest, access: Access | None = None) -> None:
        """Stores one person's state, as a call has returned it.

        Args:
            access: what the person may do; None if that was not read.
        """
        now = self._client.clock.now().timestamp()
        with self._lock, self._transaction():
            person = self._put(guest)
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
            if self._wanted is not None:
                self._mark_wanted()

    def _put(self, guest: Guest) -> int:
        bare = _bare(guest)
        key = self._key_of(bare)
        member, invitation = bare.member, bare.invitation
        name = ((member.name if member else None) or "").replace("\0", "\ufffd")
        who = bare.label or key
        search = _searchable(f"{name} {who} {bare.login or ''} {key}")
        row = self._db.execute("SELECT id, name FROM people WHERE key = ?", (key,)).fetchone()
        if row is None:
            person = self._db.execute(
                "INSERT INTO people (token, key, name, who, search, sort) VALUES (?,?,?,?,?,?)"
                " RETURNING id",
                (token_of(key), key, name, who, search, _searchable(name or who)),
            ).fetchone()[0]
        else:
            person = row[0]
            if name and not row[1]:
                self._db.execute(
                    "UPDATE people SET name = ?, search = search || ' ' || ?, sort = ?"
                    " WHERE id = ?",
                    (name, search, _searchable(name), person),
                )
        expires = invitation.expires_at if invitation else None
        roles = (member.roles if member else None) or (invitation.roles if invitation else ())
        self._db.execute(
            "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?)",
            (
                person,
                bare.account,
                state_of(bare),
                expires.timestamp() if expires else None,
                "".join(f"\n{role.label}" for role in roles) + "\n",
                bare.model_dump_json(exclude_defaults=True),
            ),
        )
        return int(person)

    def _key_of(self, guest: Guest) -> str:
        """Returns the key of the person to whom an account's record belongs, by the roster."""
        if guest.login:
            found = self._aliases.get((guest.account, login_key(guest.login)))
            if found:
                return found
        return self._aliases.get(("", guest.key), guest.key)

    def _mark_wanted(self) -> None:
        wanted = self._wanted or frozenset()
        rows = self._db.execute("SELECT id, key, wanted FROM people").fetchall()
        changed = [(key in wanted, id) for id, key, now in rows if now != int(key in wanted)]
        self._db.executemany("UPDATE people SET wanted = ? WHERE id = ?", changed)

    def _mark_attention(self) -> None:
        """Brings the states that depend on the time up to date."""
        now = self._client.clock.now()
        self._db.execute(
            "UPDATE cells SET state = 'expired' WHERE state = 'invited' AND expires <= ?",
            (now.timestamp(),),
        )
        marks = ",".join("?" * len(ATTENTION))
        self._db.execute(
            "UPDATE people SET attention = 1 WHERE NOT attention AND id IN ("  # noqa: S608
            f"SELECT person FROM cells WHERE state IN ({marks}) UNION ALL"
            " SELECT person FROM cells WHERE state = 'invited' AND expires <= ?)",
            (*ATTENTION, (now + LAST_DAY).timestamp()),
        )

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
        with self._lock:
            self._expire()
            query = f"SELECT count(*) FROM people p {where}"  # noqa: S608 - placeholders only
            return int(self._db.execute(query, values).fetchone()[0])

    def page(self, chosen: Filter, page: int, rows: int = PAGE_ROWS) -> list[Row]:
        """Returns one page of the people who match.

        Args:
            page: the number of the page, from 1.
        """
        where, values = _where(chosen)
        order = "p.sort, p.id" if chosen.by_name else "p.attention DESC, p.sort, p.id"
        with self._lock:
            query = (
                "SELECT p.id, p.token, p.key, p.name, p.who, p.wanted, p.attention"  # noqa: S608
                f" FROM people p {where} ORDER BY {order} LIMIT ? OFFSET ?"
            )
            found = self._db.execute(query, (*values, rows, (page - 1) * rows)).fetchall()
            return self._with_cells(found)

    def person(self, token: str) -> Row | None:
        """Returns the person with this token; None if there is none."""
        with self._lock:
            self._expire()
            found = self._db.execute(
                "SELECT id, token, key, name, who, wanted, attention FROM people WHERE token = ?",
                (token,),
            ).fetchall()
            rows = self._with_cells(found)
        return rows[0] if rows else None

    def guests(self, person: Row) -> dict[str, Guest]:
        """Returns what each account has about a person."""
        with self._lock:
            found = self._db.execute(
                "SELECT account, guest FROM cells WHERE person = ?", (person.id,)
            ).fetchall()
        return {account: Guest.model_validate_json(body) for account, body in found}

    def access(self, person: Row) -> dict[str, KnownAccess]:
        """Returns what a person may do, for the accounts in which it was read."""
        with self._lock:
            found = self._db.execute(
                "SELECT account, at, body FROM access WHERE person = ?", (person.id,)
            ).fetchall()
        return {
            account: KnownAccess(Access.model_validate_json(body), datetime.fromtimestamp(at, UTC))
            for account, at, body in found
        }

    def invitations(
        self, states: Sequence[str], account: str, page: int | None, rows: int = PAGE_ROWS
    ) -> list[OpenRow]:
        """Returns the invitations in these states, the soonest to expire first.

        Args:
            account: only those of this account; empty for all.
            page: the number of the page, from 1; None for all of them.
        """
        where, values = _open_where(states, account)
        limit = "" if page is None else f" LIMIT {rows:d} OFFSET {(page - 1) * rows:d}"
        with self._lock:
            self._expire()
            query = (
                "SELECT p.token, p.who, p.name, c.account, c.state, c.expires, c.guest"  # noqa: S608
                f" FROM cells c JOIN people p ON p.id = c.person {where}"
                f" ORDER BY c.expires IS NULL, c.expires, p.sort, c.account{limit}"
            )
            found = self._db.execute(query, values).fetchall()
        return [
            OpenRow(
                token, who, name, named, state, _moment(expires), Guest.model_validate_json(guest)
            )
            for token, who, name, named, state, expires, guest in found
        ]

    def count_invitations(self, states: Sequence[str], account: str = "") -> int:
        """Returns the number of invitations in these states."""
        where, values = _open_where(states, account)
        with self._lock:
            self._expire()
            query = f"SELECT count(*) FROM cells c {where}"  # noqa: S608 - placeholders only
            return int(self._db.execute(query, values).fetchone()[0])

    def expiring(self) -> int:
        """Returns the number of invitations that expire within a day."""
        before = (self._client.clock.now() + LAST_DAY).timestamp()
        with self._lock:
            self._expire()
            return int(
                self._db.execute(
                    "SELECT count(*) FROM cells WHERE state = 'invited' AND expires <= ?",
                    (before,),
                ).fetchone()[0]
            )

    def forget(self, key: str) -> None:
        """Deletes a person from the temporary database."""
        with self._lock, self._transaction():
            for table in ("cells", "access"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE person IN"  # noqa: S608 - a fixed name
                    " (SELECT id FROM people WHERE key = ?)",
                    (key,),
                )
            self._db.execute("DELETE FROM people WHERE key = ?", (key,))

    def _expire(self) -> None:
        with self._transaction():
            self._mark_attention()

    def _with_cells(self, found: Sequence[tuple[Any, ...]]) -> list[Row]:
        marks = ",".join("?" * len(found))
        cells: dict[object, dict[str, Cell]] = defaultdict(dict)
        with closing(
            self._db.execute(
                f"SELECT person, account, state, expires, roles FROM cells"  # noqa: S608
                f" WHERE person IN ({marks})",
                [row[0] for row in found],
            )
        ) as read:
            for person, account, state, expires, roles in read:
                listed = tuple(roles.strip("\n").split("\n")) if roles.strip("\n") else ()
                cells[person][account] = Cell(account, state, _moment(expires), listed)
        return [
            Row(
                id,
                token,
                key,
                name,
                who,
                None if wanted is None else bool(wanted),
                bool(attention),
                cells[id],
            )
            for id, token, key, name, who, wanted, attention in found
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
        cell.append("c.state IN ('member', 'no_access', 'suspended')")
    elif chosen.state:
        cell.append("c.state = ?")
        values.append(chosen.state)
    if chosen.role:
        cell.append("instr(c.roles, ?)")
        values.append(f"\n{chosen.role}\n")
    if cell:
        condition = " AND ".join(["c.person = p.id", *cell])
        parts.append(f"EXISTS (SELECT 1 FROM cells c WHERE {condition})")  # noqa: S608
    if chosen.outside_roster:
        parts.append("p.wanted = 0")
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values


def _open_where(states: Sequence[str], account: str) -> tuple[str, list[object]]:
    marks = ",".join("?" * len(states))
    if account:
        return f"WHERE c.state IN ({marks}) AND c.account = ?", [*states, account]
    return f"WHERE c.state IN ({marks})", [*states]


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


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
