"""`config`: writes, checks or finds the accounts' file."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from guestlist.cli.confirmation import confirm
from guestlist.cli.document import AccountRow, FileRow
from guestlist.cli.parser import UsageError
from guestlist.cli.printing import print_errors, print_message, print_text
from guestlist.cli.session import Session, no_account_error
from guestlist.cli.text import ONLY_READ, comma_list, printable
from guestlist.client import Guestlist
from guestlist.config import CONFIG_VARIABLE, FILE, config_path
from guestlist.errors import ConfigError, GuestlistError
from guestlist.exchange.account import Budget
from guestlist.files import create_file, file_exists_error
from guestlist.plugins import installed
from guestlist.provider import Provider

CHECK_SECONDS = 20.0
"""The longest time that `config init` waits for a service."""


def run_config(session: Session) -> None:
    """Runs the action on the command line: init, check or path."""
    given = session.arguments
    if given.sandbox:
        raise UsageError("`config` does not work on a sandbox", hint="Leave out --sandbox.")
    if given.action != "init" and given.provider:
        raise UsageError(
            f"`config {given.action}` takes no provider", hint="Name the file with --config."
        )
    {"init": _init, "check": _check, "path": _path}[given.action](session)


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
    path = Path(given.config or os.environ.get(CONFIG_VARIABLE) or FILE)
    if os.path.lexists(path):
        raise file_exists_error(path)
    answers: dict[str, dict[str, str]] = {}
    if given.provider and not given.json and sys.stdin.isatty() and sys.stderr.isatty():
        answers = {kind.name: ask_settings(kind) for kind in providers}
        for kind in providers:
            _check_key(kind, answers[kind.name])
    create_file(path, template(providers, answers))
    session.results.append(FileRow(path=str(path), written=True))
    if not given.json:
        print_text(f"{path} written.")
        if variables := needed_variables(providers, answers):
            print_text(
                f"Next: set {comma_list(variables)}, or remove the accounts you do not use;"
                " then run `guestlist check` to check the keys."
            )
        session.printed = True


def ask_settings(kind: type[Provider]) -> dict[str, str]:
    """Asks for the settings that an account of the provider needs, except those in environment
    variables. Secrets are not shown while they are typed.

    Returns:
        The answers by the name of the setting. An empty answer is left out.
    """
    from guestlist.cli.commands.config_template import needed_settings

    print_text(f"{kind.title}: press Enter to leave a setting for later.")
    answers = {}
    for setting in needed_settings(kind):
        if setting.env and os.environ.get(setting.env):
            print_text(f"{setting.name}: taken from {setting.env}")
            continue
        answer = ""
        question = f"{setting.name} ({printable(setting.description.rstrip('.'))}): "
        if setting.secret:
            with suppress(EOFError):  # at the end of the input, the setting stays empty
                answer = getpass.getpass(question)
        else:
            print(question, end="", file=sys.stderr, flush=True)
            answer = sys.stdin.readline()
        if answer.strip():
            answers[setting.name] = answer.strip()
    return answers


def _check_key(kind: type[Provider], answers: Mapping[str, str]) -> None:
    """Checks the settings at the service. If they do not work, asks whether to write them anyway.

    Raises:
        Declined: the user does not want the file.
    """
    try:
        provider = kind(**answers)
        with Guestlist({kind.name: provider}, budget=Budget(total=CHECK_SECONDS)) as guests:
            organization = guests.check()
    except GuestlistError as error:
        print_errors([error])
        confirm("Write the file all the same?", yes=False)
    else:
        print_text(f"{kind.title}: the key can read" + f" ({organization})." * bool(organization))
        print_message("hint", ONLY_READ)


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
