"""Breaks the providers in the ways that authors do, and sees whether their tests notice.

    python -m tools.mutants                   every mutant; the result goes into docs/conformance.md
    python -m tools.mutants --listed          those that people have thought of
    python -m tools.mutants --check           tries none: whether each can still be made, for CI
    python -m tools.mutants --only read_member vultr
    python -m tools.mutants --sample 100 --seed 7 github     100 of each kind, drawn at random

Hand-listed mutants are in `tests/conformance/mutants/*.toml`: a text of the provider's source, and
what an author might have written instead. The others a machine makes, of all code that reads and
sends. Whichever is known to survive has a reason there. Exit code 1 when fewer than 95 % of either
kind are found, or one survives without a reason, or one with a reason does not survive.
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
class Account:
    """What came of the mutants of one kind of one provider.

    Attributes:
        found: what found each of them, by its name; an empty text for a survivor.
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
        """How many were found."""
        return self._share(len(self.mutants) - len(self.survivors))

    @property
    def figure_of_the_suite(self) -> str:
        """How many the conformance suite alone finds, which runs before the other tests."""
        return self._share(sum(map(is_of_the_suite, filter(None, self.found.values()))))

    def _share(self, count: int) -> str:
        return f"{count} of {len(self.mutants)} ({count / len(self.mutants):.1%})"

    def complaints(self) -> Iterator[str]:
        """What is not as it has to be."""
        if len(self.survivors) > (1 - ENOUGH) * len(self.mutants):
            yield f"fewer than {ENOUGH:.0%}"
        for mutant in self.mutants:
            found = self.found[mutant.name]
            if not found and not mutant.reason:
                yield f"survives without a reason: {mutant.name}"
            if found and mutant.reason:
                yield f"has a reason to survive, and is found by {found}: {mutant.name}"


def written(accounts: list[Account]) -> str:
    """The figures and the survivors, for people."""
    lines = ["| provider | mutants | found | by the suite alone |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {one.provider} | {one.kind} | {one.figure} | {one.figure_of_the_suite} |"
        for one in accounts
    ]
    for provider in dict.fromkeys(one.provider for one in accounts):
        lines += ["", f"Survivors of {provider}:", ""]
        reasons: dict[str, list[str]] = {}
        for one in accounts:
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
    parser.add_argument("--check", action="store_true", help="make them all, and try none")
    parser.add_argument("--only", default="", help="those whose name holds this text")
    parser.add_argument("--sample", type=int, help="try so many of each kind, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.check:
        for provider in given.providers:
            counts = [f"{len(list(think(provider)))} {kind}" for kind, think in KINDS.items()]
            print(f"{provider}: {', '.join(counts)}")
        return 0
    jury = Jury(given.jobs)
    accounts = []
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
                account = Account(provider, kind, mutants, jury.verdicts(provider, mutants))
                accounts.append(account)
                took = time.monotonic() - began
                alone = f"{account.figure_of_the_suite} by the suite alone"
                print(f"{provider}, {kind}: {account.figure}, {alone}, {took:.0f} s", flush=True)
                for complaint in account.complaints():
                    print(f"    {complaint}", flush=True)
    is_part = given.listed or given.only or given.sample is not None
    if not is_part and set(given.providers) == set(PROVIDERS):
        before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(before + BEGIN + written(accounts) + END + after, "utf-8")
    return int(any(list(account.complaints()) for account in accounts))


if __name__ == "__main__":
    sys.exit(main())
