"""Exit codes, and the errors that only the command line has."""

from __future__ import annotations

from collections.abc import Iterable

from guestlist.errors import (
    CallerMistake,
    GuestlistError,
    OutcomeUnknown,
    PluginError,
    WaitTimeout,
)

DONE = 0
FAILED = 1
USAGE = 2
CHANGES = 2
"""`plan --detailed-exitcode` found changes."""
UNKNOWN = 3
TIMED_OUT = 4
FOUND = 5
"""`audit` has a finding of a kind that `--fail-on` names."""
BUG = 70
HANGUP = 129
INTERRUPTED = 130
TERMINATED = 143

_SEVERITY = (BUG, TERMINATED, HANGUP, INTERRUPTED, UNKNOWN, FAILED, TIMED_OUT, USAGE, DONE)
"""Codes by severity. After several errors, the command exits with the first that applies."""


class Interrupted(GuestlistError):
    """The command ended after Ctrl-C. The message says what may have happened."""


class Terminated(Interrupted):
    """The command ended after SIGTERM or SIGHUP.

    Attributes:
        signal: the number of the signal.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class Declined(GuestlistError):
    """The user answered no."""


class Bug(GuestlistError):
    """An unexpected error in guestlist or a plugin."""

    happened = None


def code_of(error: GuestlistError) -> int:
    """Returns the exit code for an error."""
    if isinstance(error, Terminated):
        return 128 + error.signal
    kinds: tuple[tuple[type[GuestlistError], int], ...] = (
        (Bug, BUG),
        (PluginError, BUG),
        (Interrupted, INTERRUPTED),
        (OutcomeUnknown, UNKNOWN),
        (WaitTimeout, TIMED_OUT),
        (CallerMistake, USAGE),
    )
    if error.happened is None and not isinstance(error, Bug | Interrupted):
        return UNKNOWN
    return next((code for kind, code in kinds if isinstance(error, kind)), FAILED)


def exit_code(errors: Iterable[GuestlistError]) -> int:
    """Returns the exit code of a command that ended with these errors."""
    return min(map(code_of, errors), key=_SEVERITY.index, default=DONE)
