"""The log: one line for each order with its history, and its export. Needs no database."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, TextIO

from pydantic import Field

from guestlist.changes import Action
from guestlist.models import Model
from guestlist.spreadsheets import escape_formula

NO_EFFECT = "did not happen"
"""The outcome of an order whose request had no effect, and which no service refused."""


class LineState(StrEnum):
    """The state of an order."""

    WAITING = "waiting"
    """Nothing was sent for it yet."""
    UNRESOLVED = "unresolved"
    """A request was about to leave, and no answer is recorded. The next run looks for its
    effect."""
    DEFERRED = "deferred"
    """A deferred grant: the role is assigned once the person has accepted the invitation."""
    DONE = "done"
    REFUSED = "refused"
    """It had no effect, and trying again would not help."""
    UNKNOWN = "unknown"
    """It may have had an effect, and the service does not show whether it had."""
    DROPPED = "dropped"
    """A later plan replaced it before anything was sent, or the roster does not ask for it any
    more."""


class LogEntry(Model):
    """One event in the history of an order."""

    at: datetime
    what: str
    """`asked`, `sent`, `did not happen`, `dropped`, or the outcome."""
    detail: str | None = None
    """The request that was about to leave, the error, or a warning."""


class LogLine(Model):
    """One order with its history. Times are in UTC."""

    id: int
    run: int | None
    """The number of the run; None for a single call."""
    source: str | None
    """The name of the roster file that the run was made from."""
    actor: str | None = None
    """The person or program that started the run or made the call. None in lines that an older
    guestlist has written."""
    host: str | None = None
    """The name of the machine."""
    job: str | None = None
    """The address of the CI job."""
    note: str | None = None
    """The reason that the actor gave."""
    account: str
    email: str
    key: str
    """The address as it is compared (`guestlist.address.email_key`)."""
    action: Action
    roles: tuple[str, ...] = ()
    """Names or labels of the roles: `Member`, `group:Engineering`."""
    deferred: tuple[str, ...] = ()
    """Deferred roles: the service accepts them only once the invitation is accepted."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the provider."""
    reason: str = ""
    """Why the change was planned."""
    state: LineState
    asked_at: datetime
    sent_at: datetime | None
    """When the last request was about to leave."""
    settled_at: datetime | None
    attempts: int
    outcome: str | None
    """The outcome in a word; for a failed order, the class of the error."""
    email_sent: bool | None
    """Whether an email was sent; None if no email was due or if that is unknown."""
    detail: str | None
    """The error, or a warning."""
    entries: tuple[LogEntry, ...] = ()
    """Oldest first."""

    @property
    def last_at(self) -> datetime:
        """The time of the last state: settled, sent or asked for."""
        return self.settled_at or self.sent_at or self.asked_at


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
