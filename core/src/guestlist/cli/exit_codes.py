"""How a command ends: exit codes, and errors that only the command line has."""

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
"""Of `plan --detailed-exitcode`: there is something to do."""
UNKNOWN = 3
TIMED_OUT = 4
BUG = 70
HANGUP = 129
INTERRUPTED = 130
TERMINATED = 143

_SEVERITY = (BUG, TERMINATED, HANGUP, INTERRUPTED, UNKNOWN, FAILED, TIMED_OUT, USAGE, DONE)
"""Which code counts when several things went wrong: what needs looking at first, comes first."""


class Interrupted(GuestlistError):
    """Ctrl-C. The message says what may have happened."""


class Terminated(Interrupted):
    """SIGTERM or SIGHUP.

    Attributes:
        signal: its number.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class Declined(GuestlistError):
    """The user answered no."""


class Bug(GuestlistError):
    """Something that guestlist did not foresee."""

    happened = None


def code_of(error: GuestlistError) -> int:
    """The exit code that an error stands for."""
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
    """The exit code of a command that ended with these errors."""
    return min(map(code_of, errors), key=_SEVERITY.index, default=DONE)
