"""Simulates faults: runs many seeds and prints a table, or replays one seed."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import nullcontext

from guestlist.errors import GuestlistError
from pytest_guestlist.simulation import model
from pytest_guestlist.simulation.report import silence, tally
from pytest_guestlist.simulation.run import simulate
from pytest_guestlist.simulation.sabotage import described, sabotaged
from pytest_guestlist.simulation.subject import provider_named, with_sandbox


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 if every promise was kept, 1 if not, 2 for an unknown provider."""
    parser = argparse.ArgumentParser(
        prog="python -m pytest_guestlist.simulation", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=20_000, help="number of runs")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="run only this seed")
    parser.add_argument("--show", action="store_true", help="print each step of --seed")
    parser.add_argument(
        "--provider",
        action="append",
        help="name of a provider; may be repeated; by default all in turn",
    )
    parser.add_argument(
        "--sabotage", choices=sorted(described()), help="break the policy in this way"
    )
    parser.add_argument("--sabotages", action="store_true", help="list the ways to break it")
    parser.add_argument(
        "--model", action="store_true", help="search the small model of recovery instead"
    )
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    given = parser.parse_args(arguments)
    if given.model:
        print("\n".join(model.report()))
        return 0
    if given.sabotages:
        print("\n".join(f"{name:30} {what}" for name, what in described().items()))
        return 0
    try:
        providers = given.provider or sorted(with_sandbox())
        for name in providers:
            provider_named(name)
    except GuestlistError as error:
        print(error, file=sys.stderr)
        return 2
    if given.seed is not None:
        return _one(providers, given.seed, given.sabotage, show=given.show)
    return _many(providers, given)


def _one(providers: list[str], seed: int, sabotage: str | None, *, show: bool) -> int:
    provider = provider_named(providers[seed % len(providers)])
    with sabotaged(sabotage) if sabotage else nullcontext(), silence():
        run = simulate(seed, provider, verbose=show)
    print("\n".join(run.lines if show else map(str, run.violations)) or "every promise was kept")
    return bool(run.violations)


def _many(providers: list[str], given: argparse.Namespace) -> int:
    began = time.perf_counter()
    seeds = range(given.first, given.first + given.seeds)
    total = tally(providers, seeds, jobs=given.jobs, sabotage=given.sabotage)
    took = time.perf_counter() - began
    print("\n".join(total.table()))
    print(
        f"\n{total.seeds} runs of {', '.join(providers)} with {total.calls} calls in {took:.0f} s:"
        f" {total.broken} broke a promise"
    )
    for name, seed, text in total.violations:
        print(f"--provider {name} --seed {seed} --show: {text}")
    return bool(total.broken)


if __name__ == "__main__":
    sys.exit(main())
