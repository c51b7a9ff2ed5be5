"""Reading a roster: who should be where, from a `guestlist.toml` and the files of people it names.

The reference of the file is `docs/roster.md`; its shape is `guestlist.roster.document`.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from guestlist.address import email_key
from guestlist.errors import ConfigError
from guestlist.roster.circle import Circle, Stays, check_days, check_somewhere, stays, together
from guestlist.roster.document import (
    Document,
    FromEnvironment,
    LedgerDocument,
    LedgerTable,
    Limits,
    Part,
    PeopleDocument,
    Person,
)
from guestlist.roster.lines import Place, line_of, lines
from guestlist.roster.problems import Problems, found_by_pydantic, named
from guestlist.roster.table import PeopleTable
from guestlist.roster.wanted import Wanted

LEDGER = "guestlist.db"
"""The file of the ledger, beside the roster, where nothing else is said."""
_SQLITE = "sqlite:///"

D = TypeVar("D", bound=Part)


@dataclass(frozen=True)
class LedgerSettings:
    """Where the ledger is.

    Attributes:
        url: the database, as SQLAlchemy writes it. May hold a password.
        keep: how long entries are kept.
    """

    url: str = field(repr=False)
    keep: timedelta


@dataclass(frozen=True)
class Roster:
    """Who should be where.

    Attributes:
        source: the file.
        digest: identifies what was asked: it differs when the file differs, or one that it names.
        limits: what guards against mistakes.
        ledger: where the ledger is.
    """

    source: Path
    digest: str
    limits: Limits
    ledger: LedgerSettings
    _circle: Circle = field(repr=False)
    _entries: tuple[_Entry, ...] = field(repr=False)
    _tables: tuple[PeopleTable, ...] = field(repr=False)

    @cached_property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that the roster speaks of, through its groups, people and files of people.
        About others it says nothing: nobody is missing there, and nobody too many.

        Reads a CSV file that has a column of accounts.

        Raises:
            ConfigError: that file cannot be read.
        """
        used = self._circle.of_groups()
        used.update(account for entry in self._entries for account in entry.stays)
        used.update(account for table in self._tables for account in table.accounts)
        return tuple(name for name in self._circle.accounts if name in used)

    def wanted(self) -> Iterator[Wanted]:
        """Everybody, one after another; rows of CSV files as they are read, in constant memory.

        Also those whose first day is still to come or whose last day is over: `starts` and `ends`
        tell. Somebody who is named in several places, such as two rows, comes several times, also
        with the same account. Whoever reads the stream puts them together: of those that count
        today, all roles (None adds none to those of another place), and of an option the last
        value.

        Raises:
            ConfigError: rows of a CSV file are wrong, which is told at its end, or the file has
                changed since the roster was read. Then nothing that came before counts.
        """
        for entry in self._entries:
            for account, stay in entry.stays.items():
                for email, place in entry.people:
                    yield Wanted(
                        account, email_key(email), email, *stay, entry.starts, entry.ends, place
                    )
        for table in self._tables:
            yield from table.wanted()


def read_roster(path: Path) -> Roster:
    """Reads a roster. Rows of CSV files are read later, by `wanted`.

    Raises:
        ConfigError: files are missing or unreadable, or something in them cannot be: the message
            tells all that was found, with file and line.
    """
    problems = Problems()
    main = _Toml.read(path, Document, problems, hint="`guestlist config init` writes one.")
    if main is None:
        raise problems.error()
    document = main.document
    circle = Circle(document.accounts, document.groups)
    for name, group in document.groups.items():
        main.refuse(circle.wrong_names(group.accounts), ("groups", name))
    entries = list(_entries(main, circle, {}))
    tables, digests = list[PeopleTable](), [main.digest]
    for number, settings in enumerate(document.people_from):
        place: Place = ("people_from", number)
        if main.refuse(circle.wrong_names(settings.accounts, settings.groups), place):
            continue
        people = path.parent / Path(settings.file).expanduser()
        everybody = together([*map(circle.group, settings.groups), stays(settings.accounts)])
        if not people.is_file():
            main.refuse([(("file",), ConfigError(f"there is no file {people}"))], place)
        elif people.suffix.lower() != ".toml":
            try:
                tables.append(PeopleTable(people, settings, circle, everybody))
            except ConfigError as error:
                problems.add(error)
        elif "columns" in settings.model_fields_set:
            columns = ConfigError("only a CSV file has columns", hint="Leave it out.")
            main.refuse([(("columns",), columns)], place)
        elif file := _Toml.read(people, PeopleDocument, problems):
            entries += _entries(file, circle, everybody)
            digests.append(file.digest)
    ledger = _ledger(main)
    problems.check()
    digests += [table.digest for table in tables]
    digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return Roster(path, digest, document.limits, ledger, circle, tuple(entries), tuple(tables))


def configured_ledger(path: Path) -> str | None:
    """Where a configuration file wants the ledger, as a URL; None where it does not say. Nothing
    else is read of it.

    Raises:
        ConfigError: the file is missing or unreadable, or says what cannot be.
    """
    problems = Problems()
    file = _Toml.read(path, LedgerDocument, problems)
    wanted = file is not None and file.document.ledger.url is not None
    url = _ledger(file).url if file is not None and wanted else None
    problems.check()
    return url


class _Entry(NamedTuple):
    """What one `[[people]]` says.

    Attributes:
        people: address and place of each.
    """

    people: tuple[tuple[str, str], ...]
    stays: Stays
    starts: date | None
    ends: date | None


class _Toml(Generic[D]):
    """A TOML file that has the right shape."""

    def __init__(self, path: Path, content: bytes, text: str, document: D, problems: Problems):
        self.path = path
        self.digest = hashlib.sha256(content).hexdigest()
        self.document = document
        self._lines = lines(text)
        self._problems = problems

    @classmethod
    def read(
        cls, path: Path, shape: type[D], problems: Problems, *, hint: str = ""
    ) -> _Toml[D] | None:
        """Reads it. None if it cannot be read or its shape is wrong: the problems tell.

        Args:
            hint: what to do when there is none.
        """
        try:
            content = path.read_bytes()
            text = content.decode("utf-8-sig")  # editors may add the mark
            table = tomllib.loads(text)
        except FileNotFoundError:
            problems.add(ConfigError(f"there is no file {path}", hint=hint))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            problems.add(ConfigError(f"{path} cannot be read: {reason}"))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            problems.add(ConfigError(f"{path} is no TOML: {error}"))
        else:
            try:
                return cls(path, content, text, shape.model_validate(table), problems)
            except ValidationError as error:
                found = lines(text)
                for place, one in found_by_pydantic(error, shape):
                    problems.add(one, f"{path}:{line_of(found, place)}: {named(place)}")
        return None

    def line(self, place: Place) -> str:
        """File and line of a place, for people."""
        return f"{self.path}:{line_of(self._lines, place)}"

    def refuse(self, wrong: Iterable[tuple[Place, ConfigError]], inside: Place) -> bool:
        """Adds to the problems what is wrong inside a place; returns whether anything is."""
        number = len(self._problems.found)
        for place, error in wrong:
            whole = (*inside, *place)
            self._problems.add(error, f"{self.line(whole)}: {named(whole)}")
        return len(self._problems.found) > number


def _entries(file: _Toml[Any], circle: Circle, everybody: Stays) -> Iterator[_Entry]:
    """What the people of a file are, those of whom something is wrong left out."""
    people: list[Person] = file.document.people
    for number, person in enumerate(people):
        place: Place = ("people", number)
        if file.refuse(circle.wrong_names(person.accounts, person.groups), place):
            continue
        try:
            check_days(person.from_, person.until)
            parts = [everybody, *map(circle.group, person.groups), stays(person.accounts)]
            found = check_somewhere(together(parts))
        except ConfigError as error:
            file.refuse([((), error)], place)
            continue
        if isinstance(person.email, str):
            addresses = [(person.email, file.line((*place, "email")))]
        else:
            addresses = [
                (email, file.line((*place, "email", one))) for one, email in enumerate(person.email)
            ]
        yield _Entry(tuple(addresses), found, person.from_, person.until)


def _ledger(file: _Toml[Document] | _Toml[LedgerDocument]) -> LedgerSettings:
    told: LedgerTable = file.document.ledger
    url, folder = told.url, file.path.parent
    if isinstance(url, FromEnvironment):
        found = os.environ.get(url.env, "")
        if not found:
            error = ConfigError(f"the environment variable {url.env} is not set")
            file.refuse([((), error)], ("ledger", "url"))
        url = found
    if url is None:
        url = _SQLITE + LEDGER
    beside = url.removeprefix(_SQLITE)
    if beside not in (url, "", ":memory:"):
        url = f"{_SQLITE}{(folder / beside).absolute()}"
    return LedgerSettings(url, told.keep)
