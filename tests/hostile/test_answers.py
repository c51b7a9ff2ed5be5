"""Whatever a service answers: a value, or a GuestlistError that does not lie.

Never another exception, and never without end. `python -m tests.hostile --minutes 10` tries more.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
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
    repeated,
)

from guestlist import verbs
from guestlist.errors import GuestlistError
from guestlist.exchange.step import Failure, Steps
from guestlist.provider import Provider, Response


@pytest.mark.parametrize("case", cases(), ids=str)
@given(answers=ANY_ANSWERS)
def test_any_answer_to_any_operation(case: Case, answers: list[Response | Failure]) -> None:
    operate(case, repeated(answers)).check_honest()


@pytest.mark.parametrize("case", cases(), ids=str)
@given(seed=st.integers(0, 2**32))
def test_a_genuine_answer_with_something_wrong(case: Case, seed: int) -> None:
    source = random.Random(seed)
    recorded = genuine(case.provider.name)[case.operation]
    if recorded:
        changed = [mutated(one, source) if source.random() < 0.6 else one for one in recorded]
        operate(case, repeated(changed)).check_honest()


@pytest.mark.parametrize("case", cases(), ids=str)
def test_the_genuine_answers_are_genuine(case: Case) -> None:
    """Otherwise nothing would be proved above: most operations succeed against their sandbox."""
    recorded = genuine(case.provider.name)[case.operation]
    if recorded and all(one.status < 400 for one in recorded):
        assert operate(case, repeated(list(recorded))).error is None


# ---------------------------------------------------------------------------- verbs

ADA = "ada@example.com"


def _walked(walk: Any) -> Steps[list[Any]]:
    found: list[Any] = []
    while (items := (yield from walk.more())) is not None:
        found += items
    return found


PLANS: dict[str, Any] = {
    "invite": lambda a: verbs.invite(a, ADA),
    "invite with a role": lambda a: verbs.invite(a, ADA, role="Viewer"),
    "invite or replace": lambda a: verbs.invite(a, ADA, role="Viewer", if_exists="replace"),
    "invite or resend": lambda a: verbs.invite(a, ADA, if_exists="resend"),
    "resend": lambda a: verbs.resend(a, ADA),
    "status": lambda a: verbs.status(a, ADA),
    "status by id": lambda a: verbs.status(a, "some-id"),
    "assign_role": lambda a: verbs.assign_role(a, ADA, "group:Viewer"),
    "unassign_role": lambda a: verbs.unassign_role(a, ADA, "Viewer"),
    "revoke": lambda a: verbs.revoke(a, ADA),
    "remove": lambda a: verbs.remove(a, ADA),
    "access": lambda a: verbs.access(a, ADA),
    "wait": lambda a: verbs.wait(a, ADA, timeout=30.0),
    "check": verbs.check,
    "invitations": lambda a: _walked(verbs.invitations(a)),
    "members": lambda a: _walked(verbs.members(a)),
    "roles": lambda a: _walked(verbs.roles(a)),
}


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("provider", providers().values(), ids=lambda one: one.name)
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
    pool = [one for recorded in genuine(provider.name).values() for one in recorded]
    drawn = [source.choice(pool) for _ in range(source.randint(1, 6))]
    _act(provider, name, [mutated(one, source) if source.random() < 0.5 else one for one in drawn])


def _act(provider: Provider, name: str, answers: list[Any]) -> None:
    def plan(accounts: verbs.Accounts) -> Steps[Any]:
        yield from ()
        return (yield from PLANS[name](accounts))

    told = act(provider, plan, repeated(answers))
    assert told.error is None or isinstance(told.error, GuestlistError)
    told.check_honest()
