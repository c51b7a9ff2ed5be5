"""The same promises for a service that needs two requests for an invitation, with faults and
interruptions between them."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any
from unittest import mock

import pytest
from tests.annex import Annex, Telling

from guestlist.exchange import policy
from guestlist.provider import Effect
from guestlist.verbs import create, evidence
from pytest_guestlist.simulation import simulate
from pytest_guestlist.simulation.report import silence

invite = import_module("guestlist.verbs.invite")  # the package has a function of this name


@pytest.mark.long
@pytest.mark.parametrize(("kind", "seeds"), [(Annex, 250), (Telling, 50)])
def test_no_promise_is_broken(kind: type[Annex], seeds: int) -> None:
    with silence():
        runs = [simulate(seed, kind) for seed in range(seeds)]
    assert [(run.seed, one) for run in runs for one in run.violations] == []
    prepared = [one for run in runs for one in run.site.landed if one.prepares]
    assert prepared
    assert not any(one.emails for one in prepared)
    ended_between = [
        caller
        for run in runs
        for caller in run.callers
        if caller.error is not None
        and any(one.request.effect is Effect.PREPARE for one in caller.sent)
        and not any(one.request.effect is Effect.CREATE for one in caller.sent)
    ]
    assert ended_between


def _prepared_counts_as_invited() -> Any:
    return mock.patch.object(invite, "_disregarding_prepared", lambda guest: guest)


def _record_counts_as_email() -> Any:
    def unaware(guest: Any, known: Any, *, prepared: bool) -> Any:
        return evidence.new_record(guest, known)

    return mock.patch.object(create, "new_record", unaware)


def _preparing_counts_as_creating() -> Any:
    exchange = policy.exchange

    def unaware(call: Any, request: Any) -> Any:
        marked = Effect.CREATE if request.effect is Effect.PREPARE else request.effect
        return exchange(call, replace(request, effect=marked))

    return mock.patch.object(policy, "exchange", unaware)


@pytest.mark.parametrize(
    "sabotage",
    [_prepared_counts_as_invited, _record_counts_as_email, _preparing_counts_as_creating],
)
def test_every_sabotage_is_found(sabotage: Any) -> None:
    with silence(), sabotage():
        assert any(simulate(seed, Annex).violations for seed in range(400))
