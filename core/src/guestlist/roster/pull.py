"""Writing a roster: the people whom the services hold, as `guestlist.roster.file` reads them.

A few people become `[[people]]` of the file itself, those who are in the same accounts with the
same roles together; many become rows of a CSV file beside it, written as they come. Everything else
in the file stays as it is, with its comments.
"""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

from guestlist.address import email_key, read_email
from guestlist.config import open_config
from guestlist.errors import ConfigError, InvalidOrder
from guestlist.models import OPEN_STATES, State
from guestlist.roster import cells
from guestlist.roster.circle import together
from guestlist.roster.problems import MOST
from guestlist.roster.stay import Stay
from guestlist.spreadsheets import guarded
from guestlist.tomlfile import unknown

MANY = 1000
"""People in the file itself, at most."""
TABLE = "people.csv"
"""The file beside it for more."""
PEOPLE = ("people", "people_from")
"""The keys that are written anew."""
OWNER_ONLY = 0o600
"""Who may read a new file: addresses are nobody else's business."""
THERE = OPEN_STATES | {State.ACCEPTED, State.UNKNOWN}
"""The states of those whom nobody should miss."""
WIDTH = 88
"""Letters in a line, above which a list has a line for each of its elements."""

Present = tuple[str, str, tuple[str, ...] | None, State]
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
    """

    files: tuple[Path, ...]
    memberships: int = 0
    left_out: tuple[str, ...] = ()
    left_out_count: int = 0


def pull(
    path: Path, present: Iterable[Present], *, replace: bool = False, table: bool = False
) -> Pulled:
    """Writes who is in the accounts, or has an open invitation, as the people of a roster.

    Args:
        path: a roster that is there, with its accounts.
        present: everybody, in any order. Whoever is neither a member nor can still accept an
            invitation is passed over.
        replace: whether people who are in the roster already give way, with their days, options
            and groups, and a `people.csv` beside it.
        table: write rows of a `people.csv`, however few there are.

    Raises:
        ConfigError: the roster cannot be read or written, lacks an account, or has people in it
            that are not to give way. Nothing was changed.
    """
    kept = _Kept.read(path, replace)
    pulled = Pulled((path,))
    rows = _checked(present, kept.accounts, pulled)
    found: dict[str, _Person] = {}
    for row in rows:
        person = found.setdefault(email_key(row.email), _Person(row.email, {}))
        person.stays.update(together([person.stays, {row.account: Stay(row.roles)}]))
        if table or len(found) > MANY:
            _write_many(path, kept, chain(_rows(found), rows), pulled, replace)
            return pulled
    with _written(path) as file:
        file.write(kept.followed_by("\n".join(_tables(found, kept.accounts))))
    pulled.memberships = sum(len(person.stays) for person in found.values())
    return pulled


class _Row(NamedTuple):
    account: str
    email: str
    roles: tuple[str, ...] | None


class _Person(NamedTuple):
    email: str
    stays: dict[str, Stay]


@dataclass
class _Kept:
    """A roster without its people.

    Attributes:
        accounts: their names.
    """

    accounts: tuple[str, ...]
    text: str

    @classmethod
    def read(cls, path: Path, replace: bool) -> _Kept:
        file = open_config(path)
        if not replace and not file.table.keys().isdisjoint(PEOPLE):
            raise _in_the_way(f"{path} has people in it")
        kept = {key: value for key, value in file.table.items() if key not in PEOPLE}
        with suppress(TOMLKitError, tomllib.TOMLDecodeError):
            document = tomlkit.parse(file.text)
            for key in PEOPLE:
                document.pop(key, None)
            left = tomlkit.dumps(document)
            if tomllib.loads(left) == kept:
                return cls(tuple(kept.get("accounts", {})), left.rstrip())
        raise ConfigError(f"{path} cannot be rewritten", hint="Take the people out of it.")

    def followed_by(self, people: str) -> bytes:
        """The roster with other people."""
        text = f"{self.text}\n\n{people}" if people else f"{self.text}\n"
        if "\r\n" in self.text:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return text.encode()


def _in_the_way(what: str) -> ConfigError:
    return ConfigError(what, hint="They give way only if you ask for it: --replace.")


def _checked(
    present: Iterable[Present], accounts: tuple[str, ...], pulled: Pulled
) -> Iterator[_Row]:
    """Those who belong into a roster. Notes who cannot be in one."""
    for account, email, roles, state in present:
        if account not in accounts:
            raise unknown("account", account, accounts)
        if state not in THERE:
            continue
        wrong = _what_is_wrong(email, roles, state)
        if not wrong:
            yield _Row(account, read_email(email)[0], roles)
            continue
        pulled.left_out_count += 1
        if pulled.left_out_count <= MOST:
            pulled.left_out += (f"{account}: {wrong}",)


def _what_is_wrong(email: str, roles: tuple[str, ...] | None, state: State) -> str | None:
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


def _tables(found: Mapping[str, _Person], accounts: tuple[str, ...]) -> Iterator[str]:
    """A `[[people]]` for all who are in the same accounts with the same roles, by address."""
    alike: dict[tuple[tuple[str, tuple[str, ...] | None], ...], list[str]] = {}
    for _, person in sorted(found.items()):
        held = tuple(
            (account, roles if roles is None else tuple(sorted(roles)))
            for account, (roles, _) in sorted(
                person.stays.items(), key=lambda pair: accounts.index(pair[0])
            )
        )
        alike.setdefault(held, []).append(person.email)
    for held, emails in alike.items():
        lines = ["[[people]]", f"email = {_list(emails) if emails[1:] else _text(emails[0])}"]
        for account, roles in held:
            lines.append(f"accounts.{_key(account)} = {'true' if roles is None else _list(roles)}")
        yield "\n".join(lines) + "\n"


def _list(values: Iterable[str]) -> str:
    written = [_text(value) for value in values]
    line = ", ".join(written)
    return f"[{line}]" if len(line) < WIDTH else "[\n    " + ",\n    ".join(written) + ",\n]"


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    return tomlkit.string(value).as_string()


# ---------------------------------------------------------------------------- as CSV


def _rows(found: Mapping[str, _Person]) -> Iterator[_Row]:
    for person in found.values():
        for account, stay in person.stays.items():
            yield _Row(account, person.email, stay.roles)


def _write_many(
    path: Path, kept: _Kept, rows: Iterable[_Row], pulled: Pulled, replace: bool
) -> None:
    table = path.parent / TABLE
    if table.exists() and not replace:
        raise _in_the_way(f"{table} is there already")
    with _written(path) as file:
        file.write(kept.followed_by(f'[[people_from]]\nfile = "{TABLE}"\n'))
        with _written(table) as below, _as_text(below) as text:
            writer = csv.writer(text)
            writer.writerow(("email", "account", "roles"))
            for account, email, roles in rows:
                held = "" if roles is None else guarded(cells.join(roles)) or cells.NOTHING
                row = (guarded(email), guarded(cells.join([account])), held)
                writer.writerow(row)
                pulled.memberships += 1
    pulled.files = (path, table)


@contextmanager
def _as_text(file: IO[bytes]) -> Iterator[IO[str]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")  # the mark is for spreadsheets
    yield text
    text.detach()


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of another once it is complete, with the rights of that one."""
    path = path.resolve()  # a link stays one
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            temporary = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else OWNER_ONLY)
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                os.remove(temporary)
