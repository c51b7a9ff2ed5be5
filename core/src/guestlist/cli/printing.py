"""Telling what went wrong, and the whole as JSON."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from guestlist.cli.exit_codes import Declined, Interrupted, exit_code
from guestlist.cli.text import printable
from guestlist.errors import GuestlistError

if TYPE_CHECKING:
    from guestlist.cli.document import AnyRow

COLORS = {"error": "31", "warning": "33", "interrupted": "33", "declined": "33", "hint": "2"}
"""SGR codes of the word before the colon."""


def print_message(kind: str, text: str) -> None:
    """One line on stderr: what kind of thing it is, a colon, and the text.

    Without rich: it has to work when rich is what is missing.
    """
    word = f"{kind}:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        word = f"\x1b[{COLORS[kind]}m{word}\x1b[0m"
    print(word, printable(text), file=sys.stderr)


def print_text(text: str) -> None:
    """Text on stdout for people: wrapped where a terminal would break words. Without rich."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for line in (
        textwrap.wrap(text, width, break_on_hyphens=False) if 0 < width < len(text) else [text]
    ):
        print(line)


def print_errors(errors: Sequence[GuestlistError], *, debug: bool = False) -> None:
    """Each error on one line, and what to do about it on another. A hint that holds for several
    errors in a row is given once."""
    for place, error in enumerate(errors):
        following = errors[place + 1] if errors[place + 1 :] else None
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
    results: Sequence[AnyRow],
    errors: Sequence[GuestlistError],
    *,
    show_secrets: bool = False,
) -> None:
    """The JSON document on stdout."""
    from guestlist.cli.document import Document, error_row

    code = exit_code(errors)
    document = Document.model_construct(
        command=command,
        ok=code == 0,
        exit_code=code,
        results=list(results),
        errors=[error_row(error) for error in errors],
    )
    print(document.text(show_secrets=show_secrets), flush=True)


def report_usage(error: GuestlistError, words: Sequence[str]) -> int:
    """Tells what is wrong with what was typed; the exit code."""
    print_errors([error], debug="--debug" in words)
    if "--json" in words:
        print_document(None, [], [error])
    return exit_code([error])
