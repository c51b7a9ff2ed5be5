"""Where the ledger is. Loads neither a database nor what one needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.errors import ConfigError

if TYPE_CHECKING:
    from guestlist.exchange.clock import Clock
    from guestlist.ledger import Ledger

FILE = "guestlist.db"
_SQLITE = "sqlite:///"


def ledger_url(
    config_path: Path | None, given: str | None = None, configured: str | None = None
) -> str:
    """The URL of the ledger's database, as SQLAlchemy writes it. May hold a password.

    Args:
        config_path: the configuration file; None where there is none, for the current folder.
        given: what was typed: a URL, or the path of a SQLite file. Counts first.
        configured: what the configuration file says, beside which a relative path is meant.

    Raises:
        ConfigError: the path cannot be part of a URL.
    """
    folder = config_path.parent if config_path else Path()
    if given:
        return url_of(given)
    return url_of(configured or FILE, folder)


def open_ledger(
    url: str, *, create: bool = True, read_only: bool = False, clock: Clock | None = None
) -> Ledger:
    """Opens a ledger.

    Args:
        create: makes one where there is none. Otherwise that is an error, because whoever only
            reads has most likely named another file than was meant.
        read_only: nothing is ever written to it.
        clock: another clock than the machine's.

    Raises:
        ConfigError: there is none, the URL is none, or the extra `guestlist[ledger]` is not
            installed.
        LedgerError: it cannot be opened.
    """
    from guestlist.ledger import Ledger

    path = _file(url)
    if path is not None and not create and not path.exists():
        raise ConfigError(
            f"there is no ledger {path}",
            hint="The first run makes one; another place is named by --ledger.",
        )
    return Ledger(url, clock=clock, read_only=read_only)


def url_of(place: str, folder: Path = Path()) -> str:
    """The URL of a place.

    Args:
        place: a URL, or the path of a SQLite file.
        folder: beside which a relative path is meant.

    Raises:
        ConfigError: the path cannot be part of a URL.
    """
    path = Path(place).expanduser() if "://" not in place else _file(place)
    if path is None:
        return place
    if "?" in str(folder / path):
        raise ConfigError(f"the ledger's path {str(folder / path)!r} has a question mark in it")
    return f"{_SQLITE}{(folder / path).absolute()}"


def _file(url: str) -> Path | None:
    """The file of a SQLite URL; None where it has options, or is no such URL."""
    name = url.removeprefix(_SQLITE)
    return None if name == url or "?" in name else Path(name)
