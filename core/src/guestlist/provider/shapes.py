"""Describes what is wrong with an answer, or a record of it, that a provider cannot read."""

from __future__ import annotations

from pydantic import ValidationError

from guestlist.errors import GuestlistError
from guestlist.provider.settings import describe_problem

READING_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""The exceptions that a provider's reading code may raise for an answer with an unexpected
shape."""

CHANGED = "If it stays so, the service has changed: report it to the provider's authors."
"""The hint of errors about an answer with an unexpected shape."""


def shape_problem(error: Exception) -> str:
    """Returns one line that says why an answer could not be read. The line may quote a value from
    the answer, so mask secrets before showing it.

    Args:
        error: one of `READING_ERRORS`, or an error that the provider raised deliberately.
    """
    if isinstance(error, GuestlistError):
        return error.message
    text = next(iter(str(error).splitlines()), "")
    if isinstance(error, ValidationError):
        found = error.errors(include_input=False, include_url=False)[:3]
        text = "; ".join(
            f"{error.title}.{'.'.join(map(str, one['loc']))}: {describe_problem(one)}"
            for one in found
        )
    return shorten(f"{type(error).__name__}: {text}", 240)


def shorten(text: str, length: int) -> str:
    """Returns the text on one line of at most `length` characters, cut off between two words: a
    secret that was cut in half would not be recognized and masked."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length + 1].rpartition(" ")[0]
