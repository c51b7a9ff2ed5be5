"""Many runs: carried out by several processes, added up, and printed as a table."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from pytest_guestlist.simulation.faults import FAULTS
from pytest_guestlist.simulation.run import simulate
from pytest_guestlist.simulation.sabotage import sabotaged
from pytest_guestlist.simulation.subject import provider_named

VERDICTS = (
    "done",
    "found by lookup",
    "failed",
    "happened",
    "unknown",
    "interrupted",
)
"""How a call can end: a result, a result found by a lookup, an error with `happened` False, True or
None, or an interruption."""

CHUNK = 200
KEPT = 20
"""The maximum number of violations that are kept for the report."""


@dataclass
class SimulationReport:
    """The sum of many runs.

    Attributes:
        verdicts: the number of calls by fault and verdict.
        violations: provider, seed and broken promise.
    """

    seeds: int = 0
    calls: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[tuple[str, int, str]] = field(default_factory=list)
    broken: int = 0
    """Runs with a violation."""

    def add(self, other: SimulationReport) -> None:
        self.seeds += other.seeds
        self.calls += other.calls
        self.verdicts += other.verdicts
        self.broken += other.broken
        self.violations = [*self.violations, *other.violations][:KEPT]

    def table(self) -> Iterator[str]:
        """Yields the lines of the table: one for each fault, with the numbers of verdicts."""
        names = ["(none)", *(fault.name for fault in FAULTS)]
        names += ["list lag", "clock stepped", "interrupted"]
        yield f"{'fault':20}" + "".join(f"{verdict:>18}" for verdict in VERDICTS)
        for name in names:
            counts = [self.verdicts[name, verdict] for verdict in VERDICTS]
            yield f"{name:20}" + "".join(f"{number or '-':>18}" for number in counts)


def tally(
    providers: Sequence[str], seeds: range, *, jobs: int = 1, sabotage: str | None = None
) -> SimulationReport:
    """Runs the seeds, each with the next provider in turn."""
    total = SimulationReport()
    chunks = [
        (providers, range(first, min(first + CHUNK, seeds.stop)), sabotage)
        for first in range(seeds.start, seeds.stop, CHUNK)
    ]
    for part in _run_chunks(chunks, jobs):
        total.add(part)
    return total


Chunk = tuple[Sequence[str], range, str | None]


def _run_chunks(chunks: Iterable[Chunk], jobs: int) -> Iterator[SimulationReport]:
    if jobs <= 1:
        yield from map(_run_chunk, chunks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_run_chunk, chunks)


def _run_chunk(chunk: Chunk) -> SimulationReport:
    providers, seeds, sabotage = chunk
    done = SimulationReport()
    with sabotaged(sabotage) if sabotage else nullcontext(), silence():
        for seed in seeds:
            name = providers[seed % len(providers)]
            run = simulate(seed, provider_named(name))
            done.seeds += 1
            done.calls += len(run.callers)
            done.verdicts += run.verdicts()
            done.broken += bool(run.violations)
            done.violations += [(name, seed, str(one)) for one in run.violations]
    done.violations = done.violations[:KEPT]
    return done


@contextmanager
def silence() -> Iterator[None]:
    """Turns the log off within this context. The checker reads the events instead."""
    logger = logging.getLogger("guestlist")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def first_found(providers: Sequence[str], sabotage: str, seeds: int) -> int | None:
    """Returns the first seed that finds a sabotage with any of the providers, or None."""
    kinds = [provider_named(name) for name in providers]
    with sabotaged(sabotage), silence():
        for seed in range(seeds):
            if any(simulate(seed, kind).violations for kind in kinds):
                return seed
    return None
