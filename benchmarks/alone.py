"""A piece of work in a process of its own, so that its memory is its own too."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Alone:
    """What the work took, from the moment that everything was ready.

    Attributes:
        cpu: seconds for each person or record.
        wall: the same.
        peak: MiB of the process at its largest.
    """

    cpu: float
    wall: float
    peak: float


def alone(module: str, *arguments: str, expected: int) -> Alone:
    """Runs a module whose main part is `report_usage`.

    Args:
        expected: how many it has to find or to do.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    usage = json.loads(done.stdout)
    if usage["done"] != expected:
        raise AssertionError(f"{module} {arguments[0]}: {usage['done']} of {expected}")
    return Alone(usage["cpu"] / expected, usage["wall"] / expected, usage["peak"])


def report_usage(work: Iterator[int]) -> None:
    """Does the work, and prints what it took.

    Args:
        work: gives 0 once everything is ready, then how many it found or did.
    """
    next(work)
    gc.collect()  # Collected first: garbage from loading would distort short measurements.
    cpu, wall = time.process_time(), time.perf_counter()
    done = next(work)
    took = time.process_time() - cpu, time.perf_counter() - wall
    # not of getrusage: that begins with the size of the process that forked this one
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"done": done, "cpu": took[0], "wall": took[1], "peak": peak}))
