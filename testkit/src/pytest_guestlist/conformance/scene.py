"""A setting with a client in it: what the tests act on."""

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
from guestlist.exchange.step import Failure, Outgoing
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
from pytest_guestlist.conformance.clients import (
    ACCOUNT,
    PATIENT,
    Spy,
    WiredAsyncGuestlist,
    WiredGuestlist,
    spy_on,
)
from pytest_guestlist.conformance.remark import place, remark
from pytest_guestlist.conformance.setting import Setting
from pytest_guestlist.conformance.wires import Answer, Noting

T = TypeVar("T")

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Scene:
    """One test's setting, client and account.

    Args:
        setting: the service and the people around it.
        role: the role that invitations name, where they have to name one.
        joins_at_once: whether the service has no invitations.
    """

    def __init__(
        self, setting: Setting, role: str | None = None, *, joins_at_once: bool = False
    ) -> None:
        self.setting = setting
        self.provider = setting.provider()
        self.wire = Noting(setting.wire())
        self.events: list[Event] = []
        self.spy = spy_on(self.provider, setting.clock, self.events.append)
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
        """A client for one account of this scene."""
        client = WiredGuestlist(
            {ACCOUNT: spy.provider},
            transport=self.wire,
            clock=self.setting.clock,
            budget=PATIENT,
        )
        client._accounts = replace(client._accounts, by_name={ACCOUNT: spy})
        if not spy.provider.members_show_emails:
            client.login = self.setting.login
        return client

    def stranger(self, provider: Provider) -> Guestlist:
        """A client for the same service with other credentials."""
        return self.client(self.spy_on(provider))

    def spy_on(self, provider: Provider) -> Spy:
        """An account of the same service with other credentials."""
        return spy_on(provider, self.setting.clock, self.events.append)

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

    def run(
        self,
        flow: Flow[T],
        wire: Wire | None = None,
        spy: Spy | None = None,
        *,
        fetches_token: bool = False,
    ) -> T:
        """Runs one operation of the provider, or of that of another account."""
        call = Call(spy or self.spy, PATIENT, fetches_token=fetches_token)
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
                pytest.skip(self.provider.unsupported(name).message)

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
            self.remark(
                rule="the list of roles has the one that the author of the suite names",
                expected=self._role,
                came=[role.label for role in known],
                look_at="roles",
            )
        return fits[0]

    def assignable_roles(self) -> list[Role]:
        """The roles that the service assigns to members."""
        return [role for role in self.roles() if not role.not_assignable]

    def another_role(self, held: Iterable[Role] = (), *, offered: bool = False) -> Role:
        """Returns a role that is not among those held.

        Args:
            offered: whether an invitation can have it instead of `role`.
        """
        usual = self.role()
        ids = {role.id for role in held} | {role.id for role in [usual] if role}
        free = [role for role in self.assignable_roles() if role.id not in ids]
        if offered and usual is not None:
            free = [role for role in free if role.kind == usual.kind]
        if not free:
            pytest.skip("the setting has no second role")
        plain = [role for role in free if "owner" not in role.label.lower()]
        return (plain or free)[-1]

    def terms(self) -> dict[str, Any]:
        """What an invitation has to name besides the address."""
        self.needs("invite")
        return {"role": self.role()} if self.provider.least_roles else {}

    def new_invitation(self, name: str) -> NewInvitation:
        """The order that invites somebody, as a provider gets it."""
        role = self.role()
        roles = (role,) if role else ()
        return NewInvitation(email=self.address(name), roles=roles, options=self.provider.Options())

    def invite(self, name: str, **changes: Any) -> InviteResult:
        """Invites somebody, with a role where the service wants one."""
        return self.guests.invite(self.address(name), **{**self.terms(), **changes})

    def invitation(self, name: str) -> Invitation:
        """The open invitation of somebody invited just now. Skips the test if people join at
        once."""
        if self.joins_at_once:
            pytest.skip("people join at once here: there are no invitations")
        guest = self.invite(name).guest
        if guest.invitation is None or guest.state is not State.PENDING:
            self.remark(
                rule="inviting an address that the service has not seen makes a pending invitation",
                expected="a guest in state pending with an invitation",
                came=guest,
                look_at="invite",
            )
        return guest.invitation

    def member(self, name: str) -> Member:
        """Somebody who was invited and has accepted."""
        if self.joins_at_once:
            guest = self.invite(name).guest
            if guest.member is None or guest.state is not State.ACCEPTED:
                self.remark(
                    rule="inviting an address that the service has not seen makes a member",
                    expected="a guest in state accepted with a member record",
                    came=guest,
                    look_at="invite",
                )
            return guest.member
        return self.accept(self.invitation(name))

    def address(self, name: str) -> str:
        """The address of somebody in this test."""
        address = self.setting.address(name)
        self._addresses.add(address)
        return address

    def key(self, record: Member | Invitation) -> str:
        """The key of the address of a record's person, also if the record shows only the login."""
        if record.email or not record.login:
            return email_key(record.email or "")
        known = {self.setting.login(address): address for address in self._addresses}
        return email_key(known.get(record.login, f"@{record.login}"))

    def findable(self, name: str) -> str:
        """What `find_member` finds somebody by: the address, or the login with a leading `@`."""
        address = self.address(name)
        login = self.setting.login(address) if self.provider.finds_logins else None
        return f"@{login}" if login else address

    def status(self, name: str) -> Guest:
        """Where somebody stands."""
        return self.guests.status(self.address(name))

    @property
    def absent(self) -> State:
        """The state of a person of whom the service has no record. Without the addresses of
        members nobody can tell that somebody is absent."""
        return State.GONE if self.provider.members_show_emails else State.UNKNOWN

    def lose_an_answer(self) -> None:
        """Lets the next request that changes something take effect and get no answer."""
        lost: list[Answer] = []

        def lose(_outgoing: Outgoing, answer: Answer) -> Answer:
            if lost or self.spy.asked[-1][0].effect is Effect.READ:
                return answer
            lost.append(answer)
            return Failure("no answer in time")

        self.wire.after = lose

    def expire(self, name: str) -> None:
        """Lets time pass until somebody's invitation has lapsed."""
        found = self.status(name).invitation
        if found is None or found.expires_at is None:
            pytest.skip("nobody knows when invitations expire here")
        self.setting.forward(found.expires_at - self.setting.clock.now() + HOUR)

    def accept(self, invitation: Invitation | None) -> Member:
        """Lets the invitee accept, and returns the member that comes of it."""
        if invitation is None:
            self.remark(expected="an invitation", came="none", look_at="invite")
        self.setting.accept(invitation)
        found = self.guests.status(invitation.email)
        if found.member is None or found.state is not State.ACCEPTED:
            self.remark(
                rule="a person who has accepted is found among the members",
                expected="state accepted, with a member record",
                came=found,
                look_at="members find_member",
            )
        return found.member

    # ------------------------------------------------------------------ what was sent

    def changes(self) -> list[Request]:
        """The requests so far that were more than a look."""
        return [request for request, _ in self.spy.asked if request.effect is not Effect.READ]

    def forget(self) -> None:
        """Starts counting anew."""
        self.spy.asked.clear()
        self.wire.noted.clear()

    # ------------------------------------------------------------------ judging

    def remark(
        self, *, expected: object, came: object, look_at: str, rule: str | None = None
    ) -> NoReturn:
        """Fails the test; `look_at` names operations or facts of the provider."""
        remark(rule=rule, expected=expected, came=came, look_at=place(self.provider, look_at))

    def check(self, good: bool, *, expected: object, came: object, look_at: str) -> None:
        """Remarks that the rule of the test is not kept, unless it is."""
        if not good:
            self.remark(expected=expected, came=came, look_at=look_at)

    def stands(self, who: str | Invitation, *states: State, look_at: str) -> Guest:
        """Checks where somebody stands, found by what `status` takes."""
        found = self.guests.status(who)
        wanted = " or ".join(states)
        self.check(found.state in states, expected=wanted, came=found, look_at=look_at)
        return found

    def mailed(self, address: str, count: int, look_at: str) -> None:
        """Checks how many emails an address has got, if invitations are emails."""
        if self.joins_at_once:
            return
        came = self.setting.emails(address)
        wanted = f"{count} emails to {address}"
        self.check(came == count, expected=wanted, came=f"{came} emails", look_at=look_at)

    @contextmanager
    def refused(
        self, *kinds: type[GuestlistError], look_at: str, tried: bool = False
    ) -> Iterator[Refused]:
        """Checks that one of these errors is raised in here, before anything is sent that changes
        something; with `tried`, by the service's own refusal perhaps."""
        wanted = " or ".join(kind.__name__ for kind in kinds)
        before, caught = len(self.changes()), Refused()
        try:
            yield caught
        except GuestlistError as error:
            caught.error = error
        else:
            self.remark(expected=wanted, came="no error", look_at=look_at)
        changed = [] if tried else self.changes()[before:]
        self.check(
            isinstance(caught.error, kinds) and not changed,
            expected=wanted if tried else f"{wanted}, and nothing is sent that changes anything",
            came="; ".join([repr(caught.error), *map(str, changed)]),
            look_at=look_at,
        )


class Refused:
    """What was raised: `error`, once the block has ended."""

    error: GuestlistError
