"""Where a ledger is: the path of a SQLite file, or the URL of a database."""

from __future__ import annotations

from pathlib import Path

from guestlist.errors import ConfigError

LEDGER_FILE = "guestlist.db"
"""Default name of the ledger's file."""
_SQLITE = "sqlite:///"


def ledger_url(
    config_path: Path | None, given: str | None = None, configured: str | None = None
) -> str:
    """Returns the URL of the ledger's database in SQLAlchemy's form. It may contain a password.

    Args:
        config_path: the configuration file. The default ledger is in its folder, or in the current
            folder if there is no configuration file.
        given: a URL or the path of a SQLite file, as typed by the user. It takes precedence.
        configured: the location in the configuration file. A relative path is relative to that
            file.

    Raises:
        ConfigError: the path contains a question mark.
    """
    folder = config_path.parent if config_path else Path()
    if given:
        return url_of(given)
    return url_of(configured or LEDGER_FILE, folder)


def url_of(location: str, folder: Path = Path()) -> str:
    """Returns the database URL of a ledger.

    Args:
        location: a URL, or the path of a SQLite file.
        folder: the folder that a relative path starts from.

    Raises:
        ConfigError: the path contains a question mark.
    """
    path = Path(location).expanduser() if "://" not in location else file_of(location)
    if path is None:
        return location
    if "?" in str(folder / path):
        raise ConfigError(
            f"the ledger's path {str(folder / path)!r} contains a question mark",
            hint="Choose a path without one, because it starts the options of a database URL.",
        )
    return f"{_SQLITE}{(folder / path).absolute()}"


def file_of(url: str) -> Path | None:
    """Returns the file of a SQLite URL. None if the URL has options or is of another database."""
    name = url.removeprefix(_SQLITE)
    return None if name == url or "?" in name else Path(name)
