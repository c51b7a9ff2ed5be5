"""Writes the current people of the services into a roster file.

Up to `MAX_PEOPLE_IN_FILE` people become `[[people]]` tables, one for all who have the same accounts
and roles. More become rows of a CSV file beside it, written as they arrive. The rest of the file
stays unchanged, including comments. Lost parts of the previous people are reported, and the
previous file is kept as a backup.
"""

from __future__ import annotations

import csv
import io
import os
import re
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
from guestlist.errors import ConfigError, InvalidArgument
from guestlist.files import replace_file
from guestlist.models import OPEN_STATES, State
from guestlist.roster import cells
from guestlist.roster.current_people import CurrentPerson, key_of
from guestlist.roster.index import merge_all
from guestlist.roster.problems import MAX_PROBLEMS
from guestlist.roster.wanted import DesiredMembership
from guestlist.spreadsheets import escape_formula
from guestlist.tomlfile import TomlFile, comments, unknown_name_error

MAX_PEOPLE_IN_FILE = 1000
"""Maximum number of people in the roster file itself."""
PEOPLE_CSV = "people.csv"
"""Name of the CSV file for more people."""
PEOPLE_KEYS = ("people", "people_from")
"""The keys of the roster file that are replaced."""
CSV_COLUMNS = ("email", "account", "roles", "login")
"""The headings of the CSV file."""
CURRENT_STATES = OPEN_STATES | {State.ACCEPTED, State.UNKNOWN}
"""States of people who must be written or reported."""
MAX_LINE_LENGTH = 88
"""Number of characters from which a list is written with one element per line."""

_Held = tuple[tuple[str, tuple[str, ...] | None], ...]
"""The accounts of a person, each with the labels of the roles (None if they are unknown)."""


@dataclass
class Pulled:
    """Result of `pull`.

    Attributes:
        files: the written files, the roster first.
        memberships: number of written people, counted once per account.
        left_out: the first members and open invitations that a roster cannot express, each with the
            reason.
        left_out_count: number of all members and open invitations that were left out.
        lost: descriptions of content that the previous file had and the new one has not.
        backup: the copy of the previous file, if any content is lost.
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
    """Writes members and people with an open invitation into a roster.

    Args:
        path: an existing roster file, with its accounts.
        present: the people, in any order. Those who are neither members nor able to accept an
            invitation are skipped.
        replace: replace the people of the roster and an existing `people.csv`. People who are still
            present keep `from`, `until`, `also` and `logins`. `Pulled.lost` lists lost content,
            `Pulled.backup` is the copy of the previous file.
        table: write a `people.csv` for any number of people.

    Raises:
        ConfigError: the roster cannot be read or written, lacks an account, or has people and
            `replace` is not set. Nothing was changed.
    """
    remainder = _Remainder.read(path, replace)
    pulled = Pulled((path,))
    present = remainder.note_present(present)
    rows = _nameable_people(present, remainder.accounts, pulled)
    found: dict[str, _Person] = {}
    for row in rows:
        person = found.setdefault(row.key, _Person(row.email, {}, row.login))
        person.memberships.update(
            merge_all([person.memberships, {row.account: DesiredMembership(row.roles)}])
        )
        if table or len(found) > MAX_PEOPLE_IN_FILE:
            _write_csv(path, remainder, chain(_rows(found), rows), pulled, replace)
            return pulled
    with replace_file(path) as file:
        file.write(remainder.with_people("\n".join(_people_tables(found, remainder))))
        remainder.back_up(path, pulled)
    pulled.memberships = sum(len(person.memberships) for person in found.values())
    return pulled


class _Person(NamedTuple):
    email: str
    memberships: dict[str, DesiredMembership]
    login: str = ""


@dataclass
class _Names:
    """The addresses and logins that a roster gives for a person.

    Attributes:
        email: the address.
        also: the other addresses, by key.
        logins: the logins, by account.
    """

    email: str
    also: dict[str, str] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)


@dataclass
class _Remainder:
    """The parts of a roster file that `pull` keeps, and the days and names of its people.

    Attributes:
        accounts: names of the accounts.
        text: the file without its people.
        before: the previous file.
        days: `from` and `until` as written in the file, by the key of the person.
        names: the other addresses and the logins of people with an address, by their key.
        logins: the keys of people without an address.
        present: keys of the people with days, names or logins who are still present, with their
            accounts. Filled by `note_present`.
    """

    accounts: tuple[str, ...]
    text: str
    before: TomlFile
    days: dict[str, dict[str, Any]]
    names: dict[str, _Names]
    logins: frozenset[str]
    present: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, replace: bool) -> _Remainder:
        file = open_config(path)
        if not replace and not file.table.keys().isdisjoint(PEOPLE_KEYS):
            raise _needs_replace_error(f"{path} has people in it")
        remainder = {key: value for key, value in file.table.items() if key not in PEOPLE_KEYS}
        with suppress(TOMLKitError, tomllib.TOMLDecodeError):
            document = tomlkit.parse(file.text)
            for key in PEOPLE_KEYS:
                document.pop(key, None)
            left = tomlkit.dumps(document)
            if tomllib.loads(left) == remainder:
                accounts = tuple(remainder.get("accounts", {}))
                people = file.table.get("people", [])
                logins = frozenset(
                    key for one in people if not _addresses(one) for key in _keys_of(one)
                )
                left = left.rstrip()
                return cls(accounts, left, file, _days(people), _names(people), logins)
        raise ConfigError(f"{path} cannot be rewritten", hint="Take the people out of it.")

    def with_people(self, people: str) -> bytes:
        """Returns the content of the file with the given people."""
        text = f"{self.text}\n\n{people}" if people else f"{self.text}\n"
        if "\r\n" in self.text:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return text.encode()

    def note_present(self, present: Iterable[CurrentPerson]) -> Iterator[CurrentPerson]:
        """Yields the people, and notes which of those with days or names are present. A person with
        another address or a login of the previous file is named by the address in that file."""
        main = {
            key: names.email
            for mine, names in self.names.items()
            for key in (
                *names.also,
                *(key_of(account, "", login) for account, login in names.logins.items()),
            )
            if key not in self.names
        }
        kept = self.days.keys() | self.names.keys() | self.logins
        if not kept:
            yield from present
            return
        for one in present:
            if (address := main.get(one.key)) is not None:
                one = one._replace(email=address, login="")
            if one.state in CURRENT_STATES and one.key in kept:
                self.present.setdefault(one.key, set()).add(one.account)
            yield one

    def names_of(self, key: str) -> tuple[str, ...]:
        """Returns the lines with the other addresses and the logins of a person."""
        names = self.names.get(key)
        if names is None:
            return ()
        also = (f"also = {_list(names.also.values())}",) if names.also else ()
        logins = names.logins.items()
        return (*also, *(f"logins.{_key(name)} = {_text(login)}" for name, login in logins))

    def back_up(self, path: Path, pulled: Pulled, *, still_read: str | None = None) -> None:
        """Lists the content that is lost, and copies the previous file if there is any.

        Args:
            still_read: a file of people that the new roster still names.
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
            names = addresses or [str(login) for login in person.get("logins", {}).values()]
            who = names[0] if len(addresses) < 2 and names else f"{len(addresses)} people"
            if person.get("groups"):
                yield f"the groups of {who} ({where}); their accounts are written instead"
            if any(isinstance(one, dict) and one.get("options") for one in _accesses(person)):
                yield f"the options of {who} ({where})"
            for name, what in (("also", "other addresses"), ("logins", "logins")):
                if person.get(name) and not self._keeps_names(person, name, still_read):
                    yield f"the {what} of {who} ({where})"
            for name, key in zip(names, _keys_of(person), strict=True):
                if _days_of(person) and not self._keeps_days(key, person):
                    yield f"the days of {name} ({where})"
        for number, people in enumerate(table.get("people_from", [])):
            where = self.before.where(("people_from", number))
            if people.get("file") != still_read:
                yield f"the file {people.get('file')}, which the roster no longer names ({where})"

    def _keeps_names(self, person: Mapping[str, Any], name: str, still_read: str | None) -> bool:
        addresses = _addresses(person)
        if not addresses and name == "logins":
            return self.present.keys() >= set(_keys_of(person))
        accounts = self.present.get(email_key(addresses[0])) if len(addresses) == 1 else None
        if accounts is None:
            return False
        # A CSV row holds a login only for the account of the row.
        return name == "also" or still_read is None or accounts.issuperset(person["logins"])

    def _keeps_days(self, key: str, person: Mapping[str, Any]) -> bool:
        return key in self.present and self.days[key] == _days_of(person)


def _days(people: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the days of each person whose entries all have the same days."""
    found: dict[str, dict[str, Any]] = {}
    differing = set()
    for person in people:
        days = _days_of(person)
        for key in _keys_of(person):
            if found.setdefault(key, days) != days:
                differing.add(key)
    return {key: days for key, days in found.items() if days and key not in differing}


def _names(people: Iterable[Mapping[str, Any]]) -> dict[str, _Names]:
    """Returns the names of each person who has an address and other names."""
    found: dict[str, _Names] = {}
    for person in people:
        addresses = _addresses(person)
        if len(addresses) != 1 or not (person.get("also") or person.get("logins")):
            continue
        names = found.setdefault(email_key(addresses[0]), _Names(addresses[0]))
        names.also |= {email_key(str(one)): str(one) for one in person.get("also", [])}
        names.logins |= {name: str(login) for name, login in person.get("logins", {}).items()}
    return found


def _days_of(person: Mapping[str, Any]) -> dict[str, Any]:
    return {name: person[name] for name in ("from", "until") if name in person}


def _addresses(person: Mapping[str, Any]) -> list[str]:
    email = person.get("email", [])
    return [email] if isinstance(email, str) else [str(one) for one in email]


def _keys_of(person: Mapping[str, Any]) -> list[str]:
    """Returns the keys of the people in a table. A person without an address has a key for each
    login."""
    if addresses := _addresses(person):
        return list(map(email_key, addresses))
    logins = person.get("logins", {}).items()
    return [key_of(account, "", str(login)) for account, login in logins]


def _accesses(person: Mapping[str, Any]) -> list[Any]:
    accounts = person.get("accounts", {})
    return list(accounts.values()) if isinstance(accounts, dict) else []


def _needs_replace_error(what: str) -> ConfigError:
    return ConfigError(what, hint="To replace them, pass replace=True.")


def _nameable_people(
    present: Iterable[CurrentPerson], accounts: tuple[str, ...], pulled: Pulled
) -> Iterator[CurrentPerson]:
    """Yields the people that a roster can express. Notes the others in `pulled.left_out`."""
    for one in present:
        if one.account not in accounts:
            raise unknown_name_error("account", one.account, accounts)
        if one.state not in CURRENT_STATES:
            continue
        wrong = _problem_with(one)
        if not wrong:
            yield one._replace(email=read_email(one.email)[0] if one.email else "")
            continue
        pulled.left_out_count += 1
        if pulled.left_out_count <= MAX_PROBLEMS:
            pulled.left_out += (f"{one.account}: {wrong}",)


def _problem_with(one: CurrentPerson) -> str | None:
    """Returns why a roster cannot express a person; None if it can."""
    if one.state == State.UNKNOWN:
        return f"{one.email or one.login!r} has a state that guestlist does not know"
    try:
        if not one.login:
            read_email(one.email)
        "".join((one.login, *(one.roles or ()))).encode()
    except InvalidArgument as error:
        return error.message
    except UnicodeEncodeError:
        return f"{one.email!r} has a role whose name is not valid Unicode"
    return None if all(one.roles or ()) else f"{one.email!r} has a role without a name"


# ---------------------------------------------------------------------------- as TOML


def _people_tables(found: Mapping[str, _Person], remainder: _Remainder) -> Iterator[str]:
    """Yields a `[[people]]` table for each set of people with the same accounts, roles and days."""
    accounts = remainder.accounts
    alike: dict[tuple[_Held, tuple[str, ...], str], list[str]] = {}
    for key, person in sorted(found.items()):
        held = tuple(
            (account, roles if roles is None else tuple(sorted(roles)))
            for account, (roles, _) in sorted(
                person.memberships.items(), key=lambda pair: accounts.index(pair[0])
            )
        )
        days = tuple(f"{name} = {_day(day)}" for name, day in remainder.days.get(key, {}).items())
        names = remainder.names_of(key)
        emails = alike.setdefault((held, (*names, *days), person.login), [])
        emails += [person.email] if person.email else []
    for (held, more, login), emails in alike.items():
        lines = ["[[people]]"]
        if emails:
            lines += [f"email = {_list(emails) if emails[1:] else _text(emails[0])}"]
        else:
            lines += [f"logins.{_key(account)} = {_text(login)}" for account, _ in held]
        for account, roles in held:
            lines.append(f"accounts.{_key(account)} = {'true' if roles is None else _list(roles)}")
        yield "\n".join([*lines, *more]) + "\n"


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


def _rows(found: Mapping[str, _Person]) -> Iterator[CurrentPerson]:
    for person in found.values():
        for account, membership in person.memberships.items():
            yield CurrentPerson(account, person.email, membership.roles, login=person.login)


def _write_csv(
    path: Path, remainder: _Remainder, rows: Iterable[CurrentPerson], pulled: Pulled, replace: bool
) -> None:
    table = path.parent / PEOPLE_CSV
    if table.exists() and not replace:
        raise _needs_replace_error(f"{table} is there already")
    with replace_file(path) as file:
        file.write(remainder.with_people(f'[[people_from]]\nfile = "{PEOPLE_CSV}"\n'))
        dates = ("from", "until") if remainder.days else ()
        others = ("also",) if remainder.names else ()
        if table.exists() and _has_other_content(table):
            pulled.lost += (
                f"what {PEOPLE_CSV} said besides accounts and roles: {_back_up_copy(table)}",
            )
        with replace_file(table) as below, _text_writer(below) as text:
            writer = csv.writer(text)
            writer.writerow((*CSV_COLUMNS, *others, *dates))
            for account, email, roles, _state, login in rows:
                held = "" if roles is None else escape_formula(cells.join(roles)) or cells.NOTHING
                key = key_of(account, email, login) if dates or others else ""
                days = remainder.days.get(key, {}) if dates else {}
                written = (str(days.get(name, "")) for name in dates)
                names = remainder.names.get(key) if others else None
                login = login or (names.logins.get(account, "") if names else "")
                named = escape_formula(cells.join([login])) if login else ""
                also = escape_formula(cells.join(names.also.values())) if names else ""
                place = escape_formula(cells.join([account]))
                row = (escape_formula(email), place, held, named, *[also] * len(others), *written)
                writer.writerow(row)
                pulled.memberships += 1
        remainder.back_up(path, pulled, still_read=PEOPLE_CSV)
    pulled.files = (path, table)


def _has_other_content(table: Path) -> bool:
    """Returns whether a CSV file of people has content that is lost: other columns, or logins of
    people with an address."""
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        if text.readline().strip() != ",".join(CSV_COLUMNS):
            return True
        login = CSV_COLUMNS.index("login")
        return any(row[0] and "".join(row[login:]) for row in csv.reader(text) if row)


def _back_up_copy(path: Path) -> Path:
    """Copies a file to an unused name beside it, and returns that path."""
    copy, number = path.with_name(f"{path.name}.bak"), 1
    while os.path.lexists(copy):
        number += 1
        copy = path.with_name(f"{path.name}.bak{number}")
    with replace_file(copy) as file:
        file.write(path.read_bytes())
    return copy


@contextmanager
def _text_writer(file: IO[bytes]) -> Iterator[IO[str]]:
    text = io.TextIOWrapper(
        file, encoding="utf-8-sig", newline=""
    )  # spreadsheets need the byte order mark
    yield text
    text.detach()
