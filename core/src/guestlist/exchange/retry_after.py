"""Parses the headers with which a service asks a client to wait."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

_WAITS = ("retry-after", "x-retry-after")
_LIMIT_S_WAIT = "x-ratelimit-retry-after"
_RESETS = ("ratelimit-reset", "x-ratelimit-reset", "x-ratelimit-reset-requests")

_REMAINING = ("ratelimit-remaining", "x-ratelimit-remaining", "x-ratelimit-remaining-requests")

_UNIX_TIMES_FROM = 1_000_000_000
"""A number in a reset header from here on is a Unix time, a smaller one a number of seconds."""
_UNIX_MILLISECONDS_FROM = 1_000_000_000_000
"""A number from here on is a Unix time in milliseconds."""

LONGEST_SECONDS = 100 * 365 * 86400.0
"""Longest pause in seconds: 100 years. The end of a longer one might not be a valid date."""


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Returns the seconds that an answer asks to wait, at least 0; None if it asks for no wait.

    Args:
        headers: headers of the answer, with names in lower case.
        now: time to compare a date with, if the answer has no `Date` header.
    """
    here = date_of(headers) or now
    asked = plain_retry_after(headers, now)
    if asked is None:
        asked = _wait(headers, _LIMIT_S_WAIT, here)
    return _reset(headers, here) if asked is None else asked


def plain_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Returns the seconds to wait like `retry_after`, but ignores the headers of a rate limit.

    A service may send those with every answer. They ask for a wait only if the rate limit refused
    the request.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, LONGEST_SECONDS)
    here = date_of(headers) or now
    waits = (_wait(headers, name, here) for name in _WAITS)
    return next((seconds for seconds in waits if seconds is not None), None)


def used_up(headers: Mapping[str, str], now: Callable[[], datetime]) -> float | None:
    """Returns the seconds until requests are allowed again, if the headers of an answer report that
    no requests remain. Otherwise returns None."""
    for name in _REMAINING:
        if name in headers:
            last = _number(headers[name]) == 0
            return _reset(headers, date_of(headers) or now()) if last else None
    return None


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Returns the time in the `Date` header of an answer.

    Returns None if there is none, or if a cache sent the answer (it has an `Age` header).
    """
    return None if "age" in headers else _date(headers.get("date", ""))


def _wait(headers: Mapping[str, str], name: str, here: datetime) -> float | None:
    text = headers.get(name, "")
    seconds = _number(text)
    moment = _date(text) if seconds is None else None
    if moment is not None:
        seconds = max(0.0, (moment - here).total_seconds())
    return None if seconds is None else min(seconds, LONGEST_SECONDS)


def _reset(headers: Mapping[str, str], here: datetime) -> float | None:
    for name in _RESETS:
        seconds = _number(headers.get(name))
        if seconds is not None and seconds >= _UNIX_MILLISECONDS_FROM:
            seconds /= 1000
        if seconds is not None and seconds >= _UNIX_TIMES_FROM:
            seconds = max(0.0, seconds - here.timestamp())
        if seconds is not None:
            return min(seconds, LONGEST_SECONDS)
    return None


def _number(text: str | None) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


@lru_cache(maxsize=16)  # Answers that arrive in the same second have the same date.
def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
