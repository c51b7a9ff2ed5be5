"""Backends of the suite: how to reach a service, and how its invitees act."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from guestlist.exchange.clock import Clock, SystemClock
from guestlist.exchange.drive import Wire
from guestlist.exchange.wire import HttpxWire
from guestlist.models import Invitation
from guestlist.plugins import installed
from guestlist.provider import Provider
from pytest_guestlist.clock import VirtualClock

if TYPE_CHECKING:
    from guestlist.sandbox.service import Service


START = datetime(2026, 5, 4, 9, 15, tzinfo=UTC)
"""The time at which every test on a sandbox begins."""


Skipped = pytest.skip.Exception
"""The exception that `Backend.skip` raises: pytest skips the test and shows the reason."""


class Backend:
    """One organization on one service, and the people around it.

    Subclass it for a live service and define `provider`. Each other method that is not overridden
    skips the tests that need it, with the reason. Every test gets a new backend.
    """

    source: str = "a live service"
    """The name of the recorded service, for the first line of cassettes."""

    clock: Clock = SystemClock()
    """The time of the service and the client."""

    def provider(self) -> Provider:
        """Returns an account with an owner's rights."""
        raise NotImplementedError(f"{type(self).__name__} has to define `provider`")

    def wire(self) -> Wire:
        """Returns the transport of requests. By default they go over the network."""
        return HttpxWire()

    def address(self, name: str) -> str:
        """Returns an address that the service has not seen. On a live service, make it unique."""
        return f"{name}@example.com"

    def read_only(self) -> Provider:
        """Returns the account with credentials that may only read."""
        self.skip("no read-only credentials")

    def accept(self, invitation: Invitation) -> None:
        """Accepts an invitation as the invitee."""
        self.skip("no way to accept invitations")

    def decline(self, invitation: Invitation) -> None:
        """Declines an invitation as the invitee."""
        self.skip("no way to decline invitations")

    def forward(self, by: timedelta) -> None:
        """Moves the time of the service and of `clock` forward."""
        self.skip("no way to move the clock")

    def login(self, address: str) -> str | None:
        """Returns the login of the person with an address. None if the person has no account yet.
        Only for services that do not show the addresses of members."""
        self.skip("no way to know logins, and members have no addresses")

    def emails(self, address: str) -> int:
        """Returns how many emails the service has sent to an address."""
        self.skip("no view of the emails")

    def is_link_of_email(self, invitation: Invitation) -> bool:
        """Returns whether `link` of an invitation is the link in an email of the invitee."""
        self.skip("no view of the links in emails")

    def close(self) -> None:
        """Closes the backend after the test."""

    def skip(self, reason: str) -> NoReturn:
        """Skips the test. The reason begins with "no", such as `no view of the emails`."""
        pytest.skip(f"{type(self).__name__} has {reason}")


class SandboxBackend(Backend):
    """The sandbox of a provider, in this process and in virtual time.

    Args:
        service: the class of the sandbox.
        kind: the provider class; by default the installed one with the service's name.
        facts: the profile and the switches of the sandbox.
    """

    source = "the sandbox of guestlist, not the service itself"
    base_url = "https://sandbox.test"

    def __init__(
        self, service: type[Service], kind: type[Provider] | None = None, **facts: Any
    ) -> None:
        from guestlist.sandbox import AdjustableClock

        self.virtual = VirtualClock(START)
        self.clock = self.virtual
        time = AdjustableClock(lambda: self.virtual.now().timestamp())
        self.service = service(clock=time, **facts)
        self.kind = kind or installed().provider(service.name)

    def provider(self) -> Provider:
        return self.kind(**self.service.settings(self.base_url))

    def read_only(self) -> Provider:
        return self.kind(**self.service.read_only_settings(self.base_url))

    def wire(self) -> Wire:
        from pytest_guestlist.calling import ServiceWire

        return ServiceWire(self.service)

    def accept(self, invitation: Invitation) -> None:
        self.service.accept(self._id(invitation))

    def decline(self, invitation: Invitation) -> None:
        from guestlist.sandbox import SandboxRefusal

        if not self.service.can_decline:
            self.skip("no way to decline: the service does not offer it")
        try:
            self.service.decline(self._id(invitation))
        except SandboxRefusal as refusal:  # the suite declines only open invitations
            self.skip(f"no way to decline: {refusal}")

    def forward(self, by: timedelta) -> None:
        self.virtual.advance(by)

    def login(self, address: str) -> str | None:
        from guestlist.sandbox import OrganizationService

        if not isinstance(self.service, OrganizationService):
            return super().login(address)
        person = self.service.organization.person_with(address)
        return (person.login or None) if person else None

    def emails(self, address: str) -> int:
        return sum(1 for _ in self.service.outbox.to(address))

    def is_link_of_email(self, invitation: Invitation) -> bool:
        links = {mail.link for mail in self.service.outbox.to(invitation.email or "") if mail.link}
        if not links or invitation.link is None:
            self.skip("no email with a link")
        return invitation.link.get_secret_value() in links

    def _id(self, invitation: Invitation) -> str:
        emails = list(self.service.outbox.to(invitation.email or ""))
        return emails[-1].invitation if emails else str(invitation.id)
