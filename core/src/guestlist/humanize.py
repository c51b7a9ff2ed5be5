"""Numbers, dates and durations as people write them: `2 calls`, `21 Nov 2026, 02:34:05 UTC`.
Also the name that a misspelled word was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


SIMILAR = 0.7
"""Similarity (by `difflib`) from which a word counts as a misspelled name."""


def similar_name(word: str, names: Iterable[str], similarity: float = SIMILAR) -> str | None:
    """Returns the name that is most similar to a word, or None if none is similar."""
    import difflib  # imported here, because only errors need it

    near = difflib.get_close_matches(word, list(names), 1, similarity)
    return near[0] if near else None


def quantity(number: int, noun: str) -> str:
    """Returns a number with its noun: `1 call`, `2 calls`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(length: timedelta) -> str:
    """Returns a duration in the largest unit that fits, rounded down: `3 days`, `1 hour`."""
    seconds = int(abs(length).total_seconds())
    for name, size in _UNITS:
        count = seconds // size
        if count:
            return quantity(count, name)
    return "less than a minute"


def relative_time(moment: datetime, now: datetime) -> str:
    """Returns a time relative to `now`: `just now`, `2 hours ago`, `in 3 days`."""
    if moment > now:
        return f"in {duration(moment - now)}"
    if now - moment < timedelta(minutes=1):
        return "just now"
    return f"{duration(now - moment)} ago"


def absolute_time(moment: datetime) -> str:
    """Returns a time in UTC as date and time: `21 Nov 2026, 02:34:05 UTC`."""
    return f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC"
