"""Dates and durations as people write them: `21 Nov 2026, 02:34:05 UTC`, `in 3 days`."""

from __future__ import annotations

from datetime import datetime, timedelta

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def duration(length: timedelta) -> str:
    """Returns a duration in the largest unit that fits, rounded down: `3 days`, `1 hour`."""
    seconds = int(abs(length).total_seconds())
    for name, size in _UNITS:
        count = seconds // size
        if count:
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
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
