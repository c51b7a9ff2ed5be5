"""Shows the progress of a run on stderr, and its results on stdout."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import Task as Bar
from rich.text import Text

from guestlist.cli.screen import Column
from guestlist.cli.text import spaced
from guestlist.ledger.schema import OrderState

if TYPE_CHECKING:
    from guestlist.cli.screen import Screen
    from guestlist.ledger.order import Ended
    from guestlist.provider import Provider
    from guestlist.provider.messages import Limit
    from guestlist.runs.tally import Tally

LINE_INTERVAL_SECONDS = 15.0
"""Seconds between two progress lines if stderr is not a terminal."""


class ProgressBars:
    """Progress bars for a run, one for each account.

    Args:
        screen: where to show them; None to show nothing. If stderr is not a terminal, prints a line
            for each account at intervals instead.
        providers: the accounts' providers, whose rate limits the estimated time respects.
    """

    def __init__(
        self, screen: Screen | None, providers: Mapping[str, Provider] | None = None
    ) -> None:
        self._providers = providers or {}
        self._progress: Progress | None = None
        self._err = None if screen is None else screen.err
        self._next_lines = time.monotonic() + LINE_INTERVAL_SECONDS
        self._bars: dict[str, TaskID] = {}
        if screen is not None and screen.err.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                _Rate(),
                _TimeLeft(),
                TextColumn("{task.fields[problems]}", style="yellow"),
                console=screen.err,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, tallies: Mapping[str, Tally]) -> None:
        """Shows the present counts of each account."""
        if self._progress is None:
            self._print_lines(tallies)
            return
        for account, tally in sorted(tallies.items()):
            total = tally.left + tally.ended
            if account not in self._bars:
                self._bars[account] = self._progress.add_task(
                    account, total=total, problems="", limits=self._limits(account)
                )
            self._progress.update(
                self._bars[account],
                completed=tally.ended,
                total=total,
                problems=problem_counts(tally),
            )

    def _limits(self, account: str) -> tuple[Limit, ...]:
        provider = self._providers.get(account)
        return provider.limits if provider is not None else ()

    def _print_lines(self, tallies: Mapping[str, Tally]) -> None:
        if self._err is None or time.monotonic() < self._next_lines:
            return
        self._next_lines = time.monotonic() + LINE_INTERVAL_SECONDS
        for account, tally in sorted(tallies.items()):
            if tally.left:
                parts = [f"{account}: {tally.ended:,} of {tally.left + tally.ended:,}"]
                self._err.print(
                    ", ".join(filter(None, [*parts, problem_counts(tally)])), soft_wrap=True
                )


class _TimeLeft(TextColumn):
    """The estimated time left, at least what the rate limits require."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Bar) -> Text:
        left = int(task.remaining or 0)
        if not left or task.total is None:
            return Text()
        allowed = minimum_seconds(left, task.fields["limits"])
        seconds = max(allowed, task.time_remaining or 0.0)
        if not seconds:
            return Text("-:--:--", style="dim")
        return Text(str(timedelta(seconds=round(seconds))), style="cyan")


def minimum_seconds(changes: int, limits: Iterable[Limit]) -> float:
    """Returns how many seconds the rate limits require for this number of changes. Assumes one
    request for each change, and that the first requests of a window are sent at once."""
    return max(
        ((changes - 1) // limit.count * limit.per for limit in limits if limit.count > 0),
        default=0.0,
    )


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Bar) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="dim")


def problem_counts(tally: Tally) -> str:
    """Returns a short text with the number of failures by kind, and of unresolved requests."""
    kinds: Counter[str] = tally.refused + Counter()
    parts = [f"{number} {_spaced_class_name(kind)}" for kind, number in kinds.most_common(3)]
    if tally.unknown:
        parts.append(f"{tally.unknown} unknown")
    if tally.unresolved:
        parts.append(f"{tally.unresolved} unresolved")
    return ", ".join(parts)


def _spaced_class_name(kind: str) -> str:
    """Returns a class name as words: `unknown role` for `UnknownRole`."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
    return spaced(name.strip("_"))


def show_orders(screen: Screen, ended: Sequence[Ended]) -> None:
    """Prints the outcome of each order."""
    columns = [
        Column("Guest", whole=True),
        Column("Account", whole=True),
        Column("Change", whole=True),
        Column("Outcome", whole=True),
        Column("What we know", style="dim", spare=1),
    ]
    screen.table(
        columns,
        [
            (
                one.change.email,
                one.change.account,
                spaced(one.change.action),
                Text(spaced(one.outcome), style=_STYLES[one.state]),
                one.detail or "",
            )
            for one in ended
        ],
    )


_STYLES = {
    OrderState.DONE: "green",
    OrderState.REFUSED: "red",
    OrderState.UNKNOWN: "magenta",
    OrderState.DROPPED: "dim",
}


def show_tallies(screen: Screen, tallies: Mapping[str, Tally]) -> None:
    """Prints the counts of each account."""
    columns = [
        Column("Account", whole=True),
        Column("Done"),
        Column("Failed", style="red"),
        Column("Unknown", style="magenta"),
        Column("Left"),
        Column("Emails"),
    ]
    screen.table(
        columns,
        [
            (
                account,
                ", ".join(f"{number:,} {spaced(what)}" for what, number in tally.done.items()),
                ", ".join(
                    f"{number:,} {_spaced_class_name(kind)}"
                    for kind, number in tally.refused.items()
                ),
                f"{tally.unknown:,}" if tally.unknown else "",
                f"{tally.left:,}" if tally.left else "",
                f"{tally.emails:,}",
            )
            for account, tally in sorted(tallies.items())
        ],
    )
