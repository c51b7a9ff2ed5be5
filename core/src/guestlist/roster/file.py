"""Reads a roster from a `guestlist.toml` and the files of people that it names.

`docs/roster.md` documents the file, `guestlist.roster.document` defines its data model.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from guestlist.address import email_key, is_email, login_key, person_key, read_email
from guestlist.config import open_config
from guestlist.errors import ConfigError
from guestlist.location import ledger_url
from guestlist.models import Identity
from guestlist.roster.document import (
    FromEnvironment,
    LedgerDocument,
    LedgerTable,
    LimitsTable,
    PeopleDocument,
    PersonTable,
    RosterDocument,
    TomlTable,
)
from guestlist.roster.index import (
    Memberships,
    RosterIndex,
    check_days,
    check_has_account,
    check_identity,
    memberships,
    merge_all,
)
from guestlist.roster.limits import Limits
from guestlist.roster.problems import EMPTY_HINT, MAX_PROBLEMS, shape_problems
from guestlist.roster.table import PeopleCsv
from guestlist.roster.wanted import Wanted
from guestlist.tomlfile import Place, Problems, TomlFile, read_toml

D = TypeVar("D", bound=TomlTable)


@dataclass(frozen=True)
class LedgerSettings:
    """Settings of the ledger.

    Attributes:
        url: URL of the database in SQLAlchemy's form. It may contain a password.
        keep: how long completed entries are kept.
    """

    url: str = field(repr=False)
    keep: timedelta


@dataclass(frozen=True)
class Roster:
    """The people who should be in each account, as read from a roster file.

    Attributes:
        toml: the file.
        digest: SHA-256 over the file and the files of people that it names.
        limits: limits that guard against mistakes.
        ledger: the settings of the ledger.
        zone: the time zone in which the days of `from` and `until` begin and end.
    """

    toml: TomlFile
    digest: str
    limits: Limits
    ledger: LedgerSettings
    zone: ZoneInfo
    _index: RosterIndex = field(repr=False)
    _entries: tuple[_Entry, ...] = field(repr=False)
    _tables: tuple[PeopleCsv, ...] = field(repr=False)
    _files: tuple[TomlFile, ...] = field(repr=False)

    def place_of(self, account: str, role: str) -> str:
        """Returns file and line at which a TOML file names a role, such as `guestlist.toml:12`.

        Args:
            account: the account in which the role is wanted.
            role: the role as written in the file.

        Returns:
            An empty string if only a CSV file names the role.
        """
        for file in self._files:
            for section in ("groups", "people", "people_from"):
                parts = file.table.get(section, ())
                for key, part in parts.items() if isinstance(parts, dict) else enumerate(parts):
                    place: Place = (section, key, "accounts", account)
                    access = part.get("accounts", {}).get(account)
                    if isinstance(access, dict):
                        place, access = (*place, "roles"), access.get("roles")
                    if isinstance(access, list) and role in access:
                        return file.where((*place, access.index(role)))
        return ""

    @classmethod
    def from_file(cls, path: str | Path) -> Roster:
        """Reads a roster, as `read_roster` does."""
        return read_roster(Path(path))

    @cached_property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that the roster uses in its groups, people and files of people.

        The roster does not manage any other account. A CSV file with a column of accounts is read
        completely.

        Raises:
            ConfigError: that file cannot be read.
        """
        used = self._index.group_accounts()
        used.update(account for entry in self._entries for account in entry.memberships)
        used.update(account for table in self._tables for account in table.accounts)
        return tuple(name for name in self._index.accounts if name in used)

    def wanted(self) -> Iterator[Wanted]:
        """Yields all entries of the roster. CSV files are read row by row, in constant memory.

        Includes entries whose first day is in the future or whose last day is over, see `starts`
        and `ends`. A person with several entries is yielded several times, even for the same
        account. The caller merges the entries that are valid today, as
        `guestlist.roster.wanted.merge_memberships` does.

        Raises:
            ConfigError: a CSV file has invalid rows, which is reported at its end, or has changed
                since the roster was read. Discard all entries that were yielded before.
        """
        for entry in self._entries:
            for account, membership in entry.memberships.items():
                login = entry.logins.get(account)
                for email, place in entry.people:
                    yield Wanted(
                        account,
                        person_key(email, login),
                        email,
                        *membership,
                        entry.starts,
                        entry.ends,
                        place,
                        entry.also,
                        login,
                    )
        for table in self._tables:
            yield from table.wanted()

    def identities(self) -> Iterator[Identity]:
        """Yields the identity of each person for whom the roster gives other addresses or logins. A
        person with several entries is yielded several times.

        Raises:
            ConfigError: as for `wanted`.
        """
        for entry in self._entries:
            if entry.also or entry.logins:
                for email, _place in entry.people:
                    logins = dict(entry.logins)
                    yield Identity(email=email or None, also=entry.also, logins=logins)
        for table in self._tables:
            for one in table.wanted():
                if one.also or one.login:
                    logins = {one.account: one.login} if one.login else {}
                    yield Identity(email=one.email or None, also=one.also, logins=logins)

    def identify(self, name: str) -> Identity:
        """Returns all names of a person: those that the roster gives, or the given one alone.

        Args:
            name: one of the person's addresses, or a login with a leading `@`.

        Raises:
            InvalidArgument: `name` is not a valid address.
            ConfigError: as for `wanted`; or no person of the roster has the login, or several do.
        """
        return _merged_identity(name, self.identities())

    def wants(self, person: Identity, now: datetime) -> bool:
        """Returns whether the roster wants a person in any account, now or later.

        Args:
            now: entries whose end is before this time do not count.

        Raises:
            ConfigError: as for `wanted`.
        """
        from guestlist.roster.desired import moment_of  # imported here because it loads the client

        emails = {email_key(email) for email in (person.email, *person.also) if email}
        logins = {(account, login_key(login)) for account, login in person.logins.items()}

        def is_person(one: Wanted) -> bool:
            also = {one.key, *map(email_key, one.also)}
            return bool(also & emails) or (
                one.login is not None and (one.account, login_key(one.login)) in logins
            )

        return any(
            one.ends is None or moment_of(one.ends, self.zone, end=True) > now
            for one in self.wanted()
            if is_person(one)
        )


def read_roster(path: Path, *, allow_empty: bool = False) -> Roster:
    """Reads a roster. The rows of CSV files are read later, by `Roster.wanted`.

    Args:
        path: the `guestlist.toml`.
        allow_empty: accept files of people without people. Otherwise that is an error, because a
            truncated file looks the same. `make_plan` checks for a roster that is empty as a whole.

    Raises:
        ConfigError: a file is missing, unreadable or invalid. The message lists all problems with
            file and line.
    """
    problems = Problems(MAX_PROBLEMS)
    main = _File(open_config(path), problems)
    document = main.parse(RosterDocument)
    if document is None:
        raise ConfigError.of(problems.found)
    index = RosterIndex(document.accounts, document.groups)
    for name, group in document.groups.items():
        main.add_problems(index.unknown_names(group.accounts), "groups", name)
    entries = list(_entries(main, document.people, index, {}))
    tables, files = list[PeopleCsv](), [main.toml]
    for number, settings in enumerate(document.people_from):
        place = ("people_from", number)
        if main.add_problems(index.unknown_names(settings.accounts, settings.groups), *place):
            continue
        people = path.parent / Path(settings.file).expanduser()
        common = merge_all([*map(index.group, settings.groups), memberships(settings.accounts)])
        if not people.is_file():
            folder = people.is_dir()
            problem = (
                f"{people} is a folder, not a file" if folder else f"there is no file {people}"
            )
            main.add_problems([ConfigError(problem)], *place, "file")
        elif people.suffix.lower() != ".toml":
            with problems:
                table = PeopleCsv(people, settings, index, common)
                tables.append(table)
                if table.is_empty and not allow_empty:
                    problems.add(_empty_file_error(people))
        elif "columns" in settings.model_fields_set:
            columns = ConfigError("only a CSV file has columns", hint="Remove this key.")
            main.add_problems([columns], *place, "columns")
        else:
            toml = None
            with problems:
                toml = read_toml(people)
            if toml is None:
                continue
            file = _File(toml, problems)
            files.append(toml)
            if parse := file.parse(PeopleDocument):
                if not (parse.people or allow_empty):
                    problems.add(_empty_file_error(people))
                entries += _entries(file, parse.people, index, common)
    ledger = _ledger(main, document.ledger)
    problems.check()
    digests = [file.digest for file in files] + [table.digest for table in tables]
    digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return Roster(
        main.toml,
        digest,
        _limits(document.limits, len(document.accounts)),
        ledger,
        document.timezone,
        index,
        tuple(entries),
        tuple(tables),
        tuple(files),
    )


def _empty_file_error(people: Path) -> ConfigError:
    return ConfigError(f"{people} has no people", hint=EMPTY_HINT)


def configured_ledger(path: Path) -> str | None:
    """Returns the URL of the ledger in a configuration file, or None if the file does not set it.

    Only the `[ledger]` table of the file is validated.

    Raises:
        ConfigError: the file is missing or unreadable, or its `[ledger]` table is invalid.
    """
    problems = Problems(MAX_PROBLEMS)
    file = _File(open_config(path), problems)
    document = file.parse(LedgerDocument)
    wanted = document is not None and document.ledger.url is not None
    url = _ledger(file, document.ledger).url if wanted and document is not None else None
    problems.check()
    return url


def retention(path: Path | None) -> timedelta:
    """Returns how long the ledger keeps completed entries, according to a configuration file.

    Returns the default if `path` is None. Only the `[ledger]` table of the file is validated.

    Raises:
        ConfigError: the file is missing or unreadable, or its `[ledger]` table is invalid.
    """
    problems = Problems(MAX_PROBLEMS)
    document = _File(open_config(path), problems).parse(LedgerDocument) if path else None
    problems.check()
    return (document or LedgerDocument()).ledger.keep


class _Entry(NamedTuple):
    """One `[[people]]` table, with merged memberships.

    Attributes:
        people: address, and file and line, of each person. The address is empty if the table has
            only logins.
        also: other addresses of the person, if there is only one.
        logins: the person's logins by account, if there is only one person.
    """

    people: tuple[tuple[str, str], ...]
    memberships: Memberships
    starts: date | None
    ends: date | None
    also: tuple[str, ...] = ()
    logins: Mapping[str, str] = {}


class _File:
    """A TOML file. Adds its problems to those of all files."""

    def __init__(self, toml: TomlFile, problems: Problems) -> None:
        self.toml = toml
        self._problems = problems

    def parse(self, shape: type[D]) -> D | None:
        """Validates the file and returns its content; None if it is invalid.

        Adds what is invalid to the problems.
        """
        try:
            return shape.model_validate(self.toml.table)
        except ValidationError as error:
            self.add_problems(shape_problems(error, shape))
        return None

    def add_problems(self, wrong: Iterable[ConfigError], *inside: str | int) -> bool:
        """Adds errors about one part of the file to the problems. Returns whether there were
        any."""
        number = len(self._problems.found)
        for error in wrong:
            self._problems.add(self.toml.located(error.within("", *inside)))
        return len(self._problems.found) > number


def _entries(
    file: _File, people: Iterable[PersonTable], index: RosterIndex, common: Memberships
) -> Iterator[_Entry]:
    """Yields the valid entries of a file. Adds the invalid ones to the problems."""
    for number, person in enumerate(people):
        place = ("people", number)
        unknown = index.unknown_names(person.accounts, person.groups, person.logins)
        if file.add_problems(unknown, *place):
            continue
        if not person.email and not person.logins:
            file.add_problems([ConfigError("it is missing")], *place, "email")
            continue
        try:
            check_days(person.from_, person.until)
            parts = [common, *map(index.group, person.groups), memberships(person.accounts)]
            found = check_has_account(merge_all(parts))
            emails = [person.email] if isinstance(person.email, str) else person.email or []
            check_identity(len(emails), person.also, person.logins, found)
        except ConfigError as error:
            file.add_problems([error], *place)
            continue
        several = isinstance(person.email, list)
        addresses = [
            (email, file.toml.where((*place, "email", one) if several else (*place, "email")))
            for one, email in enumerate(emails)
        ] or [("", file.toml.where((*place, "logins")))]
        yield _Entry(
            tuple(addresses), found, person.from_, person.until, tuple(person.also), person.logins
        )


EXTRA_EMAILS = 2
"""Number of emails that a person may get within the period, besides one from each account."""


def _limits(settings: LimitsTable, accounts: int) -> Limits:
    return Limits(
        emails_per_person=settings.emails_per_person or accounts + EXTRA_EMAILS,
        period=settings.period,
        invitations=settings.invitations,
        removals=settings.removals,
        protected=frozenset(email_key(one) if is_email(one) else one for one in settings.protected),
    )


def _ledger(file: _File, settings: LedgerTable) -> LedgerSettings:
    url = settings.url
    if isinstance(url, FromEnvironment):
        found = os.environ.get(url.env, "")
        if not found:
            error = ConfigError(f"the environment variable {url.env} is not set")
            file.add_problems([error], "ledger", "url")
        url = found
    return LedgerSettings(ledger_url(file.toml.path, configured=url), settings.keep)


def _merged_identity(name: str, identities: Iterable[Identity]) -> Identity:
    """Returns all names of the person who has an address or a login.

    Args:
        name: an address, or a login with a leading `@`.
        identities: the people of the roster. Those with the same main address are one person.

    Returns:
        An identity of the address alone if no person has it.

    Raises:
        InvalidArgument: `name` is not a valid address.
        ConfigError: no person has the login, or people with different names have it.
    """
    is_login = name.startswith("@")
    email, key = ("", login_key(name)) if is_login else read_email(name)
    everybody = list(identities)
    main = {_key_of(one) for one in everybody if key in _names_of(one)}
    if len(main) > 1:
        raise ConfigError(
            f"{name} belongs to several people of the roster: {', '.join(sorted(main))}",
            hint="Give the address of the person.",
        )
    if not main:
        if is_login:
            raise ConfigError(
                f"no person in the roster has the login {name}",
                hint="Give the account of the login, or the person's address.",
            )
        return Identity(email=email)
    same = [one for one in everybody if _key_of(one) in main]
    return Identity(
        email=next((one.email for one in same if one.email), None),
        also=tuple({email_key(also): also for one in same for also in one.also}.values()),
        logins={account: login for one in same for account, login in one.logins.items()},
    )


def _key_of(one: Identity) -> str:
    """Returns the key by which entries about the same person are recognized."""
    if one.email:
        return email_key(one.email)
    return login_key(next(iter(one.logins.values()), ""))


def _names_of(one: Identity) -> set[str]:
    """Returns the keys of all names of a person."""
    addresses = {email_key(email) for email in (one.email, *one.also) if email}
    return addresses | {login_key(login) for login in one.logins.values()}
