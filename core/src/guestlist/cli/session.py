"""The state of one command: its arguments, its accounts, its results and errors."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.cli.parser import DEFAULT_SANDBOX
from guestlist.cli.printing import print_message
from guestlist.cli.status_line import StatusLine
from guestlist.cli.text import printable
from guestlist.client import Guestlist
from guestlist.config import Config, config_path, load_config, open_config, read_config
from guestlist.errors import GuestlistError, UnknownAccount
from guestlist.event import Event, EventName
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.ledger import open_ledger
from guestlist.location import LEDGER_FILE, ledger_url
from guestlist.plugins import installed
from guestlist.running_sandbox import sandbox_url
from guestlist.verbs.accounts import HOW_TO_CONFIGURE

if TYPE_CHECKING:
    from pydantic import BaseModel

    from guestlist.cli.screen import Screen
    from guestlist.ledger import Ledger
    from guestlist.provider import Provider
    from guestlist.tomlfile import TomlFile

WITHOUT_SANDBOX = frozenset({"config", "demo", "sandbox"})
"""Commands that ignore `GUESTLIST_SANDBOX`: they start a sandbox, or handle the accounts' file."""


class Session:
    """The state of one command. Commands read the arguments and append results and errors.

    Attributes:
        arguments: the parsed arguments.
        results, errors: appended by the command.
        printed: whether the command has printed its results itself.
        exit_code: the exit code if there are no errors; None for 0.
        changed_accounts: accounts to which a request other than a GET was sent.
    """

    def __init__(self, arguments: argparse.Namespace, closing: ExitStack) -> None:
        self.arguments = arguments
        if arguments.command not in WITHOUT_SANDBOX:
            arguments.sandbox = arguments.sandbox or sandbox_url()
        self.results: list[BaseModel] = []
        self.errors: list[GuestlistError] = []
        self.printed = False
        self.exit_code: int | None = None
        self.changed_accounts: set[str] = set()
        self.clock: Clock = SystemClock()
        self._closing = closing
        # without a handler, logging would print the library's warnings a second time
        logging.getLogger("guestlist").addHandler(logging.NullHandler())

    @cached_property
    def screen(self) -> Screen | None:
        """The output for people; None with `--json`.

        Raises:
            ConfigError: rich is not installed.
        """
        if self.arguments.json:
            return None
        from guestlist.cli.screen import Screen

        plain = getattr(self.arguments, "markdown", False)
        return Screen(everything=self.arguments.verbose, plain=plain)

    def show(self, rows: Sequence[BaseModel]) -> None:
        """Prints rows as tables for people, unless the command prints JSON."""
        if self.screen is None:
            return
        from guestlist.cli.formatting import RecordFormatter, RoleLabels
        from guestlist.cli.tables import Tables

        given, labels = self.arguments, RoleLabels(lambda: self.guests)
        Tables(
            self.screen,
            RecordFormatter(self.now, labels, exact=given.verbose),
            secrets=given.show_secrets,
            details=given.verbose,
            hides_suspension=lambda name: self.guests.accounts[name].hides_suspension,
        ).show(rows)

    @cached_property
    def status(self) -> StatusLine:
        """The status line that shows what the command waits for."""
        return StatusLine(None if self.arguments.quiet else self.screen)

    def close(self) -> None:
        """Closes the clients, the ledger and the sandbox that the session has opened."""
        self._closing.close()

    def end_status(self) -> None:
        """Removes the status line if there is one."""
        if "status" in vars(self):
            self.status.pause()

    @cached_property
    def guests(self) -> Guestlist:
        """The client for the selected accounts of the accounts' file or of the environment.

        Raises:
            ConfigError: the configuration is invalid.
            SandboxError: no sandbox answers at the URL.
        """
        path = config_path(self.arguments.config)
        config = self.config(None if path is None else open_config(path))
        return self.open_client(config, self._ledger())

    def config(self, file: TomlFile | None, *, starts_sandbox: bool = False) -> Config:
        """Returns the accounts that `--account` names, or all. With `--sandbox`, the providers of
        the sandbox replace them. Also sets the clock.

        Args:
            file: the accounts' file; None for the environment or, with `--sandbox`, for an account
                of each service.
            starts_sandbox: start a sandbox for this command if none runs at the default URL.

        Raises:
            ConfigError: the configuration is invalid.
            SandboxError: no sandbox answers at the URL.
        """
        self.warn_about_plugins()
        only = getattr(self.arguments, "account", ())
        if not self.arguments.sandbox:
            config = load_config(file, installed(), only=only)
            self.clock = config.clock or self.clock
            return config
        accounts = self._sandbox_accounts(starts_sandbox)
        if file is None:
            return Config(accounts)
        return read_config(file, installed(), instead=accounts, only=only)

    def client(
        self, config: Config, ledger: Ledger | None = None, clock: Clock | None = None
    ) -> Guestlist:
        """Returns a new client, which reports its events to this session.

        Args:
            clock: a clock to use instead of the session's.
        """
        return Guestlist(
            config.accounts,
            allowed_domains=config.allowed_domains,
            budget=config.budget,
            watch=self.watch,
            clock=clock or self.clock,
            ledger=ledger,
        )

    def open_client(self, config: Config, ledger: Ledger | None = None) -> Guestlist:
        """Returns a new client that is closed with the session. `--timeout` limits its calls."""
        return self.with_timeout(self._closing.enter_context(self.client(config, ledger)))

    def with_timeout(self, guests: Guestlist) -> Guestlist:
        """Returns the client with calls limited to `--timeout`, unless the command itself waits so
        long. A run then skips pauses of a service that are longer."""
        limit = None if getattr(self.arguments, "waits", False) else self.arguments.timeout
        return guests.with_budget(total=limit, waiting=limit) if limit else guests

    def temporary_folder(self) -> Path:
        """Returns a new folder that is deleted with the session."""
        folder = tempfile.TemporaryDirectory(prefix="guestlist-")
        return Path(self._closing.enter_context(folder))

    def warn_about_plugins(self) -> None:
        """Prints a warning for each plugin that cannot be loaded, because its policy is not
        enforced."""
        for broken in installed().broken:
            print_message("warning", broken.error.message)

    @property
    def has_temporary_ledger(self) -> bool:
        """Whether a run uses a ledger that is deleted with the session. True on a sandbox, unless
        `--ledger` names one."""
        return bool(self.arguments.sandbox) and self.arguments.ledger is None

    def _ledger(self) -> Ledger | None:
        """Returns the ledger of a command that changes something. None if it is neither named nor
        configured, and no earlier command created one."""
        if not getattr(self.arguments, "remembers", False):
            return None
        given = self.arguments.ledger
        if given is None and self.arguments.sandbox:
            return None  # a sandbox and its data end with the command
        path = config_path(self.arguments.config)
        beside = (path.parent if path else Path()) / LEDGER_FILE
        if not (given or self._configured_ledger() or beside.exists()):
            return None
        return self.ledger(create=True)

    def _configured_ledger(self) -> str | None:
        path = config_path(self.arguments.config)
        if path is None or self.arguments.ledger is not None:
            return None
        from guestlist.roster.file import configured_ledger

        return configured_ledger(path)

    def _sandbox_accounts(self, starts_sandbox: bool) -> dict[str, Provider]:
        """Returns an account for each service of the sandbox, and uses the sandbox's clock."""
        from guestlist.sandbox.services import accounts_of, require_extra, service_classes

        require_extra()
        from guestlist.running_sandbox import SandboxClock
        from guestlist.sandbox.control import SandboxControl
        from guestlist.sandbox.errors import SandboxError

        control = self._closing.enter_context(SandboxControl(self.arguments.sandbox))
        try:
            accounts = accounts_of(control)
        except SandboxError:
            if not starts_sandbox or self.arguments.sandbox != DEFAULT_SANDBOX:
                raise
            from guestlist.sandbox.server import Sandbox

            self.status.show("starting a sandbox")
            sandbox = self._closing.enter_context(Sandbox(service_classes()))
            self.arguments.sandbox = sandbox.url
            control = self._closing.enter_context(SandboxControl(sandbox.url))
            accounts = accounts_of(control)
        self.clock = SandboxClock(control.now)
        return accounts

    def ledger(self, *, create: bool, read_only: bool = False) -> Ledger:
        """Opens the selected ledger. It stays open until the command ends.

        Args:
            create: create the ledger if there is none. By default that is an error.
            read_only: open it read-only.

        Raises:
            ConfigError: the location is invalid, or the extra `guestlist[ledger]` is not installed.
            LedgerError: the ledger cannot be opened.
        """
        return self._closing.enter_context(
            open_ledger(
                self.ledger_url,
                create=create,
                read_only=read_only,
                clock=self.clock,
                note=getattr(self.arguments, "note", None),
            )
        )

    @property
    def ledger_url(self) -> str:
        """The URL of the selected ledger.

        Raises:
            ConfigError: the location is invalid.
        """
        given = self.arguments
        return ledger_url(config_path(given.config), given.ledger, self._configured_ledger())

    @property
    def now(self) -> datetime:
        """The present time, of the sandbox if one is used."""
        return self.clock.now()

    def accounts(self, *, every: bool) -> list[str]:
        """Returns the accounts that the command works on.

        Args:
            every: without `--account`, return all accounts. If not set, there must be only one.

        Raises:
            UnknownAccount: `--account` names an unknown account, there is no account, or there are
                several and none is named.
        """
        known = list(self.guests.accounts)
        for name in self.arguments.account:
            self.guests.account(name)
        named = list(dict.fromkeys(self.arguments.account))
        if named or (known and every) or len(known) == 1:
            return named or known
        if known:
            raise UnknownAccount(
                "no account is named, and there are several",
                hint=f"Add --account with one of: {', '.join(known)}.",
            )
        raise no_account_error()

    def watch(self, event: Event) -> None:
        """Receives every event of the client."""
        if event.method not in (None, "GET"):
            self.changed_accounts.add(event.account)
        self.status.watch(event)
        if self.arguments.verbose:
            self._print_line(f"  {event.at:%H:%M:%S} {printable(str(event))}", style="dim")
        elif event.name is EventName.PAUSE and not self.arguments.quiet:
            self._print_line(printable(f"{event.account}: {event.detail}"), style="yellow")

    def _print_line(self, text: str, style: str) -> None:
        """Prints a line on stderr, above a status line or progress bars."""
        if self.screen is not None:
            self.screen.err.print(text, soft_wrap=True, style=style)
        else:
            print(text, file=sys.stderr)


def no_account_error() -> UnknownAccount:
    """Returns the error for a command that needs an account if none is configured."""
    return UnknownAccount("no account is configured", hint=HOW_TO_CONFIGURE)
