"""The commands of a roster: `plan`, `apply`, `settle` and `worker`. They parse, call and show."""

from __future__ import annotations

import sys
from pathlib import Path

from guestlist import runs
from guestlist.cli.changes import SHOWN
from guestlist.cli.desk import Desk, desk
from guestlist.cli.outcome import CHANGES, Interrupted
from guestlist.cli.parser import UsageError
from guestlist.cli.report import say
from guestlist.cli.reporter import Reporter
from guestlist.cli.session import Session
from guestlist.cli.terminating import ends_on_signals
from guestlist.cli.words import count
from guestlist.ledger.stop import Stop
from guestlist.runs import SettleResult
from guestlist.runs.progress import Reconciling


def run_plan(session: Session) -> None:
    """`plan`: show what would change."""
    given = session.arguments
    with (
        desk(session) as at,
        Reporter(session, at) as reporter,
        runs.plan(
            at.roster,
            ledger=at.ledger,
            client=at.guests,
            on_progress=reporter,
            prune=given.prune,
            invite_declined=given.invite_declined,
        ) as plan,
    ):
        reporter.show_plan(plan)
        if given.out:
            plan.write(Path(given.out))
        if given.detailed_exitcode and plan.summary.changes:
            session.exit_code = CHANGES


def run_apply(session: Session) -> None:
    """`apply`: make the services as the roster says."""
    given = session.arguments
    with ends_on_signals(session), desk(session) as at, Reporter(session, at) as reporter:
        result = runs.apply(
            at.roster,
            plan=given.plan,
            ledger=at.ledger,
            client=at.guests,
            confirm=lambda _plan: _confirmed(session, at),
            on_progress=reporter,
            prune=given.prune,
            invite_declined=given.invite_declined,
            fresh=given.fresh,
            force=given.force,
            wait=given.wait,
            stop=Stop(),
        )
        if result.settled is not None:
            _show_settled(session, result.settled)
        elif result.interrupted and result.run is None:
            session.errors.append(_interrupted_early(session, reporter))
        elif result.interrupted:
            left = f"{result.left:,} left; `guestlist apply` goes on"
            done = "everything was done"
            session.errors.append(Interrupted(f"stopped: {left if result.left else done}"))


def run_settle(session: Session) -> None:
    """`settle`: give people their deferred roles, as far as they have accepted."""
    with (
        ends_on_signals(session),
        desk(session, create=False) as at,
        Reporter(session, at) as reporter,
    ):
        result = runs.settle(
            at.roster,
            ledger=at.ledger,
            client=at.guests,
            on_progress=reporter,
            wait=session.arguments.wait,
            stop=Stop(),
        )
        if result.interrupted and isinstance(reporter.last, Reconciling):
            session.errors.append(_interrupted_early(session, reporter))
        else:
            _show_settled(session, result)


def run_worker(session: Session) -> None:
    """`worker`: work on the runs of a ledger in PostgreSQL until it is stopped."""
    with desk(session) as at:
        from guestlist.ledger import engine

        session.progress.tell(f"working on {at.ledger.store.name}")
        engine.run_worker(at.make, at.ledger.store.url)
    session.printed = True


def _confirmed(session: Session, at: Desk) -> bool:
    """Ask whether to carry out a plan. Only the word yes means yes."""
    if session.arguments.yes or at.imitated:
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


def _interrupted_early(session: Session, reporter: Reporter) -> Interrupted:
    if not isinstance(reporter.last, Reconciling):
        return Interrupted("nothing was changed")
    return Interrupted(
        "stopped while looking what became of requests that got no answer;"
        f" `guestlist {session.arguments.command}` looks again"
    )


def _show_settled(session: Session, result: SettleResult) -> None:
    if result.interrupted:
        told = "stopped: what is still owed stays owed; `guestlist settle` goes on"
        session.errors.append(Interrupted(told))
        return
    if session.screen is None or (result.waiting and session.arguments.wait is not None):
        return
    session.printed = session.printed or bool(result.waiting or result.lost)
    if result.waiting:
        session.screen.line(
            f"{count(len(result.waiting), 'guest')} will get roles after accepting:"
            " `guestlist settle`, or `apply --wait`."
        )
    for guest in result.lost[:SHOWN]:
        say("warning", f"{guest.email} on {guest.account} is owed a role, and is {guest.state}")
