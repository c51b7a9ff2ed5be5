"""Sends the changes of a run that is in the ledger, and reconciles requests that got no answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial

from guestlist.address import email_key
from guestlist.client import Guestlist
from guestlist.errors import Conflict, GuestlistError, RateLimited, in_time_units
from guestlist.exchange.account import MAX_BACK_OFF_SECONDS
from guestlist.ledger import orders
from guestlist.runs.context import Context, RunInterrupted
from guestlist.runs.progress import Reconciling, RunEnded, RunProgress, RunStarted
from guestlist.runs.runner import RunSummary
from guestlist.runs.tally import SHOWN as MAX_PROBLEMS
from guestlist.runs.tally import Tally


def carry_out(context: Context, run: int) -> RunSummary:
    """Sends the remaining changes of a run, and reports failures.

    Raises:
        RunInterrupted: the run was stopped. Requests in flight were finished and recorded.
        LedgerError: the ledger fails. Every request that was sent is recorded in it.
    """
    context.emit(RunStarted(run))
    summary = _send(context, run)
    report_failures(context, summary)
    _report_recorded(context, run)
    left = orders.unsettled_count(context.store, run) if summary.interrupted else summary.left
    context.emit(RunEnded(run, summary.tallies, left, summary.interrupted))
    if summary.interrupted:
        raise RunInterrupted
    return summary


def _send(context: Context, run: int) -> RunSummary:
    def progress(tallies: Mapping[str, Tally]) -> None:
        context.emit(RunProgress(run, tallies))

    if context.store.is_sqlite:
        return context.runner.run(run, progress)
    from guestlist.runs.workers.together import run_together

    try:
        return run_together(
            context.store,
            run,
            lambda clock: nullcontext(context.client.with_clock(clock)),
            context.stop,
            progress,
            accounts=context.client.accounts,
            too_long=partial(excessive_pause_error, context.client),
        )
    finally:
        context.runner.presence.leave(run)


def excessive_pause_error(client: Guestlist, account: str) -> RateLimited | None:
    """Returns an error if the account's service asks for a longer pause than the client's budget
    allows; None if it does not."""
    left = client.account(account).pause_left
    if left <= min(client.budget.waiting, MAX_BACK_OFF_SECONDS):
        return None
    return RateLimited(
        f"the service asked for a pause of {in_time_units(left)}",
        hint="Workers on other machines continue. Run `guestlist apply` again to continue here.",
        retry_after=left,
    )


def reconcile(context: Context) -> dict[str, GuestlistError]:
    """Looks up the outcome of requests that got no answer.

    Returns:
        An error for each account that still has unresolved requests. A plan must not invite people
        there, because the lists may not show the effect of an unanswered request yet.

    Raises:
        RunInterrupted: the run was stopped before all requests were looked up.
    """
    try:
        if requests := orders.unanswered_orders(context.store):
            context.emit(Reconciling(len(requests)))
        summary = context.runner.reconcile(context.selection.accounts)
    except KeyboardInterrupt:
        raise RunInterrupted from None
    report_failures(context, summary)
    if summary.interrupted:
        raise RunInterrupted
    return {
        account: Conflict(
            "nothing new is sent, because the outcome of earlier requests is still unknown",
            hint="Run the same command again: it looks up their outcome first.",
            account=account,
        )
        for account, tally in summary.tallies.items()
        if tally.halted is not None
    }


def report_failures(context: Context, summary: RunSummary) -> None:
    """Reports the failures of this process."""
    for tally in summary.tallies.values():
        context.report(*tally.problems)
        if isinstance(tally.halted, GuestlistError):
            context.report(tally.halted.about(account=tally.account))


def _report_recorded(context: Context, run: int) -> None:
    """Reports failures on other machines and those before an interruption."""
    known = {_error_key(error) for error in context.errors}
    failed = orders.failed_order_errors(context.store, run, MAX_PROBLEMS)
    context.report(*(error for error in failed if _error_key(error) not in known))


def _error_key(error: GuestlistError) -> tuple[object, ...]:
    return type(error), error.account, email_key(error.email or "")
