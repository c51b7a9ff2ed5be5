"""better-auth keeps the rules that every provider keeps: on its sandbox, on the real server, and
in what was recorded from that."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from guestlist.address import email_key
from guestlist.errors import Conflict, Forbidden, NotFound, Rejected, Unauthorized
from guestlist.models import Invitation
from guestlist.provider import Provider
from guestlist_betterauth import BetterAuth
from guestlist_betterauth.provider import CUT_OFF
from guestlist_betterauth.sandbox import BetterAuthService
from pytest_guestlist.conformance import Backend, Example, ProviderSuite, VariantSuite

if TYPE_CHECKING:
    from collections.abc import Callable

CASSETTES = Path(__file__).parents[3] / "cassettes" / "betterauth" / "conformance"


RAW: dict[str, Any] = {
    "id": "i-1",
    "email": "ada@example.com",
    "status": "pending",
    "role": "admin, member,admin",
    "organizationId": "o1",
    "inviterId": "u9",
    "createdAt": "2026-05-04T12:00:00.000Z",
    "expiresAt": "2026-05-06T12:00:00",
}
READ = {
    "id": "i-1",
    "email": "ada@example.com",
    "state": "pending",
    "raw_state": "pending",
    "roles": ["admin", "member"],
    "organization_id": "o1",
    "invited_by": "u9",
    "created_at": "2026-05-04T12:00:00+00:00",
    "expires_at": "2026-05-06T12:00:00+00:00",
}
PERSON: dict[str, Any] = {
    "id": "m-1",
    "userId": "u-1",
    "role": "member",
    "createdAt": "2026-05-04T12:00:00.000Z",
    "user": {"email": "ada@example.com", "name": "Ada"},
}
MEMBER = {
    "id": "m-1",
    "email": "ada@example.com",
    "name": "Ada",
    "user_id": "u-1",
    "roles": ["member"],
    "joined_at": "2026-05-04T12:00:00+00:00",
}
OF_THE_ORGANIZATION = "organizationId=ORGANIZATION_ID"
IN_THE_ORGANIZATION = '"organizationId":"ORGANIZATION_ID"'


def refused(
    code: str, means: type[Exception], status: int = 400, error_contains: str = ""
) -> Example:
    body = {"code": code, "message": "No"}
    return Example("remove", body, means, status=status, error_contains=error_contains)


DOCUMENTED = (
    Example("invitations", [RAW], [READ], sends=[OF_THE_ORGANIZATION]),
    Example("invitations", [RAW] * 99, {"cut_off": None}),
    Example("invitations", [RAW] * 100, {"cut_off": CUT_OFF}),
    *(
        Example("invitations", [RAW | {"status": word}], [{"state": state, "raw_state": word}])
        for word, state in (
            ("accepted", "accepted"),
            ("rejected", "declined"),
            ("canceled", "revoked"),
            ("Pending", "unknown"),
        )
    ),
    Example(
        "invite", RAW | {"role": ""}, {"roles": []}, sends=[IN_THE_ORGANIZATION, '"role":["r-1"]']
    ),
    Example(
        "members", {"members": [PERSON], "total": 1}, {"items": [MEMBER], "next": None, "total": 1}
    ),
    Example(
        "members",
        {"members": [PERSON], "total": 9},
        {"items": [MEMBER], "next": "8/9"},
        arguments=("7",),
        sends=["offset=7", "limit=500", "sortBy=createdAt"],
    ),
    Example(
        "members", {"members": [], "total": 9}, {"items": [], "next": None}, sends=["offset=0"]
    ),
    Example(
        "get_member", {"members": [PERSON]}, MEMBER, sends=["filterField=id", "filterValue=m-1"]
    ),
    Example("roles", {}, [{"id": "owner", "name": "owner"}, {"id": "admin"}, {"id": "member"}]),
    Example(
        "unassign_role",
        {"members": [PERSON | {"role": "r-1"}]},
        Conflict,
        error_contains="only role",
    ),
    Example(
        "organization",
        [[{"id": "ORGANIZATION_ID", "name": "Works"}], {"error": None, "success": True}],
        "Works",
        several=True,
        sends=[
            "read POST",
            "/organization/has-permission",
            '"permissions":{"invitation":["create"]}',
            IN_THE_ORGANIZATION,
        ],
    ),
    Example(
        "organization",
        [[{"id": "ORGANIZATION_ID", "name": "Works"}], {"error": None, "success": False}],
        Forbidden,
        several=True,
        error_contains="may not invite",
    ),
    Example(
        "organization",
        [{"id": "o2", "name": "Works"}],
        NotFound,
        error_contains="The owner's organizations: Works (o2).",
    ),
    Example("organization", [], NotFound, error_contains="The owner's organizations: none."),
    refused("USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION", Conflict),
    refused("USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION", Conflict),
    refused("YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER", Conflict),
    refused("YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER", Conflict),
    refused("INVITATION_LIMIT_REACHED", Rejected, error_contains="invitationLimit"),
    refused("INVITATION_LIMIT_REACHED", Forbidden, status=403, error_contains="invitationLimit"),
    refused("INVITATION_NOT_FOUND", NotFound),
    refused("MEMBER_NOT_FOUND", NotFound, error_contains="organization_id"),
    refused("ROLE_NOT_FOUND", Rejected, error_contains="role_names"),
    refused(
        "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER", Forbidden, status=401, error_contains="owner's"
    ),
    Example(
        "invite",
        {"message": "ROLE_NOT_FOUND: x"},
        Rejected,
        status=400,
        error_contains="role_names",
    ),
    Example("invite", {"message": "No"}, Unauthorized, status=401, error_contains="new token"),
    Example("invite", {"message": "No"}, NotFound, status=404, error_contains="mount path"),
    Example("invite", {"message": "No"}, Rejected, status=400, error_contains="No"),
)


class RealBackend(Backend):
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

    def emails(self, address: str) -> int:
        return self._received(address) - self._before.get(email_key(address), 0)

    def _received(self, address: str) -> int:
        emails = self.organization.server.mailbox.emails
        return sum(email_key(parseaddr(str(one["To"]))[1]) == email_key(address) for one in emails)


class TestSandbox(ProviderSuite):
    service = BetterAuthService
    role = "member"
    documented = DOCUMENTED


class OnTheRealServer(VariantSuite):
    kind = BetterAuth
    role = "member"
    organize: ClassVar[Callable[[], Any]]

    def backend(self) -> Backend:
        return RealBackend(type(self).organize())


@pytest.mark.proof  # what is recorded from that server is replayed below
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
