"""Prints tables and text for people, in color on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from guestlist.cli.text import printable, spaced
from guestlist.errors import missing_package_error
from guestlist.ledger.log import LineState
from guestlist.models import (
    OffboardOutcome,
    OnboardOutcome,
    Outcome,
    RemoveOutcome,
    RevokeOutcome,
    State,
)

try:
    from rich.cells import cell_len as cell_len
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text as Text
except ModuleNotFoundError as error:
    failure = missing_package_error("the command line", error, "cli")
    failure.hint += ", or use --json, which prints no tables."
    raise failure from None

UNLIMITED_COLUMNS = 10_000
"""Width if stdout is not a terminal: programs such as grep need unwrapped lines."""

READABLE_COLUMNS = 30
"""The least width of a column that holds sentences."""

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
    RevokeOutcome.ALREADY_REVOKED: OPEN,
    RemoveOutcome.REMOVED: GOOD,
    RemoveOutcome.ALREADY_REMOVED: OPEN,
    OffboardOutcome.NOT_THERE: QUIET,
    OffboardOutcome.WOULD_REMOVE: OPEN,
    OffboardOutcome.REMAINS: OVER,
    OnboardOutcome.ONBOARDED: GOOD,
    OnboardOutcome.ALREADY_ONBOARDED: OPEN,
    OnboardOutcome.INCOMPLETE: OVER,
    LineState.DONE: GOOD,
    LineState.REFUSED: OVER,
    LineState.UNKNOWN: ODD,
    LineState.UNRESOLVED: ODD,
    LineState.DEFERRED: OPEN,
    LineState.WAITING: OPEN,
    LineState.DROPPED: QUIET,
    "nothing": OPEN,
    "Unsupported": OPEN,
}
"""Color of each state and outcome. They are the terminal's own, to suit light and dark themes."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        whole: the column is not wrapped as long as the table fits.
        cut: a cell that does not fit is cut instead of wrapped.
        yields: the column is wrapped, down to `READABLE_COLUMNS` characters, before another column
            is omitted.
        spare: rank in which columns are omitted if the table is too wide, the highest first; 0 for
            never.
    """

    title: str
    style: str = ""
    whole: bool = False
    cut: bool = False
    yields: bool = False
    spare: int = 0


Cell = str | Text


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit here, with an exit code of its own


class Screen:
    """Stdout and stderr as consoles of rich, with tables that fit the width.

    Args:
        everything: omit no column. If a table is too wide, print each row as a block.
        plain: never wrap or color, even on a terminal.
    """

    def __init__(self, *, everything: bool = False, plain: bool = False) -> None:
        is_sized = sys.stdout.isatty() or os.environ.get("COLUMNS")
        self.out = _Console(
            width=None if is_sized and not plain else UNLIMITED_COLUMNS,
            no_color=plain or None,
            force_terminal=False if plain else None,
            highlight=False,
            emoji=False,
            markup=False,
        )
        self.err = _Console(stderr=True, highlight=False, emoji=False, markup=False)
        self._everything = everything

    def line(self, text: Cell = "", *, indent: int = 0, style: str = "") -> None:
        """Prints text, wrapped at the screen's width."""
        if not text:
            self.out.print()
            return
        shown = Text(text, style=style) if isinstance(text, str) else text
        self.out.print(Padding(shown, (0, 0, 0, indent), expand=False))

    def table(
        self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *, indent: int = 0
    ) -> None:
        """Prints a table. Omits empty columns. If the table is too wide, omits columns with
        `spare`; if it is still too wide, prints each row as a block of lines."""
        cells = self._cells(columns, rows)
        shown = [place for place in range(len(columns)) if any(row[place].plain for row in cells)]
        room = self.out.width - indent
        while not self._everything and _width(columns, cells, shown, wrapped=False) > room:
            spare = max(shown, key=lambda place: columns[place].spare)
            if not columns[spare].spare:
                break
            shown.remove(spare)
        fits = _width(columns, cells, shown, wrapped=not self._everything) <= room
        table = (_table if fits else _blocks)(columns, cells, shown)
        self.out.print(Padding(table, (0, 0, 0, indent), expand=False))

    @property
    def for_programs(self) -> bool:
        """Whether the output goes to a program, so that each table row must be one line."""
        return self.out.width == UNLIMITED_COLUMNS

    def multiline(self, texts: Sequence[str]) -> Text:
        """Returns a cell of several lines."""
        return Text("\n".join(map(printable, texts)))

    def fits(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> bool:
        """Returns whether the table fits the width, with its cells wrapped at words."""
        cells, shown = self._cells(columns, rows), list(range(len(columns)))
        return _width(columns, cells, shown, wrapped=True) <= self.out.width

    def fits_in_lines(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> bool:
        """Returns whether the table fits the width, with each row on one line."""
        cells, shown = self._cells(columns, rows), list(range(len(columns)))
        return _width(columns, cells, shown, wrapped=False) <= self.out.width

    def _cells(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> list[list[Text]]:
        cut = [column.cut and not self._everything for column in columns]
        return [[_text(*one) for one in zip(row, cut, strict=True)] for row in rows]


def _table(columns: Sequence[Column], cells: list[list[Text]], shown: list[int]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1), pad_edge=False)
    for place in shown:
        column = columns[place]
        table.add_column(
            column.title,
            style=column.style,
            no_wrap=column.whole,
            overflow="fold",
            min_width=_minimum_width(column, [row[place] for row in cells]),
        )
    for row in cells:
        table.add_row(*(row[place] for place in shown))
    return table


def _width(
    columns: Sequence[Column], cells: list[list[Text]], shown: list[int], *, wrapped: bool
) -> int:
    """Returns the width that a table needs, with two spaces between cells.

    Args:
        wrapped: assume cells that are wrapped at every word or cut, if they may be.
    """
    widths = []
    for place in shown:
        column, texts = columns[place], [row[place] for row in cells]
        full = max([len(column.title), *map(_line_width, texts)])
        if column.yields:
            full = max(min(full, READABLE_COLUMNS), _minimum_width(column, texts))
        widths.append(_minimum_width(column, texts) if wrapped else full)
    return sum(widths) + 2 * (len(widths) - 1)


def _minimum_width(column: Column, texts: Sequence[Text]) -> int:
    """Returns the width at which no word, or no address, is broken."""
    if column.cut:
        return len(column.title)
    if column.whole:
        return max([len(column.title), *map(_line_width, texts)])
    words_of = [word for text in texts for word in text.plain.split()]
    return max(map(cell_len, [*column.title.split(), *words_of]), default=0)


def _line_width(text: Text) -> int:
    """Returns the width of a cell's longest line."""
    return max(map(cell_len, text.plain.split("\n")))


def _blocks(columns: Sequence[Column], cells: list[list[Text]], shown: list[int]) -> Table:
    """Returns a table that shows each row as a block of lines, with titles and values."""
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for number, row in enumerate(cells):
        if number:
            table.add_row()
        for place in shown:
            if row[place].plain:
                table.add_row(columns[place].title, row[place])
    return table


def _text(cell: Cell, cut: bool) -> Text:
    text = Text(printable(cell)) if isinstance(cell, str) else cell
    if cut:
        text.no_wrap, text.overflow = True, "ellipsis"
    return text


def state(value: StrEnum) -> Text:
    """Returns a state or an outcome as colored text."""
    return Text(spaced(value), style=STYLES.get(value, ""))
