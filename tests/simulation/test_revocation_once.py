"""A resend that consists of a revocation and an invitation, where the revocation is a POST that
must not be repeated. If its answer is lost, the call ends with an unknown outcome at once."""

from __future__ import annotations

from typing import ClassVar

from guestlist.models import Invitation
from guestlist.provider import Effect, Flow, Provider, operation
from guestlist_betterauth import BetterAuth
from pytest_guestlist.simulation import simulate
from pytest_guestlist.simulation.report import silence


class Once(BetterAuth):
    resend: ClassVar = Provider.resend

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield self._post("cancel-invitation", Effect.CREATE, invitationId=invitation.id)


def test_no_promise_is_broken() -> None:
    with silence():
        runs = [simulate(seed, Once) for seed in (525, 526, 528, 543)]
    assert [violation for run in runs for violation in run.violations] == []
    assert any(
        one.fault is not None and one.request.path[-1] == "cancel-invitation"
        for run in runs
        for caller in run.callers
        for one in caller.sent
    )
