"""What reading a CSV file of people takes: `python -m benchmarks.table [ROWS]`.

Every row is read and checked, by a process of its own, so that its memory is its own too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.alone import alone, report_usage
from guestlist.roster.file import read_roster

ROSTER = """
[accounts.cloud]
provider = "vultr"

[[people_from]]
file = "people.csv"
accounts.cloud = true
"""


def write_table(folder: Path, columns: str, rows: Iterable[str]) -> None:
    """A roster whose people are in a CSV file."""
    Path(folder, "guestlist.toml").write_text(ROSTER, encoding="utf-8")
    with Path(folder, "people.csv").open("w", encoding="utf-8") as file:
        file.writelines(f"{row}\n" for row in chain([columns], rows))


def _read(folder: str) -> Iterator[int]:
    """How many people there are."""
    roster = read_roster(Path(folder, "guestlist.toml"))
    yield 0
    yield sum(1 for _ in roster.wanted())


def _measure(rows: int) -> None:
    with TemporaryDirectory() as folder:
        people = (f"guest{n}@example.com,group:Team {n % 7},2099-06-30" for n in range(rows))
        write_table(Path(folder), "email,role,until", people)
        took = alone("benchmarks.table", "--read", folder, expected=rows)
    print(f"{rows:,} rows: {took.wall * rows:.1f} s, {took.peak:.1f} MiB resident at most")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        report_usage(_read(sys.argv[2]))
    else:
        _measure(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
