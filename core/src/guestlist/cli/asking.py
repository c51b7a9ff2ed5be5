"""Asking a person whether something is meant."""

from __future__ import annotations

import sys

from guestlist.cli.outcome import Interrupted
from guestlist.cli.parser import UsageError
from guestlist.cli.words import printable


def confirm(question: str, *, yes: bool) -> None:
    """Returns when it is meant.

    Args:
        yes: it was said on the command line.

    Raises:
        UsageError: nobody is there to ask.
        Interrupted: it is not meant.
    """
    if yes:
        return
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError("it has to be confirmed, and nobody can be asked", hint="Add --yes.")
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise Interrupted("nothing was changed")
