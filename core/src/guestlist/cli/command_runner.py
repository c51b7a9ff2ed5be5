"""Runs one command and reports its results and errors."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from guestlist.cli.commands import find_command
from guestlist.cli.exit_codes import Bug, Interrupted, Terminated, exit_code
from guestlist.cli.printing import print_document, print_errors, print_text
from guestlist.cli.session import Session
from guestlist.cli.system_errors import mute_output, system_failure
from guestlist.errors import ConfigError, GuestlistError
from guestlist.plugins import installed
from guestlist.signals import END_SIGNALS, TERMINATION_SIGNALS, handle_signals

EMPTY_MESSAGES = {
    "audit": "Nothing found.",
    "console": "No tokens.",
    "invitations": "No invitations.",
    "log": "No orders.",
    "members": "No members.",
    "roles": "No roles.",
    "settle": "No deferred roles.",
    "who": "No people.",
}
"""Printed if a command succeeds without results."""


COMMANDS_FINISHING_REQUESTS = ("apply", "settle")
"""Commands that finish requests in flight after the first Ctrl-C, and ignore further ones."""


def run(arguments: argparse.Namespace, when_loaded: Callable[[], None] | None = None) -> int:
    """Runs a command and returns the exit code.

    Args:
        when_loaded: called just before the command runs.
    """
    if arguments.quiet:
        mute_output()
    try:
        command = find_command(arguments.command)
        if when_loaded is not None:
            when_loaded()
        session = _run_in_session(command, arguments)
    except GuestlistError as error:  # the command could not be loaded
        print_errors([error], debug=arguments.debug)
        code = exit_code([error])
        if arguments.json:
            print_document(arguments.command, [], [error], code=code)
        return code
    code = exit_code(session.errors)
    if not session.errors and session.exit_code is not None:
        code = session.exit_code
    try:
        if arguments.json and not session.printed:
            print_document(
                arguments.command,
                session.results,
                session.errors,
                code=code,
                show_secrets=arguments.show_secrets,
            )
    finally:  # also print the errors if stdout fails
        print_errors(session.errors, debug=arguments.debug)
    return code


def _run_in_session(command: Callable[[Session], None], arguments: argparse.Namespace) -> Session:
    with ExitStack() as closing:
        session = Session(arguments, closing)
        patient = arguments.command in COMMANDS_FINISHING_REQUESTS
        with _recording_errors(session), _ends_on_signals(session, patient=patient):
            command(session)
        session.end_status()
        if not arguments.json and not session.printed:
            with _recording_errors(session):
                _show(session)
    return session


@contextmanager
def _recording_errors(session: Session) -> Iterator[None]:
    """Appends an exception that is raised within the block to the session's errors."""
    try:
        yield
    except ConfigError as error:
        session.errors += error.problems or (error,)
    except GuestlistError as error:
        session.errors.append(error)
    except KeyboardInterrupt:
        session.errors.append(Interrupted("nothing was changed"))
    except BrokenPipeError:
        raise
    except OSError as error:
        session.errors.append(system_failure(error))
        session.printed = True
    except Exception as error:
        if session.arguments.debug:
            raise
        session.errors.append(_bug(error))


@contextmanager
def _ends_on_signals(session: Session, *, patient: bool = False) -> Iterator[None]:
    """Raises `KeyboardInterrupt` on SIGTERM and SIGHUP within the block, and records the signal in
    the session's errors. An ignored signal stays ignored, as `nohup` requires.

    Args:
        patient: raise only on the first signal, including Ctrl-C. A second one would end the wait
            for requests in flight, and release the ledger's lock too early.
    """
    received: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1 or not patient:
            raise KeyboardInterrupt

    def terminated(error: Interrupted) -> Interrupted:
        signals = [number for number in received if number in TERMINATION_SIGNALS]
        if not signals or isinstance(error, Terminated):
            return error
        ended = Terminated(error.message, signals[0])
        ended.happened = error.happened
        return ended

    try:
        with handle_signals(interrupt, END_SIGNALS if patient else TERMINATION_SIGNALS):
            yield
    except KeyboardInterrupt:
        raise terminated(Interrupted("nothing was changed")) from None
    except Interrupted as error:
        raise terminated(error) from None
    finally:
        session.errors[:] = [
            terminated(error) if isinstance(error, Interrupted) else error
            for error in session.errors
        ]


def _show(session: Session) -> None:
    if session.results and session.screen is not None:
        session.show(session.results)
    elif not session.errors:
        print_text(EMPTY_MESSAGES.get(session.arguments.command, "Nothing."))


def _bug(error: Exception) -> Bug:
    # the text of an unexpected error may contain secrets, so only --debug prints it
    plugin = installed().raised_by(error)
    failed, where = (
        (f"the plugin {plugin},", " to its authors") if plugin else ("guestlist itself", "")
    )
    return Bug(
        f"{failed} failed ({type(error).__name__})",
        hint=f"Run it again with --debug and report what it prints{where}.",
    )
