"""Asks the user for confirmation."""

from __future__ import annotations

import sys

from guestlist.cli.exit_codes import Declined
from guestlist.cli.parser import UsageError
from guestlist.cli.text import printable

ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def confirm(question: str, *, yes: bool) -> None:
    """Asks the user to confirm. Repeats the question until the answer is yes or no.

    Args:
        yes: whether the user confirmed on the command line already. If so, does not ask.

    Raises:
        UsageError: stdin or stderr is not a terminal.
        Declined: the answer was no or empty.
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    if yes:
        return
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError(
            "this command asks for confirmation, but there is no terminal",
            hint="Add --yes to confirm.",
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
