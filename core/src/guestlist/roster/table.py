"""Reads people from a CSV file, row by row, so that there may be a million."""

from __future__ import annotations

import codecs
import csv
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

from guestlist.address import person_key, read_email
from guestlist.errors import ConfigError, InvalidArgument
from guestlist.humanize import similar_name
from guestlist.roster import cells
from guestlist.roster.document import DAY_HINT, Columns, PeopleFileTable, read_day
from guestlist.roster.index import (
    Memberships,
    RosterIndex,
    check_days,
    check_has_account,
    check_identity,
    merge_all,
)
from guestlist.roster.problems import MAX_PROBLEMS
from guestlist.roster.wanted import DesiredMembership, Wanted, unique_roles
from guestlist.spreadsheets import unescape_formula
from guestlist.tomlfile import Problems

PLACING_COLUMNS = ("accounts", "roles", "groups")
"""The columns that determine the memberships of a person."""
SEPARATORS = ",;\t"
BLANK_CHARACTERS = SEPARATORS + "\"' \r\n"
"""Characters of lines that contain no value."""
EXPORT_HINT = "Save it from the spreadsheet as CSV UTF-8 (File, Save As or Download)."
CACHE_ENTRIES = 10_000
"""Maximum number of cached combinations of accounts, roles and groups."""


ONE_LETTER_SIMILARITY = 0.85
"""Similarity (by `difflib`) from which a heading counts as misspelled. The names of columns differ
that much from a word with one letter more or less, but not from most other words."""
SEPARATOR_LINE = re.compile(r"""sep=(?P<separator>[^\r\n])\s*""", re.IGNORECASE)
"""The first line in which Excel names the separator: `sep=;`."""
UTF16_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
"""Byte order marks of UTF-16, which Excel calls "Unicode Text", and the encoding to use."""
WORKBOOK_SIGNATURES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of .xlsx, .ods and .xls files."""


class Heading(NamedTuple):
    """The heading of a CSV file.

    Attributes:
        line: the line on which the heading begins.
        separator: the character between values.
        width: the number of values in a row.
        columns: the index of each column, by name.
    """

    line: int
    separator: str
    width: int
    columns: dict[str, int]


EMPTY = Heading(0, ",", 0, {})
"""The heading of a file that has none, because it is empty."""


class PeopleCsv:
    """A CSV file of people.

    Args:
        path: the path of the file, also shown in messages.
        settings: the `[[people_from]]` table that names the file.
        index: the accounts and groups that rows can name.
        common: memberships of all people in the file.

    Attributes:
        digest: SHA-256 of the file.
        is_empty: whether there is no heading, or no row below it.

    Raises:
        ConfigError: the file cannot be read, or has a heading that lacks a column.
    """

    def __init__(
        self, path: Path, settings: PeopleFileTable, index: RosterIndex, common: Memberships
    ) -> None:
        self.path = path
        self._index = index
        self._common = common
        self._own_accounts = tuple(settings.accounts)
        with _readable(path), path.open("rb") as file:
            self._file_version = _file_version(file)
            self._encoding = _encoding(path, file.read(len(WORKBOOK_SIGNATURES[0])))
            file.seek(0)
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()
        with self._opened() as text:
            self._heading = _heading(path, text, settings.columns)
            text.seek(0)
            self.is_empty = next(self._rows(text), None) is None

    @cached_property
    def accounts(self) -> set[str]:
        """The accounts that the file uses. Reads the whole file if it has a column of accounts."""
        found = set(self._common)
        columns = self._heading.columns
        if "groups" in columns:
            found |= self._index.group_accounts()
        if "accounts" in columns:
            number = columns["accounts"]
            with self._opened() as text:
                seen = {row[number] for _, row in self._rows(text) if len(row) > number}
            found.update(name for cell in seen for name in cells.split(cell))
        return found.intersection(self._index.accounts)

    def wanted(self) -> Iterator[Wanted]:
        """Yields the entries of the file, row by row.

        Raises:
            ConfigError: rows are invalid, which is reported at the end of the file or after
                `MAX_PROBLEMS` rows; or the file has changed since the digest was computed.
        """
        problems, width = Problems(MAX_PROBLEMS), self._heading.width
        columns = self._heading.columns
        names = ("email", "from", "until", "also", "logins")
        address, first, last, others, named = (columns.get(name, -1) for name in names)
        placing = [columns.get(name, -1) for name in PLACING_COLUMNS]
        remembered: dict[tuple[str, ...], tuple[tuple[str, DesiredMembership], ...]] = {}
        with self._opened() as text:
            for line, row in self._rows(text):
                where = f"{self.path}:{line}"
                if len(row) != width:
                    if any(map(str.strip, row[width:])):
                        problems.add(
                            _row_too_long_error(len(row), self._heading).found_at(f"{where}: ")
                        )
                        continue
                    row = row[:width] + [""] * (width - len(row))
                # A column that the file lacks has the index -1, and reads this value.
                row.append("")
                placement = tuple([row[number] for number in placing])
                try:
                    places = remembered.get(placement)
                    if places is None:
                        if len(remembered) == CACHE_ENTRIES:
                            remembered.clear()
                        places = remembered[placement] = tuple(
                            self._memberships(*placement).items()
                        )
                    starts, ends = _day("from", row[first]), _day("until", row[last])
                    check_days(starts, ends)
                    email = key = ""
                    if row[address].strip() or not row[named].strip():
                        email, key = read_email(row[address])
                    also = _addresses(row[others])
                    logins = self._logins(row[named], dict(places)) if row[named] else {}
                    check_identity(bool(email), also, logins, dict(places))
                except (InvalidArgument, ConfigError) as error:
                    problems.add(ConfigError(f"{where}: {error.message}", hint=error.hint))
                    continue
                for account, (roles, options) in places:
                    login = logins.get(account)
                    who = key or person_key("", login)
                    yield Wanted(
                        account, who, email, roles, options, starts, ends, where, also, login
                    )
        problems.check()

    def _memberships(self, accounts: str, roles: str, groups: str) -> Memberships:
        parts = [self._common, *map(self._index.group, cells.split(groups))]
        named = [self._index.account(name) for name in cells.split(accounts)]
        held = cells.split(roles) if roles.strip() != cells.NOTHING else ()
        if named or roles.strip():
            if not (named or self._own_accounts):
                raise ConfigError("the row has roles, but no account", hint="Add an account.")
            membership = DesiredMembership(unique_roles(held) if roles.strip() else None)
            parts.append(dict.fromkeys(named or self._own_accounts, membership))
        return check_has_account(merge_all(parts))

    def _logins(self, cell: str, places: Memberships) -> dict[str, str]:
        """Returns the logins of a row by account. A value without an account is the login in all
        accounts of the row.

        Raises:
            ConfigError: there is no account of that name.
        """
        found: dict[str, str] = {}
        for one in cells.split(cell):
            account, equals, login = one.partition("=")
            if equals:
                found[self._index.account(account.strip())] = login.strip()
            else:
                found |= dict.fromkeys(places, one)
        return found

    def _rows(self, text: IO[str]) -> Iterator[tuple[int, list[str]]]:
        """Yields each row below the heading with its first line number. Skips empty rows."""
        if self._heading is EMPTY:
            return
        for _ in range(self._heading.line - 1):
            next(text)
        reader = csv.reader(text, delimiter=self._heading.separator, strict=True)
        next(reader)
        before = self._heading.line - 1
        line = before + reader.line_num + 1
        try:
            for row in reader:
                if any(map(str.strip, row)):
                    values = [unescape_formula(cell) if cell[:1] == "'" else cell for cell in row]
                    yield line, values
                line = before + reader.line_num + 1
        except csv.Error as error:
            raise ConfigError(f"{self.path}:{line}: this row is not valid CSV: {error}") from None

    def _text(self) -> IO[str]:
        return self.path.open(encoding=self._encoding, newline="")

    @contextmanager
    def _opened(self) -> Iterator[IO[str]]:
        """Opens the file as text. At the end, raises an error if it has changed meanwhile."""
        with _readable(self.path), self._text() as text:
            yield text
            if _file_version(text) != self._file_version:
                raise ConfigError(
                    f"{self.path} has changed while it was read", hint="Run it again."
                )


def _file_version(file: IO[Any]) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeError as error:
        if not isinstance(error, UnicodeDecodeError) or error.encoding != "utf-8":
            raise ConfigError(
                f"{path} is truncated: it is not complete UTF-16", hint=EXPORT_HINT
            ) from None
        raise ConfigError(
            f"{path}:{_undecodable(path)}: this is not UTF-8", hint=EXPORT_HINT
        ) from None


def _encoding(path: Path, start: bytes) -> str:
    """Returns the encoding of a CSV file.

    Args:
        start: the first bytes of the file.

    Raises:
        ConfigError: the file is a workbook of a spreadsheet program, or is UTF-16 without a mark.
    """
    if start in WORKBOOK_SIGNATURES:
        raise ConfigError(f"{path} is a spreadsheet's workbook, not a CSV file", hint=EXPORT_HINT)
    if b"\0" in start and not start.startswith(tuple(mark for mark, _ in UTF16_MARKS)):
        raise ConfigError(
            f"{path} is not UTF-8: it seems to be UTF-16 without a byte order mark",
            hint=EXPORT_HINT,
        )
    return next((name for mark, name in UTF16_MARKS if start.startswith(mark)), "utf-8-sig")


def _undecodable(path: Path) -> int:
    """Returns the number of the first line that is not UTF-8. Returns 1 if the file has been
    corrected since."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _heading(path: Path, text: IO[str], wanted: Columns) -> Heading:
    found, problem = [], "it is empty"
    separators, line, start = SEPARATORS, 0, ""
    while not start.strip(BLANK_CHARACTERS) and (start := text.readline()):
        line += 1
        if named := SEPARATOR_LINE.fullmatch(start):
            separators, start = named["separator"], ""
    for separator in separators if start else "":
        text.seek(0)
        for _ in range(line - 1):
            next(text)
        try:
            titles = next(csv.reader(text, delimiter=separator, strict=True), [])
        except csv.Error as error:  # raised also for a wrong separator
            problem = f"the heading is not valid CSV: {error}"
        else:
            titles = [title.strip() for title in titles]
            # Spreadsheets may write empty cells to the right of the table.
            while titles and not titles[-1]:
                titles.pop()
            found.append((separator, titles))
    if not start:
        return EMPTY
    separator, titles = max(
        found,
        key=lambda one: (bool(_matching_columns("email", wanted.email, one[1])), len(one[1])),
        default=("", []),
    )
    if not titles:
        raise ConfigError(f"{path}:{line or 1}: {problem}")
    try:
        return Heading(line, separator, len(titles), _columns(titles, wanted))
    except ConfigError as error:
        raise error.found_at(f"{path}:{line}: ") from None


def _matching_columns(name: str, heading: str | None, titles: Sequence[str]) -> list[int]:
    """Returns the indexes of the columns that match a name or the configured heading."""
    known = [heading.strip()] if heading else [name, name.removesuffix("s")]
    known = [one.casefold() for one in known]
    return [number for number, title in enumerate(titles) if title.casefold() in known]


def _columns(titles: Sequence[str], wanted: Columns) -> dict[str, int]:
    """Returns the index of each column.

    Raises:
        ConfigError: a required column is missing, a column appears twice, or the heading of an
            unknown one is probably misspelled.
    """
    found: dict[str, int] = {}
    for name, heading in wanted.model_dump(by_alias=True).items():
        fitting = _matching_columns(name, heading, titles)
        if len(fitting) > 1:
            raise ConfigError(f"there are {len(fitting)} columns {titles[fitting[0]]!r}")
        if fitting:
            found[name] = fitting[0]
        elif heading or (
            name == "email" and not _matching_columns("logins", wanted.logins, titles)
        ):
            there = ", ".join(repr(title) for title in titles if title)
            hint = f"There are: {there}."
            if not heading:
                hint += ' Set the right one: columns = { email = "…" }.'
            raise ConfigError(f"there is no column {heading or name!r}", hint=hint)
    absent = [name for name in wanted.model_dump(by_alias=True) if name not in found]
    for number, title in enumerate(titles):
        if number not in found.values() and (meant := _misspelled(title, absent)):
            raise ConfigError(
                f"the column {title!r} is not known",
                hint=f"Did you mean {meant!r}? If not, give the column another heading.",
            )
    return found


def _misspelled(title: str, names: Iterable[str]) -> str | None:
    """Returns the name of the column that a heading misses by a letter or a hyphen, if any."""
    known = [one for name in names for one in dict.fromkeys((name, name.removesuffix("s")))]
    return similar_name(title.casefold().replace("-", ""), known, ONE_LETTER_SIMILARITY)


def _row_too_long_error(count: int, heading: Heading) -> ConfigError:
    return ConfigError(
        f"the row has {count} values, but the heading has {heading.width}",
        hint=f"Put quotes around a value that contains {heading.separator!r}.",
    )


@lru_cache(maxsize=4096)
def _addresses(cell: str) -> tuple[str, ...]:
    """Returns the addresses in a cell.

    Raises:
        InvalidArgument: one of them is invalid.
    """
    return tuple(read_email(one)[0] for one in cells.split(cell))


@lru_cache(maxsize=4096)
def _day(name: str, written: str) -> date | None:
    try:
        return read_day(written.strip()) if written.strip() else None
    except ValueError:
        raise ConfigError(f"{name} {written!r} is not a day: {DAY_HINT}") from None
