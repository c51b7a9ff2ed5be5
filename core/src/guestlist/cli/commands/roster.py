"""The commands for rosters: `plan`, `apply`, `settle` and `worker`. They parse, call
`guestlist.runs` and print."""

from __future__ import annotations

from pathlib import Path

from guestlist import runs
from guestlist.cli.changes import MAX_CHANGES_ON_TERMINAL
from guestlist.cli.confirmation import confirm
from guestlist.cli.exit_codes import CHANGES, Interrupted
from guestlist.cli.opened_roster import OpenedRoster, open_roster
from guestlist.cli.parser import UsageError
from guestlist.cli.printing import print_message
from guestlist.cli.run_reporter import RunReporter
from guestlist.cli.session import Session
from guestlist.errors import WaitTimeout
from guestlist.humanize import quantity
from guestlist.runs import SettleResult
from guestlist.runs.progress import Reconciling
from guestlist.runs.stop import Stop
from guestlist.verbs.states import state_word


def run_plan(session: Session) -> None:
    """`plan`: shows the changes that would make the services match the roster."""
    given = session.arguments
    _select(session)
    if given.markdown and given.json:
        raise UsageError("--markdown and --json exclude each other", hint="Leave out one of them.")
    with (
        open_roster(session, reads_only=True) as at,
        RunReporter(session, at) as reporter,
        runs.plan(
            at.roster,
            ledger=at.ledger,
            client=at.guests,
            on_progress=reporter,
            prune=given.prune,
            invite_declined=given.invite_declined,
            retry_unknown=given.retry_unknown,
            accounts=given.account,
            people=given.who,
            allow_empty=given.allow_empty,
        ) as plan,
    ):
        reporter.show_plan(plan)
        if given.out:
            plan.write(Path(given.out))
        if given.detailed_exitcode and plan.summary.changes:
            session.exit_code = CHANGES


def run_apply(session: Session) -> None:
    """`apply`: changes the services so that they match the roster."""
    given = session.arguments
    _select(session)
    if given.plan and (given.account or given.who):
        raise UsageError(
            "a saved plan can only be applied as a whole",
            hint="Leave out the accounts and addresses, or --plan.",
        )
    with open_roster(session) as at, RunReporter(session, at) as reporter:
        result = runs.apply(
            at.roster,
            plan=given.plan,
            ledger=at.ledger,
            client=at.guests,
            confirm=lambda _plan: _confirmed(session, at, "Apply this plan?"),
            confirm_resume=lambda _left: _confirmed(session, at, "Continue the earlier run?"),
            on_progress=reporter,
            prune=given.prune,
            invite_declined=given.invite_declined,
            retry_unknown=given.retry_unknown,
            fresh=given.fresh,
            force=given.force,
            accounts=given.account,
            people=given.who,
            allow_empty=given.allow_empty,
            wait=given.wait,
            stop=Stop(),
        )
        if result.settled is not None:
            _show_settled(session, result.settled)
        elif result.interrupted and result.run is None:
            session.errors.append(_interrupted_early(session, reporter))
        elif result.interrupted:
            left = f"{result.left:,} left; run `guestlist apply` to continue"
            done = "all changes were made"
            session.errors.append(Interrupted(f"stopped: {left if result.left else done}"))


def run_settle(session: Session) -> None:
    """`settle`: gives their deferred roles to people who have accepted."""
    with (
        open_roster(session, create=False) as at,
        RunReporter(session, at) as reporter,
    ):
        result = runs.settle(
            at.roster,
            ledger=at.ledger,
            client=at.guests,
            on_progress=reporter,
            wait=session.arguments.wait,
            stop=Stop(),
            allow_empty=session.arguments.allow_empty,
        )
        if result.interrupted and isinstance(reporter.last, Reconciling):
            session.errors.append(_interrupted_early(session, reporter))
        else:
            _show_settled(session, result)


def run_worker(session: Session) -> None:
    """`worker`: processes the runs of a ledger in PostgreSQL until it is stopped."""
    with open_roster(session) as at:
        from guestlist.runs.workers import worker

        session.status.show(f"working on {at.ledger.store.name}")
        worker.work_on_runs(at.make, at.ledger.store.url)
    session.printed = True


def _select(session: Session) -> None:
    """Separates the roster's file from the addresses, because both are optional."""
    given = session.arguments
    words = [*filter(None, [given.roster]), *given.who]
    files = [word for word in words if "@" not in word or Path(word).exists()]
    if files[1:]:
        raise UsageError(
            f"{files[1]!r} is not an email address",
            hint="Give at most one roster file; all other words must be addresses.",
        )
    given.roster = files[0] if files else None
    given.who = [word for word in words if word not in files]


def _confirmed(session: Session, at: OpenedRoster, question: str) -> bool:
    """Asks whether to apply changes, and returns True if the user agrees.

    Raises:
        Declined: the user answered no.
        UsageError: there is no terminal to ask on.
    """
    given = session.arguments
    session.status.pause()
    if at.imitated and not given.yes and not given.quiet and session.screen is not None:
        text = "Not asked, because a sandbox sends no real email."
        session.screen.err.print(text, soft_wrap=True, style="dim")
    confirm(question, yes=given.yes or at.imitated)
    return True


def _interrupted_early(session: Session, reporter: RunReporter) -> Interrupted:
    if not isinstance(reporter.last, Reconciling):
        return Interrupted("nothing was changed")
    return Interrupted(
        "stopped while looking up the outcome of requests that got no answer;"
        f" `guestlist {session.arguments.command}` continues"
    )


def _show_settled(session: Session, result: SettleResult) -> None:
    for error in result.errors:
        if isinstance(error, WaitTimeout) and session.has_temporary_ledger:
            error.hint = f"{_how_to_settle(session, '').capitalize()}."
    if result.interrupted:
        text = f"stopped: the other roles stay deferred; {_how_to_settle(session, 'to continue')}"
        session.errors.append(Interrupted(text))
        return
    if session.screen is None or (result.waiting and session.arguments.wait is not None):
        return
    session.printed = session.printed or bool(result.waiting or result.lost)
    if result.waiting:
        session.screen.line(
            f"{quantity(result.waiting, 'guest')} will get roles after accepting:"
            f" {_how_to_settle(session, 'then')}, or use `apply --wait`."
        )
    shown = result.lost_people[:MAX_CHANGES_ON_TERMINAL]
    for guest in shown:
        who, state = f"{guest.email} on {guest.account}", state_word(guest.state)
        print_message("warning", f"{who} has a deferred role, but is {state}")
    if more := result.lost - len(shown):
        print_message("warning", f"{more:,} more people have a deferred role and cannot accept")


def _how_to_settle(session: Session, when: str) -> str:
    """Returns what to do, so that people get their deferred roles later."""
    if session.has_temporary_ledger:
        return "run `apply` and `settle` with the same `--ledger FILE`"
    return f"run `guestlist settle` {when}"
