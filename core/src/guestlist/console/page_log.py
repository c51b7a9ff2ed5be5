"""The page of the log: who did what and when, with the outcome."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import IO

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from guestlist.changes import Action
from guestlist.console.site import Site
from guestlist.console.words import ACTIONS
from guestlist.ledger import history
from guestlist.ledger.log import LineState, LogLine, write_csv
from guestlist.ledger.store import Store

ROWS = 100
CHUNK_BYTES = 64 * 1024
FIELDS = ("who", "account", "actor", "action", "state", "since", "until", "run")
STATES = {
    LineState.DONE: "Done",
    LineState.REFUSED: "Failed",
    LineState.UNKNOWN: "Outcome unknown",
    LineState.UNRESOLVED: "No answer yet",
    LineState.DEFERRED: "After acceptance",
    LineState.WAITING: "Waiting",
    LineState.DROPPED: "Dropped",
}


class LogPages:
    """The endpoints of the log's page."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def show(self, request: Request) -> Response:
        """Shows the newest lines that match the filters in the address."""
        site, query = self._site, request.query_params
        shown = {name: query.get(name, "").strip()[:200] for name in FIELDS}
        lines: list[LogLine] = []
        total = 0
        if site.ledger is not None:
            search = _search(shown, query.get("before", ""))
            lines = history.latest(site.ledger.store, ROWS + 1, search)[::-1]
            total = history.counts(site.ledger.store, _search(shown, "")).total()
        return site.page(
            request,
            "log.html",
            lines=lines[:ROWS],
            shown=shown,
            older=lines[ROWS - 1].id if len(lines) > ROWS else "",
            total=total,
            actions=ACTIONS,
            states=STATES,
        )

    def export(self, request: Request) -> Response:
        """Sends all lines that match as a CSV file. Cells that a spreadsheet could run are
        escaped."""
        if self._site.ledger is None:
            raise HTTPException(404, "This console has no ledger.")
        query = request.query_params
        shown = {name: query.get(name, "").strip()[:200] for name in FIELDS}
        content = _csv(self._site.ledger.store, _search(shown, ""))
        headers = {"Content-Disposition": 'attachment; filename="guestlist-log.csv"'}
        return StreamingResponse(content, media_type="text/csv", headers=headers)


def _csv(store: Store, search: history.Search) -> Iterator[str]:
    """Yields the export in parts, so that memory does not grow with the ledger."""
    file: IO[str]
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
        write_csv(history.log_lines(store, search), file)
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _search(shown: Mapping[str, str], before: str) -> history.Search:
    """Returns the criteria for the fields of the page. Values that cannot be read are left out."""
    action, state = shown["action"], shown["state"]
    return history.Search(
        emails=[shown["who"]] if shown["who"] else [],
        accounts=[shown["account"]] if shown["account"] else [],
        actors=[shown["actor"]] if shown["actor"] else [],
        actions=[one for one in Action if one == action],
        states=[one for one in LineState if one == state],
        since=_day(shown["since"]),
        until=_day(shown["until"], end=True),
        run=_number(shown["run"]),
        before=_number(before),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _day(text: str, *, end: bool = False) -> datetime | None:
    """Returns the begin or the end of a day in UTC."""
    try:
        day = date.fromisoformat(text) + timedelta(days=end)
    except (ValueError, OverflowError):
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
