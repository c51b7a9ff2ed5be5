"""Opens the objects that roster commands work with: the roster, its accounts and the ledger."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.cli.parser import UsageError
from guestlist.cli.session import Session
from guestlist.client import Guestlist
from guestlist.config import CONFIG_VARIABLE, FILE, config_path
from guestlist.errors import ConfigError
from guestlist.exchange.clock import Clock
from guestlist.ledger import open_ledger
from guestlist.location import file_of, url_of

if TYPE_CHECKING:
    from guestlist.ledger.ledger import Ledger
    from guestlist.roster.file import Roster


@dataclass
class OpenedRoster:
    """A roster with its accounts and its ledger, as selected on the command line.

    Attributes:
        make: creates another client for the same accounts, with the given clock.
        imitated: whether the accounts are in a sandbox.
    """

    roster: Roster
    guests: Guestlist
    ledger: Ledger
    make: Callable[[Clock], Guestlist]
    imitated: bool


@contextmanager
def open_roster(
    session: Session, *, create: bool = True, reads_only: bool = False
) -> Iterator[OpenedRoster]:
    """Opens the roster, its accounts and its ledger, and closes them at the end.

    Args:
        create: create the ledger that `--ledger` names if there is none.
        reads_only: if the ledger's file is not writable, open it read-only; if there is none and it
            cannot be created, use a temporary one.

    Raises:
        UsageError: `create` is not set, and the ledger would be a new one.
        ConfigError: the roster, the accounts or the ledger's location are invalid.
        SandboxError: no sandbox answers at the given URL.
    """
    from guestlist.roster.file import read_roster

    path = roster_path(session)
    roster = read_roster(path, allow_empty=session.arguments.allow_empty)
    config = session.config(roster.toml, starts_sandbox=True)
    location = session.arguments.ledger
    if session.has_temporary_ledger:
        if not create:
            raise UsageError(
                "on a sandbox, every command has a new ledger, which contains no deferred roles",
                hint="Name one with --ledger FILE, for `apply` and for `settle`.",
            )
        location = str(session.temporary_folder() / "guestlist.db")
    create = create or location is None
    url = url_of(location) if location else roster.ledger.url
    file = file_of(url)
    is_writable = not reads_only or file is None or _is_writable(file)
    if file is not None and not is_writable and not file.exists() and file.parent.is_dir():
        url, is_writable = url_of(str(session.temporary_folder() / file.name)), True
    note = getattr(session.arguments, "note", None)
    with ExitStack() as closing:
        ledger = closing.enter_context(
            open_ledger(
                url, create=create, read_only=not is_writable, clock=session.clock, note=note
            )
        )

        def make(clock: Clock) -> Guestlist:
            # the client writes its rate limits to the ledger, to share them with other processes
            return session.client(config, ledger if is_writable else None, clock)

        guests = session.with_timeout(closing.enter_context(make(session.clock)))
        yield OpenedRoster(roster, guests, ledger, make, imitated=bool(session.arguments.sandbox))


def _is_writable(file: Path) -> bool:
    """Returns whether SQLite can write to a file or create it. It also writes a log beside the
    file."""
    return os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))


def roster_path(session: Session) -> Path:
    """Returns the path of the roster: the file on the command line, or the accounts' file.

    Raises:
        ConfigError: no file is named, and there is no accounts' file.
    """
    given = session.arguments.roster or session.arguments.config
    path = Path(given) if given else config_path()
    if path is None:
        raise ConfigError(
            f"there is no {FILE} in this folder",
            hint=f"Name the roster file, set {CONFIG_VARIABLE}, or run `guestlist config init`.",
        )
    return path
