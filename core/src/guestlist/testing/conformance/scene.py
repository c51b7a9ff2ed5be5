"""A setting with a client in it: what the tests act on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from guestlist.client import AsyncGuestlist, Guestlist
from guestlist.event import Event
from guestlist.exchange.account import Account, Budget, Call
from guestlist.exchange.clock import Clock
from guestlist.exchange.drive import AsyncDriver, Driver, Wire
from guestlist.exchange.policy import run
from guestlist.exchange.step import Failure, Outgoing
from guestlist.models import Guest, Invitation, InviteResult, Member, Order, Role, State
from guestlist.provider import Effect, Flow, Provider, Request
from guestlist.testing.conformance.remark import place, remark
from guestlist.testing.conformance.setting import Setting
from guestlist.testing.conformance.wires import Answer, Noting, OnceMore

T = TypeVar("T")

ACCOUNT = "suite"
"""The name of the account in every test."""

PATIENT = Budget(total=3600.0)
"""Virtual seconds: nothing that a test is about ends for lack of time."""


class Spy(Account):
    """An account that notes what its provider asks for."""

    asked: list[tuple[Request, Outgoing]]

    def outgoing(self, request: Request, budget: Budget, remaining: float) -> Outgoing:
        outgoing = super().outgoing(request, budget, remaining)
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


class Scene:
    """One test's setting, client and account.

    Args:
        setting: the service and the people around it.
        role: the role that invitations name, where they have to name one.
    """

    def __init__(self, setting: Setting, role: str | None = None) -> None:
        self.setting = setting
        self.provider = setting.provider()
        self.wire = Noting(setting.wire())
        self.events: list[Event] = []
        self.spy = spy_on(self.provider, setting.clock, self.events.append)
        self.guests = self.client(self.spy)
        self._role = role

    def client(self, spy: Spy) -> Guestlist:
        """A client for one account of this scene."""
        client = WiredGuestlist(
            {ACCOUNT: spy.provider},
            transport=self.wire,
            clock=self.setting.clock,
            budget=PATIENT,
        )
        client._accounts = replace(client._accounts, by_name={ACCOUNT: spy})
        return client

    def stranger(self, provider: Provider) -> Guestlist:
        """A client for the same service with other credentials."""
        return self.client(spy_on(provider, self.setting.clock, self.events.append))

    def async_client(self) -> AsyncGuestlist:
        """An async client for the scene's account."""
        client = WiredAsyncGuestlist(
            {ACCOUNT: self.provider},
            transport=self.wire,
            clock=self.setting.clock,
            budget=PATIENT,
        )
        client._accounts = replace(client._accounts, by_name={ACCOUNT: self.spy})
        return client

    def run(self, flow: Flow[T], wire: Wire | None = None) -> T:
        """Runs one operation of the provider."""
        call = Call(self.spy, PATIENT)
        return Driver(wire or self.wire, self.setting.clock).run(run(call, flow))

    def close(self) -> None:
        """Ends the scene."""
        self.wire.close()
        self.setting.close()

    # ------------------------------------------------------------------ what most tests begin with

    def needs(self, *operations: str) -> None:
        """Skips the test where the provider lacks one of the operations."""
        for name in operations:
            if not self.provider.supports(name):
                pytest.skip(f"{self.provider.title} offers no way to {name.replace('_', ' ')}")

    def roles(self) -> list[Role]:
        """What can be granted here."""
        return list(self.guests.roles()) if self.provider.supports("roles") else []

    def role(self) -> Role | None:
        """The role that invitations name here, if they can name one."""
        if self.provider.most_roles == 0:
            return None
        known = self.roles()
        if self._role is None:
            return known[-1] if known else None
        if not self.provider.supports("roles"):
            return Role(id=self._role)
        fits = [role for role in known if self._role in (role.id, role.name, role.label)]
        if not fits:
            remark(
                "the list of roles has the one that the author of the suite names",
                expected=self._role,
                came=[role.label for role in known],
                look_at=place(self.provider, "roles"),
            )
        return fits[0]

    def another_role(self, held: Iterable[Role] = ()) -> Role:
        """A role that is not among those held."""
        ids = {role.id for role in held} | {role.id for role in [self.role()] if role}
        free = [role for role in self.roles() if role.id not in ids]
        if not free:
            pytest.skip("the setting has no second role")
        plain = [role for role in free if "owner" not in role.label.lower()]
        return (plain or free)[-1]

    def terms(self) -> dict[str, Any]:
        """What an invitation has to name besides the address."""
        self.needs("invite")
        return {"role": self.role()} if self.provider.least_roles else {}

    def order(self, name: str) -> Order:
        """The order that invites somebody, as a provider gets it."""
        role = self.role()
        roles = (role,) if role else ()
        return Order(email=self.address(name), roles=roles, options=self.provider.Options())

    def invite(self, name: str, **order: Any) -> InviteResult:
        """Invites somebody, with a role where the service wants one."""
        return self.guests.invite(self.address(name), **{**self.terms(), **order})

    def invitation(self, name: str) -> Invitation:
        """The open invitation of somebody invited just now."""
        guest = self.invite(name).guest
        if guest.invitation is None or guest.state is not State.PENDING:
            remark(
                "inviting an address that the service has not seen makes a pending invitation",
                expected="a guest in state pending with an invitation",
                came=repr(guest),
                look_at=place(self.provider, "invite"),
            )
        return guest.invitation

    def member(self, name: str) -> Member:
        """Somebody who was invited and has accepted."""
        self.setting.accept(self.invitation(name))
        guest = self.guests.status(self.address(name))
        if guest.member is None or guest.state is not State.ACCEPTED:
            remark(
                "whoever has accepted is found among the members",
                expected="state accepted, with a member record",
                came=repr(guest),
                look_at=f"{place(self.provider, 'members')}, {place(self.provider, 'find_member')}",
            )
        return guest.member

    def address(self, name: str) -> str:
        """The address of somebody in this test."""
        return self.setting.address(name)

    def status(self, name: str) -> Guest:
        """Where somebody stands."""
        return self.guests.status(self.address(name))

    def lose_an_answer(self) -> None:
        """Lets the next request that changes something take effect and get no answer."""
        lost: list[Answer] = []

        def lose(_outgoing: Outgoing, answer: Answer) -> Answer:
            if lost or self.spy.asked[-1][0].effect is Effect.READ:
                return answer
            lost.append(answer)
            return Failure("no answer in time")

        self.wire.after = lose

    # ------------------------------------------------------------------ what was sent

    def changes(self) -> list[Request]:
        """The requests so far that were more than a look."""
        return [request for request, _ in self.spy.asked if request.effect is not Effect.READ]

    def forget(self) -> None:
        """Starts counting anew."""
        self.spy.asked.clear()
        self.wire.noted.clear()
