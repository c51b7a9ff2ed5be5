"""Opens the objects that roster commands work with: the roster, its accounts and the ledger."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.cli.parser import DEFAULT_SANDBOX
from guestlist.cli.session import Session, client
from guestlist.client import Guestlist
from guestlist.config import FILE, VARIABLE, Config, config_path, load_config, read_config
from guestlist.errors import ConfigError
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.ledger.opening import open_ledger
from guestlist.location import file_of, ledger_url, url_of
from guestlist.plugins import installed
from guestlist.provider import Provider
from guestlist.tomlfile import TomlFile

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
        ConfigError: the roster, the accounts or the ledger's location are invalid.
        SandboxError: no sandbox answers at the given URL.
    """
    from guestlist.roster.file import read_roster

    path = roster_path(session)
    roster = read_roster(path, allow_empty=session.arguments.allow_empty)
    with ExitStack() as closing:
        config = configured_accounts(session, roster.toml, closing)
        location = session.arguments.ledger
        if (
            location is None and session.arguments.sandbox
        ):  # this process ends the sandbox and deletes its data
            folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="guestlist-"))
            location = str(Path(folder) / "guestlist.db")
        create = create or location is None
        url = ledger_url(None, location) if location else roster.ledger.url
        note = getattr(session.arguments, "note", None)
        file = file_of(url)
        is_writable = not reads_only or file is None or _is_writable(file)
        if file is not None and not is_writable and not file.exists() and file.parent.is_dir():
            folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="guestlist-"))
            url, is_writable = url_of(str(Path(folder) / file.name)), True
        ledger = closing.enter_context(
            open_ledger(
                url, create=create, read_only=not is_writable, clock=session.clock, note=note
            )
        )

        def make(clock: Clock) -> Guestlist:
            # the client writes its rate limits to the ledger, to share them with other processes
            return client(session, config, clock, ledger if is_writable else None)

        guests = with_timeout(session, closing.enter_context(make(session.clock)))
        yield OpenedRoster(roster, guests, ledger, make, imitated=bool(session.arguments.sandbox))


def _is_writable(file: Path) -> bool:
    """Returns whether SQLite can write to a file or create it. It also writes a log beside the
    file."""
    return os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))


def configured_accounts(session: Session, roster: TomlFile, closing: ExitStack) -> Config:
    """Returns the accounts of a roster: those that `--account` names, or all. With `--sandbox`, the
    providers of the sandbox replace them. Also sets the session's clock.

    Args:
        closing: closes the sandbox.

    Raises:
        ConfigError: the accounts are not valid.
        SandboxError: no sandbox answers at the URL of `--sandbox`.
    """
    session.warn_about_plugins()
    only = getattr(session.arguments, "account", ())
    if session.arguments.sandbox:
        imitated, session.clock = _sandbox(session, closing)
        return read_config(roster, installed(), instead=imitated, only=only)
    config = load_config(roster, installed(), only=only)
    session.clock = config.clock or SystemClock()
    return config


def with_timeout(session: Session, guests: Guestlist) -> Guestlist:
    """Returns the client with calls limited to `--timeout`. A run then skips pauses of a service
    that are longer."""
    limit = session.arguments.timeout
    return guests.with_budget(total=limit, waiting=limit) if limit else guests


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
            hint=f"Name the roster file, set {VARIABLE}, or run `guestlist config init`.",
        )
    return path


def _sandbox(session: Session, closing: ExitStack) -> tuple[dict[str, Provider], Clock]:
    """Returns the accounts and the clock of the sandbox. Starts a sandbox if none runs at the
    default URL."""
    from guestlist.sandbox.services import require_extra, service_classes

    require_extra()
    from guestlist.running_sandbox import SandboxClock
    from guestlist.sandbox.connect import accounts_of
    from guestlist.sandbox.control import SandboxControl
    from guestlist.sandbox.errors import SandboxError
    from guestlist.sandbox.server import Sandbox

    url = session.arguments.sandbox
    control = closing.enter_context(SandboxControl(url))
    try:
        return accounts_of(control), SandboxClock(control.now)
    except SandboxError:
        if url != DEFAULT_SANDBOX:
            raise
    sandbox = closing.enter_context(Sandbox(service_classes()))
    session.status.show("starting a sandbox")
    control = closing.enter_context(SandboxControl(sandbox.url))
    return accounts_of(control), SandboxClock(control.now)
