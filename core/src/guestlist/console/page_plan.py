"""The page of the plan: the changes that the roster requires, and the runs that make them."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, TypedDict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from guestlist.changes import Action, Change, label, role_key
from guestlist.console.gate import Visit, redirect, visitor
from guestlist.console.site import Site
from guestlist.console.words import ACTIONS, FailureText, count, failure_text
from guestlist.console.work import CarryOut, ReadingWork, RunWork
from guestlist.ledger import orders, runs
from guestlist.ledger.lock import is_at_work
from guestlist.ledger.runs import Run
from guestlist.roster.summary import REMOVALS, Summary
from guestlist.runs.applying import ApplyResult, apply
from guestlist.runs.planning import plan
from guestlist.runs.progress import RunEvent
from guestlist.runs.settling import SettleResult, settle
from guestlist.runs.stop import Stop
from guestlist.web import page_numbers

ROWS = 200


class PlanOptions(TypedDict):
    """The options of a plan, as `guestlist.plan` has them."""

    prune: bool
    invite_declined: bool
    retry_unknown: bool


OPTIONS = {
    "prune": "Also remove people whom the roster does not name",
    "invite_declined": "Also invite people who have declined",
    "retry_unknown": "Also send an email where it is not known whether an earlier one was sent",
}
"""The options on the page."""


@dataclass(frozen=True)
class ShownChange:
    """One change, as the page shows it."""

    account: str
    action: Action
    who: str
    what: str
    why: str


@dataclass
class LastPlan:
    """The last plan, as the page shows it.

    Attributes:
        digest: digest of the changes. A run makes the changes only if a new plan has the same
            digest.
        work: the run that makes the changes; None before that.
    """

    options: PlanOptions
    actor: str
    summary: Summary
    errors: list[FailureText]
    digest: str
    made_at: datetime
    rows: sqlite3.Connection = field(repr=False)
    work: RunWork | None = None
    id: str = field(default_factory=lambda: token_urlsafe(12))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        weakref.finalize(self, self.rows.close)  # another plan replaces it while a page reads it

    @property
    def is_applied(self) -> bool:
        """Whether a run makes or has made the changes. A run that was stopped before it sent
        anything does not count."""
        work = self.work
        return work is not None and (work.is_running or work.run_number is not None)

    def count(self, account: str = "", action: str = "") -> int:
        """Returns the number of changes that match."""
        where, values = _where(account, action)
        with self.lock:
            query = f"SELECT count(*) FROM changes {where}"  # noqa: S608 - placeholders only
            return int(self.rows.execute(query, values).fetchone()[0])

    def page(self, account: str, action: str, number: int) -> list[ShownChange]:
        """Returns one page of the changes that match; removals are last."""
        where, values = _where(account, action)
        query = (
            f"SELECT account, action, who, what, why FROM changes {where}"  # noqa: S608
            " ORDER BY removes, account, id LIMIT ? OFFSET ?"
        )
        with self.lock:
            found = self.rows.execute(query, (*values, ROWS, (number - 1) * ROWS)).fetchall()
        return [ShownChange(row[0], Action(row[1]), *row[2:]) for row in found]


def _where(account: str, action: str) -> tuple[str, list[str]]:
    parts = {"account = ?": account, "action = ?": action}
    chosen = {part: value for part, value in parts.items() if value}
    return (f"WHERE {' AND '.join(chosen)}" if chosen else ""), list(chosen.values())


@dataclass(frozen=True)
class Unfinished:
    """A run that this console does not carry out, and that has not ended.

    Attributes:
        left: the number of its changes that are left.
        is_at_work: whether another program carries it out now. If not, it was interrupted.
    """

    run: Run
    left: int
    is_at_work: bool


class PlanPages:
    """The endpoints of the plan's page, which also starts the runs of `apply` and `settle`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._making: ReadingWork | None = None
        self._plan: LastPlan | None = None
        self._run: RunWork | None = None
        self._options: PlanOptions = {
            "prune": False,
            "invite_declined": False,
            "retry_unknown": False,
        }

    def show(self, request: Request) -> Response:
        """Shows the plan that was made last."""
        site, query = self._site, request.query_params
        making = self._making
        # Read before `_plan`, so that a finished plan is not shown as unfinished.
        busy = making is not None and making.is_running
        shown = self._plan
        chosen = {"account": query.get("account", ""), "action": query.get("action", "")}
        found = shown.count(**chosen) if shown else 0
        number, last = page_numbers(request, found, ROWS)
        unfinished = self._unfinished()
        return site.page(
            request,
            "plan.html",
            making=making,
            busy=busy,
            plan=shown,
            rows=shown.page(chosen["account"], chosen["action"], number) if shown else [],
            chosen=chosen,
            found=found,
            number=number,
            last=last,
            run=self._run,
            unfinished=unfinished,
            at_work_since=datetime.fromtimestamp(unfinished.run.began, UTC) if unfinished else None,
            options=OPTIONS,
            checked=shown.options if shown else self._options,
            actions=ACTIONS,
        )

    def make(self, request: Request) -> Response:
        """Makes a plan in the background."""
        site, visit, roster = self._site, visitor(request), self._roster
        options = _options(visit)
        with self._lock:
            if self._making is None or not self._making.is_running:
                self._making = ReadingWork(
                    "/plan",
                    "Making a plan",
                    visit.actor,
                    site.client.clock.now,
                    self._maker(roster, options, visit.actor),
                )
                site.works.add(self._making)
                self._making.start()
        return redirect(request, "/plan")

    def apply(self, request: Request) -> Response:
        """Makes the changes of the plan that the page has shown."""
        site, visit, shown = self._site, visitor(request), self._plan
        roster = self._roster
        if shown is None or visit.value("plan") != shown.id:
            raise HTTPException(
                409, "Another plan was made since this page was opened: nothing was sent."
            )
        number = shown.summary.possible
        force = bool(shown.summary.over)
        if force and visit.value("typed").strip().replace(",", "") != str(number):
            raise HTTPException(
                409,
                f"The plan is over a limit. To make its changes, type their number: {number}."
                " Nothing was sent.",
            )

        def carry_out(follow: Callable[[RunEvent], None], stop: Stop) -> tuple[str, int]:
            def is_as_shown(now: Any) -> bool:
                return digest_of(now.changes()) == shown.digest

            return _applied(
                apply(
                    roster,
                    ledger=site.ledger,
                    client=site.client,
                    confirm=is_as_shown,
                    on_progress=follow,
                    fresh=True,
                    force=force,
                    stop=stop,
                    actor=visit.actor,
                    **shown.options,
                )
            )

        with shown.lock:
            if shown.work is None or not shown.is_applied:
                title = f"Making {count(number, 'change')}"
                shown.work = self._start("apply", title, visit, carry_out)
        return redirect(request, f"/work/{shown.work.id}")

    def resume(self, request: Request) -> Response:
        """Continues the run that was interrupted last."""
        site, visit, roster = self._site, visitor(request), self._roster
        options = _options(visit)

        def carry_out(follow: Callable[[RunEvent], None], stop: Stop) -> tuple[str, int]:
            result = apply(
                roster,
                ledger=site.ledger,
                client=site.client,
                confirm=lambda _: False,
                on_progress=follow,
                stop=stop,
                actor=visit.actor,
                **options,
            )
            if not result.confirmed:
                text = (
                    "The roster, the options or the day have changed since the run began, so that"
                    " it cannot go on. Nothing was sent. Make a new plan: it has what is left."
                )
                return text, 0
            return _applied(result)

        work = self._start("apply", "Going on with the earlier run", visit, carry_out)
        return redirect(request, f"/work/{work.id}")

    def settle(self, request: Request) -> Response:
        """Gives the deferred roles to people who have accepted."""
        site, visit, roster = self._site, visitor(request), self._roster

        def carry_out(follow: Callable[[RunEvent], None], stop: Stop) -> tuple[str, int]:
            result = settle(
                roster,
                ledger=site.ledger,
                client=site.client,
                on_progress=follow,
                stop=stop,
                allow_empty=True,
                actor=visit.actor,
            )
            return _settle_text(result), 0

        title = "Giving roles to people who have accepted"
        work = self._start("settle", title, visit, carry_out)
        return redirect(request, f"/work/{work.id}")

    def close(self) -> None:
        """Deletes the plan."""
        if self._plan is not None:
            self._plan.rows.close()

    @property
    def _roster(self) -> Path:
        if self._site.roster is None:
            raise HTTPException(409, "This console has no roster.")
        return self._site.roster

    def _start(
        self,
        kind: str,
        title: str,
        visit: Visit,
        carry_out: CarryOut,
    ) -> RunWork:
        site = self._site

        def and_read(follow: Callable[[RunEvent], None], stop: Stop) -> tuple[str, int]:
            try:
                return carry_out(follow, stop)
            finally:
                site.people.refresh()

        with self._lock:
            if self._run is not None and self._run.is_running:
                raise HTTPException(
                    409, f"A run of {self._run.actor} is at work. Nothing was started."
                )
            self._run = RunWork(kind, title, visit.actor, site.client.clock.now, and_read)
        site.works.add(self._run)
        self._run.start()
        return self._run

    def _maker(
        self, roster: Path, options: PlanOptions, actor: str
    ) -> Callable[[Callable[[RunEvent], None], Stop], None]:
        site = self._site

        def make(follow: Callable[[RunEvent], None], _: Stop) -> None:
            with plan(
                roster,
                ledger=site.ledger,
                client=site.client,
                on_progress=follow,
                **options,
            ) as made:
                rows, digest = _stored(made.changes())
                shown = LastPlan(
                    options,
                    actor,
                    made.summary,
                    [failure_text(error) for error in made.errors.values()],
                    digest,
                    made.summary.made_at,
                    rows,
                )
            self._plan, self._options = shown, options

        return make

    def _unfinished(self) -> Unfinished | None:
        """Returns the last run of the ledger if it has not ended."""
        ledger = self._site.ledger
        if ledger is None or (self._run is not None and self._run.is_running):
            return None
        run = runs.unfinished_run(ledger.store)
        if run is None:
            return None
        left = orders.unsettled_count(ledger.store, run.id)
        return Unfinished(run, left, is_at_work(ledger.store)) if left else None


def _options(visit: Visit) -> PlanOptions:
    return {
        "prune": bool(visit.value("prune")),
        "invite_declined": bool(visit.value("invite_declined")),
        "retry_unknown": bool(visit.value("retry_unknown")),
    }


def digest_of(changes: Iterable[Change]) -> str:
    """Returns a digest of the effects of changes and the people concerned. Ignores reasons and
    dates."""
    digest = hashlib.sha256()
    for _ in _digested(changes, digest):
        pass
    return digest.hexdigest()


def _digested(changes: Iterable[Change], digest: Any) -> Iterator[Change]:
    """Yields the changes, and adds each to a digest."""
    for change in changes:
        roles = [role_key(role) for role in (*change.roles, *change.deferred)]
        what = (change.action.value, change.account, change.key, roles, change.options)
        digest.update(repr(what).encode("utf-8", "replace"))
        yield change


def _stored(changes: Iterable[Change]) -> tuple[sqlite3.Connection, str]:
    """Returns the changes in a temporary database, and their digest."""
    rows = sqlite3.connect("", check_same_thread=False, isolation_level=None)
    rows.executescript(
        "CREATE TABLE changes (id INTEGER PRIMARY KEY, removes INTEGER, account TEXT, action TEXT,"
        " who TEXT, what TEXT, why TEXT); CREATE INDEX by_account ON changes (account, action);"
    )
    digest = hashlib.sha256()
    rows.execute("BEGIN")
    for change in _digested(changes, digest):
        what = ", ".join(
            [label(role) for role in change.roles]
            + [f"{label(role)} (after acceptance)" for role in change.deferred]
        )
        rows.execute(
            "INSERT INTO changes (removes, account, action, who, what, why) VALUES (?,?,?,?,?,?)",
            (
                change.action in REMOVALS,
                change.account,
                change.action.value,
                change.label,
                what,
                change.reason,
            ),
        )
    rows.execute("COMMIT")
    return rows, digest.hexdigest()


def _applied(result: ApplyResult) -> tuple[str, int]:
    """Returns what a run did, as sentences, and how many changes are left."""
    if not result.confirmed:
        text = (
            "The services or the roster have changed since the plan was shown, so nothing was sent."
            " Make a new plan, and look at it."
        )
        return text, 0
    if result.interrupted and result.run is None:
        return "Stopped before anything was sent. The plan can be applied again.", 0
    tallies = result.tallies.values()
    done = sum(tally.done.total() for tally in tallies)
    failed = sum(tally.refused.total() for tally in tallies)
    unknown = sum(tally.unknown for tally in tallies)
    emails = sum(tally.emails for tally in tallies)
    parts = [f"Made {count(done, 'change')}, and sent {count(emails, 'email')}."]
    parts += [f"{count(failed, 'change')} failed."] if failed else []
    parts += [f"Of {count(unknown, 'change')} the outcome is not known."] if unknown else []
    if result.interrupted:
        parts.append(f"Stopped with {result.left:,} left. You can go on at any time.")
    if result.settled is not None:
        parts.append(_settle_text(result.settled))
    return " ".join(parts), result.left


def _settle_text(result: SettleResult) -> str:
    parts = ["Gave the deferred roles that were due."] if result.runs else []
    if result.interrupted:
        parts.append("Stopped: the other roles stay deferred.")
    if result.waiting:
        many = count(result.waiting, "person", "people")
        parts.append(f"{many} will get roles after accepting.")
    if result.lost:
        many = count(result.lost, "person", "people")
        parts.append(f"{many} with a deferred role cannot accept any more.")
    return " ".join(parts) or "No deferred role is due."
