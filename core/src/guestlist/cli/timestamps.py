"""Converts the dates and lengths of time on the command line to timestamps."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from guestlist.cli.parser import UsageError


def resolve_timestamp(value: date | timedelta, now: datetime, *, end: bool = False) -> datetime:
    """Converts an argument to a time: a time, a length of time before now, or the start of a day in
    UTC.

    Args:
        end: return the end of the day instead.

    Raises:
        UsageError: the time is out of range.
    """
    try:
        if isinstance(value, timedelta):
            return now - value
        if isinstance(value, datetime):
            return value
        return datetime.combine(value + timedelta(days=end), time(), UTC)
    except OverflowError:
        raise UsageError(
            "the time is out of range", hint="Use a date such as 2026-11-21, or 7d."
        ) from None
