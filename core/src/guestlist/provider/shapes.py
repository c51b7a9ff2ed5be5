"""What is wrong with an answer, or a part of it, that a provider cannot read."""

from __future__ import annotations

from pydantic import ValidationError

from guestlist.errors import GuestlistError
from guestlist.provider.settings import in_words

READING_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What a provider's reading code raises if an answer has another shape than expected."""

CHANGED = "If it stays so, the service has changed: report it to the provider's authors."
"""The hint of errors about an answer of another shape."""


def shape_problem(error: Exception) -> str:
    """Returns a line that says why reading failed. It may quote a value: mask it before it shows.

    Args:
        error: one of `READING_ERRORS`, or what the provider raised on purpose.
    """
    if isinstance(error, GuestlistError):
        return error.message
    said = next(iter(str(error).splitlines()), "")
    if isinstance(error, ValidationError):
        found = error.errors(include_input=False, include_url=False)[:3]
        said = "; ".join(
            f"{error.title}.{'.'.join(map(str, one['loc']))}: {in_words(one)}" for one in found
        )
    return shorten(f"{type(error).__name__}: {said}", 240)


def shorten(text: str, length: int) -> str:
    """Returns the text on one line, cut off between two words: a secret cut in half would not be
    recognized and masked."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length + 1].rpartition(" ")[0]
