"""The objects that every function of this package works with: the roster, the client, the
ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from guestlist.address import read_email
from guestlist.client import Guestlist
from guestlist.config import Config, load_config
from guestlist.errors import GuestlistError, UnknownAccount
from guestlist.ledger import open_ledger
from guestlist.ledger.ledger import Ledger
from guestlist.ledger.store import Store
from guestlist.location import url_of
from guestlist.plugins import installed
from guestlist.roster.file import Roster, read_roster
from guestlist.runs.progress import (
    CheckingPlan,
    Planned,
    Progress,
    ReadingAccount,
    ReadingRoster,
    RunEvent,
    RunProblem,
)
from guestlist.runs.runner import Runner
from guestlist.runs.stop import Stop, StopClock


@dataclass(frozen=True)
class Selection:
    """The accounts and people that a plan or a run is limited to.

    Attributes:
        accounts: names of accounts; empty for every account in the roster.
        people: addresses in their normal form (`guestlist.address.email_key`); empty for everyone.
    """

    accounts: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()

    @classmethod
    def of(cls, accounts: Iterable[str], people: Iterable[str]) -> Selection:
        """Returns a selection of these accounts and addresses.

        Raises:
            InvalidArgument: an address is not valid.
        """
        return cls(frozenset(accounts), frozenset(read_email(person)[1] for person in people))

    def includes(self, account: str, key: str) -> bool:
        """Returns whether a person in an account is selected."""
        return self.includes_account(account) and (not self.people or key in self.people)

    def includes_account(self, account: str) -> bool:
        """Returns whether an account is selected."""
        return not self.accounts or account in self.accounts

    def __str__(self) -> str:
        return " ".join([*sorted(self.accounts), *sorted(self.people)])


EVERYBODY = Selection()


class RunInterrupted(Exception):
    """The run was asked to stop. Its remaining changes stay in the ledger."""


@dataclass
class Context:
    """An open roster with its client and its ledger.

    Attributes:
        client: the caller's client, or one made from the roster. Its waits end with `stop`.
        stop: ends the run early.
        selection: the accounts and people that the run is limited to.
        handles_stop: whether the caller passed `stop` and wants a result after Ctrl-C.
        errors: failures so far that did not end the run.
    """

    roster: Roster
    client: Guestlist
    store: Store
    runner: Runner
    stop: Stop
    handles_stop: bool
    emit: Progress
    selection: Selection = EVERYBODY
    errors: list[GuestlistError] = field(default_factory=list)

    def accounts(self) -> list[str]:
        """Returns the selected accounts that the roster names.

        Raises:
            UnknownAccount: the roster does not name a selected account.
        """
        named = self.roster.accounts
        for name in sorted(self.selection.accounts):
            self.client.account(name)
            if name not in named:
                raise UnknownAccount(
                    f"the roster does not name the account {name!r}",
                    hint=f"It names these accounts: {', '.join(named) or 'none'}.",
                )
        return [name for name in named if self.selection.includes_account(name)]

    def report(self, *errors: GuestlistError) -> None:
        """Records errors that do not end the run, and emits a `RunProblem` for each."""
        for error in errors:
            self.errors.append(error)
            self.emit(RunProblem(error))


@contextmanager
def open_context(
    roster: Roster | str | Path,
    ledger: Ledger | str | Path | None,
    client: Guestlist | None,
    on_progress: Progress | None,
    stop: Stop | None = None,
    *,
    selection: Selection | None = None,
    allow_empty: bool = False,
    actor: str | None = None,
    note: str | None = None,
) -> Iterator[Context]:
    """Opens the roster, the client and the ledger of a run. At the end, closes those that it opened
    itself.

    Args:
        roster: the roster or the path of its file.
        ledger: an open ledger, a file or a URL. By default the one that the roster names.
        client: by default a client for the roster's accounts.
        allow_empty: accept files of people that are empty.
        actor, note: who starts the run, and the reason; by default as set in the ledger.

    Raises:
        ConfigError: the roster, its accounts or the ledger's location are invalid.
        LedgerError: the ledger cannot be opened.
    """
    if not isinstance(roster, Roster):
        roster = read_roster(Path(roster), allow_empty=allow_empty)
    own_stop = Stop() if stop is None else stop  # a new Stop is false
    with ExitStack() as closing:
        config = Config()
        if client is None:
            only = selection.accounts if selection else ()
            config = load_config(roster.toml, installed(), only=only)
        clock = config.clock if client is None else client.clock
        if not isinstance(ledger, Ledger):
            url = roster.ledger.url if ledger is None else url_of(str(ledger))
            ledger = closing.enter_context(open_ledger(url, clock=clock))
        if actor or note:
            ledger = ledger.acting_as(actor, note)
        if client is None:
            client = Guestlist(
                config.accounts,
                clock=clock,
                allowed_domains=config.allowed_domains,
                budget=config.budget,
                ledger=ledger,
            )
            closing.enter_context(client)
        client = client.with_clock(StopClock(own_stop, client.clock))
        yield Context(
            roster,
            client,
            ledger.store,
            Runner(client, ledger.store, own_stop, ledger.origin),
            own_stop,
            stop is not None,
            _emitter(on_progress, own_stop),
            selection or EVERYBODY,
        )


def _emitter(on_progress: Progress | None, stop: Stop) -> Progress:
    """Returns a callback that passes events on, and raises `RunInterrupted` during the reading
    phase if the run is to stop."""

    def emit(event: RunEvent) -> None:
        if on_progress is not None:
            on_progress(event)
        if stop and isinstance(event, ReadingRoster | ReadingAccount | CheckingPlan | Planned):
            raise RunInterrupted

    return emit
