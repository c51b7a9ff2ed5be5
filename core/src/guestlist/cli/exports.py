"""Prints a table as CSV or as Markdown, for spreadsheets and for pull requests."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence

from guestlist.cli.parser import UsageError
from guestlist.cli.session import Session
from guestlist.cli.text import printable
from guestlist.spreadsheets import escape_formula


def check_format(session: Session) -> None:
    """Checks that at most one of `--json`, `--csv` and `--markdown` is given.

    Raises:
        UsageError: several are.
    """
    given = session.arguments
    chosen = [f"--{name}" for name in ("json", "csv", "markdown") if getattr(given, name)]
    if chosen[1:]:
        raise UsageError(
            f"{chosen[0]} and {chosen[1]} exclude each other", hint="Leave out one of them."
        )


def print_export(session: Session, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bool:
    """Prints the table if `--csv` or `--markdown` is given. Returns whether it was printed."""
    given = session.arguments
    if given.csv:
        # quote all cells: the csv module leaves a lone carriage return unquoted
        writer = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        writer.writerows([escape_formula(cell) for cell in row] for row in rows)
    elif given.markdown:
        for row in (columns, ["---"] * len(columns), *rows):
            print(f"| {' | '.join(map(_markdown_cell, row))} |")
    else:
        return False
    sys.stdout.flush()
    session.printed = True
    return True


def _markdown_cell(text: str) -> str:
    shown = printable(text)
    for sign in "\\|<*_`[":
        shown = shown.replace(sign, f"\\{sign}") if shown != "---" else shown
    return shown
