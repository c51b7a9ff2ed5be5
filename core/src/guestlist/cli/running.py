"""Runs one command to its end, whatever that is."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING

from guestlist.cli.commands import find
from guestlist.cli.outcome import Bug, Interrupted, OutputError, exit_code
from guestlist.cli.report import print_document, tell_errors
from guestlist.cli.session import Session
from guestlist.errors import GuestlistError

if TYPE_CHECKING:
    from guestlist.cli.screen import Screen

NOTHING = {
    "list": "No invitations.",
    "log": "No orders.",
    "members": "No members.",
    "roles": "Nothing to grant.",
}
"""What is said when there is nothing to show and nothing went wrong."""


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; the exit code."""
    try:
        session = _carried_out(arguments)
    except GuestlistError as error:  # before there was anything to carry out
        tell_errors([error], debug=arguments.debug)
        if arguments.json:
            print_document(arguments.command, [], [error])
        return exit_code([error])
    if arguments.json and not session.printed:
        print_document(
            arguments.command,
            session.results,
            session.errors,
            show_secrets=arguments.show_secrets,
        )
    tell_errors(session.errors, debug=arguments.debug)
    return exit_code(session.errors)


def _carried_out(arguments: argparse.Namespace) -> Session:
    screen = None
    if not arguments.json:
        from guestlist.cli.screen import Screen

        screen = Screen(everything=arguments.verbose)
    carry_out = find(arguments.command)
    with ExitStack() as closing:
        session = Session(arguments, screen, closing)
        try:
            with session.progress:
                carry_out(session)
        except GuestlistError as error:
            session.errors.append(error)
        except KeyboardInterrupt:
            session.errors.append(Interrupted("nothing was changed"))
        except (BrokenPipeError, OutputError):
            raise
        except Exception as error:
            if arguments.debug:
                raise
            session.errors.append(_bug(error))
        if screen is not None and not session.printed:
            _show(session, screen)
    return session


def _show(session: Session, screen: Screen) -> None:
    from guestlist.cli.facts import Facts
    from guestlist.cli.labels import Labels
    from guestlist.cli.tables import Tables

    given = session.arguments
    if session.results:
        facts = Facts(session.now, Labels(lambda: session.guests), exact=given.verbose)
        tables = Tables(screen, facts, secrets=given.show_secrets, details=given.verbose)
        tables.show(session.results)
    elif not session.errors:
        screen.line(NOTHING.get(given.command, "Nothing."))


def _bug(error: Exception) -> Bug:
    # the text of an unforeseen error may hold anything, secrets too: only --debug shows it
    return Bug(
        f"guestlist itself failed ({type(error).__name__})",
        hint="Run it again with --debug and report what it prints.",
    )
