"""`console`: serves the web console on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.cli.document import ConsoleRow
from guestlist.cli.exit_codes import DONE
from guestlist.cli.printing import print_document
from guestlist.cli.session import Session, no_account_error
from guestlist.client import Guestlist
from guestlist.config import Config, config_path, open_config
from guestlist.errors import missing_package_error
from guestlist.location import file_of
from guestlist.runs.stop import Stop, StopClock

if TYPE_CHECKING:
    from guestlist.cli.screen import Screen
    from guestlist.ledger.ledger import Ledger

LAST_RECORDS_SECONDS = 0.8
"""How long requests to services may still take after the console has stopped."""
MANAGED = 3
"""Accounts of the sandbox that its roster names."""


@dataclass
class Opened:
    """The client, the ledger and the roster that the console uses.

    Attributes:
        stop: the signal that ends the client's waits.
        mailbox: the address of the sandbox's mailbox; empty for real accounts.
    """

    client: Guestlist
    ledger: Ledger | None
    roster: Path | None
    stop: Stop
    mailbox: str = ""


def run_console(session: Session) -> None:
    """Serves the console. Prints its address and a one-time link once it answers."""
    if session.arguments.task:
        from guestlist.cli.commands.console_token import run_token

        run_token(session)
        return
    try:
        from guestlist.console.app import create_app
        from guestlist.console.server import serve
    except ModuleNotFoundError as error:
        raise missing_package_error("`console`", error, "console") from None
    given = session.arguments
    others = set(threading.enumerate())
    _ = session.screen  # read early, so that a missing rich is reported before anything starts
    with ExitStack() as closing:
        closing.callback(setattr, threading, "excepthook", threading.excepthook)
        opened = _open(session, closing)
        console = create_app(
            opened.client,
            ledger=opened.ledger,
            roster=opened.roster,
            read_only=given.read_only,
            mailbox=opened.mailbox,
        )
        closing.callback(console.finish, LAST_RECORDS_SECONDS)

        def ready(url: str) -> None:
            link = url + console.new_link()
            _show(session, url, link, opened)
            if session.screen is None or sys.stdin is None or not sys.stdin.isatty():
                return
            offer = partial(_offer_links, session.screen, lambda: url + console.new_link())
            threading.Thread(target=offer, daemon=True).start()
            if not given.no_browser:
                webbrowser.open(link)

        serve(console, given.port, on_ready=ready, on_stop=opened.stop)
        # A thread that still waits for a service will raise an error, because its client is closed.
        # That is expected, and must not be printed.
        threading.excepthook = _ignore
    session.printed = True
    session.close()
    _leave_hanging_threads(others)


def _ignore(_: threading.ExceptHookArgs) -> None:
    """Prints nothing about an exception that ends a thread."""


def _leave_hanging_threads(others: set[threading.Thread]) -> None:
    """Ends the process if a thread waits for a service that does not answer. Python would wait for
    the thread. The ledger has recorded its request, so the next call looks up the outcome.

    Args:
        others: threads that do not belong to the console.
    """
    ours = [one for one in threading.enumerate() if not one.daemon and one not in others]
    end = time.monotonic() + 0.1
    for thread in ours:
        thread.join(max(0.0, end - time.monotonic()))
    if any(one.is_alive() for one in ours):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(DONE)


def _open(session: Session, closing: ExitStack) -> Opened:
    """Opens the accounts, the roster and the ledger. With a sandbox, the ledger is temporary unless
    it is named, and the roster is temporary unless there is an accounts' file."""
    given = session.arguments
    path = config_path(given.config)
    config = session.config(None if path is None else open_config(path), starts_sandbox=True)
    if not config.accounts:
        raise no_account_error()
    if given.sandbox:
        folder = session.temporary_folder()
        given.ledger = given.ledger or str(folder / "guestlist.db")
        if path is None:
            path = folder / "guestlist.toml"
            path.write_text(_roster_text(config), encoding="utf-8")
    ledger = None
    file = file_of(session.ledger_url)
    if not given.read_only or file is None or file.exists():
        ledger = session.ledger(create=True, read_only=given.read_only)
    stop = Stop()
    client = session.client(config, None if given.read_only else ledger)
    guests = closing.enter_context(client).with_clock(StopClock(stop, session.clock))
    return Opened(guests, ledger, path, stop, given.sandbox or "")


def _roster_text(config: Config) -> str:
    """Returns a roster with two people for the sandbox, so that there is something to plan."""
    accounts = config.accounts
    plain = [name for name, provider in accounts.items() if not provider.least_roles]
    wanted = "".join(f"accounts.{name} = []\n" for name in plain[:MANAGED])
    lines = [f'[accounts.{name}]\nprovider = "{one.name}"\n' for name, one in accounts.items()]
    people = [f'[[people]]\nemail = "{name}@example.com"\n{wanted}' for name in ("ada", "grace")]
    return "\n".join([*lines, *people])


def _show(session: Session, url: str, link: str, opened: Opened) -> None:
    session.results.append(ConsoleRow(url=url, link=link))
    screen = session.screen
    if screen is None:
        print_document("console", session.results, [], show_secrets=True, code=DONE)
        sys.stdout.flush()
        return
    screen.line(f"The console is running at {url}. Ctrl-C ends it.", style="bold")
    if opened.mailbox:
        screen.line(f"The sandbox's mailbox, where invitees accept: {opened.mailbox}")
    screen.line()
    screen.line("This link signs in one browser, once, within ten minutes:")
    _print_link(screen, link)
    screen.line("Press Enter for another link.")


def _offer_links(screen: Screen, new_link: Callable[[], str]) -> None:
    """Prints another link whenever Enter is pressed."""
    for _ in sys.stdin:
        _print_link(screen, new_link())


def _print_link(screen: Screen, link: str) -> None:
    """Prints a link on one line, so that it can be copied."""
    screen.out.print(f"  {link}", soft_wrap=True, style="cyan", highlight=False)
