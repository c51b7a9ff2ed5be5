"""`apply`: changes the services so that they match a roster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.changes import SENDS_EMAIL, Change
from guestlist.errors import Conflict, GuestlistError, InvalidArgument
from guestlist.exchange.clock import Stopped
from guestlist.ledger import orders, runs
from guestlist.ledger.emails import unresolved
from guestlist.ledger.lock import exclusive
from guestlist.roster.plan import Plan
from guestlist.roster.planfile import PlanFile, read_plan
from guestlist.roster.staleness import iter_outdated_changes, iter_overdue_changes
from guestlist.roster.summary import fingerprint
from guestlist.runs.context import EVERYBODY, Context, RunInterrupted, Selection, open_context
from guestlist.runs.execution import carry_out, reconcile
from guestlist.runs.planning import (
    PlanOptions,
    impossible_changes,
    make_context_plan,
    report_unplanned,
    unresolved_errors,
)
from guestlist.runs.progress import (
    CheckingPlan,
    Confirm,
    ConfirmResume,
    Planned,
    Progress,
    Resuming,
)
from guestlist.runs.settling import SettleResult, grant_roles

if TYPE_CHECKING:
    from guestlist.client import Guestlist
    from guestlist.ledger.ledger import Ledger
    from guestlist.roster.file import Roster
    from guestlist.runs.stop import Stop
    from guestlist.runs.tally import Tally


@dataclass
class ApplyResult:
    """The result of `apply`.

    Attributes:
        run: the run's number in the ledger; None if no run was started.
        confirmed: False if the callback declined the plan.
        tallies: counts of the outcomes, by account.
        left: number of changes that are still to be made. The next call of `apply` continues with
            them.
        interrupted: whether the run was stopped early.
        errors: failures that did not end the run.
        settled: the result for deferred grants; None if the run ended before they were handled.
    """

    run: int | None = None
    confirmed: bool = True
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    left: int = 0
    interrupted: bool = False
    errors: list[GuestlistError] = field(default_factory=list)
    settled: SettleResult | None = None


@dataclass(frozen=True)
class _Options:
    confirm: Confirm | None
    confirm_resume: ConfirmResume | None
    plan: PlanOptions
    force: bool


def apply(
    roster: Roster | str | Path,
    *,
    plan: PlanFile | str | Path | None = None,
    ledger: Ledger | str | Path | None = None,
    client: Guestlist | None = None,
    confirm: Confirm | None = None,
    confirm_resume: ConfirmResume | None = None,
    on_progress: Progress | None = None,
    prune: bool = False,
    invite_declined: bool = False,
    retry_unknown: bool = False,
    fresh: bool = False,
    force: bool = False,
    accounts: Iterable[str] = (),
    people: Iterable[str] = (),
    allow_empty: bool = False,
    wait: float | None = None,
    stop: Stop | None = None,
    actor: str | None = None,
    note: str | None = None,
) -> ApplyResult:
    """Changes the services so that they match a roster: plans, asks for confirmation, sends the
    changes, and grants deferred roles.

    Every change is written to the ledger before its request is sent. The next call continues a run
    that was interrupted or killed, if the roster is still the same: no change is lost, and no
    person is invited twice. Only one process at a time applies with the same ledger.

    Args:
        roster: the roster, or the path of its file.
        plan: a saved plan to carry out instead of a new one.
        ledger: an open ledger, a file or a URL. By default the one that the roster names.
        client: the client to send with. By default one for the roster's accounts. Give it the same
            ledger, so that rate limits are shared with other processes.
        confirm: called with the plan before anything is sent. If it returns False, nothing is sent.
            It is not called if an interrupted run continues or if there is nothing to do.
        confirm_resume: called with the number of changes that are left, before an interrupted run
            continues. If it returns False, nothing is sent.
        on_progress: called with each event of the run.
        prune: also remove people whom the roster does not name.
        invite_declined: also invite people who have declined.
        retry_unknown: also send an email if it is unknown whether an earlier one was sent. By
            default these people are left out, and the result has an `OutcomeUnknown` for each.
        fresh: make a new plan even if an interrupted run could continue.
        force: allow a plan that is over the roster's `[limits]`.
        accounts: plan and change only these accounts. Cannot be combined with `plan`.
        people: plan and change only the people with these addresses.
        allow_empty: accept a roster that names no people. By default that is an error.
        wait: seconds to wait for people to accept, so that they can be given deferred roles.
        stop: ends the run early when called, such as from a signal handler. With it, Ctrl-C is
            reported in the result. Without it, Ctrl-C raises `KeyboardInterrupt` once the requests
            in flight have been finished and recorded.
        actor: who starts the run, for the ledger. By default the user of the operating system.
        note: the reason for the run, for the ledger.

    Raises:
        ConfigError: the roster, its accounts, the ledger's location or the saved plan is invalid.
        Conflict: the plan is over a limit, or the roster or the services have changed since it was
            saved.
        LedgerError: the ledger fails, or another process is applying with it.
    """
    selection = Selection.of(accounts, people)
    if plan is not None and selection != EVERYBODY:
        raise InvalidArgument(
            "a saved plan cannot be limited to accounts or people",
            hint="Select accounts and people when the plan is made.",
        )
    with (
        open_context(
            roster,
            ledger,
            client,
            on_progress,
            stop,
            selection=selection,
            allow_empty=allow_empty,
            actor=actor,
            note=note,
        ) as context,
        exclusive(context.store),
    ):
        saved = read_plan(Path(plan)) if isinstance(plan, str | Path) else plan
        planned = PlanOptions(prune, invite_declined, retry_unknown, allow_empty)
        options = _Options(confirm, confirm_resume, planned, force)
        result = ApplyResult(errors=context.errors)
        try:
            _apply(context, saved, options, fresh, wait, result)
        except (RunInterrupted, Stopped):
            if not context.handles_stop:
                raise KeyboardInterrupt from None
            result.interrupted = True
        except KeyboardInterrupt:
            if result.run is None or not context.handles_stop:
                raise
            result.interrupted = True
        if result.run is not None:
            result.left = orders.unsettled_count(context.store, result.run)
        return result


def _apply(
    context: Context,
    saved: PlanFile | None,
    options: _Options,
    fresh: bool,
    wait: float | None,
    result: ApplyResult,
) -> None:
    if saved is not None:
        # Checked first, because an unfinished run of this plan may be continued below.
        saved.check_accounts(context.client)
        report_unplanned(context, saved)
    asked = _request_digest(context, options) if saved is None else saved.digest
    run = None if fresh else _find_unfinished_run(context, asked)
    if run is not None and saved is not None:
        _raise_if_changed(iter_overdue_changes(saved, context.client.clock.now()))
    if run is not None and options.confirm_resume is not None:
        left = orders.unsettled_count(context.store, run)
        if not options.confirm_resume(left):
            result.confirmed = False
            return
    if run is None:
        run = (
            _begin_from_roster(context, options, asked)
            if saved is None
            else _begin_from_plan(context, options, saved, asked)
        )
    if run is None:
        result.confirmed = False
        return
    result.run = run
    result.tallies = carry_out(context, run).tallies
    result.settled = grant_roles(context, wait, allow_empty=options.plan.allow_empty)
    result.interrupted = result.settled.interrupted


def _find_unfinished_run(context: Context, asked: str) -> int | None:
    """Returns the number of the last run if it was interrupted and was made for the same request.

    Args:
        asked: the digest of the present request.
    """
    run = runs.unfinished_run(context.store)
    if run is None or run.roster != asked:
        return None
    context.emit(Resuming(run.id, orders.unsettled_count(context.store, run.id)))
    return run.id


def _request_digest(context: Context, options: _Options) -> str:
    """Returns a digest of the request: the roster, the accounts, the options and the date. The date
    counts because somebody's last day may be over tomorrow."""
    client = context.client
    today = client.clock.now().astimezone(context.roster.zone).date()
    accounts = " ".join(map(fingerprint, client.accounts.values()))
    plan = options.plan
    flags = f"{plan.prune:d}{plan.invite_declined:d}{plan.retry_unknown:d}"
    limited = f" {context.selection}" if context.selection != EVERYBODY else ""
    return f"{context.roster.digest} {accounts} {flags} {today}{limited}"


def _begin_from_roster(context: Context, options: _Options, asked: str) -> int | None:
    """Makes a plan, and records a run for it if the plan is confirmed."""
    with context.runner.paused_workers():
        unknown = reconcile(context)
        unclear = {name: unknown[name] for name in context.accounts() if name in unknown}
        before = context.runner.claims()
        with make_context_plan(context, options.plan, unclear) as plan:
            if not _is_confirmed(context, options, plan):
                return None
            source = context.roster.toml.path.name
            return context.runner.begin(plan.changes, asked, source, before=before)


def _begin_from_plan(context: Context, options: _Options, plan: PlanFile, asked: str) -> int | None:
    """Records a run for a saved plan if it is confirmed and the services have not changed since."""
    with context.runner.paused_workers():
        unknown = reconcile(context)
        for account in plan.summary.counts:
            if account in unknown:
                raise unknown[account]
        before = context.runner.claims()
        _check_unchanged(context, plan)
        if not _is_confirmed(context, options, plan):
            return None
        return context.runner.begin(plan.changes, asked, plan.path.name, before=before)


def _check_unchanged(context: Context, plan: PlanFile) -> None:
    context.emit(CheckingPlan(plan.path))
    roster = context.roster
    outdated = iter_outdated_changes(
        context.client,
        plan,
        roster.wanted(),
        zone=roster.zone,
        protected=roster.limits.protected,
    )
    _raise_if_changed(chain(outdated, _unresolved_since(context, plan)))


def _unresolved_since(context: Context, plan: PlanFile) -> Iterator[tuple[Change, str]]:
    """Yield the changes of a saved plan that would send an email, although another one may have
    been sent since the plan was made."""
    since = plan.summary.made_at.timestamp()
    found = {(one.account, one.key): str(one) for one in unresolved(context.store, since)}
    if not found:
        return
    for change in plan.changes():
        if change.action in SENDS_EMAIL and (change.account, change.key) in found:
            yield change, f"is unresolved: {found[change.account, change.key]}"


def _raise_if_changed(different: Iterable[tuple[Change, str]]) -> None:
    """Raises an error if the roster or the services have changed since a plan was saved.

    Raises:
        Conflict: the message lists the first three affected changes.
    """
    changed = [f"{change.email} on {change.account} {what}" for change, what in different]
    if changed:
        more = f" and {len(changed) - 3} more" if changed[3:] else ""
        raise Conflict(
            "the roster or the services have changed since the plan was made:"
            f" {'; '.join(changed[:3])}{more}",
            hint="Nothing was sent. Make a new plan and review it.",
        )


def _is_confirmed(context: Context, options: _Options, plan: Plan | PlanFile) -> bool:
    context.emit(Planned(plan))
    if cannot := sum(1 for change in impossible_changes(plan) if change.email and not change.roles):
        changes = "1 change" if cannot == 1 else f"{cannot} changes"
        context.report(
            Conflict(f"{changes} not possible", hint="The plan gives the reason for each.")
        )
    context.report(*unresolved_errors(plan))
    summary = plan.summary
    if not summary.possible:
        return True
    if summary.over and not options.force:
        raise Conflict(
            f"the plan exceeds the limits of one run: {'; '.join(map(str, summary.over))}",
            hint="Nothing was sent. Pass force=True to allow it, or raise the limits in [limits].",
        )
    return options.confirm is None or options.confirm(plan)
