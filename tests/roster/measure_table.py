"""What reading a CSV file of people takes: `python -m tests.roster.measure_table [ROWS]`.

Every row is read and checked, by a process of its own, so that its memory is its own too.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from guestlist.roster.file import read_roster

MILLION = 1_000_000
ROSTER = """
[accounts.cloud]
provider = "vultr"

[[people_from]]
file = "people.csv"
accounts.cloud = true
"""


def _read(roster: Path) -> None:
    began = time.monotonic()
    people = sum(1 for _ in read_roster(roster).wanted())
    seconds = time.monotonic() - began
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{people:,} rows: {seconds:.1f} s, {largest:.1f} MB resident at most")


def _measure(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        roster = Path(folder, "guestlist.toml")
        roster.write_text(ROSTER, encoding="utf-8")
        with roster.with_name("people.csv").open("w", encoding="utf-8") as file:
            file.write("email,role,until\n")
            for number in range(rows):
                file.write(f"guest{number}@example.com,group:Team {number % 7},2099-06-30\n")
        command = [sys.executable, "-m", "tests.roster.measure_table", "--read", str(roster)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        _read(Path(sys.argv[2]))
    else:
        _measure(int(sys.argv[1]) if sys.argv[1:] else MILLION)
