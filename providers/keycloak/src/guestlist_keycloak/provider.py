"""The Keycloak provider: facts about the server, settings of the account, and its operations.

Keycloak is a server that people run themselves. Unless another source is named, the facts were
observed on running servers, 26.5.0 and 26.7.3, with their defaults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from pydantic import SecretStr, field_validator

from guestlist.errors import (
    Conflict,
    GuestlistError,
    NotFound,
    Rejected,
    Unauthorized,
)
from guestlist.models import (
    Basis,
    Grant,
    Invitation,
    Member,
    MemberState,
    NewInvitation,
    Role,
    State,
    email_key,
)
from guestlist.provider import (
    Effect,
    Flow,
    Options,
    Page,
    Provider,
    Request,
    Response,
    Token,
    by_offset,
    every,
    explain,
    operation,
    parse_timestamp,
    setting,
)

T = TypeVar("T")

PAGE_SIZE = 1000
"""Records per page. The server has no maximum, and returns 10 members by default."""

TOO_MANY = "More addresses begin with this name than the server is asked for."

DEFAULT_ROLE = "default-roles-"
"""How the name of the realm's default role begins. Every user of the realm has it."""

STATES = {"PENDING": State.PENDING, "EXPIRED": State.EXPIRED}
"""The server's words. It deletes invitations that are accepted or revoked."""

_CLIENT = "In the realm, turn on `Client authentication` and `Service accounts roles` of the client"
_ENABLE = "Enable it: Organizations > the organization > Settings."
_ADDRESS = (
    "Check base_url: the server's URL without /admin and /realms. The server must be 26.5 or later."
)
_MEANINGS: dict[str, tuple[type[GuestlistError] | None, str]] = {
    "Invalid client or Invalid client credentials": (
        None,
        "Check client_id and client_secret: Clients > your client > Credentials.",
    ),
    "Client not enabled to retrieve service account": (None, f"{_CLIENT}."),
    "Public client not allowed to retrieve service account": (None, f"{_CLIENT}."),
    "Realm does not exist": (Unauthorized, "Check realm and base_url."),
    "Realm not enabled": (Unauthorized, "Enable the realm: Realm settings > General."),
    "HTTP 403 Forbidden": (
        None,
        "Give the client the roles manage-realm and manage-users of realm-management: Clients >"
        " your client > Service accounts roles > Assign role.",
    ),
    "HTTP 401 Unauthorized": (None, _ADDRESS),
    # These are not about the wanted record, so they must not be taken for its absence.
    "Realm not found.": (Rejected, "Check realm."),
    "Organization not found.": (
        Rejected,
        "Check organization_id: it is the id in the address of the organization's page in the"
        " admin console, and not its name or alias.",
    ),
    "Unable to find matching target resource method": (Rejected, _ADDRESS),
    "Organization is disabled": (None, _ENABLE),
    "Organizations not enabled for this realm.": (
        Rejected,
        "Turn on Organizations: Realm settings > General.",
    ),
    "User already has a pending invitation": (
        None,
        "If the person has no invitation, another address matches this one: the server reads `_`"
        " and `%` as wildcards. Revoke that invitation first.",
    ),
    "Failed to send invite email": (
        Rejected,
        "Nothing was created. Check the realm's SMTP server with Realm settings > Email > Test"
        " connection. Many servers refuse addresses with other letters than a to z before the @.",
    ),
}
"""The error class and hint for the server's messages. A class of None keeps the class that follows
from the status. The server's errors have no codes."""


class KeycloakOptions(Options):
    """Options of an invitation: the names in the greeting of the email, and in the form."""

    first_name: str | None = None
    last_name: str | None = None


class Keycloak(Provider):
    """One organization in a realm on a Keycloak server, 26.5 or later."""

    name = "keycloak"
    title = "Keycloak"
    docs_url = "https://www.keycloak.org/docs/latest/server_admin/#_managing_organizations"
    Options = KeycloakOptions
    sandbox = "guestlist_keycloak.sandbox:KeycloakService"
    judges = ("a real server, Keycloak 26.5.0 and 26.7.3",)

    organization_settings = ("realm", "organization_id")
    # The default of actionTokenGeneratedByAdminLifespan; every answer contains the actual date.
    lifetime = timedelta(hours=12)
    resend_moves_expiry = True
    list_lag = 0.0  # every list is a query of the database (source: JpaInvitationManager)
    no_access = "The person is a member, and has no role of the realm besides the default ones."
    substitutes: ClassVar[Mapping[str, str]] = {
        "role": "Roles belong to the person's account, which need not exist before acceptance.",
        "email": "The server always sends it.",
    }
    secret_fields = frozenset({"inviteLink"})

    base_url: str = setting("The server's URL, without /admin or /realms", env="KEYCLOAK_BASE_URL")
    realm: str = setting("The name of the realm", env="KEYCLOAK_REALM")
    organization_id: str = setting("The organization's id", env="KEYCLOAK_ORGANIZATION_ID")
    client_id: str = setting(
        "A client of the realm with a service account", env="KEYCLOAK_CLIENT_ID"
    )
    client_secret: str = setting("The client's secret", env="KEYCLOAK_CLIENT_SECRET", secret=True)
    delete_accounts: bool = setting(
        "Whether `remove` may delete the accounts of managed members from the realm", default=False
    )

    @field_validator("base_url")
    @classmethod
    def _is_of_the_server(cls, url: str) -> str:
        if found := re.search(r"/(admin|realms)(?:/|$)([^/]*)", url):
            server, part, name = url[: found.start()], *found.groups()
            and_realm = f' here, and "{name}" as realm' if part == "realms" and name else " here"
            raise ValueError(f"it has to end before /{part}: write {server}{and_realm}")
        return url

    @property
    def refuses_duplicates(self) -> bool:
        """True: an open invitation and a membership are refused with 409, without an email."""
        return True

    def explain(self, response: Response) -> GuestlistError:
        """Returns the error for the server's message. If the mail server does not take the email,
        the server answers 500 and has created nothing."""
        error = super().explain(response)
        if error.message not in _MEANINGS:
            return error
        kind, hint = _MEANINGS[error.message]
        return explain(response, kind or type(error), hint)

    def copy_of(self, invitation: Invitation) -> NewInvitation:
        raw = invitation.raw or {}
        options = KeycloakOptions(first_name=raw.get("firstName"), last_name=raw.get("lastName"))
        return super().copy_of(invitation).model_copy(update={"options": options})

    @operation
    def fetch_token(self) -> Flow[Token]:
        """Fetches a token of the client's service account. It lasts five minutes by default."""
        form: dict[str, str | SecretStr] = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": SecretStr(self.client_secret),
        }
        path = ("realms", self.realm, "protocol", "openid-connect", "token")
        try:
            return Token.of((yield Request.post(*path, form=form, public=True)))
        except NotFound as error:  # no such path: another server, or one with a path before /realms
            error.hint = _ADDRESS
            raise

    @operation
    def organization(self) -> Flow[str]:
        """Returns the name of the organization.

        Raises:
            Conflict: it is disabled. The server then invites people, and their links do not work.
        """
        raw = (yield Request.get(*self._path())).mapping()
        if raw.get("enabled") is False:
            raise Conflict(
                f"the organization {raw['name']} is disabled, and invitations cannot be accepted",
                hint=_ENABLE,
            )
        return str(raw["name"])

    # ------------------------------------------------------------------ invitations

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        """Creates an invitation, and reads it: the answer is empty.

        An expired invitation of the address is renewed instead. If the server were asked for a new
        one, it would send an email whose link does not work, and then refuse with 409.
        """
        old = yield from self._find(new.email, status="EXPIRED")
        if old is not None:
            return (yield from self.resend(old))
        options = new.options if isinstance(new.options, KeycloakOptions) else KeycloakOptions()
        form: dict[str, str | None] = {
            "email": new.email,
            "firstName": options.first_name,
            "lastName": options.last_name,
        }
        yield Request.post(*self._path("members", "invite-user"), form=form)
        return (yield from self._sent(new.email))

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        """Sends a new link. The invitation gets another id, and is valid for its whole lifetime
        from now, also if it had expired. The old link stops working."""
        yield Request.post(*self._path("invitations", str(invitation.id), "resend"))
        return (yield from self._sent(invitation.email or ""))

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Deletes an invitation, open or expired."""
        yield Request.delete(*self._path("invitations", str(invitation.id)))

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        """Returns an invitation. The server also returns those of other organizations in the realm
        here, which are not found instead."""
        raw = (yield Request.get(*self._path("invitations", id))).mapping()
        if raw["organizationId"] != self.organization_id:
            raise NotFound(f"the organization has no invitation {id}")
        return read_invitation(raw)

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        return (yield from self._find(email))

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of the open and the expired invitations."""
        path = self._path("invitations")
        return (yield from self._page(cursor, path, read_invitation))

    # ------------------------------------------------------------------ members

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        return read_member((yield Request.get(*self._path("members", id))).mapping())

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        found = yield from self._search(email, self._path("members"), read_member)
        return found[0] if found else None

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the members, by user name."""
        return (yield from self._page(cursor, self._path("members"), read_member))

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Removes a member from the organization. The roles of the realm stay with the account.

        Raises:
            Conflict: the member is managed: the server would delete the account from the realm,
                and with it the memberships of other organizations. Needs `delete_accounts`.
        """
        if not self.delete_accounts:
            raw = (yield Request.get(*self._path("members", member.id))).mapping()
            if raw["membershipType"] != "UNMANAGED":
                raise Conflict(
                    f"{member.label} is a managed member: removing it would delete the account from"
                    f" the realm {self.realm}",
                    hint="Set delete_accounts = true in the account to allow that.",
                )
        yield Request.delete(*self._path("members", member.id))

    # ------------------------------------------------------------------ roles

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns one page of the realm's roles, by name."""
        path = ("admin", "realms", self.realm, "roles")
        return (yield from self._page(cursor, path, read_role))

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.post(*self._roles_of(member), json=[_named(role)], effect=Effect.REPEATABLE)

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        yield Request.delete(*self._roles_of(member), json=[_named(role)])

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns the member's roles of the realm: those given to the account, and those that come
        with other roles or groups, or to every user. The server does not show through which."""
        given = (yield Request.get(*self._roles_of(member))).records()
        direct = {role.id for raw in given if not (role := read_role(raw)).not_assignable}
        all_of_them = (yield Request.get(*self._roles_of(member), "composite")).records()
        return tuple(Grant(role=read_role(raw), direct=raw["id"] in direct) for raw in all_of_them)

    # ------------------------------------------------------------------ helpers

    def _path(self, *more: str) -> tuple[str, ...]:
        return ("admin", "realms", self.realm, "organizations", self.organization_id, *more)

    def _roles_of(self, member: Member) -> tuple[str, ...]:
        return ("admin", "realms", self.realm, "users", member.id, "role-mappings", "realm")

    def _page(
        self,
        cursor: str | None,
        path: tuple[str, ...],
        read: Callable[[Any], T | None],
    ) -> Flow[Page[T]]:
        def page(skip: int) -> Request:
            return Request.get(*path, query={"first": skip, "max": PAGE_SIZE})

        return (yield from by_offset(cursor, page, read, size=PAGE_SIZE))

    def _search(
        self,
        email: str,
        path: tuple[str, ...],
        read: Callable[[Any], T],
        **query: str,
    ) -> Flow[list[T]]:
        """Returns the records of an address. The server finds those that contain a text, and does
        not know that a domain may be written in two ways. So the text is the part before it.

        (The parameter `email` finds a part of an address on 26.5, and only the whole on 26.7.)
        """
        wanted = email_key(email)
        query |= {"search": email.rpartition("@")[0] + "@", "max": str(PAGE_SIZE)}

        def matching(raw: Mapping[str, Any]) -> T | None:
            address = raw.get("email")
            return read(raw) if address and email_key(address) == wanted else None

        def listing(_cursor: str | None) -> Flow[Page[T]]:
            found = (yield Request.get(*path, query=query)).records()
            cut_off = TOO_MANY if len(found) >= PAGE_SIZE else None
            return Page.of(found, matching, cut_off=cut_off)

        return (yield from every(listing))

    def _find(self, email: str, **query: str) -> Flow[Invitation | None]:
        path = self._path("invitations")
        found = yield from self._search(email, path, read_invitation, **query)
        return max(found, key=lambda one: one.state is State.PENDING, default=None)

    def _sent(self, email: str) -> Flow[Invitation]:
        """Returns the invitation that was just sent. One without an id if the list does not show
        it, because it has been accepted or revoked since."""
        found = yield from self._find(email)
        return found or Invitation(id=None, email=email, state=State.PENDING, basis=Basis.INFERRED)


def read_invitation(raw: Mapping[str, Any]) -> Invitation:
    """Reads an invitation. Its link lets anybody who has it join as the invited person."""
    return Invitation(
        id=raw["id"],
        email=raw["email"],
        state=STATES.get(raw["status"], State.UNKNOWN),
        raw_state=raw["status"],
        organization_id=raw.get("organizationId"),
        created_at=parse_timestamp(raw.get("sentDate")),
        expires_at=parse_timestamp(raw.get("expiresAt")),
        link=raw.get("inviteLink"),
        raw=raw,
    )


def read_member(raw: Mapping[str, Any]) -> Member:
    """Reads a member: an account of the realm. When the person joined is not shown."""
    name = " ".join(filter(None, (raw.get("firstName"), raw.get("lastName"))))
    return Member(
        id=raw["id"],
        email=raw.get("email"),
        login=raw["username"],
        name=name or None,
        state=MemberState.ACTIVE if raw["enabled"] else MemberState.SUSPENDED,
        raw=raw,
    )


def read_role(raw: Mapping[str, Any]) -> Role:
    """Reads a role of the realm. Descriptions such as `${role_offline-access}` are the names of
    texts in the admin console."""
    description = raw.get("description") or ""
    default = raw["name"].startswith(DEFAULT_ROLE)
    return Role(
        id=raw["id"],
        name=raw["name"],
        description=None if description.startswith("${") else description or None,
        not_assignable="the server gives it to every user of the realm" if default else None,
        raw=raw,
    )


def _named(role: Role) -> Mapping[str, Any]:
    """Returns a role as the server expects it: both the id and the name are required."""
    return {"id": role.id, "name": role.name}
