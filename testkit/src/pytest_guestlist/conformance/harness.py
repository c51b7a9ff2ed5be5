"""The test harness: a client for the provider under test, with helpers for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import pytest

from guestlist.address import email_key
from guestlist.client import AsyncGuestlist, Guestlist
from guestlist.errors import GuestlistError
from guestlist.event import Event
from guestlist.exchange.account import Call
from guestlist.exchange.drive import Driver, Wire
from guestlist.exchange.policy import run
from guestlist.exchange.step import Outgoing, SendFailure
from guestlist.models import (
    Guest,
    Invitation,
    InviteResult,
    Member,
    NewInvitation,
    Outcome,
    Role,
    State,
)
from guestlist.provider import Effect, Flow, Provider, Request
from pytest_guestlist.conformance.backend import Backend
from pytest_guestlist.conformance.clients import (
    ACCOUNT,
    PATIENT,
    WiredAsyncGuestlist,
    WiredGuestlist,
    spy_on,
)
from pytest_guestlist.conformance.finding import location_of, report_finding
from pytest_guestlist.conformance.wires import Answer, RecordingWire
from pytest_guestlist.spy import Spy

T = TypeVar("T")

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Harness:
    """The client, the account and the backend of one test.

    Args:
        backend: the service and the people around it.
        role: the role of invitations, by id, name or `kind:name`; by default the last one listed.
        joins_at_once: whether the service has no invitations.
    """

    def __init__(
        self, backend: Backend, role: str | None = None, *, joins_at_once: bool = False
    ) -> None:
        self.backend = backend
        self.provider = backend.provider()
        self.wire = RecordingWire(backend.wire())
        self.events: list[Event] = []
        self.spy = spy_on(self.provider, backend.clock, self.events.append)
        self.guests = self.client(self.spy)
        self._role = role
        self.joins_at_once = joins_at_once
        self.invited = Outcome.JOINED if joins_at_once else Outcome.INVITED
        """The outcome of inviting an address that the service has not seen."""
        self.already = Outcome.ALREADY_MEMBER if joins_at_once else Outcome.ALREADY_INVITED
        """The outcome of inviting it again."""
        self.state_after_invite = State.ACCEPTED if joins_at_once else State.PENDING
        self._addresses: set[str] = set()

    def client(self, spy: Spy) -> Guestlist:
        """Returns a client for one account of the backend."""
        client = WiredGuestlist(
            {ACCOUNT: spy.provider},
            transport=self.wire,
            clock=self.backend.clock,
            budget=PATIENT,
        )
        client._accounts = replace(client._accounts, by_name={ACCOUNT: spy})
        if not spy.provider.members_show_emails:
            client.login = self.backend.login
        return client

    def client_with(self, provider: Provider) -> Guestlist:
        """Returns a client for the same service with other credentials."""
        return self.client(self.spy_on(provider))

    def spy_on(self, provider: Provider) -> Spy:
        """Returns an account of the same service with other credentials."""
        return spy_on(provider, self.backend.clock, self.events.append)

    def async_client(self) -> AsyncGuestlist:
        """Returns an async client for the same account."""
        client = WiredAsyncGuestlist(
            {ACCOUNT: self.provider},
            transport=self.wire,
            clock=self.backend.clock,
            budget=PATIENT,
        )
        client._accounts = replace(client._accounts, by_name={ACCOUNT: self.spy})
        return client

    def run(
        self,
        flow: Flow[T],
        wire: Wire | None = None,
        spy: Spy | None = None,
        *,
        fetches_token: bool = False,
    ) -> T:
        """Runs one operation and returns its value. `spy` runs it for another account."""
        call = Call(spy or self.spy, PATIENT, fetches_token=fetches_token)
        return Driver(wire or self.wire, self.backend.clock).run(run(call, flow))

    def close(self) -> None:
        """Closes the connection and the backend."""
        self.wire.close()
        self.backend.close()

    # ------------------------------------------------------------------ preparations

    def require(self, *operations: str) -> None:
        """Skips the test if the provider lacks one of the operations."""
        for name in operations:
            if not self.provider.supports(name):
                pytest.skip(self.provider.unsupported(name).message)

    def roles(self) -> list[Role]:
        """Returns all roles of the service."""
        return list(self.guests.roles()) if self.provider.supports("roles") else []

    def role(self) -> Role | None:
        """Returns the role for invitations. None if an invitation takes no role."""
        if self.provider.most_roles == 0:
            return None
        known = self.roles()
        if self._role is None:
            return known[-1] if known else None
        if not self.provider.supports("roles"):
            return Role(id=self._role)
        fits = [role for role in known if self._role in (role.id, role.name, role.label)]
        if not fits:
            self.report_finding(
                rule="the list of roles contains the `role` of the suite",
                expected=self._role,
                got=[role.label for role in known],
                look_at="roles",
            )
        return fits[0]

    def assignable_roles(self) -> list[Role]:
        """Returns the roles that can be assigned to members."""
        return [role for role in self.roles() if not role.not_assignable]

    def another_role(self, held: Iterable[Role] = (), *, offered: bool = False) -> Role:
        """Returns a role that is not among those held.

        Args:
            offered: whether an invitation must be able to have it instead of `role`.
        """
        usual = self.role()
        ids = {role.id for role in held} | {role.id for role in [usual] if role}
        free = [role for role in self.assignable_roles() if role.id not in ids]
        if offered and usual is not None:
            free = [role for role in free if role.kind == usual.kind]
        if not free:
            pytest.skip("the service has no second role")
        plain = [role for role in free if "owner" not in role.label.lower()]
        return (plain or free)[-1]

    def required_arguments(self) -> dict[str, Any]:
        """Returns the arguments that `invite` needs besides the address."""
        self.require("invite")
        return {"role": self.role()} if self.provider.least_roles else {}

    def new_invitation(self, name: str) -> NewInvitation:
        """Returns the argument of `Provider.invite` for an invented person."""
        role = self.role()
        roles = (role,) if role else ()
        return NewInvitation(email=self.address(name), roles=roles, options=self.provider.Options())

    def invite(self, name: str, **changes: Any) -> InviteResult:
        """Invites an invented person, with a role if the service requires one."""
        return self.guests.invite(self.address(name), **{**self.required_arguments(), **changes})

    def invitation(self, name: str) -> Invitation:
        """Invites an invented person and returns the open invitation. Skips the test if people join
        at once."""
        if self.joins_at_once:
            pytest.skip("people join at once here: there are no invitations")
        guest = self.invite(name).guest
        if guest.invitation is None or guest.state is not State.PENDING:
            self.report_finding(
                rule="inviting an address that the service has not seen makes a pending invitation",
                expected="a guest in state pending with an invitation",
                got=guest,
                look_at="invite",
            )
        return guest.invitation

    def member(self, name: str) -> Member:
        """Invites an invented person, accepts, and returns the member."""
        if self.joins_at_once:
            guest = self.invite(name).guest
            if guest.member is None or guest.state is not State.ACCEPTED:
                self.report_finding(
                    rule="inviting an address that the service has not seen makes a member",
                    expected="a guest in state accepted with a member record",
                    got=guest,
                    look_at="invite",
                )
            return guest.member
        return self.accept(self.invitation(name))

    def address(self, name: str) -> str:
        """Returns the address of an invented person."""
        address = self.backend.address(name)
        self._addresses.add(address)
        return address

    def key(self, record: Member | Invitation) -> str:
        """Returns the key of a person's address, even if the record shows only the login."""
        if record.email or not record.login:
            return email_key(record.email or "")
        known = {self.backend.login(address): address for address in self._addresses}
        return email_key(known.get(record.login, f"@{record.login}"))

    def find_member_argument(self, name: str) -> str:
        """Returns the argument of `find_member`: the address, or the login with a leading `@`."""
        address = self.address(name)
        login = self.backend.login(address) if self.provider.finds_logins else None
        return f"@{login}" if login else address

    def status(self, name: str) -> Guest:
        """Returns the status of an invented person."""
        return self.guests.status(self.address(name))

    @property
    def absent_state(self) -> State:
        """The state of a person without records. Unknown if the service does not show the addresses
        of members, because such a person may be a member."""
        return State.GONE if self.provider.members_show_emails else State.UNKNOWN

    def lose_next_answer(self) -> None:
        """Drops the answer of the next request that changes something. The request takes effect."""
        lost: list[Answer] = []

        def lose(_outgoing: Outgoing, answer: Answer) -> Answer:
            if lost or self.is_reading():
                return answer
            lost.append(answer)
            return SendFailure("no answer in time")

        self.wire.after = lose

    def expire(self, name: str) -> None:
        """Moves the clock past the expiry of a person's invitation."""
        found = self.status(name).invitation
        if found is None or found.expires_at is None:
            pytest.skip("the expiry of invitations is unknown")
        self.backend.forward(found.expires_at - self.backend.clock.now() + HOUR)

    def accept(self, invitation: Invitation | None) -> Member:
        """Accepts an invitation as the invitee, and returns the new member."""
        if invitation is None:
            self.report_finding(expected="an invitation", got="none", look_at="invite")
        self.backend.accept(invitation)
        found = self.guests.status(invitation.email)
        if found.member is None or found.state is not State.ACCEPTED:
            self.report_finding(
                rule="a person who has accepted is found among the members",
                expected="state accepted, with a member record",
                got=found,
                look_at="members find_member",
            )
        return found.member

    # ------------------------------------------------------------------ requests

    def changes(self) -> list[Request]:
        """Returns the requests so far that change something."""
        return [request for request, _ in self.spy.requests if request.effect is not Effect.READ]

    def is_reading(self) -> bool:
        """Returns whether the last request only reads."""
        return self.spy.requests[-1][0].effect is Effect.READ

    def forget(self) -> None:
        """Forgets the requests so far."""
        self.spy.requests.clear()
        self.wire.exchanges.clear()

    # ------------------------------------------------------------------ checks

    def report_finding(
        self, *, expected: object, got: object, look_at: str, rule: str | None = None
    ) -> NoReturn:
        """Fails the test; `look_at` names operations or facts of the provider."""
        report_finding(
            rule=rule, expected=expected, got=got, look_at=location_of(self.provider, look_at)
        )

    def check(self, good: bool, *, expected: object, got: object, look_at: str) -> None:
        """Fails the test if `good` is false."""
        if not good:
            self.report_finding(expected=expected, got=got, look_at=look_at)

    def expect_state(self, who: str | Invitation, *states: State, look_at: str) -> Guest:
        """Fails the test if the state of a person is not one of these. `who` is as for `status`."""
        found = self.guests.status(who)
        wanted = " or ".join(states)
        self.check(found.state in states, expected=wanted, got=found, look_at=look_at)
        return found

    def expect_emails(self, address: str, count: int, look_at: str) -> None:
        """Fails the test if an address got another number of emails. If people join at once,
        nothing is checked."""
        if self.joins_at_once:
            return
        got = self.backend.emails(address)
        wanted = f"{count} emails to {address}"
        self.check(got == count, expected=wanted, got=f"{got} emails", look_at=look_at)

    @contextmanager
    def expect_error(
        self, *kinds: type[GuestlistError], look_at: str, tried: bool = False
    ) -> Iterator[Caught]:
        """Fails the test unless one of these errors is raised within this context, and no request
        that changes something was sent before it. With `tried`, such requests are allowed."""
        wanted = " or ".join(kind.__name__ for kind in kinds)
        before, caught = len(self.changes()), Caught()
        try:
            yield caught
        except GuestlistError as error:
            caught.error = error
        else:
            self.report_finding(expected=wanted, got="no error", look_at=look_at)
        changed = [] if tried else self.changes()[before:]
        self.check(
            isinstance(caught.error, kinds) and not changed,
            expected=wanted if tried else f"{wanted}, and nothing is sent that changes anything",
            got="; ".join([repr(caught.error), *map(str, changed)]),
            look_at=look_at,
        )


class Caught:
    """The error that was raised, available after the block has ended."""

    error: GuestlistError
