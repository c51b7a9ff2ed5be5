"""Whatever a service answers: a value, or a GuestlistError that does not lie.

Never another exception, and never without end. `python -m tests.hostile --minutes 10` tries more.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hostile.answers import (
    ANY_ANSWERS,
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

from guestlist.errors import MalformedResponse
from guestlist.exchange.step import Failure
from guestlist.provider import Provider, Response

few = settings(max_examples=settings().max_examples * 2 // 5)
"""For properties that are checked for each operation, or for each verb of each provider."""


@pytest.mark.parametrize("case", cases(), ids=str)
@few
@given(answers=ANY_ANSWERS)
def test_any_answer_to_any_operation(case: Case, answers: list[Response | Failure]) -> None:
    operate(case, repeated(answers)).check_honest()


@pytest.mark.parametrize("case", recorded(), ids=str)
@given(seed=st.integers(0, 2**32))
def test_a_genuine_answer_with_something_wrong(case: Case, seed: int) -> None:
    source = random.Random(seed)
    changed = [mutated(one, source) if source.random() < 0.6 else one for one in case.recorded]
    operate(case, repeated(changed)).check_honest()


@pytest.mark.parametrize("case", recorded(), ids=str)
def test_the_genuine_answers_are_genuine(case: Case) -> None:
    """Otherwise nothing would be proved above: what the sandbox does not refuse is understood."""
    if all(one.status < 400 for one in case.recorded):
        told = operate(case, repeated(list(case.recorded)))
        assert told.error is None or not isinstance(told.error, MalformedResponse)


# ---------------------------------------------------------------------------- verbs


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("provider", providers().values(), ids=lambda one: one.name)
@few
@given(answers=ANY_ANSWERS)
def test_any_answer_to_any_verb(
    provider: Provider, name: str, answers: list[Response | Failure]
) -> None:
    _act(provider, name, answers)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("provider", providers().values(), ids=lambda one: one.name)
@given(seed=st.integers(0, 2**32))
def test_genuine_answers_with_something_wrong_to_any_verb(
    provider: Provider, name: str, seed: int
) -> None:
    source = random.Random(seed)
    pool = [one for case in genuine(provider.name) for one in case.recorded]
    drawn = [source.choice(pool) for _ in range(source.randint(1, 6))]
    _act(provider, name, [mutated(one, source) if source.random() < 0.5 else one for one in drawn])


def _act(provider: Provider, name: str, answers: list[Any]) -> None:
    act(provider, plan(name), repeated(answers)).check_honest()
