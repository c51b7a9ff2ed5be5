"""`config`: writes, checks or finds the accounts' file."""

from __future__ import annotations

import os
from pathlib import Path

from guestlist.cli.document import AccountRow, FileRow
from guestlist.cli.parser import UsageError
from guestlist.cli.printing import print_text
from guestlist.cli.session import Session, no_account_error
from guestlist.cli.text import comma_list
from guestlist.config import FILE, VARIABLE, config_path
from guestlist.errors import ConfigError
from guestlist.plugins import installed

OWNER_ONLY = 0o600
"""Permissions of the file, because it may contain keys."""


def run_config(session: Session) -> None:
    """Runs the action on the command line: init, check or path."""
    given = session.arguments
    if given.sandbox:
        raise UsageError("`config` does not work on a sandbox", hint="Leave out --sandbox.")
    if given.action != "init" and (given.file or given.provider):
        raise UsageError(
            f"`config {given.action}` takes neither a file nor --provider",
            hint="Name the file with --config.",
        )
    {"init": _init, "check": _check, "path": _path}[given.action](session)


def create_file(path: Path, text: str) -> None:
    """Creates a file that only its owner can read.

    Raises:
        ConfigError: the file exists already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        raise file_exists_error(path) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def file_exists_error(path: Path) -> ConfigError:
    """Returns the error for a file that would be overwritten."""
    return ConfigError(
        f"{path} exists already; it was not changed", hint="Name another file, or remove it."
    )


def _init(session: Session) -> None:
    from guestlist.cli.commands.config_template import needed_variables, template

    given = session.arguments
    plugins = installed()
    names = list(dict.fromkeys(given.provider)) or list(plugins.providers)
    providers = [plugins.provider(name) for name in names]
    if not providers:
        raise ConfigError(
            "no provider is installed", hint="Install one, such as: pip install guestlist-vultr"
        )
    path = Path(given.file or given.config or os.environ.get(VARIABLE) or FILE)
    create_file(path, template(providers))
    session.results.append(FileRow(path=str(path), written=True))
    if not given.json:
        print_text(f"{path} written.")
        variables = comma_list(needed_variables(providers))
        print_text(
            f"Next: set {variables}, or remove the accounts you do not use;"
            " then run `guestlist check` to check the keys."
        )
        session.printed = True


def _check(session: Session) -> None:
    for name, provider in session.guests.accounts.items():
        session.results.append(
            AccountRow(
                account=name,
                provider=provider.name,
                title=provider.title,
                base_url=provider.base_url,
            )
        )
    if not session.results:
        raise no_account_error()


def _path(session: Session) -> None:
    found = config_path(session.arguments.config)
    session.results.append(FileRow(path=str(found.absolute()) if found else None))
    if not session.arguments.json:
        print_text(str(found.absolute()) if found else "the environment")
        session.printed = True
