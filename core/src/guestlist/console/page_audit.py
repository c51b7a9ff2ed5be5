"""The page of the audit, which compares the accounts with the roster and its policies."""

from __future__ import annotations

import csv
import io
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from guestlist.console.gate import redirect, visitor
from guestlist.console.site import Site
from guestlist.console.words import FINDINGS, FailureText, failure_text
from guestlist.console.work import ReadingWork
from guestlist.runs.auditing import PENDING_DAYS, audit
from guestlist.runs.findings import FindingKind, Unchecked
from guestlist.runs.progress import RunEvent
from guestlist.runs.stop import Stop
from guestlist.spreadsheets import escape_formula
from guestlist.web import page_numbers

ROWS = 100
COLUMNS = ("finding", "person", "account", "detail", "since")


class Line(NamedTuple):
    """One finding, without the service's records."""

    kind: FindingKind
    account: str
    person: str
    detail: str
    since: datetime | None


@dataclass(frozen=True)
class LastAudit:
    """The result of the last audit, as the page shows it."""

    actor: str
    made_at: datetime
    lines: tuple[Line, ...]
    unchecked: tuple[Unchecked, ...]
    errors: tuple[FailureText, ...]

    def matching(self, chosen: Mapping[str, str]) -> list[Line]:
        """Returns the findings that match the filters."""
        text = chosen["who"].casefold()
        return [
            line
            for line in self.lines
            if chosen["kind"] in ("", line.kind)
            and chosen["account"] in ("", line.account)
            and text in line.person.casefold()
        ]


class AuditPages:
    """The endpoints of the audit's page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._making: ReadingWork | None = None
        self._audit: LastAudit | None = None

    def show(self, request: Request) -> Response:
        """Shows the findings of the last audit that match the filters in the address."""
        making = self._making
        busy = making is not None and making.is_running  # shown instead of the earlier result
        shown, chosen = self._audit, _chosen(request)
        found = shown.matching(chosen) if shown else []
        number, last = page_numbers(request, len(found), ROWS)
        lines = found[(number - 1) * ROWS : number * ROWS]
        return self._site.page(
            request,
            "audit.html",
            making=making,
            busy=busy,
            audit=shown,
            lines=[(line, self._site.people.token(line.account, line.person)) for line in lines],
            found=len(found),
            counts=Counter(line.kind for line in shown.lines) if shown else {},
            chosen=chosen,
            kinds=FINDINGS,
            number=number,
            last=last,
            days=PENDING_DAYS,
        )

    def make(self, request: Request) -> Response:
        """Makes an audit in the background."""
        site, visit = self._site, visitor(request)
        if site.roster is None:
            raise HTTPException(409, "This console has no roster.")
        with self._lock:
            if self._making is None or not self._making.is_running:
                read = self._reader(site.roster, visit.actor, quick=bool(visit.value("quick")))
                self._making = ReadingWork(
                    "/audit", "Making an audit", visit.actor, site.client.clock.now, read
                )
                site.works.add(self._making)
                self._making.start()
        return redirect(request, "/audit")

    def export(self, request: Request) -> Response:
        """Sends the findings that match as a CSV file. Cells that a spreadsheet could run are
        escaped."""
        if self._audit is None:
            raise HTTPException(404, "No audit was made since this console was started.")
        content = _csv(self._audit.matching(_chosen(request)))
        headers = {"Content-Disposition": 'attachment; filename="guestlist-audit.csv"'}
        return StreamingResponse(content, media_type="text/csv", headers=headers)

    def _reader(
        self, roster: Path, actor: str, *, quick: bool
    ) -> Callable[[Callable[[RunEvent], None], Stop], None]:
        site = self._site

        def read(follow: Callable[[RunEvent], None], stop: Stop) -> None:
            result = audit(roster, client=site.client, on_progress=follow, quick=quick, stop=stop)
            self._audit = LastAudit(
                actor,
                site.now,
                tuple(
                    Line(one.kind, one.account, one.person, one.detail, one.since)
                    for one in result.findings
                ),
                result.unchecked,
                tuple(map(failure_text, result.errors.values())),
            )

        return read


def _chosen(request: Request) -> dict[str, str]:
    query = request.query_params
    return {name: query.get(name, "").strip()[:200] for name in ("who", "account", "kind")}


def _csv(lines: list[Line]) -> Iterator[str]:
    for row in (COLUMNS, *map(_cells, lines)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(
            map(escape_formula, row)
        )
        yield text.getvalue()


def _cells(line: Line) -> tuple[str, ...]:
    since = line.since.isoformat() if line.since else ""
    return line.kind.replace("_", " "), line.person, line.account, line.detail, since
