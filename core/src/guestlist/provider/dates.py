"""Reads dates and times in the forms in which services send them."""

from __future__ import annotations

from datetime import UTC, datetime

MILLISECONDS_FROM = 1e11
"""A number from here on counts milliseconds, because as seconds since 1970 it would be after the
year 5000."""


def parse_datetime(value: str | None) -> datetime | None:
    """Returns the moment that a service sent as text (ISO 8601), as an aware datetime.

    Without a time zone the moment is in UTC. Returns None for null, for an empty string, and for
    the years 0 and 1, which databases use for "never".

    Raises:
        ValueError, TypeError: the value is in another form.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.startswith("0000-"):  # datetime has no year 0
        return None
    moment = datetime.fromisoformat(value)
    if moment.year == 1:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_timestamp(value: float | None) -> datetime | None:
    """Returns the moment that a service sent as a number, in UTC: the seconds or the milliseconds
    since 1970. Returns None for null.

    Raises:
        ValueError, TypeError, OverflowError: the value is not such a number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a timestamp has to be a number, not {type(value).__name__}")
    return datetime.fromtimestamp(value / 1000 if value >= MILLISECONDS_FROM else value, UTC)
