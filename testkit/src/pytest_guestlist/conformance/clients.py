"""Clients that send through a wire of the suite, and accounts that record requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from guestlist.client import AsyncGuestlist, Guestlist
from guestlist.event import Event
from guestlist.exchange.account import Budget
from guestlist.exchange.clock import Clock
from guestlist.exchange.drive import AsyncDriver, Driver
from guestlist.models import Access, Guest, InviteResult, RemoveResult, RevokeResult, RoleResult
from guestlist.provider import Provider, Token
from pytest_guestlist.conformance.wires import AsyncWireAdapter
from pytest_guestlist.spy import Spy

ACCOUNT = "suite"
"""The name of the account in every test."""

PATIENT = Budget(total=3600.0)
"""A budget in virtual time that no test exhausts."""


def spy_on(provider: Provider, clock: Clock, watch: Callable[[Event], None] | None = None) -> Spy:
    """Returns an account with this provider that records its requests."""
    return Spy(ACCOUNT, provider, clock, watch)


def _is_address(who: Any) -> bool:
    return isinstance(who, str) and "@" in who[1:]


def _nothing(base_url: str) -> None:
    """Prepares no connection."""


def keep_token(spy: Spy, token: Token | None = None) -> None:
    """Gives an account an access token if its service issues tokens, so that it fetches none.

    Args:
        token: by default an invented one that does not expire.
    """
    if spy.provider.supports("fetch_token"):
        spy.keep_token(token or Token("TOKEN-OF-THE-SUITE"), spy.clock.monotonic())


class WiredGuestlist(Guestlist):
    """A client that sends through a wire of the suite.

    If the service does not show the addresses of members, `login` returns the login of the person
    with an address, as a caller would know it.
    """

    login: Callable[[str], str | None] | None = None

    def invite(self, email: str, *, login: str | None = None, **more: Any) -> InviteResult:
        """Passes the login only if the service does not refuse the address of a member."""
        [provider] = self.accounts.values()
        if login is None and self.login and provider.invites_unknown and _is_address(email):
            login = self.login(email)
        return super().invite(email, login=login, **more)

    def status(self, who: Any = None, *, login: str | None = None, **more: Any) -> Guest:
        known = self.login(who) if self.login and _is_address(who) else None
        return super().status(who, login=login or known, **more)

    def revoke(self, who: Any, **more: Any) -> RevokeResult:
        return super().revoke(self._named(who), **more)

    def resend(self, who: Any, **more: Any) -> InviteResult:
        return super().resend(self._named(who), **more)

    def remove(self, who: Any, **more: Any) -> RemoveResult:
        return super().remove(self._named(who), **more)

    def access(self, who: Any, **more: Any) -> Access:
        return super().access(self._named(who), **more)

    def assign_role(self, who: Any, *args: Any, **more: Any) -> RoleResult:
        return super().assign_role(self._named(who), *args, **more)

    def unassign_role(self, who: Any, *args: Any, **more: Any) -> RoleResult:
        return super().unassign_role(self._named(who), *args, **more)

    def wait(self, who: Any, *args: Any, **more: Any) -> Guest:
        return super().wait(self._named(who), *args, **more)

    def _named(self, who: Any) -> Any:
        known = self.login(who) if self.login and _is_address(who) else None
        return f"@{known}" if known else who

    def _start(self, http_client: Any, transport: Any) -> Callable[[str], None]:
        self._wire = transport
        self._driver = Driver(transport, self._clock)
        return _nothing


class WiredAsyncGuestlist(AsyncGuestlist):
    """An async client that sends through a wire of the suite."""

    def _start(self, http_client: Any, transport: Any) -> Callable[[str], None]:
        self._wire = AsyncWireAdapter(transport)  # type: ignore[assignment]
        self._driver = AsyncDriver(self._wire, self._clock)
        return _nothing
