"""Measuring in turns: blocks of one thing, then of the other, and the ratio of each pair.

CPU time is that of this process, in all its threads; the server has a process of its own. Wall
time is disturbed by whatever else the machine does, CPU time hardly.
"""

from __future__ import annotations

import gc
import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.machine import CORES

Block = Callable[[], object]
"""Does a number of calls of one kind."""


SCALE = [1.0]
"""The part of the calls and rounds that is made; set before the rows are imported."""

MILLION = [False]
"""Whether a million orders are applied too; set before the rows are imported."""


def scaled(number: int) -> int:
    """So many, or fewer in a quick run; at least one."""
    return max(1, int(number * SCALE[0]))


@dataclass(frozen=True)
class Figure:
    """A median of several measurements, and their spread.

    Attributes:
        median: of all.
        low: the lower quartile.
        high: the upper quartile.
        unit: of all three; empty for a ratio.
    """

    median: float
    low: float
    high: float
    unit: str = ""

    @classmethod
    def of(cls, values: Sequence[float], unit: str = "") -> Figure:
        low, median, high = (
            statistics.quantiles(values, n=4, method="inclusive")
            if len(values) > 1
            else [values[0]] * 3
        )
        return cls(median, low, high, unit)


@dataclass(frozen=True)
class Measured:
    """What one contender took, for each call, in every round."""

    cpu: tuple[float, ...]
    """Seconds."""
    wall: tuple[float, ...]
    """Seconds."""

    @property
    def cpu_ms(self) -> Figure:
        return Figure.of([seconds * 1000 for seconds in self.cpu], "ms")

    @property
    def cpu_us(self) -> Figure:
        return Figure.of([seconds * 1e6 for seconds in self.cpu], "µs")

    @property
    def wall_ms(self) -> Figure:
        return Figure.of([seconds * 1000 for seconds in self.wall], "ms")

    @property
    def rate(self) -> Figure:
        return Figure.of([1 / seconds for seconds in self.wall], "/s")

    def cpu_against(self, other: Measured) -> Figure:
        """The ratio of the CPU times, round by round."""
        return Figure.of([mine / its for mine, its in zip(self.cpu, other.cpu, strict=True)])

    def wall_against(self, other: Measured) -> Figure:
        """The ratio of the wall times, round by round."""
        return Figure.of([mine / its for mine, its in zip(self.wall, other.wall, strict=True)])


def in_turns(
    contenders: Mapping[str, Block],
    *,
    calls: int,
    rounds: int,
    warm_up: int = 1,
    cpu_clock: Callable[[], float] = time.process_time,
) -> dict[str, Measured]:
    """Runs a block of each contender in each round, every other round in the other order.

    Args:
        contenders: each does `calls` calls.
        calls: in a block.
        rounds: that count.
        warm_up: rounds before, that do not.
        cpu_clock: seconds of CPU; by default those of this process.
    """
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    gc.freeze()
    for turn in range(-warm_up, rounds):
        names = list(contenders) if turn % 2 else list(contenders)[::-1]
        for name in names:
            gc.collect()
            cpu_began, wall_began = cpu_clock(), time.perf_counter()
            contenders[name]()
            cpu_took = cpu_clock() - cpu_began
            wall_took = time.perf_counter() - wall_began
            if turn >= 0:
                cpu[name].append(cpu_took / calls)
                wall[name].append(wall_took / calls)
    return {name: Measured(tuple(cpu[name]), tuple(wall[name])) for name in contenders}


def children_cpu() -> float:
    """Seconds that processes took which this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def settle_down() -> None:
    """Makes this process measurable: on the first core, the server has the last."""
    os.sched_setaffinity(0, {CORES[0]})
