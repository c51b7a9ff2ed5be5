"""What the commands of a roster work with: the roster, its accounts, and the ledger."""

from __future__ import annotations

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
from guestlist.exchange.clock import Clock
from guestlist.ledger.place import ledger_url, open_ledger
from guestlist.plugins import installed
from guestlist.provider import Provider
from guestlist.tomlfile import TomlFile

if TYPE_CHECKING:
    from guestlist.ledger.runner import Runner
    from guestlist.ledger.stop import Stop
    from guestlist.ledger.store import Store
    from guestlist.roster.file import Roster


@dataclass
class Desk:
    """A roster on the desk.

    Attributes:
        guests: a client whose waits end when `stop` is given.
        make: makes another, with the clock that is given, for a worker in this process.
        url: of the ledger's database.
        imitated: the accounts are a sandbox's: nothing that is sent is real.
    """

    roster: Roster
    guests: Guestlist
    store: Store
    runner: Runner
    stop: Stop
    make: Callable[[Clock], Guestlist]
    url: str
    imitated: bool


@contextmanager
def desk(session: Session, *, create: bool = True) -> Iterator[Desk]:
    """Opens everything that belongs to a roster; closes it at the end.

    Args:
        create: makes a ledger where one is named, and there is none.

    Raises:
        ConfigError: the roster, the accounts or the ledger are not as they must be.
        SandboxError: no sandbox answers at the URL that was given.
    """
    from guestlist.ledger.runner import Runner
    from guestlist.ledger.stop import Stop
    from guestlist.roster.file import read_roster

    roster = read_roster(roster_path(session))
    stop = Stop()
    with ExitStack() as closing:
        config = configured(session, roster.toml, stop, closing)
        place = session.arguments.ledger
        if place is None and session.arguments.sandbox:  # its world will be gone as well
            folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="guestlist-"))
            place = str(Path(folder) / "guestlist.db")
        create = create or place is None
        url = ledger_url(None, place) if place else roster.ledger.url
        ledger = closing.enter_context(open_ledger(url, create=create, clock=session.clock))

        def make(clock: Clock) -> Guestlist:
            return client(session, config, clock, ledger)

        guests = within(session, closing.enter_context(make(session.clock)))
        runner = Runner(guests, ledger.store, stop)
        yield Desk(
            roster,
            guests,
            ledger.store,
            runner,
            stop,
            make,
            url,
            imitated=bool(session.arguments.sandbox),
        )


def configured(session: Session, roster: TomlFile, stop: Stop, closing: ExitStack) -> Config:
    """Return the accounts of a roster that `--account` names, all without it. With `--sandbox`,
    the sandbox's providers take their place. Sets the session's clock.

    Args:
        stop: ends the waits of that clock.
        closing: closes the sandbox.

    Raises:
        ConfigError: the accounts are not valid.
        SandboxError: no sandbox answers at the URL of `--sandbox`.
    """
    from guestlist.ledger.stop import StopClock

    session.warn_about_plugins()
    only = getattr(session.arguments, "account", ())
    clock: Clock | None
    if session.arguments.sandbox:
        imitated, clock = _sandbox(session, closing)
        config = read_config(roster, installed(), instead=imitated, only=only)
    else:
        config = load_config(roster, installed(), only=only)
        clock = config.clock
    session.clock = StopClock(stop, clock)
    return config


def within(session: Session, guests: Guestlist) -> Guestlist:
    """The client, whose calls take no longer than `--timeout` says."""
    total = session.arguments.timeout
    return guests.with_budget(total=total) if total else guests


def telling(session: Session) -> Callable[[str, str, int], None]:
    """Tells how much of which account has been read, as `guestlist.roster.present.Progress`."""
    reading: dict[tuple[str, str], int] = {}

    def progress(account: str, what: str, read: int) -> None:
        reading[account, what] = read
        told = [f"{name}: {number:,} {kind}" for (name, kind), number in sorted(reading.items())]
        session.progress.tell(f"reading {', '.join(told)}")

    return progress


def roster_path(session: Session) -> Path:
    """The roster: the file that was given, or where the accounts are configured.

    Raises:
        ConfigError: there is none.
    """
    given = session.arguments.roster or session.arguments.config
    path = Path(given) if given else config_path()
    if path is None:
        raise ConfigError(
            f"there is no {FILE} here",
            hint=f"Name the roster, or set {VARIABLE}; `guestlist config init` writes one.",
        )
    return path


def _sandbox(session: Session, closing: ExitStack) -> tuple[dict[str, Provider], Clock]:
    """The accounts of the sandbox that was named; of one of its own where none runs."""
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
    session.progress.tell("starting a sandbox")
    control = closing.enter_context(SandboxControl(sandbox.url))
    return accounts_of(control), SandboxClock(control.now)
