"""The moments that are meant by what was typed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from guestlist.cli.parser import UsageError


def resolve_timestamp(told: date | timedelta, now: datetime, *, end: bool = False) -> datetime:
    """A moment as told, or so long ago, or the beginning of a day in UTC.

    Args:
        end: the end of a day instead.

    Raises:
        UsageError: no calendar has it.
    """
    try:
        if isinstance(told, timedelta):
            return now - told
        if isinstance(told, datetime):
            return told
        return datetime.combine(told + timedelta(days=end), time(), UTC)
    except OverflowError:
        raise UsageError(
            "that moment is in no calendar", hint="Write a day such as 2026-11-21, or 7d."
        ) from None
