"""What guestlist costs its users, side by side with what they would use instead.

    uv run --group benchmarks python -m benchmarks             everything, and the page
    uv run --group benchmarks python -m benchmarks calls       one row of the table
    uv run python -m benchmarks --check                        the regression check of CI

Everything is a ratio of two things measured in turns in one run against one local server, so that
a noisy machine disturbs both alike. `python -m benchmarks` writes `results.json` and, made from
it, `docs/performance.md` with its charts.
"""
