"""How long a service asks to wait, in all the ways services say it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestlist.exchange.retry_after import LONGEST_SECONDS, retry_after, used_up

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
UNIX = int(NOW.timestamp())

ASKED: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"retry-after": "7"}, 7.0),
    ({"retry-after": "0"}, 0.0),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after": " 7 "}, 7.0),
    ({"x-retry-after": "10"}, 10.0),
    ({"x-ratelimit-retry-after": "11"}, 11.0),
    ({"retry-after-ms": "250"}, 0.25),
    ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
    ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30.0),
    ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
    # the service's clock counts, not ours
    (
        {"retry-after": "Fri, 15 Jan 2027 09:00:30 GMT", "date": "Fri, 15 Jan 2027 09:00:00 GMT"},
        30.0,
    ),
    ({"ratelimit-reset": "12"}, 12.0),
    ({"x-ratelimit-reset": str(UNIX + 20)}, 20.0),
    ({"x-ratelimit-reset": str(UNIX - 20)}, 0.0),
    ({"x-ratelimit-reset-requests": "3"}, 3.0),
    ({"retry-after": "4", "x-ratelimit-reset": "60"}, 4.0),
    ({"retry-after": "soon", "x-retry-after": "5"}, 5.0),
    ({"retry-after": "soon", "ratelimit-reset": "6"}, 6.0),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "-1"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "1e999"}, None),
    ({"retry-after": ""}, None),
    # the end of a longer pause would be no date
    ({"retry-after": "99999999999999999999"}, LONGEST_SECONDS),
    ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_SECONDS),
    ({"retry-after-ms": "99999999999999999999"}, LONGEST_SECONDS),
    ({"x-ratelimit-retry-after": "99999999999999999999"}, LONGEST_SECONDS),
    ({"x-ratelimit-reset": "99999999999999999999"}, LONGEST_SECONDS),
]


@pytest.mark.parametrize(("headers", "seconds"), ASKED, ids=[str(asked[0]) for asked in ASKED])
def test_asked(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"}, 9.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "9"}, 9.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9"}, 9.0),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "9"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"x-ratelimit-reset": "9"}, None),
        ({}, None),
    ],
)
def test_the_last_one_for_now(headers: dict[str, str], seconds: float | None) -> None:
    assert used_up(headers, lambda: NOW) == seconds


DATES = st.datetimes(timezones=st.just(UTC)).map(lambda moment: f"{moment:%a, %d %b %Y %H:%M:%S}")


@given(
    st.dictionaries(
        st.sampled_from(
            ["retry-after", "x-retry-after", "retry-after-ms", "ratelimit-reset", "date"]
        ),
        st.one_of(
            st.text(),
            st.floats().map(str),
            st.integers().map(str),
            DATES,
            DATES.map("{} GMT".format),
            DATES.map("{} +9999".format),
        ),
    )
)
def test_any_retry_after_is_a_time_or_none(headers: dict[str, str]) -> None:
    seconds = retry_after(headers, NOW)
    assert seconds is None or 0 <= seconds < float("inf")
