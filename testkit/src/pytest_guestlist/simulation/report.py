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
    "found by looking",
    "failed",
    "happened",
    "unknown",
    "interrupted",
)
"""What a call can be told: a result; a result found by looking; an error that says that nothing,
or something, happened, or that nobody knows; or it was interrupted."""

CHUNK = 200
KEPT = 20
"""Violations that are kept to be shown."""


@dataclass
class Tally:
    """What many runs came to.

    Attributes:
        verdicts: calls, by fault and verdict.
        violations: provider, seed, and what was broken.
    """

    seeds: int = 0
    calls: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[tuple[str, int, str]] = field(default_factory=list)
    broken: int = 0
    """Runs with a violation."""

    def add(self, other: Tally) -> None:
        self.seeds += other.seeds
        self.calls += other.calls
        self.verdicts += other.verdicts
        self.broken += other.broken
        self.violations = [*self.violations, *other.violations][:KEPT]

    def table(self) -> Iterator[str]:
        """Faults against verdicts, one line each."""
        names = ["(none)", *(fault.name for fault in FAULTS)]
        names += ["list lag", "clock stepped", "interrupted"]
        yield f"{'fault':20}" + "".join(f"{verdict:>18}" for verdict in VERDICTS)
        for name in names:
            counts = [self.verdicts[name, verdict] for verdict in VERDICTS]
            yield f"{name:20}" + "".join(f"{number or '-':>18}" for number in counts)


def tally(
    providers: Sequence[str], seeds: range, *, jobs: int = 1, sabotage: str | None = None
) -> Tally:
    """Runs the seeds, in turn with each provider."""
    total = Tally()
    chunks = [
        (providers, range(first, min(first + CHUNK, seeds.stop)), sabotage)
        for first in range(seeds.start, seeds.stop, CHUNK)
    ]
    for part in _carried_out(chunks, jobs):
        total.add(part)
    return total


Chunk = tuple[Sequence[str], range, str | None]


def _carried_out(chunks: Iterable[Chunk], jobs: int) -> Iterator[Tally]:
    if jobs <= 1:
        yield from map(_chunk, chunks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_chunk, chunks)


def _chunk(chunk: Chunk) -> Tally:
    providers, seeds, sabotage = chunk
    done = Tally()
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
    """Keeps the log quiet meanwhile: simulated trouble is nobody's news. Its events are checked."""
    logger = logging.getLogger("guestlist")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def first_found(providers: Sequence[str], sabotage: str, seeds: int) -> int | None:
    """The first seed that finds a sabotage, with any of the providers; None if none does."""
    kinds = [provider_named(name) for name in providers]
    with sabotaged(sabotage), silence():
        for seed in range(seeds):
            if any(simulate(seed, kind).violations for kind in kinds):
                return seed
    return None
