"""Clients that send through a wire of the suite, and accounts that note what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guestlist.client import AsyncGuestlist, Guestlist
from guestlist.event import Event
from guestlist.exchange.account import Account, Budget
from guestlist.exchange.clock import Clock
from guestlist.exchange.drive import AsyncDriver, Driver
from guestlist.exchange.step import Outgoing
from guestlist.provider import Provider, Request
from pytest_guestlist.conformance.wires import OnceMore

ACCOUNT = "suite"
"""The name of the account in every test."""

PATIENT = Budget(total=3600.0)
"""Virtual seconds: nothing that a test is about ends for lack of time."""


class Spy(Account):
    """An account that notes what its provider asks for."""

    asked: list[tuple[Request, Outgoing]]

    def outgoing(self, request: Request, budget: Budget) -> Outgoing:
        outgoing = super().outgoing(request, budget)
        self.asked.append((request, outgoing))
        return outgoing


def spy_on(provider: Provider, clock: Clock, watch: Callable[[Event], None] | None = None) -> Spy:
    """An account with that provider that notes what it asks for."""
    spy = Spy(ACCOUNT, provider, clock, watch)
    spy.asked = []
    return spy


def _nothing(base_url: str) -> None:
    """Prepares no connection."""


class WiredGuestlist(Guestlist):
    """The client, sending through a wire of ours."""

    def _start(self, http_client: Any, transport: Any) -> Callable[[str], None]:
        self._wire = transport
        self._driver = Driver(transport, self._clock)
        return _nothing


class WiredAsyncGuestlist(AsyncGuestlist):
    """The same for the async client."""

    def _start(self, http_client: Any, transport: Any) -> Callable[[str], None]:
        self._wire = OnceMore(transport)  # type: ignore[assignment]
        self._driver = AsyncDriver(self._wire, self._clock)
        return _nothing
