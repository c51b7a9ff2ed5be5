"""better-auth keeps the rules that every provider keeps: on its sandbox, on the real server, and
in what was recorded from that."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from guestlist.address import email_key
from guestlist.models import Invitation
from guestlist.provider import Provider
from guestlist.testing.conformance import ProviderSuite, Setting
from guestlist_betterauth import BetterAuth
from guestlist_betterauth.sandbox import BetterAuthService

if TYPE_CHECKING:
    from collections.abc import Callable

CASSETTES = Path(__file__).parents[3] / "cassettes" / "betterauth" / "conformance"


class RealSetting(Setting):
    """An organization on the real server. Time passes by moving its invitations into the past."""

    source = "better-auth 1.6.25"

    def __init__(self, organization: Any) -> None:
        self.organization = organization
        self._before: dict[str, int] = {}

    def provider(self) -> Provider:
        account: Provider = self.organization.provider()
        return account

    def read_only(self) -> Provider:
        reader = "reader@example.net"
        owner = self.organization
        body = {"email": reader, "role": "member", "organizationId": owner.id}
        owner.accept(owner.as_owner("POST", "invite-member", json=body)["id"])
        account: Provider = owner.provider(token=owner.server.token_of(reader))
        return account

    def address(self, name: str) -> str:
        address = f"{name}@example.com"
        self._before.setdefault(email_key(address), self._received(address))
        return address

    def accept(self, invitation: Invitation) -> None:
        self.organization.accept(invitation.id)

    def decline(self, invitation: Invitation) -> None:
        self.organization.decline(invitation.id)

    def forward(self, by: timedelta) -> None:
        owner = self.organization
        query = "select id, createdAt, expiresAt from invitation where organizationId = ?"
        for id, *dates in owner.server.execute(query, owner.id):
            moved = [datetime.fromisoformat(date) - by for date in dates]
            written = [date.isoformat("T", "milliseconds")[:23] + "Z" for date in moved]
            change = "update invitation set createdAt = ?, expiresAt = ? where id = ?"
            owner.server.execute(change, *written, id)

    def mails(self, address: str) -> int:
        return self._received(address) - self._before.get(email_key(address), 0)

    def _received(self, address: str) -> int:
        mails = self.organization.server.mailbox.mails
        return sum(email_key(parseaddr(str(one["To"]))[1]) == email_key(address) for one in mails)


class TestSandbox(ProviderSuite):
    service = BetterAuthService
    role = "member"


class OnTheRealServer(ProviderSuite):
    kind = BetterAuth
    role = "member"
    organize: ClassVar[Callable[[], Any]]

    def setting(self) -> Setting:
        return RealSetting(type(self).organize())


class TestRealServer(OnTheRealServer):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def started(cls, new_organization: Callable[[], Any]) -> None:
        cls.organize = new_organization


class TestRecorded(OnTheRealServer):
    cassettes = CASSETTES

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def started(cls, request: pytest.FixtureRequest) -> None:
        if request.config.getoption("--guestlist-record"):
            cls.organize = request.getfixturevalue("new_organization")
