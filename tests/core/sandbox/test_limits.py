"""Limits as tables: at which second a request comes, and what it is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestlist.sandbox import RateLimit, SlidingWindow, TokenBucket

NOW = 1_800_000_000.0

# second, allowed, remaining, retry_after, reset_at - NOW
BUCKET = [
    (0.0, True, 2, 0, 0.5),
    (0.0, True, 1, 0, 1.0),
    (0.0, True, 0, 0, 1.5),
    (0.0, False, 0, 0.5, 1.5),
    (0.25, False, 0, 0.25, 1.5),
    (0.499999, False, 0, 0.000001, 1.5),
    (0.5, True, 0, 0, 2.0),
    (1.75, True, 1, 0, 2.5),
    (99.0, True, 2, 0, 99.5),
    (98.0, True, 1, 0, 100.0),  # the clock went back: no refill, no loss
]
WINDOW = [
    (0.0, True, 1, 0, 10.0),
    (4.0, True, 0, 0, 14.0),
    (4.0, False, 0, 6.0, 14.0),
    (9.999999, False, 0, 0.000001, 14.0),
    (10.0, True, 0, 0, 20.0),
    (10.0, False, 0, 4.0, 20.0),
    (14.0, True, 0, 0, 24.0),
    (99.0, True, 1, 0, 109.0),
    (98.0, True, 0, 0, 109.0),
]


@pytest.mark.parametrize(
    ("limit", "size", "table"),
    [(TokenBucket(2, per=1, burst=3), 3, BUCKET), (SlidingWindow(2, per=10), 2, WINDOW)],
    ids=["bucket", "window"],
)
def test_table(
    limit: RateLimit, size: int, table: list[tuple[float, bool, int, float, float]]
) -> None:
    for second, allowed, remaining, retry_after, reset in table:
        limit_result = limit.take("someone", NOW + second)
        assert limit_result.allowed == allowed
        assert limit_result.remaining == remaining
        assert limit_result.retry_after == retry_after
        assert limit_result.reset_at - NOW == pytest.approx(reset, abs=1e-6)
        assert limit_result.limit == size
    assert limit.take("someone else", NOW).remaining == size - 1


@given(
    gaps=st.lists(st.integers(0, 3_000_000), min_size=1, max_size=60),
    rate=st.integers(1, 50),
    burst=st.integers(1, 60),
    window=st.booleans(),
)
def test_a_request_is_allowed_after_retry_after(
    gaps: list[int], rate: int, burst: int, window: bool
) -> None:
    limit: RateLimit = SlidingWindow(burst, per=1.5) if window else TokenBucket(rate, 1.5, burst)
    clock = 1_800_000_000_000_000
    allowed: list[int] = []
    for gap in gaps:
        clock += gap
        limit_result = limit.take("someone", clock / 1e6)
        if not limit_result.allowed:
            clock += round(limit_result.retry_after * 1e6)
            assert limit.take("someone", (clock - 1) / 1e6).allowed is False
            assert limit.take("someone", clock / 1e6).allowed
        allowed.append(clock)
    for first, start in enumerate(allowed):
        for last, end in enumerate(allowed[first:], 1):
            if window:
                assert last <= burst or end - start >= 1_500_000
            else:
                assert last <= burst + (end - start) * rate / 1_500_000 + 1e-9


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_nonsense_is_refused(numbers: tuple[int, float, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        TokenBucket(*numbers)
    if numbers[2]:
        with pytest.raises(ValueError, match="positive"):
            SlidingWindow(*numbers[:2])
