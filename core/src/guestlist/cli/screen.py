"""What people see: tables and text, with colour where there is a terminal for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from guestlist.cli.words import printable, words
from guestlist.errors import ConfigError
from guestlist.models import Outcome, State

try:
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError as error:
    raise ConfigError(
        f"the command line needs {error.name} for its tables (`--json` does without)",
        hint='Run: pip install "guestlist[cli]"',
    ) from None

UNBOUNDED = 10_000
"""Columns of an output that is no terminal: lines are for programs such as grep, and never wrap."""

GOOD, OPEN, OVER, ODD, QUIET = "green", "yellow", "red", "magenta", "dim"

STYLES: dict[str, str] = {
    State.PENDING: OPEN,
    State.AWAITING_APPROVAL: OPEN,
    State.ACCEPTED: GOOD,
    State.DECLINED: OVER,
    State.EXPIRED: OVER,
    State.REVOKED: OVER,
    State.GONE: QUIET,
    State.UNKNOWN: ODD,
    Outcome.INVITED: GOOD,
    Outcome.RESENT: GOOD,
    Outcome.JOINED: GOOD,
    Outcome.ALREADY_INVITED: OPEN,
    Outcome.ALREADY_MEMBER: OPEN,
}
"""How a state or an outcome looks; the terminal's own colours, so that light and dark both work."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        whole: never wrapped while there is room.
        spare: left out where the table is too wide otherwise, the highest number first; 0 never.
    """

    title: str
    style: str = ""
    whole: bool = False
    spare: int = 0


Cell = str | Text


class Screen:
    """The terminal, or what stands for it.

    Args:
        everything: leaves out no column, however narrow it is.
    """

    def __init__(self, *, everything: bool = False) -> None:
        wide = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else UNBOUNDED
        self.out = Console(width=wide, highlight=False, emoji=False, markup=False)
        self.err = Console(stderr=True, highlight=False, emoji=False, markup=False)
        self._everything = everything

    def line(self, text: Cell = "", *, indent: int = 0, style: str = "") -> None:
        """Text, wrapped at the screen's width."""
        shown = Text(text, style=style) if isinstance(text, str) else text
        self.out.print(Padding(shown, (0, 0, 0, indent), expand=False))

    def table(
        self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, indent: int = 0
    ) -> None:
        """A table. Columns that are empty, or that there is no room for, are left out."""
        cells = [[_text(cell) for cell in row] for row in rows]
        shown = [
            place for place, _ in enumerate(columns) if any(row[place].plain for row in cells)
        ]
        while True:
            table = Padding(_table(columns, cells, shown), (0, 0, 0, indent), expand=False)
            spare = max(shown, key=lambda place: columns[place].spare, default=None)
            needed = Measurement.get(self.out, self.out.options, table).maximum
            full = _width(columns, cells, shown) + indent
            if self._everything or spare is None or not columns[spare].spare:
                break
            if max(needed, full) <= self.out.width:
                break
            shown.remove(spare)
        self.out.print(table)


def _table(columns: Sequence[Column], cells: list[list[Text]], shown: list[int]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, border_style=QUIET, header_style="bold", padding=(0, 1), pad_edge=False
    )
    for place in shown:
        column = columns[place]
        table.add_column(
            column.title, style=column.style, no_wrap=column.whole, overflow="fold"
        )
    for row in cells:
        table.add_row(*(row[place] for place in shown))
    return table


def _width(columns: Sequence[Column], cells: list[list[Text]], shown: list[int]) -> int:
    """What the table takes when nothing wraps: two columns between two cells."""
    widest = [
        max([len(columns[place].title), *(row[place].cell_len for row in cells)])
        for place in shown
    ]
    return sum(widest) + 2 * (len(shown) - 1)


def _text(cell: Cell) -> Text:
    return Text(printable(cell)) if isinstance(cell, str) else cell


def state(value: State | Outcome) -> Text:
    """A state or an outcome in words, in its colour."""
    return Text(words(value), style=STYLES.get(value, ""))


def yes_or_no(value: bool | None, yes: str = "yes", no: str = "no", unknown: str = "?") -> str:
    """A fact that may not be known."""
    return unknown if value is None else yes if value else no
