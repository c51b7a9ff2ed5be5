"""Carrying out a run that the ledger holds, and reconciling requests that got no answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

from guestlist.address import email_key
from guestlist.errors import Conflict, GuestlistError
from guestlist.ledger import orders
from guestlist.runs.context import Context, RunInterrupted
from guestlist.runs.progress import Reconciling, RunEnded, RunProgress, RunStarted
from guestlist.runs.runner import Summary
from guestlist.runs.tally import SHOWN as MAX_PROBLEMS
from guestlist.runs.tally import Tally


def carry_out(context: Context, run: int) -> Summary:
    """Send what is left of a run, and report what fails.

    Raises:
        RunInterrupted: the run was stopped. Requests under way were finished and recorded.
        LedgerError: the ledger fails. Nothing was sent that it does not hold.
    """
    context.emit(RunStarted(run))
    summary = _send(context, run)
    report_failures(context, summary)
    _report_recorded(context, run)
    left = sum(orders.left(context.store, run).values()) if summary.interrupted else summary.left
    context.emit(RunEnded(run, summary.tallies, left, summary.interrupted))
    if summary.interrupted:
        raise RunInterrupted
    return summary


def _send(context: Context, run: int) -> Summary:
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
            context.store.url,
            context.stop,
            progress,
            accounts=context.client.accounts,
        )
    finally:
        context.runner.presence.leave(run)


def reconcile(context: Context) -> dict[str, GuestlistError]:
    """Find out what became of requests that got no answer.

    Returns:
        Errors for the accounts where that is still unknown. A plan must invite nobody there: the
        lists may not show yet what an unanswered request has done.

    Raises:
        RunInterrupted: it was stopped before.
    """
    try:
        if requests := orders.unanswered(context.store):
            context.emit(Reconciling(len(requests)))
        summary = context.runner.reconcile(context.selection.accounts)
    except KeyboardInterrupt:
        raise RunInterrupted from None
    report_failures(context, summary)
    if summary.interrupted:
        raise RunInterrupted
    return {
        account: Conflict(
            "nothing new is sent before it is known what became of requests that got no answer",
            hint="The same command again looks for them.",
            account=account,
        )
        for account, tally in summary.tallies.items()
        if tally.halted is not None
    }


def report_failures(context: Context, summary: Summary) -> None:
    """Report what failed in this process."""
    for tally in summary.tallies.values():
        context.report(*tally.problems)
        if isinstance(tally.halted, GuestlistError):
            context.report(tally.halted.about(account=tally.account))


def _report_recorded(context: Context, run: int) -> None:
    """Report what failed on other machines, or before an interruption."""
    known = {_error_key(error) for error in context.errors}
    failed = orders.failures(context.store, run, MAX_PROBLEMS)
    context.report(*(error for error in failed if _error_key(error) not in known))


def _error_key(error: GuestlistError) -> tuple[object, ...]:
    return type(error), error.account, email_key(error.email or "")
