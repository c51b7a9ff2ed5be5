"""Prints errors, warnings, and the JSON document. Works without rich."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from guestlist.cli.exit_codes import Declined, Interrupted, exit_code
from guestlist.cli.text import printable, with_flags
from guestlist.errors import GuestlistError

if TYPE_CHECKING:
    from pydantic import BaseModel

COLORS = {
    "error": "31",
    "found": "31",
    "warning": "33",
    "interrupted": "33",
    "declined": "33",
    "hint": "2",
}
"""ANSI color codes of the word before the colon."""


def print_message(kind: str, text: str) -> None:
    """Prints one line on stderr: the kind of message, a colon, and the text, in which flags stand
    for Python arguments. Works without rich, because rich may not be installed."""
    word = f"{kind}:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        word = f"\x1b[{COLORS[kind]}m{word}\x1b[0m"
    print(word, printable(with_flags(text)), file=sys.stderr)


def print_text(text: str) -> None:
    """Prints text for people on stdout, wrapped at the width of a terminal. Works without rich."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for line in (
        textwrap.wrap(text, width, break_on_hyphens=False) if 0 < width < len(text) else [text]
    ):
        print(line)


def print_errors(errors: Sequence[GuestlistError], *, debug: bool = False) -> None:
    """Prints each error on one line and its hint on another. Prints a hint once if several errors
    in a row have the same."""
    for index, error in enumerate(errors):
        following = errors[index + 1] if errors[index + 1 :] else None
        if debug:
            traceback.print_exception(error)
        if isinstance(error, Interrupted):
            print_message("interrupted", error.message)
        elif isinstance(error, Declined):
            print_message("declined", error.message)
        else:
            print_message("error", error.headline)
        if error.hint and (following is None or following.hint != error.hint):
            print_message("hint", error.hint)


def print_document(
    command: str | None,
    results: Sequence[BaseModel],
    errors: Sequence[GuestlistError],
    *,
    code: int,
    show_secrets: bool = False,
) -> None:
    """Prints the JSON document on stdout.

    Args:
        code: the exit code of the command.
    """
    from guestlist.cli.document import document_text

    text = document_text(command, results, errors, code=code, show_secrets=show_secrets)
    print(text, flush=True)


def report_usage(error: GuestlistError, words: Sequence[str]) -> int:
    """Reports an error in the command line, and returns the exit code."""
    print_errors([error], debug="--debug" in words)
    code = exit_code([error])
    if "--json" in words:
        print_document(None, [], [error], code=code)
    return code
