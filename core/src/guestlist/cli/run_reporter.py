"""Shows the events of a run: what it waits for, the plan, progress bars, and results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from guestlist.changes import Action
from guestlist.cli.changes import (
    MAX_CHANGES_ON_TERMINAL,
    markdown_block,
    show_changes,
    show_notes,
    totals_text,
)
from guestlist.cli.document import PlanRow, RunRow
from guestlist.cli.printing import print_message
from guestlist.cli.run_display import ProgressBars, show_orders, show_tallies
from guestlist.cli.text import comma_list, with_flags
from guestlist.humanize import quantity
from guestlist.ledger import orders
from guestlist.roster.plan import Plan
from guestlist.runs.progress import (
    AwaitingAcceptance,
    CheckingAcceptance,
    CheckingPlan,
    Planned,
    ReadingAccount,
    ReadingRoster,
    Reconciling,
    Resuming,
    RunEnded,
    RunEvent,
    RunProblem,
    RunProgress,
    RunStarted,
)

if TYPE_CHECKING:
    from guestlist.cli.opened_roster import OpenedRoster
    from guestlist.cli.session import Session
    from guestlist.cli.status_line import StatusLine
    from guestlist.provider import Provider
    from guestlist.runs.tally import Tally

MAX_CHANGES_IN_JSON = 100_000
"""The most changes in a JSON document. `plan --out` writes any number."""


ITEM_NOUNS = {
    "roles": ("role", "roles"),
    "invitations": ("invitation", "invitations"),
    "members": ("member", "members"),
    "access": ("member's roles", "members' roles"),
    "details": ("invitation in detail", "invitations in detail"),
    "people": ("person", "people"),
}
"""Names of the items that are read from an account: singular and plural."""


class RunReporter:
    """Receives the events of a run and shows them. Use it in a `with` block.

    Attributes:
        last: the last event.
    """

    def __init__(self, session: Session, at: OpenedRoster) -> None:
        self._session = session
        self._at = at
        self._closing = ExitStack()
        self._live: ProgressBars | None = None
        self._reading = reading_callback(session.status, at.guests.accounts)
        self.last: RunEvent | None = None

    def __enter__(self) -> RunReporter:
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def __call__(self, event: RunEvent) -> None:
        """Shows an event."""
        if not isinstance(event, RunProblem):
            self.last = event
        session, status = self._session, self._session.status
        match event:
            case ReadingRoster(path):
                status.show(f"reading {path}")
            case ReadingAccount(account, what, number):
                self._reading(account, what, number)
            case Reconciling():
                status.show_wait("looking up the outcome of requests that got no answer")
            case CheckingPlan():
                status.show("checking whether the services have changed since the plan was made")
            case Planned(plan):
                if isinstance(plan, Plan):  # A saved plan was already shown when it was made.
                    self.show_plan(plan)
            case Resuming(left=left):
                if session.screen is not None:
                    session.screen.line(
                        f"An earlier run was interrupted: {quantity(left, 'change')} left"
                        " (--fresh makes a new plan)."
                    )
            case RunProblem(error):
                session.errors.append(error)
            case RunStarted():
                status.pause()
                self._live = self._closing.enter_context(
                    ProgressBars(
                        None if session.arguments.quiet else session.screen,
                        self._at.guests.accounts,
                    )
                )
            case RunProgress(tallies=tallies):
                if self._live is not None:
                    self._live.show(tallies)
            case RunEnded(run, tallies):
                self._closing.close()
                self._live = None
                self._show_run(run, tallies)
            case CheckingAcceptance():
                status.show("checking who has accepted")
            case AwaitingAcceptance(people, unavailable):
                text = f"{comma_list(list(unavailable))} to answer"
                if people:
                    text = f"{quantity(people, 'person').replace('persons', 'people')} to accept"
                status.show_wait(f"waiting for {text}")

    def show_plan(self, plan: Plan) -> None:
        """Shows each change of a plan, and the totals."""
        session = self._session
        session.status.pause()
        counts = Counter[Action]()
        for by_action in plan.summary.counts.values():
            counts.update(by_action)
        if session.screen is None:
            for number, change in enumerate(plan.changes()):
                if number < MAX_CHANGES_IN_JSON:
                    session.results.append(
                        change.model_copy(update={"reason": with_flags(change.reason)})
                    )
            session.results.append(
                PlanRow(
                    counts=_plain(plan.summary.counts),
                    notes=_plain(plan.summary.notes),
                    over=tuple(map(str, plan.summary.over)),
                    nothing=plan.nothing,
                )
            )
            return
        providers = self._at.guests.accounts
        titles = {name: provider.title for name, provider in providers.items()}
        hiding = [name for name, provider in providers.items() if provider.hides_suspension]
        total = f"Plan: {totals_text(counts, sorted(plan.summary.errors))}."
        show = partial(show_changes, session.screen, plan, titles)
        if markdown := getattr(session.arguments, "markdown", False):
            with markdown_block(session.screen, total):
                show(everything=True)
                show_notes(session.screen, plan.summary.notes, hiding)
        else:
            show(everything=session.arguments.verbose)
            show_notes(session.screen, plan.summary.notes, hiding)
            session.screen.line(total, style="bold")
        if counts[Action.UNRESOLVED]:
            print_message(
                "hint",
                "Ask these people. If they got no email, --retry-unknown sends another one.",
            )
        forced = getattr(session.arguments, "force", False)
        for problem in plan.summary.over:
            needed = "" if forced else "; add --force to `apply` to allow it"
            if markdown:
                session.screen.line(f"**Warning:** {problem}{needed}")
            print_message("warning", f"{problem}{needed}")
        session.printed = True

    def _show_run(self, run: int, tallies: Mapping[str, Tally]) -> None:
        session = self._session
        if session.screen is None:
            session.results += map(_run_row, tallies.values())
            return
        ended = orders.settled_orders(self._at.ledger.store, run, MAX_CHANGES_ON_TERMINAL + 1)
        if len(ended) <= MAX_CHANGES_ON_TERMINAL:
            show_orders(session.screen, ended)
        else:
            show_tallies(session.screen, tallies)
        session.printed = True


def reading_callback(
    status: StatusLine, accounts: Mapping[str, Provider]
) -> Callable[[str, str, int], None]:
    """Returns a callback that shows what is being read from each account, and the rate limit."""
    now: dict[str, str] = {}

    def show(account: str, what: str, number: int) -> None:
        limits = accounts[account].limits
        slowest = min(limits, key=lambda limit: limit.count / limit.per, default=None)
        rate = f" (limit {slowest.count:,} requests {_period(slowest.per)})" if slowest else ""
        one, many = ITEM_NOUNS[what]
        read = f"{number:,} {one if number == 1 else many}" if number else many
        now[account] = f"{account}: {read}{rate}"
        status.show(f"reading {', '.join(now[name] for name in sorted(now))}")

    return show


def account_progress(
    status: StatusLine, accounts: Mapping[str, Provider]
) -> Callable[[RunEvent], None]:
    """Returns a callback for the events of `who` and `audit`, which shows what is being read."""
    show = reading_callback(status, accounts)

    def on_progress(event: RunEvent) -> None:
        if isinstance(event, ReadingAccount):
            show(event.account, event.what, event.count)

    return on_progress


def _period(seconds: float) -> str:
    units = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour"}
    return units.get(seconds, f"in {seconds:g} s")


def _plain(counts: Mapping[str, Mapping[Any, int]]) -> dict[str, dict[str, int]]:
    return {account: dict(counted) for account, counted in counts.items()}


def _run_row(tally: Tally) -> RunRow:
    return RunRow(
        account=tally.account,
        done=dict(tally.done),
        refused=dict(tally.refused),
        unknown=tally.unknown,
        left=tally.left,
        emails=tally.emails,
    )
