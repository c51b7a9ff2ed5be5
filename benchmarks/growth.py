"""Growth: what one person costs among a thousand, and among a million."""

from __future__ import annotations

from statistics import median

from benchmarks.listing import INVITED, SIZES, readings
from benchmarks.measure import Figure
from benchmarks.report import Chart, Report, Table, Target

TEXT = """
CPU per person while everybody is read (members and invitations), as above, at four sizes.
"""


def measure() -> Report:
    """Measures the row."""
    each = {
        people: Figure.of([one.cpu * 1e6 * (1 + 1 / INVITED) for one in by_name["guestlist"]], "µs")
        for people, by_name in readings().items()
    }
    usual = median(figure.median for figure in each.values())
    worst = max(abs(figure.median / usual - 1) for figure in each.values())
    return Report(
        title="Growth",
        text=TEXT,
        targets=[Target("reading, from 1,000 to 1,000,000: within 20 % of the median", worst, 0.2)],
        tables=[
            Table(
                "CPU per person",
                ("members", "reading, µs"),
                [(f"{people:,}", figure) for people, figure in each.items()],
            )
        ],
        charts=[
            Chart(
                "growth",
                "CPU per person while reading, µs",
                [(f"{people:,}", figure) for people, figure in each.items()],
                ours=[f"{people:,}" for people in SIZES],
            )
        ],
    )
