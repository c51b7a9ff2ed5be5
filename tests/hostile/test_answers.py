"""Whatever a service answers: a value, or a GuestlistError that does not lie.

Never another exception, and never without end. `python -m tests.hostile --minutes 10` tries more.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.hostile.answers import (
    ANY_ANSWERS,
    act,
    cases_of,
    genuine,
    mutated,
    operate,
    providers,
    recorded,
    recorded_of,
    repeated,
)
from tests.hostile.plans import PLANS, plan

from guestlist.errors import MalformedResponse
from guestlist.exchange.step import SendFailure
from guestlist.provider import Provider, Response

few = settings(max_examples=settings().max_examples // 5)
"""For properties that are checked for every operation or verb of a provider."""


@pytest.mark.parametrize("name", providers())
@few
@given(answers=ANY_ANSWERS)
def test_any_answer_to_any_operation(name: str, answers: list[Response | SendFailure]) -> None:
    for case in cases_of(name):
        note(f"operation: {case}")
        operate(case, repeated(answers)).check_honest()


@pytest.mark.parametrize("name", providers())
@few
@given(seed=st.integers(0, 2**32))
def test_a_genuine_answer_with_something_wrong(name: str, seed: int) -> None:
    source = random.Random(seed)
    for case in recorded_of(name):
        note(f"operation: {case}")
        changed = [mutated(one, source) if source.random() < 0.6 else one for one in case.recorded]
        operate(case, repeated(changed)).check_honest()


def test_the_genuine_answers_are_genuine() -> None:
    """Otherwise nothing would be proved above: what the sandbox does not refuse is understood."""
    for case in recorded():
        if all(one.status < 400 for one in case.recorded):
            told = operate(case, repeated(list(case.recorded)))
            assert not isinstance(told.error, MalformedResponse), str(case)


# ---------------------------------------------------------------------------- verbs


@pytest.mark.parametrize("provider", providers().values(), ids=lambda one: one.name)
@few
@given(answers=ANY_ANSWERS)
def test_any_answer_to_any_verb(provider: Provider, answers: list[Response | SendFailure]) -> None:
    for name in PLANS:
        _act(provider, name, answers)


@pytest.mark.parametrize("provider", providers().values(), ids=lambda one: one.name)
@few
@given(seed=st.integers(0, 2**32))
def test_genuine_answers_with_something_wrong_to_any_verb(provider: Provider, seed: int) -> None:
    source = random.Random(seed)
    pool = [one for case in genuine(provider.name) for one in case.recorded]
    for name in PLANS:
        drawn = [source.choice(pool) for _ in range(source.randint(1, 6))]
        answers = [mutated(one, source) if source.random() < 0.5 else one for one in drawn]
        _act(provider, name, answers)


def _act(provider: Provider, name: str, answers: list[Any]) -> None:
    note(f"verb: {name}")
    act(provider, plan(name), repeated(answers)).check_honest()
