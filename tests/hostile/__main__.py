"""Fuzzes every provider for a while: `python -m tests.hostile --minutes 10 [--seed 1]`.

Every operation gets the answers of its own sandbox with something wrong about them, every verb
does, and both get answers that were made up. Ends at the first finding, with what repeats it.
"""

from __future__ import annotations

import argparse
import logging
import random
import time
import traceback
from collections import Counter

from hypothesis import HealthCheck, given, seed, settings
from tests.hostile.answers import (
    ANY_ANSWERS,
    Answer,
    Case,
    act,
    cases,
    genuine,
    mutated,
    operate,
    providers,
    recorded,
    repeated,
)
from tests.hostile.plans import PLANS, plan

from guestlist.exchange.step import SendFailure
from guestlist.provider import Response


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--seed", type=int, default=random.randrange(2**32))
    chosen = options.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"seed {chosen.seed}, {len(cases())} operations, {len(PLANS)} verbs")
    source = random.Random(chosen.seed)
    ends = time.monotonic() + 60 * chosen.minutes
    came: Counter[str] = Counter()
    while time.monotonic() < ends:
        for case in recorded():
            _round(case, source, came)
        number = source.randrange(2**32)
        try:
            _invented(source.choice(cases()), number)
        except Exception:
            print(f"with made-up answers, hypothesis seed {number}:\n{traceback.format_exc()}")
            return 1
        came["made-up answers to an operation"] += EXAMPLES
    for what, times in came.most_common():
        print(f"{times:9,}  {what}")
    print(f"{came.total():9,}  in all; nothing but values and GuestlistErrors")
    return 0


EXAMPLES = 50


def _round(case: Case, source: random.Random, came: Counter[str]) -> None:
    """The operation once, and one verb of its provider once."""
    changed: list[Answer] = [mutated(one, source) for one in case.recorded]
    told = operate(case, repeated(changed))
    told.check_honest()
    came[f"operation: {type(told.error).__name__ if told.error else 'a value'}"] += 1
    pool = [one for other in genuine(case.provider.name) for one in other.recorded]
    drawn: list[Answer] = [
        mutated(one, source) if source.random() < 0.5 else one
        for one in source.choices(pool, k=source.randint(1, 6))
    ]
    told = act(providers()[case.provider.name], plan(source.choice(list(PLANS))), repeated(drawn))
    told.check_honest()
    came[f"verb: {type(told.error).__name__ if told.error else 'a value'}"] += 1


def _invented(case: Case, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(answers=ANY_ANSWERS)
    def answered(answers: list[Response | SendFailure]) -> None:
        operate(case, repeated(answers)).check_honest()

    answered()


if __name__ == "__main__":
    raise SystemExit(main())
