"""What the suite needs to know of a service: how to reach it, and how its invitees act."""

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
"""When every test on a sandbox begins."""


Lacking = pytest.skip.Exception
"""The setting cannot do that; the tests that need it are skipped, with the reason."""


class Setting:
    """One organization on one service, and the people around it.

    Subclass it for a live service: `provider` is all that is needed. What else is left as it is
    here is lacking, and the tests that need it are skipped with the reason. Every test gets a
    setting of its own.
    """

    source: str = "a live service"
    """What the setting is, for the first line of what is recorded from it."""

    clock: Clock = SystemClock()
    """The time that the service and the client live in."""

    def provider(self) -> Provider:
        """The account, with an owner's rights."""
        raise NotImplementedError(f"{type(self).__name__} has to define `provider`")

    def wire(self) -> Wire:
        """How requests reach the service; over the network, unless told otherwise."""
        return HttpxWire()

    def address(self, name: str) -> str:
        """An address that the service has not seen. Live settings make it unique."""
        return f"{name}@example.com"

    def read_only(self) -> Provider:
        """The account with credentials that may read and nothing else."""
        self.lacks("no read-only credentials")

    def accept(self, invitation: Invitation) -> None:
        """What the invitee's click on "accept" does."""
        self.lacks("nobody who can accept")

    def decline(self, invitation: Invitation) -> None:
        """What the invitee's click on "decline" does."""
        self.lacks("nobody who can decline")

    def forward(self, by: timedelta) -> None:
        """Lets time pass, for the service and for `clock`."""
        self.lacks("no way to move the clock")

    def mails(self, address: str) -> int:
        """How many mails the service has sent to an address."""
        self.lacks("no view of the mails")

    def is_link_of_email(self, invitation: Invitation) -> bool:
        """Returns whether `link` of an invitation is the link in an email of the invitee."""
        self.lacks("no view of the links in emails")

    def close(self) -> None:
        """Called when the test is over."""

    def lacks(self, what: str) -> NoReturn:
        """Says that the setting has no such thing."""
        pytest.skip(f"{type(self).__name__} has {what}")


class SandboxSetting(Setting):
    """The sandbox of a provider, in this process and in virtual time.

    Args:
        service: the imitation's class.
        kind: the provider; by default the installed one of the service's name.
        facts: profile and switches of the service.
    """

    source = "the sandbox of guestlist, not the service itself"
    base_url = "https://sandbox.test"

    def __init__(
        self, service: type[Service], kind: type[Provider] | None = None, **facts: Any
    ) -> None:
        from guestlist.sandbox import Clock as SandboxClock

        self.virtual = VirtualClock(START)
        self.clock = self.virtual
        time = SandboxClock(lambda: self.virtual.now().timestamp())
        self.service = service(clock=time, **facts)
        self.kind = kind or installed().provider(service.name)

    def provider(self) -> Provider:
        return self.kind(**self.service.settings(self.base_url))

    def read_only(self) -> Provider:
        return self.kind(**self.service.read_only_settings(self.base_url))

    def wire(self) -> Wire:
        from pytest_guestlist.conformance.application import ApplicationWire

        return ApplicationWire(self.service)

    def accept(self, invitation: Invitation) -> None:
        self.service.accept(self._id(invitation))

    def decline(self, invitation: Invitation) -> None:
        from guestlist.sandbox import SandboxRefusal

        if not self.service.can_decline:
            self.lacks("nobody who can decline: the service offers no such thing")
        try:
            self.service.decline(self._id(invitation))
        except SandboxRefusal as refusal:  # the suite declines only open invitations
            self.lacks(f"nobody who can decline: {refusal}")

    def forward(self, by: timedelta) -> None:
        self.virtual.advance(by)

    def mails(self, address: str) -> int:
        return sum(1 for _ in self.service.outbox.to(address))

    def is_link_of_email(self, invitation: Invitation) -> bool:
        links = {mail.link for mail in self.service.outbox.to(invitation.email) if mail.link}
        if not links or invitation.link is None:
            self.lacks("no email with a link")
        return invitation.link.get_secret_value() in links

    def _id(self, invitation: Invitation) -> str:
        mails = list(self.service.outbox.to(invitation.email))
        return mails[-1].invitation if mails else str(invitation.id)
