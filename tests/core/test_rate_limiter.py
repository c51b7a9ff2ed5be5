"""Staying below a limit: never more than the count in any window, and hardly less."""

from __future__ import annotations

from bisect import bisect_right
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestlist.exchange.rate_limiter import RateLimiter
from guestlist.provider import Limit

LIMITS = [
    Limit(30, 1.0),
    Limit(100, 60.0),
    Limit(1000, 60.0),
    Limit(20, 60.0),
    Limit(3, 1.0),
    Limit(1, 10.0),
]


def departures(limits: list[Limit], arrivals: list[float]) -> list[float]:
    limiter = RateLimiter(*limits)
    return [now + limiter.reserve(now).delay for now in arrivals]


def most_in_a_window(moments: list[float], per: float) -> int:
    """A service that counts strictly: the window is half open, wherever it begins."""
    moments = sorted(moments)
    # a float's rounding is no request too many: nobody's network is that exact
    return max(
        index + 1 - bisect_right(moments, moment - per + 1e-6)
        for index, moment in enumerate(moments)
    )


GAPS = st.lists(st.floats(0, 30) | st.just(0.0) | st.floats(0, 0.05), min_size=1, max_size=400)


@pytest.mark.parametrize(
    "limits",
    [
        *([limit] for limit in LIMITS),
        [Limit(30, 1.0), Limit(1000, 60.0)],
        [Limit(1000, 60.0), Limit(30, 1.0)],
        [Limit(20, 60.0), Limit(3, 1.0), Limit(5, 4.0)],
    ],
    ids=str,
)
@settings(max_examples=40)
@given(gaps=GAPS)
def test_never_more_than_the_count_in_any_window(limits: list[Limit], gaps: list[float]) -> None:
    now, arrivals = 0.0, []
    for gap in gaps:
        now += gap
        arrivals.append(now)
    moments = departures(limits, arrivals)
    assert all(moment >= now for moment, now in zip(moments, arrivals, strict=True))
    for limit in limits:
        assert most_in_a_window(moments, limit.per) <= limit.count


@pytest.mark.parametrize("limit", [Limit(30, 1.0), Limit(100, 60.0), Limit(1000, 60.0)], ids=str)
def test_a_long_run_uses_at_least_96_percent(limit: Limit) -> None:
    count = limit.count * 60
    moments = departures([limit], [0.0] * count)
    assert most_in_a_window(moments, limit.per) <= limit.count
    allowed = limit.count / limit.per * moments[-1]
    assert count / allowed >= 0.96


@pytest.mark.parametrize(
    ("limit", "at_once"),
    [(Limit(100, 60.0), 20), (Limit(1000, 60.0), 200), (Limit(30, 1.0), 1)],
    ids=str,
)
def test_who_asks_now_and_then_does_not_wait(limit: Limit, at_once: int) -> None:
    limiter = RateLimiter(limit)
    for start in (0.0, 10 * limit.per, 50 * limit.per):
        waits = [limiter.reserve(start).delay for _ in range(at_once + 1)]
        assert waits[:at_once] == pytest.approx([0.0] * at_once, abs=1e-6)
        assert waits[at_once] > 0.001


def test_what_is_not_near_enough_is_left_for_others() -> None:
    limiter = RateLimiter(Limit(10, 1.0))
    assert limiter.reserve(0.0).delay == 0.0
    first = limiter.reserve(0.0, patience=0).delay
    for _ in range(1000):  # a thousand callers who would not wait
        assert limiter.reserve(0.0, patience=0.01).delay == first
    assert limiter.reserve(0.0).delay == first


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_a_pause_delays_all_callers_who_then_continue_evenly(limit: Limit) -> None:
    limiter = RateLimiter(limit)
    before = [limiter.reserve(0.0).delay for _ in range(50)]
    assert limiter.pauses == 0
    limiter.push_back(0.0, 20.0)
    assert limiter.pauses == 1
    after = [limiter.reserve(0.0).delay for _ in range(50)]
    assert after[0] == pytest.approx(20.0)
    assert after[1] > after[0]  # no burst right after
    gone = [moment for moment in before if moment <= 0.0]
    assert most_in_a_window(gone + after, limit.per) <= limit.count


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    limiter = RateLimiter(Limit(10, 1.0))
    limiter.push_back(0.0, 60.0)
    limiter.push_back(1.0, 1.0)
    assert limiter.reserve(2.0).delay == pytest.approx(58.0)


def test_without_a_limit_only_pauses_are_waited_for() -> None:
    limiter = RateLimiter()
    assert [limiter.reserve(0.0).delay for _ in range(1000)] == [0.0] * 1000
    limiter.push_back(0.0, 20.0)
    assert [limiter.reserve(0.0).delay for _ in range(1000)] == [20.0] * 1000


def test_threads_share_it() -> None:
    limiter, waits = RateLimiter(Limit(100, 60.0)), list[float]()

    def work() -> None:
        waits.extend(limiter.reserve(0.0).delay for _ in range(100))

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == departures([Limit(100, 60.0)], [0.0] * 800)
