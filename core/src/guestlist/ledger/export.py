"""Exports the log: complete as JSON lines, and as CSV for spreadsheets."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TextIO

from guestlist.ledger.line import LogEntry, LogLine
from guestlist.spreadsheets import escape_formula

COLUMNS = tuple(name for name in LogLine.model_fields if name != "key")


def write_jsonl(lines: Iterable[LogLine], out: TextIO) -> None:
    """Writes each order as a JSON object on a line of its own, complete and unchanged."""
    for line in lines:
        out.write(line.model_dump_json())
        out.write("\n")


def write_csv(lines: Iterable[LogLine], out: TextIO) -> None:
    """Writes each order as a row, below a row of titles.

    A cell that a spreadsheet could take for a formula gets an apostrophe before it: services and
    rosters are written by others, and their text must not run when the file is opened.
    """
    # quote all cells: the csv module leaves a lone carriage return unquoted, which breaks readers
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow([escape_formula(_cell(getattr(line, name))) for name in COLUMNS])


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat()
        case bool():
            return str(value).lower()
        case dict():
            return json.dumps(value, ensure_ascii=False) if value else ""
        case tuple():
            return "; ".join(_entry(one) if isinstance(one, LogEntry) else one for one in value)
        case _:
            return str(value)


def _entry(entry: LogEntry) -> str:
    about = f" ({entry.detail})" if entry.detail else ""
    return f"{entry.at.isoformat()} {entry.what}{about}"
