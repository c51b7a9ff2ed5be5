"""The commands of a roster: `plan`, `apply` and `settle`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guestlist.address import email_key
from guestlist.cli.changes import SHOWN, in_words, show_changes, show_notes
from guestlist.cli.desk import Desk, desk, telling
from guestlist.cli.document import ChangeRow, PlanRow, RunRow
from guestlist.cli.live import Live, show_ended, show_tallies
from guestlist.cli.outcome import CHANGES, Interrupted
from guestlist.cli.parser import UsageError
from guestlist.cli.report import say
from guestlist.cli.session import Session
from guestlist.cli.terminating import ends_on_signals
from guestlist.cli.words import count, listed
from guestlist.errors import Conflict, GuestlistError, ServiceTrouble, UnknownRole, WaitTimeout
from guestlist.ledger import orders, owed, runs
from guestlist.ledger.mails import MailsPerPerson
from guestlist.ledger.runner import Summary, alone
from guestlist.ledger.tally import SHOWN as PROBLEMS
from guestlist.models import OPEN_STATES, Guest
from guestlist.roster import Action, Change, Plan, make_plan, moved, read_plan
from guestlist.roster.debts import Debt, Judged, judge
from guestlist.roster.planfile import PlanFile
from guestlist.roster.summary import fingerprint

if TYPE_CHECKING:
    from guestlist.ledger.tally import Tally

SETTLE_EVERY = 15.0
"""Seconds between two looks for people who have accepted, with `--wait`."""
IN_JSON = 100_000
"""Changes that a JSON document holds at most; `--out` writes all of any number."""


def run_plan(session: Session) -> None:
    """`plan`: what would change."""
    given = session.arguments
    with desk(session) as at, _planned(session, at) as plan:
        _show(session, at, plan)
        if given.out:
            plan.write(Path(given.out))
        if given.detailed_exitcode and plan.summary.changes:
            session.exit_code = CHANGES


def run_apply(session: Session) -> None:
    """`apply`: makes it so."""
    given = session.arguments
    with ends_on_signals(session), desk(session) as at, alone(at.store):
        plan = read_plan(Path(given.plan)) if given.plan else None
        if plan is not None:
            plan.check_accounts(at.guests)  # also before a run of it is gone on with
            _tell_lacking(session, plan)
        asked = _digest(session, at) if plan is None else plan.digest
        run = _continued(session, at, asked)
        if run is None and plan is not None:
            run = _from_plan(session, at, plan, asked)
        elif run is None:
            run = _from_roster(session, at, asked)
        if run is None:
            return
        try:
            summary = _carry_out(session, at, run)
        except KeyboardInterrupt:  # before anything was under way, or while it was shown
            session.errors.append(_interrupted(sum(orders.left(at.store, run).values())))
            return
        if summary.interrupted:
            session.errors.append(_interrupted(summary.left))
            return
        _settle(session, at, given.wait)


def run_settle(session: Session) -> None:
    """`settle`: gives people the roles that they are owed, as far as they have accepted."""
    with ends_on_signals(session), desk(session, create=False) as at, alone(at.store):
        _settle_doubts(session, at)
        _settle(session, at, session.arguments.wait)


def run_worker(session: Session) -> None:
    """`worker`: works on the runs of a ledger in PostgreSQL, until it is stopped."""
    with desk(session) as at:
        from guestlist.ledger import engine

        session.progress.tell(f"working on {at.store.name}")
        engine.run_worker(at.make, at.url, stop=at.stop)
    session.printed = True


# ---------------------------------------------------------------------------- planning


@contextmanager
def _planned(
    session: Session, at: Desk, unclear: Mapping[str, GuestlistError] | None = None
) -> Iterator[Plan]:
    given = session.arguments
    limits = at.roster.limits
    session.progress.tell(f"reading {at.roster.toml.path}")
    mails = MailsPerPerson(at.store, at.guests.clock.now() - limits.period)
    with make_plan(
        at.guests,
        at.roster.wanted(),
        accounts=at.roster.accounts,
        unclear=unclear,
        limits=limits,
        prune=given.prune,
        invite_declined=given.invite_declined,
        owed=_debts(at),
        mails=mails,
        progress=telling(session),
    ) as plan:
        session.errors += plan.errors.values()
        _tell_problems(session, plan)
        yield plan


def _tell_problems(session: Session, plan: Plan | PlanFile) -> None:
    """Tells what cannot be had by anybody in an account."""
    session.errors += (
        UnknownRole(change.reason.rstrip("."), account=change.account)
        for change in _impossible(plan)
        if not change.email
    )


def _tell_lacking(session: Session, plan: PlanFile) -> None:
    """Tells what a plan was made without."""
    session.errors += (
        Conflict(
            "there is nothing about this account in the plan, because it could not be read then:"
            f" {why}",
            hint="For this account, plan again.",
            account=account,
        )
        for account, why in plan.summary.errors.items()
    )
    _tell_problems(session, plan)


def _impossible(plan: Plan | PlanFile) -> Iterator[Change]:
    """The changes that cannot be made. There may be a million others: they are passed over only
    where there is one."""
    if plan.summary.total(frozenset({Action.CANNOT})):
        yield from (change for change in plan.changes() if change.action is Action.CANNOT)


def _show(session: Session, at: Desk, plan: Plan) -> None:
    counts = Counter[Action]()
    for by_action in plan.summary.counts.values():
        counts.update(by_action)
    if session.screen is None:
        for number, change in enumerate(plan.changes()):
            if number < IN_JSON:
                session.results.append(ChangeRow.model_construct(**dict(change)))
        session.results.append(
            PlanRow(
                counts=_plain(plan.summary.counts),
                notes=_plain(plan.summary.notes),
                over=tuple(map(str, plan.summary.over)),
                nothing=plan.nothing,
            )
        )
        return
    titles = {name: provider.title for name, provider in at.guests.accounts.items()}
    show_changes(session.screen, plan.changes(), titles, everything=session.arguments.verbose)
    show_notes(session.screen, plan.summary.notes)
    session.screen.line(f"Plan: {in_words(counts, sorted(plan.summary.errors))}.", style="bold")
    for problem in plan.summary.over:
        say("warning", f"{problem}; `apply` needs --force for that")
    session.printed = True


def _plain(counts: Mapping[str, Mapping[Any, int]]) -> dict[str, dict[str, int]]:
    return {account: dict(counted) for account, counted in counts.items()}


# ---------------------------------------------------------------------------- applying


def _continued(session: Session, at: Desk, asked: str) -> int | None:
    """The last run, if it did not come to its end and the same is asked for still.

    Args:
        asked: the digest of what is asked for.
    """
    run = runs.unfinished_run(at.store)
    if run is None or session.arguments.fresh or run.roster != asked:
        return None
    if session.screen is not None:
        left = sum(orders.left(at.store, run.id).values())
        session.screen.line(
            f"Going on with a run that was interrupted: {left:,} left (--fresh plans anew)."
        )
    return run.id


def _digest(session: Session, at: Desk) -> str:
    """What is asked for: the roster, the accounts, how it is to be taken, and the day that it is
    taken on: tomorrow somebody's last day may be over."""
    given, today = session.arguments, at.guests.clock.now().date()
    accounts = " ".join(map(fingerprint, at.guests.accounts.values()))
    return f"{at.roster.digest} {accounts} {given.prune:d}{given.invite_declined:d} {today}"


def _from_roster(session: Session, at: Desk, asked: str) -> int | None:
    """Plans, and writes a run down if that is wanted."""
    with at.runner.resting():
        doubtful = _settle_doubts(session, at)
        unclear = {name: doubtful[name] for name in at.roster.accounts if name in doubtful}
        before = at.runner.claims()
        with _planned(session, at, unclear) as plan:
            _show(session, at, plan)
            if not _confirmed(session, at, plan):
                return None
            source = at.roster.toml.path.name
            return at.runner.begin(plan.changes, asked, source, before=before)


def _from_plan(session: Session, at: Desk, plan: PlanFile, asked: str) -> int | None:
    """Writes a run down for a plan that was made earlier, if nothing has moved since."""
    with at.runner.resting():
        doubtful = _settle_doubts(session, at)
        for account in plan.summary.counts:
            if account in doubtful:
                raise doubtful[account]
        before = at.runner.claims()
        _check_unmoved(session, at, plan)
        if not _confirmed(session, at, plan):
            return None
        return at.runner.begin(plan.changes, asked, plan.path.name, before=before)


def _check_unmoved(session: Session, at: Desk, plan: PlanFile) -> None:
    session.progress.tell("looking whether anything has changed since the plan was made")
    changed = [
        f"{change.email} on {change.account} {what}" for change, what in moved(at.guests, plan)
    ]
    if changed:
        more = f" and {len(changed) - 3} more" if changed[3:] else ""
        raise Conflict(
            f"the world has moved since the plan was made: {'; '.join(changed[:3])}{more}",
            hint="Nothing was sent. Make the plan again, and look at it.",
        )


def _confirmed(session: Session, at: Desk, plan: Plan | PlanFile) -> bool:
    given, summary = session.arguments, plan.summary
    if cannot := sum(1 for change in _impossible(plan) if change.email):
        session.errors.append(
            Conflict(f"{count(cannot, 'change')} not possible", hint="The plan says why.")
        )
    if not summary.possible:
        return True
    if summary.over and not given.force:
        raise Conflict(
            f"the plan asks for more than one run may do: {'; '.join(map(str, summary.over))}",
            hint="Nothing was sent. If it is meant so, say --force; [limits] has the ceilings.",
        )
    if given.yes or at.imitated:
        return True
    if session.screen is None or not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked", hint="Say --yes to apply without.")
    session.progress.pause()
    try:
        answer = input("Do it? Only yes means yes: ")
    except EOFError:  # Ctrl-D
        answer = ""
        session.screen.line()
    if answer.strip().lower() == "yes":
        return True
    session.screen.line("Nothing was done.")
    return False


def _settle_doubts(session: Session, at: Desk) -> dict[str, GuestlistError]:
    """Finds out what became of requests that got no answer.

    Returns:
        Accounts of which that is not known yet, as errors. Nobody of them must be invited by a
        plan: its lists need not show yet what a request in doubt has done.

    Raises:
        Interrupted: it was ended before.
    """
    if orders.in_doubt(at.store):
        session.progress.tell_waiting("looking what became of requests that got no answer")
    summary = at.runner.settle_doubts()
    _tell_failures(session, summary)
    if summary.interrupted:
        raise Interrupted(
            "stopped while looking what became of requests that got no answer;"
            f" `guestlist {session.arguments.command}` looks again"
        )
    return {
        account: Conflict(
            "nothing new is sent before it is known what became of requests that got no answer",
            hint="The same command again looks for them.",
            account=account,
        )
        for account, tally in summary.tallies.items()
        if tally.halted is not None
    }


def _carry_out(session: Session, at: Desk, run: int) -> Summary:
    session.progress.pause()
    with Live(session.screen) as live:
        if at.store.is_sqlite:
            summary = at.runner.run(run, live.follow)
        else:
            from guestlist.ledger.pool import run_together

            summary = run_together(
                at.store,
                run,
                at.make,
                at.url,
                at.stop,
                live.follow,
                accounts=at.guests.accounts,
            )
    _tell_failures(session, summary)
    _tell_recorded(session, at, run)
    _show_run(session, at, run, summary)
    return summary


def _tell_failures(session: Session, summary: Summary) -> None:
    for tally in summary.tallies.values():
        session.errors += tally.problems
        if isinstance(tally.halted, GuestlistError):
            session.errors.append(tally.halted.about(account=tally.account))


def _tell_recorded(session: Session, at: Desk, run: int) -> None:
    """Tells what of a run has failed elsewhere: on other machines, or before an interruption."""
    told = {_kind_of(error) for error in session.errors}
    failed = orders.failures(at.store, run, PROBLEMS)
    session.errors += [error for error in failed if _kind_of(error) not in told]


def _kind_of(error: GuestlistError) -> tuple[object, ...]:
    return type(error), error.account, email_key(error.email or "")


def _show_run(session: Session, at: Desk, run: int, summary: Summary) -> None:
    tallies = summary.tallies
    if session.screen is None:
        session.results += map(_run_row, tallies.values())
        return
    ended = orders.ended(at.store, run, SHOWN + 1)
    if len(ended) <= SHOWN:
        show_ended(session.screen, ended)
    else:
        show_tallies(session.screen, tallies)
    session.printed = True


def _run_row(tally: Tally) -> RunRow:
    return RunRow(
        account=tally.account,
        done=dict(tally.done),
        refused=dict(tally.refused),
        unknown=tally.unknown,
        left=tally.left,
        mails=tally.mails,
    )


# ---------------------------------------------------------------------------- owed roles


def _settle(session: Session, at: Desk, wait: float | None) -> None:
    """Gives the roles that have fallen due; waits for the others, if asked to."""
    try:
        others = _given(session, at, wait)
    except KeyboardInterrupt:
        others = None
    if others is None:
        told = "stopped: what is still owed stays owed; `guestlist settle` goes on"
        session.errors.append(Interrupted(told))
    else:
        _tell_owed(session, others, wait)


def _given(session: Session, at: Desk, wait: float | None) -> list[Guest] | None:
    """Where those stand whose roles are still owed at the end; None when that was interrupted."""
    ends = at.guests.clock.monotonic() + (wait or 0.0)
    judged, day = Judged(), None
    while True:
        today = at.guests.clock.now().date()
        if today != day:
            judged, day = _judged(session, at), today
        session.progress.tell("looking who has accepted")
        due, others, errors = at.runner.due({*judged.held, *map(Debt.of, judged.withdrawn)})
        if due or judged.withdrawn:
            changes = partial(chain, judged.withdrawn, due)
            run = at.runner.begin(changes, "", "settle", replace=False)
            judged.withdrawn.clear()
            if _carry_out(session, at, run).interrupted:
                return None
        left = ends - at.guests.clock.monotonic()
        waiting = [guest for guest in others if guest.state in OPEN_STATES]
        silent = [name for name, why in errors.items() if isinstance(why, ServiceTrouble)]
        if left <= 0 or not (waiting or silent):
            session.errors += errors.values()
            return others
        told = f"{listed(silent)} to answer"
        if waiting:
            told = f"{count(len(waiting), 'person').replace('persons', 'people')} to accept"
        session.progress.tell_waiting(f"waiting for {told}")
        at.guests.clock.sleep(min(SETTLE_EVERY, left))


def _debts(at: Desk) -> list[Debt]:
    return [Debt.of(debt.change) for debt in owed.debts(at.store)]


def _judged(session: Session, at: Desk) -> Judged:
    """What today's roster says of the debts."""
    debts = [debt for debt in _debts(at) if debt.account in at.guests.accounts]
    if not debts:
        return Judged()
    session.progress.tell(f"reading {at.roster.toml.path}")
    judged = judge(at.guests, at.roster.wanted(), debts)
    session.errors += judged.errors.values()
    return judged


def _tell_owed(session: Session, others: Sequence[Guest], wait: float | None) -> None:
    waiting = [guest for guest in others if guest.state in OPEN_STATES]
    if waiting and wait is not None:
        raise WaitTimeout(
            f"{len(waiting)} of those who are owed a role have not accepted in {wait:g} s",
            hint="`guestlist settle` gives the roles later.",
        )
    if session.screen is None:
        return
    session.printed = session.printed or bool(others)
    if waiting:
        session.screen.line(
            f"{count(len(waiting), 'guest')} will get roles after accepting: `guestlist settle`,"
            " or `apply --wait`."
        )
    lost = [guest for guest in others if guest.state not in OPEN_STATES]
    for guest in lost[:SHOWN]:
        say("warning", f"{guest.email} on {guest.account} is owed a role, and is {guest.state}")


def _interrupted(left: int) -> Interrupted:
    told = f"{left:,} left; `guestlist apply` goes on" if left else "everything was done"
    return Interrupted(f"stopped: {told}")
