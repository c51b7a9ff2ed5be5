"""Keycloak keeps the rules that every provider keeps: on its sandbox, on the real server, and in
what was recorded from that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from guestlist.errors import (
    Conflict,
    Forbidden,
    MalformedResponse,
    NotFound,
    Rejected,
    Unauthorized,
)
from guestlist.models import Invitation, Member, Role
from guestlist.provider import Provider
from guestlist_keycloak import Keycloak
from guestlist_keycloak.sandbox import KeycloakService
from pytest_guestlist.conformance import Backend, Example, ProviderSuite, VariantSuite
from pytest_guestlist.conformance.backend import SandboxBackend

if TYPE_CHECKING:
    from tests.providers.keycloak.conftest import Realm

CASSETTES = Path(__file__).parents[3] / "cassettes" / "keycloak" / "conformance"

RAW: dict[str, Any] = {
    "id": "i-1",
    "organizationId": "ORGANIZATION_ID",
    "email": "ada@example.com",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "sentDate": 1796059357,
    "expiresAt": 1796102557,
    "status": "PENDING",
    "inviteLink": "https://keycloak.example.com/realms/r/login-actions/action-token?key=k-1",
}
READ = {
    "id": "i-1",
    "email": "ada@example.com",
    "state": "pending",
    "raw_state": "PENDING",
    "organization_id": "ORGANIZATION_ID",
    "created_at": "2026-11-30T17:22:37+00:00",
    "expires_at": "2026-12-01T05:22:37+00:00",
    "link": RAW["inviteLink"],
}
PERSON: dict[str, Any] = {
    "id": "u-1",
    "username": "ada",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "ada@example.com",
    "emailVerified": False,
    "enabled": True,
    "createdTimestamp": 1796059357957,
    "membershipType": "UNMANAGED",
}
MEMBER = {
    "id": "u-1",
    "email": "ada@example.com",
    "login": "ada",
    "name": "Ada Lovelace",
    "state": "active",
    "roles": None,
    "joined_at": None,
}
NAMELESS = {"email": None, "name": None, "login": "bot"}
EDITOR = {"id": "r-1", "name": "editor", "description": "May edit", "composite": False}
DEFAULT = {"id": "r-2", "name": "default-roles-r", "description": "${role_default-roles}"}
OFFLINE = {"id": "r-3", "name": "offline_access", "description": "${role_offline-access}"}
ORG = "/admin/realms/REALM/organizations/ORGANIZATION_ID"
MAPPINGS = "/admin/realms/REALM/users/m-1/role-mappings/realm"


def refused(
    operation: str, status: int, means: type[Exception], error_contains: str, **body: str
) -> Example:
    return Example(operation, body, means, status=status, error_contains=error_contains)


def sent(*answers: Any, **more: Any) -> dict[str, Any]:
    return {"answers": list(answers), "several": True, **more}


DOCUMENTED = (
    Example(
        "fetch_token",
        {"access_token": "t-1", "expires_in": 300, "token_type": "Bearer"},
        {"value": "t-1", "expires_in": 300.0, "scheme": "Bearer"},
        sends=[
            "POST https://keycloak.example.com/realms/REALM/protocol/openid-connect/token",
            "grant_type=client_credentials&client_id=CLIENT_ID&client_secret=CLIENT_SECRET",
        ],
    ),
    Example("organization", {"id": "o", "name": "Works", "enabled": True}, "Works", sends=[ORG]),
    Example(
        "organization",
        {"id": "o", "name": "Works", "enabled": False},
        Conflict,
        error_contains="Enable",
    ),
    Example("invitations", [RAW], [READ], sends=[f"{ORG}/invitations?first=0&max=1000"]),
    Example("invitations", [RAW | {"status": "EXPIRED"}], [{"state": "expired"}]),
    Example("invitations", [RAW | {"status": "Pending"}], [{"state": "unknown"}]),
    Example("invitations", [RAW] * 999, {"next": None}),
    Example("invitations", [RAW] * 1000, {"next": "1000//" + ".".join(["c9b37368"] * 5)}),
    Example(
        "invitations", [RAW], {"next": None}, arguments=("1000",), sends=["first=1000&max=1000"]
    ),
    Example("get_invitation", RAW, READ, sends=[f"{ORG}/invitations/i-1"]),
    Example(
        "get_invitation",
        RAW | {"organizationId": "another"},
        NotFound,
        error_contains="no invitation",
    ),
    Example(
        "find_invitation",
        [RAW | {"email": "grada@example.com"}, RAW | {"id": "i-2", "status": "EXPIRED"}, RAW],
        READ,
        arguments=("Ada@Example.com",),
        sends=["search=Ada%40&max=1000"],
    ),
    Example(
        "find_invitation",
        [RAW | {"email": "grada@example.com"}] * 1000,
        MalformedResponse,
        error_contains="part",
    ),
    Example(
        "find_invitation",
        [RAW | {"email": "ada@bücher.example"}],
        {"email": "ada@bücher.example"},
        arguments=("ada@xn--bcher-kva.example",),
    ),
    Example(
        "invite",
        **sent([], None, [RAW]),
        means=READ,
        sends=[
            f"{ORG}/invitations?status=EXPIRED&search=",
            f"create POST https://keycloak.example.com{ORG}/members/invite-user email=",
            "application/x-www-form-urlencoded",
        ],
    ),
    Example(
        "resend",
        **sent(None, [RAW]),
        means=READ,
        sends=[f"create POST https://keycloak.example.com{ORG}/invitations/i-1/resend "],
    ),
    Example("revoke", {}, None, sends=["repeatable DELETE", f"{ORG}/invitations/i-1 "]),
    Example(
        "members", [PERSON], {"items": [MEMBER], "next": None}, sends=[f"{ORG}/members?first=0"]
    ),
    Example(
        "get_member", PERSON | {"enabled": False}, {"state": "suspended"}, sends=["members/m-1"]
    ),
    Example("get_member", {"id": "u-2", "username": "bot", "enabled": True}, NAMELESS),
    Example(
        "find_member",
        [PERSON | {"email": "ada@elsewhere.example"}, {"username": "ada@b"}, PERSON],
        MEMBER,
        arguments=("ADA@example.com",),
        sends=["search=ADA%40"],
    ),
    Example(
        "remove",
        **sent(PERSON, {}),
        means=None,
        sends=[f"read GET https://keycloak.example.com{ORG}/members/m-1 ", "repeatable DELETE"],
    ),
    Example(
        "remove",
        PERSON | {"membershipType": "MANAGED"},
        Conflict,
        error_contains="delete_accounts",
    ),
    Example(
        "remove",
        PERSON | {"membershipType": "MANAGED"},
        None,
        settings={"delete_accounts": True},
        sends=[f"repeatable DELETE https://keycloak.example.com{ORG}/members/m-1 "],
    ),
    Example(
        "assign_role",
        {},
        None,
        arguments=(Member(id="m-1"), Role(id="r-1", name="editor")),
        sends=[f"repeatable POST https://keycloak.example.com{MAPPINGS} ", '"name":"editor"'],
    ),
    Example("unassign_role", {}, None, sends=["repeatable DELETE", f'{MAPPINGS} [{{"id":"r-1"']),
    Example("roles", [EDITOR], [{"id": "r-1", "name": "editor", "description": "May edit"}]),
    Example("roles", [OFFLINE], [{"description": None, "not_assignable": None}]),
    Example("roles", [{"id": "r-4", "name": "plain"}], [{"name": "plain", "description": None}]),
    Example(
        "roles", [DEFAULT], [{"not_assignable": "the server gives it to every user of the realm"}]
    ),
    Example(
        "access",
        **sent([EDITOR, DEFAULT], [OFFLINE, EDITOR, DEFAULT]),
        means=[
            {"role": "r-3", "direct": False},
            {"role": "r-1", "direct": True},
            {"role": "r-2", "direct": False},
        ],
        sends=[f"{MAPPINGS} ", f"{MAPPINGS}/composite"],
    ),
    refused(
        "fetch_token",
        401,
        Unauthorized,
        "client_secret",
        error="unauthorized_client",
        error_description="Invalid client or Invalid client credentials",
    ),
    refused(
        "fetch_token",
        401,
        Unauthorized,
        "Service accounts roles",
        error="unauthorized_client",
        error_description="Client not enabled to retrieve service account",
    ),
    refused(
        "fetch_token",
        401,
        Unauthorized,
        "Client authentication",
        error="unauthorized_client",
        error_description="Public client not allowed to retrieve service account",
    ),
    refused("fetch_token", 404, Unauthorized, "Check realm", error="Realm does not exist"),
    refused(
        "fetch_token",
        403,
        Unauthorized,
        "Enable",
        error="access_denied",
        error_description="Realm not enabled",
    ),
    refused("members", 403, Forbidden, "manage-realm and manage-users", error="HTTP 403 Forbidden"),
    refused("members", 404, Rejected, "Check realm", error="Realm not found."),
    refused("members", 404, Rejected, "organization_id", errorMessage="Organization not found."),
    refused(
        "members",
        404,
        Rejected,
        "Turn on Organizations",
        errorMessage="Organizations not enabled for this realm.",
    ),
    refused("members", 400, Rejected, "Enable it", errorMessage="Organization is disabled"),
    refused("fetch_token", 401, Unauthorized, "base_url", error="HTTP 401 Unauthorized"),
    refused(
        "members",
        404,
        Rejected,
        "base_url",
        error="Unable to find matching target resource method",
    ),
    refused("get_member", 404, NotFound, "404", error="HTTP 404 Not Found"),
    refused("revoke", 404, NotFound, "not found", errorMessage="Invitation not found"),
    refused("assign_role", 404, NotFound, "Role", error="Role not found"),
    Example(
        "invite",
        **sent([], {"errorMessage": "User already has a pending invitation"}),
        means=Conflict,
        status=409,
        error_contains="wildcards",
    ),
    Example(
        "invite",
        **sent([], {"errorMessage": "Failed to send invite email"}),
        means=Rejected,
        status=500,
        error_contains="SMTP",
    ),
)


class SandboxWithoutReaders(SandboxBackend):
    """No role lets a client read invitations and not send them."""

    def read_only(self) -> Provider:
        self.skip("no credentials that may read invitations and not send them")


class OnTheSandbox(VariantSuite):
    service = KeycloakService
    facts: ClassVar[dict[str, Any]] = {}
    role = "editor"
    short_page_ends = True
    origins_are_shown = False

    def backend(self) -> Backend:
        return SandboxWithoutReaders(KeycloakService, **self.facts)


class TestSandbox(OnTheSandbox, ProviderSuite):
    documented = DOCUMENTED


@pytest.mark.proof  # repeats the suite above for a version whose answers differ little
class TestNewerSandbox(OnTheSandbox, ProviderSuite):
    """Version 26.7 returns no links, and needs more roles."""

    facts: ClassVar[dict[str, Any]] = {"profile": "26.7"}


class RealBackend(Backend):
    """A realm on the real server. Invited people have accounts there, so that removing them does
    not delete those. Nothing moves the server's time."""

    def __init__(self, realm: Realm, version: str) -> None:
        self.realm = realm
        self.source = f"Keycloak {version}"

    def provider(self) -> Provider:
        return self.realm.provider()

    def address(self, name: str) -> str:
        address = super().address(name)
        if name.isascii():  # the server takes no other letters in user names
            self.realm.add_user(address, firstName=name)
        return address

    def read_only(self) -> Provider:
        self.skip("no credentials that may read invitations and not send them")

    def accept(self, invitation: Invitation) -> None:
        self.realm.accept(str(invitation.email))

    def emails(self, address: str) -> int:
        return len(self.realm.emails_to(address))

    def is_link_of_email(self, invitation: Invitation) -> bool:
        if invitation.link is None:
            self.skip("no links outside of emails")
        return invitation.link.get_secret_value() in self.realm.links_to(str(invitation.email))


class OnTheRealServer(VariantSuite):
    kind = Keycloak
    role = "editor"
    short_page_ends = True
    origins_are_shown = False
    new_backend: ClassVar[Callable[[], Backend]]

    def backend(self) -> Backend:
        return type(self).new_backend()


@pytest.mark.proof  # what is recorded from that server is replayed below
class TestRealServer(OnTheRealServer):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def started(cls, new_realm: Callable[[], Realm], version: str) -> None:
        cls.new_backend = lambda: RealBackend(new_realm(), version)


class TestRecorded(OnTheRealServer):
    cassettes = CASSETTES

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def started(cls, request: pytest.FixtureRequest) -> None:
        if request.config.getoption("--guestlist-record"):
            new_realm = request.getfixturevalue("new_realm")
            version = request.getfixturevalue("version")
            cls.new_backend = lambda: RealBackend(new_realm(), version)
