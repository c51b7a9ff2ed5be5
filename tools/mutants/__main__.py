"""Breaks the providers in the ways that authors do, and sees whether their tests notice.

    python -m tools.mutants                   every mutant; the result goes into docs/conformance.md
    python -m tools.mutants --listed          only the mutants listed by hand
    python -m tools.mutants --check           tries none; fails if one can no longer be made
    python -m tools.mutants --only read_member vultr
    python -m tools.mutants --sample 100 --seed 7 github     100 of each kind, drawn at random

Mutants listed by hand are in `tests/conformance/mutants/*.toml`: a text of the provider's source,
and what an author might have written instead. All others are made by machine, from all code that
reads and sends. Each mutant that is known to survive has a reason there. The exit code is 1 if
fewer than 95 % of either kind are found, if a mutant survives without a reason, or if one with a
reason does not survive.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tools.mutants.making import PROVIDERS, ROOT, Mutant, listed, made, package
from tools.mutants.trying import Jury, is_of_the_suite

DOCUMENT = ROOT / "docs" / "conformance.md"
ENOUGH = 0.95
KINDS = {"by hand": listed, "by machine": made}
BEGIN, END = "<!-- what tools/mutants says -->\n", "<!-- until here -->\n"


@dataclass(frozen=True)
class MutantResults:
    """The results of the mutants of one kind of one provider.

    Attributes:
        found: the test that found each mutant, by the mutant's name; empty for a survivor.
    """

    provider: str
    kind: str
    mutants: list[Mutant]
    found: dict[str, str]

    @property
    def survivors(self) -> list[Mutant]:
        return [mutant for mutant in self.mutants if not self.found[mutant.name]]

    @property
    def figure(self) -> str:
        """The number and share of the mutants that were found."""
        return self._share(len(self.mutants) - len(self.survivors))

    @property
    def figure_of_the_suite(self) -> str:
        """The number and share that the conformance suite finds. It runs before the other tests."""
        return self._share(sum(map(is_of_the_suite, filter(None, self.found.values()))))

    def _share(self, count: int) -> str:
        return f"{count} of {len(self.mutants)} ({count / len(self.mutants):.1%})"

    def complaints(self) -> Iterator[str]:
        """Yields the requirements that are not met."""
        if len(self.survivors) > (1 - ENOUGH) * len(self.mutants):
            yield f"fewer than {ENOUGH:.0%}"
        for mutant in self.mutants:
            found = self.found[mutant.name]
            if not found and not mutant.reason:
                yield f"survives without a reason: {mutant.name}"
            if found and mutant.reason:
                yield f"has a reason to survive, and is found by {found}: {mutant.name}"


def written(results: list[MutantResults]) -> str:
    """Returns the figures and the survivors as Markdown."""
    lines = ["| provider | mutants | found | by the suite alone |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {one.provider} | {one.kind} | {one.figure} | {one.figure_of_the_suite} |"
        for one in results
    ]
    for provider in dict.fromkeys(one.provider for one in results):
        lines += ["", f"Survivors of {provider}:", ""]
        reasons: dict[str, list[str]] = {}
        for one in results:
            if one.provider == provider:
                for mutant in one.survivors:
                    reasons.setdefault(mutant.reason, []).append(f"    - `{mutant.name}`")
        for reason, names in reasons.items():
            lines += [f"- {reason}", *names]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("providers", nargs="*", default=PROVIDERS, help=", ".join(PROVIDERS))
    parser.add_argument("--listed", action="store_true", help="only those listed by hand")
    parser.add_argument("--check", action="store_true", help="make all mutants, and try none")
    parser.add_argument("--only", default="", help="only mutants whose name contains this text")
    parser.add_argument("--sample", type=int, help="mutants of each kind to draw at random")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random choice")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.check:
        for provider in given.providers:
            counts = [f"{len(list(think(provider)))} {kind}" for kind, think in KINDS.items()]
            print(f"{provider}: {', '.join(counts)}")
        return 0
    jury = Jury(given.jobs)
    results = []
    for provider in given.providers:
        source = package(provider) / "provider.py"
        unbroken = Mutant(provider, "none", source.name, source.read_text("utf-8"))
        for found in jury.unbroken(unbroken):
            if found:
                sys.exit(f"{provider}: a test fails on the provider as it is: {found}")
        for kind, think in KINDS.items():
            mutants = [one for one in think(provider) if given.only in one.name]
            if given.sample is not None and given.sample < len(mutants):
                mutants = Random(given.seed).sample(mutants, given.sample)  # noqa: S311
            if mutants and not (given.listed and think is not listed):
                began = time.monotonic()
                result = MutantResults(provider, kind, mutants, jury.verdicts(provider, mutants))
                results.append(result)
                took = time.monotonic() - began
                alone = f"{result.figure_of_the_suite} by the suite alone"
                print(f"{provider}, {kind}: {result.figure}, {alone}, {took:.0f} s", flush=True)
                for complaint in result.complaints():
                    print(f"    {complaint}", flush=True)
    is_part = given.listed or given.only or given.sample is not None
    if not is_part and set(given.providers) == set(PROVIDERS):
        before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(before + BEGIN + written(results) + END + after, "utf-8")
    return int(any(list(result.complaints()) for result in results))


if __name__ == "__main__":
    sys.exit(main())
