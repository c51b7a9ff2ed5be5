"""Asks the user for confirmation."""

from __future__ import annotations

import sys

from guestlist.cli.exit_codes import Declined
from guestlist.cli.parser import UsageError
from guestlist.cli.text import printable

ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def confirm(question: str, *, yes: bool) -> None:
    """Returns if the user confirms. Asks again after anything but yes or no.

    Args:
        yes: the user confirmed on the command line, so nothing is asked.

    Raises:
        UsageError: stdin or stderr is not a terminal.
        Declined: the user answered no, or nothing.
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    if yes:
        return
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError(
            "this needs a confirmation, and there is no terminal to ask on", hint="Add --yes."
        )
    while True:
        print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:  # Ctrl-D
            print(file=sys.stderr)
        answer = ANSWERS.get(line.strip().lower())
        if answer is None:
            print("Please answer yes or no.", file=sys.stderr)
        elif answer:
            return
        else:
            raise Declined("nothing was changed")
