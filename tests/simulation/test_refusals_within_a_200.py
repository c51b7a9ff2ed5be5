"""The same promises for a service that says every no with a 200."""

from __future__ import annotations

from starlette.types import ASGIApp
from tests.polite import polite, refused

from guestlist.errors import GuestlistError
from guestlist.provider import Response
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService
from pytest_guestlist.simulation import simulate
from pytest_guestlist.simulation.report import silence


class PoliteService(VultrService):
    """Vultr, if it said no with a 200."""

    def build(self) -> ASGIApp:
        return polite(super().build())


class Polite(Vultr):
    """The provider for it."""

    sandbox = f"{__name__}:PoliteService"

    def refusal(self, response: Response) -> GuestlistError | None:
        return refused(self, response)


def test_no_promise_is_broken() -> None:
    with silence():
        runs = [simulate(seed, Polite) for seed in range(60)]
    assert [violation for run in runs for violation in run.violations] == []
    refused = [one for run in runs for one in run.site.landed if not one.accepted]
    assert refused
    assert not any(one.emails for one in refused)
