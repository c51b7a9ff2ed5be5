"""Counting instructions with callgrind, where valgrind is installed: a figure that no neighbour
on the machine can disturb.

    python -m benchmarks.instructions CONTENDER URL     (under valgrind; started by `instructions`)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

FEW, MANY = 10, 60
"""Calls of the two counts, whose difference leaves out what counting itself costs."""


def instructions(contender: str, base_url: str) -> float | None:
    """Instructions of one `status`, one at a time; None without valgrind."""
    if shutil.which("valgrind") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *("valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"),
                f"--callgrind-out-file={folder}/counts",
                *(sys.executable, "-m", "benchmarks.instructions", contender, base_url),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        few, many = (_total(Path(folder, f"counts.{part}")) for part in (1, 2))
    return (many - few) / (MANY - FEW)


def _total(counts: Path) -> int:
    found = re.search(r"^totals: (\d+)", counts.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{counts.name} of callgrind holds no total")
    return int(found[1])


def main(contender: str, base_url: str) -> None:
    """Makes calls and has callgrind count them in two parts."""
    from benchmarks.calls import sync_callers
    from benchmarks.measure import settle_down

    settle_down()
    numbers = count(1)
    with sync_callers(base_url) as callers:
        call = callers[contender]["status"]
        for _ in range(20):
            call(next(numbers))
        _control("--instr=on")
        _control("--zero")
        for calls in (FEW, MANY):
            for _ in range(calls):
                call(next(numbers))
            _control("--dump")


def _control(what: str) -> None:
    subprocess.run(
        ["callgrind_control", what, str(os.getpid())],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
