"""Writing a roster: the people whom the services hold, as `guestlist.roster.file` reads them.

A few people become `[[people]]` of the file itself, those who are in the same accounts with the
same roles together; many become rows of a CSV file beside it, written as they come. Everything else
in the file stays as it is, with its comments. What the people part said and nobody can write again
is reported, and the file as it was is kept.
"""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

from guestlist.address import email_key, read_email
from guestlist.config import open_config
from guestlist.errors import ConfigError, InvalidOrder
from guestlist.models import OPEN_STATES, State
from guestlist.roster import cells
from guestlist.roster.index import merge_all
from guestlist.roster.memberships import DesiredMembership
from guestlist.roster.problems import MAX_PROBLEMS
from guestlist.spreadsheets import guarded
from guestlist.tomlfile import TomlFile, comments, unknown

MAX_PEOPLE_IN_FILE = 1000
"""People in the file itself, at most."""
PEOPLE_CSV = "people.csv"
"""The file beside it for more."""
PEOPLE_KEYS = ("people", "people_from")
"""The keys that are written anew."""
CSV_COLUMNS = ("email", "account", "roles")
"""The headings of that file."""
NEW_FILE_MODE = 0o600
"""Who may read a new file: addresses are nobody else's business."""
CURRENT_STATES = OPEN_STATES | {State.ACCEPTED, State.UNKNOWN}
"""The states of those whom nobody should miss."""
MAX_LINE_LENGTH = 88
"""Letters in a line, above which a list has a line for each of its elements."""

_Held = tuple[tuple[str, tuple[str, ...] | None], ...]
"""The accounts of a person, each with the labels of the roles."""
CurrentPerson = tuple[str, str, tuple[str, ...] | None, State]
"""Somebody whom a service holds: account, address, labels of the roles (None where the service
does not tell) and state."""


@dataclass
class Pulled:
    """What was written.

    Attributes:
        files: the files, the roster first.
        memberships: how many people are in them, counted once for each account.
        left_out: members and open invitations that a roster cannot name, each with the reason;
            the first of them.
        left_out_count: how many there were.
        lost: what the people part of the file said before and does not say any more.
        backup: the file as it was, if anything is lost.
    """

    files: tuple[Path, ...]
    memberships: int = 0
    left_out: tuple[str, ...] = ()
    left_out_count: int = 0
    lost: tuple[str, ...] = ()
    backup: Path | None = None


def pull(
    path: Path, present: Iterable[CurrentPerson], *, replace: bool = False, table: bool = False
) -> Pulled:
    """Writes who is in the accounts, or has an open invitation, as the people of a roster.

    Args:
        path: a roster that is there, with its accounts.
        present: everybody, in any order. Whoever is neither a member nor can still accept an
            invitation is passed over.
        replace: replace people who are in the roster already, and a `people.csv` beside it. They
            keep their days if they are still there. What cannot be kept is in `Pulled.lost`, and
            the file as it was in `Pulled.backup`.
        table: write rows of a `people.csv`, however few there are.

    Raises:
        ConfigError: the roster cannot be read or written, lacks an account, or has people in it
            that are not to give way. Nothing was changed.
    """
    remainder = _Remainder.read(path, replace)
    pulled = Pulled((path,))
    present = remainder.note_present(present)
    rows = _nameable_rows(present, remainder.accounts, pulled)
    found: dict[str, _Person] = {}
    for row in rows:
        person = found.setdefault(email_key(row.email), _Person(row.email, {}))
        person.memberships.update(
            merge_all([person.memberships, {row.account: DesiredMembership(row.roles)}])
        )
        if table or len(found) > MAX_PEOPLE_IN_FILE:
            _write_csv(path, remainder, chain(_rows(found), rows), pulled, replace)
            return pulled
    with _replacing(path) as file:
        file.write(remainder.with_people("\n".join(_people_tables(found, remainder))))
        remainder.back_up(path, pulled)
    pulled.memberships = sum(len(person.memberships) for person in found.values())
    return pulled


class _Row(NamedTuple):
    account: str
    email: str
    roles: tuple[str, ...] | None


class _Person(NamedTuple):
    email: str
    memberships: dict[str, DesiredMembership]


@dataclass
class _Remainder:
    """A roster without its people.

    Attributes:
        accounts: their names.
        before: the whole file.
        days: `from` and `until` by the key of the person, as the file has them.
        present: the keys of the people whom a service holds, once all were seen.
    """

    accounts: tuple[str, ...]
    text: str
    before: TomlFile
    days: dict[str, dict[str, Any]]
    present: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path, replace: bool) -> _Remainder:
        file = open_config(path)
        if not replace and not file.table.keys().isdisjoint(PEOPLE_KEYS):
            raise _needs_replace(f"{path} has people in it")
        remainder = {key: value for key, value in file.table.items() if key not in PEOPLE_KEYS}
        with suppress(TOMLKitError, tomllib.TOMLDecodeError):
            document = tomlkit.parse(file.text)
            for key in PEOPLE_KEYS:
                document.pop(key, None)
            left = tomlkit.dumps(document)
            if tomllib.loads(left) == remainder:
                accounts = tuple(remainder.get("accounts", {}))
                return cls(accounts, left.rstrip(), file, _days(file.table.get("people", [])))
        raise ConfigError(f"{path} cannot be rewritten", hint="Take the people out of it.")

    def with_people(self, people: str) -> bytes:
        """The roster with other people."""
        text = f"{self.text}\n\n{people}" if people else f"{self.text}\n"
        if "\r\n" in self.text:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return text.encode()

    def note_present(self, present: Iterable[CurrentPerson]) -> Iterator[CurrentPerson]:
        """Passes people on, and notes who of those with days is there."""
        for one in present:
            if self.days and one[3] in CURRENT_STATES and (key := email_key(one[1])) in self.days:
                self.present.add(key)
            yield one

    def back_up(self, path: Path, pulled: Pulled, *, still_read: str | None = None) -> None:
        """Keeps the file as it was if anything of it is lost, and says what.

        Args:
            still_read: a file of people that is still read.
        """
        pulled.lost += tuple(self._lost(still_read))
        if pulled.lost:
            pulled.backup = _back_up_copy(path)

    def _lost(self, still_read: str | None) -> Iterator[str]:
        table = self.before.table
        remaining = Counter(text for _, text in comments(self.text))
        for line, text in comments(self.before.text):
            if remaining[text]:
                remaining[text] -= 1
            else:
                yield f"the comment in line {line}: {text}"
        for number, person in enumerate(table.get("people", [])):
            where = self.before.where(("people", number))
            addresses = _addresses(person)
            who = addresses[0] if len(addresses) == 1 else f"{len(addresses)} people"
            if person.get("groups"):
                yield f"the groups of {who} ({where}); their accounts are written instead"
            if any(isinstance(one, dict) and one.get("options") for one in _accesses(person)):
                yield f"the options of {who} ({where})"
            for email in addresses:
                dated = "from" in person or "until" in person
                if dated and not self._keeps_days(email, person):
                    yield f"the days of {email} ({where})"
        for number, people in enumerate(table.get("people_from", [])):
            where = self.before.where(("people_from", number))
            if people.get("file") != still_read:
                yield f"the file {people.get('file')}, which is not read any more ({where})"

    def _keeps_days(self, email: str, person: Mapping[str, Any]) -> bool:
        key = email_key(email)
        return key in self.present and self.days[key] == _days_of(person)


def _days(people: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the days of each person who has the same in all entries."""
    found: dict[str, dict[str, Any]] = {}
    differing = set()
    for person in people:
        days = _days_of(person)
        for key in map(email_key, _addresses(person)):
            if found.setdefault(key, days) != days:
                differing.add(key)
    return {key: days for key, days in found.items() if days and key not in differing}


def _days_of(person: Mapping[str, Any]) -> dict[str, Any]:
    return {name: person[name] for name in ("from", "until") if name in person}


def _addresses(person: Mapping[str, Any]) -> list[str]:
    email = person.get("email", [])
    return [email] if isinstance(email, str) else [str(one) for one in email]


def _accesses(person: Mapping[str, Any]) -> list[Any]:
    accounts = person.get("accounts", {})
    return list(accounts.values()) if isinstance(accounts, dict) else []


def _needs_replace(what: str) -> ConfigError:
    return ConfigError(what, hint="They give way only if you ask for it: --replace.")


def _nameable_rows(
    present: Iterable[CurrentPerson], accounts: tuple[str, ...], pulled: Pulled
) -> Iterator[_Row]:
    """Those who belong into a roster. Notes who cannot be in one."""
    for account, email, roles, state in present:
        if account not in accounts:
            raise unknown("account", account, accounts)
        if state not in CURRENT_STATES:
            continue
        wrong = _problem_with(email, roles, state)
        if not wrong:
            yield _Row(account, read_email(email)[0], roles)
            continue
        pulled.left_out_count += 1
        if pulled.left_out_count <= MAX_PROBLEMS:
            pulled.left_out += (f"{account}: {wrong}",)


def _problem_with(email: str, roles: tuple[str, ...] | None, state: State) -> str | None:
    if state == State.UNKNOWN:
        return f"{email!r} stands in a way that the service has no known word for"
    try:
        read_email(email)
        "".join(roles or ()).encode()
    except InvalidOrder as error:
        return error.message
    except UnicodeEncodeError:
        return f"{email!r} has a role whose name is no text"
    return None if all(roles or ()) else f"{email!r} has a role without a name"


# ---------------------------------------------------------------------------- as TOML


def _people_tables(found: Mapping[str, _Person], remainder: _Remainder) -> Iterator[str]:
    """Yields a `[[people]]` for all who are in the same accounts with the same roles and days, by
    address."""
    accounts = remainder.accounts
    alike: dict[tuple[_Held, tuple[str, ...]], list[str]] = {}
    for key, person in sorted(found.items()):
        held = tuple(
            (account, roles if roles is None else tuple(sorted(roles)))
            for account, (roles, _) in sorted(
                person.memberships.items(), key=lambda pair: accounts.index(pair[0])
            )
        )
        days = tuple(f"{name} = {_day(day)}" for name, day in remainder.days.get(key, {}).items())
        alike.setdefault((held, days), []).append(person.email)
    for (held, days), emails in alike.items():
        lines = ["[[people]]", f"email = {_list(emails) if emails[1:] else _text(emails[0])}"]
        for account, roles in held:
            lines.append(f"accounts.{_key(account)} = {'true' if roles is None else _list(roles)}")
        yield "\n".join([*lines, *days]) + "\n"


def _day(day: object) -> str:
    return day.isoformat() if isinstance(day, date) else _text(str(day))


def _list(values: Iterable[str]) -> str:
    written = [_text(value) for value in values]
    line = ", ".join(written)
    return (
        f"[{line}]" if len(line) < MAX_LINE_LENGTH else "[\n    " + ",\n    ".join(written) + ",\n]"
    )


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    return tomlkit.string(value).as_string()


# ---------------------------------------------------------------------------- as CSV


def _rows(found: Mapping[str, _Person]) -> Iterator[_Row]:
    for person in found.values():
        for account, membership in person.memberships.items():
            yield _Row(account, person.email, membership.roles)


def _write_csv(
    path: Path, remainder: _Remainder, rows: Iterable[_Row], pulled: Pulled, replace: bool
) -> None:
    table = path.parent / PEOPLE_CSV
    if table.exists() and not replace:
        raise _needs_replace(f"{table} is there already")
    with _replacing(path) as file:
        file.write(remainder.with_people(f'[[people_from]]\nfile = "{PEOPLE_CSV}"\n'))
        dates = ("from", "until") if remainder.days else ()
        if table.exists() and _has_other_columns(table):
            pulled.lost += (
                f"what {PEOPLE_CSV} said besides accounts and roles: {_back_up_copy(table)}",
            )
        with _replacing(table) as below, _text_writer(below) as text:
            writer = csv.writer(text)
            writer.writerow((*CSV_COLUMNS, *dates))
            for account, email, roles in rows:
                held = "" if roles is None else guarded(cells.join(roles)) or cells.NOTHING
                days = remainder.days.get(email_key(email), {}) if dates else {}
                written = (str(days.get(name, "")) for name in dates)
                row = (guarded(email), guarded(cells.join([account])), held, *written)
                writer.writerow(row)
                pulled.memberships += 1
        remainder.back_up(path, pulled, still_read=PEOPLE_CSV)
    pulled.files = (path, table)


def _has_other_columns(table: Path) -> bool:
    """Whether a CSV file of people has columns that `pull` cannot fill."""
    with table.open(encoding="utf-8-sig", errors="replace") as text:
        return text.readline().strip() != ",".join(CSV_COLUMNS)


def _back_up_copy(path: Path) -> Path:
    """Copies a file to a new name beside it, which is returned."""
    copy, number = path.with_name(f"{path.name}.bak"), 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.name}.bak{number}")
    with _replacing(copy) as file:
        file.write(path.read_bytes())
    return copy


@contextmanager
def _text_writer(file: IO[bytes]) -> Iterator[IO[str]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")  # the mark is for spreadsheets
    yield text
    text.detach()


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of another once it is complete, with the rights of that one."""
    path = path.resolve()  # a link stays one
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            temporary = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else NEW_FILE_MODE)
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                os.remove(temporary)
