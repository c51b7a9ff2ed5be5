"""A local imitation of a Keycloak server with one realm and one organization in it.

The answers were copied from running servers. The tests send the same requests to both and compare
the answers. Requests that are not imitated (users, groups, clients, settings) get a 404.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from guestlist.sandbox.organization import InvitationRecord, MemberRecord, PersonRecord, RoleRecord
from guestlist.sandbox.paging import page_by_offset
from guestlist.sandbox.refusals import (
    DuplicateInvitation,
    DuplicateMember,
    HttpRefusal,
    InvalidValue,
    NotPermitted,
    RecordNotFound,
)
from guestlist.sandbox.routing import IncomingRequest, OrganizationService, Routes
from guestlist.sandbox.service import SandboxRefusal, Switch

REALM = "staff"
ORGANIZATION = "0b6a1d3e-5f0c-4c3b-9d67-2f1e8a7c4d90"
TOKEN_SECONDS = 300
"""How long an access token lasts by default."""
CLIENTS = {
    "guestlist": ("KEYCLOAK-SANDBOX-SECRET", {"manage-realm", "manage-users"}),
    "viewer": ("KEYCLOAK-SANDBOX-VIEWER", {"view-realm", "view-users"}),
}
"""The clients with a service account: by id, the secret and the roles of realm-management."""
PEOPLE = {
    "ines@example.org": ("Ines Owner", ["manager"]),
    "lena@example.org": ("Lena Editor", ["editor"]),
    "omar@example.org": ("Omar Reader", []),
}
"""The members at the start, by address: the name and the roles."""
MORE_OF_A_MEMBER: dict[str, Any] = {
    "totp": False,
    "disableableCredentialTypes": [],
    "requiredActions": [],
    "notBefore": 0,
}
"""The fields of a member that 26.7 leaves out of lists."""
DEFAULT_ROLE = f"default-roles-{REALM}"
ROLES = {
    "offline_access": "${role_offline-access}",
    "uma_authorization": "${role_uma_authorization}",
    DEFAULT_ROLE: "${role_default-roles}",
    "viewer": "May read",
    "editor": "May edit",
    "manager": "May edit, and manage",
}
"""The realm's roles and their descriptions."""
COMPOSITES = {DEFAULT_ROLE: ["offline_access", "uma_authorization"], "manager": ["editor"]}
"""The roles that come with others."""

REALMS = "/admin/realms/{realm}"
ORG = f"{REALMS}/organizations/{{organization}}"
INVITATION = f"{ORG}/invitations/{{id}}"
MAPPINGS = f"{REALMS}/users/{{id}}/role-mappings/realm"

Body = dict[str, Any]
T = TypeVar("T")


class KeycloakRefusal(HttpRefusal):
    """An error with the body that the server answers with."""

    def __init__(self, status: int, **body: str) -> None:
        super().__init__(status, json.dumps(body))
        self.body = body


class KeycloakService(OrganizationService):
    """A realm with organizations turned on."""

    name = "keycloak"
    title = "Keycloak"
    profiles = ("26.5", "26.7")
    organization_id = ORGANIZATION
    lifetime = timedelta(hours=12)
    behavior: ClassVar[dict[str, str]] = {
        "expired_invitations": "block",
        "member_ids": "person",
        "resend_id": "change",
        "accepted": "vanish",
        "revoked": "vanish",
    }
    switches: ClassVar[dict[str, Switch]] = {
        "smtp": Switch(("up", "down"), "whether the realm's mail server takes emails"),
    }
    errors: ClassVar[dict[type[SandboxRefusal], int | tuple[int, str]]] = {InvalidValue: 400}
    routes = Routes()

    def seed(self) -> None:
        self.rights: dict[str, set[str]] = {}
        self.accounts: dict[str, PersonRecord] = {}
        """The service accounts, by client."""
        roles = self.organization
        for name, description in ROLES.items():
            roles.add_role(name, description=description)
        for client, (_, rights) in CLIENTS.items():
            account = roles.add_person("", login=f"service-account-{client}", rights=rights)
            self.accounts[client] = account
        for email, (name, names) in PEOPLE.items():
            member = roles.add_member(email, name, login=email.partition("@")[0])
            self.given(member.person).extend(map(roles.role_named, names))

    # ------------------------------------------------------------------ tokens

    @routes.post("/realms/{realm}/protocol/openid-connect/token", needs_key=False)
    def token(self, request: IncomingRequest) -> Any:
        if request.path["realm"] != REALM:
            raise KeycloakRefusal(404, error="Realm does not exist")
        form = self.form(request)
        secret, _ = CLIENTS.get(form.get("client_id", ""), ("", ()))
        if not secret or form.get("client_secret") != secret:
            raise KeycloakRefusal(
                401,
                error="unauthorized_client" if secret else "invalid_client",
                error_description="Invalid client or Invalid client credentials",
            )
        if form.get("grant_type") != "client_credentials":
            raise KeycloakRefusal(
                400,
                error="unsupported_grant_type",
                error_description="Unsupported grant_type",
            )
        expires = self.clock.now() + timedelta(seconds=TOKEN_SECONDS)
        account = self.accounts[form["client_id"]]
        return {
            "access_token": self.organization.add_key(account, expires_at=expires),
            "expires_in": TOKEN_SECONDS,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": "email profile",
        }

    # ------------------------------------------------------------------ invitations

    @routes.get(ORG, action="manage-realm")
    def show(self, request: IncomingRequest) -> Any:
        name = self.organization.name
        return {
            "id": self.organization.id,
            "name": name,
            "alias": name.lower().replace(" ", "-"),
            "enabled": True,
            "attributes": {},
        }

    @routes.post(f"{ORG}/members/invite-user", status=204, action="manage-realm")
    def invite(self, request: IncomingRequest) -> Any:
        form, records = self.form(request), self.organization
        email = form.get("email", "").strip().lower()
        if not email:
            raise KeycloakRefusal(400, errorMessage="Email is required to invite a member")
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email) or len(email) > 254:
            raise KeycloakRefusal(400, errorMessage="Invalid email format")
        same = self.alike(email) if self.profile == "26.5" else records.invitations_to(email)
        if any(map(records.is_open, same)):
            raise KeycloakRefusal(409, errorMessage="User already has a pending invitation")
        names: Body = {name: form[name] for name in ("firstName", "lastName") if form.get(name)}
        known = records.person_with(email)
        if known is not None:
            names = dict(zip(("firstName", "lastName"), names_of(known), strict=True))
        try:
            invitation = records.invite(email, send=False, is_known=known is not None, **names)
        except DuplicateInvitation:
            self.require_smtp()
            self.send_dead_link(email)  # the server notices only when it stores the invitation
            raise KeycloakRefusal(
                409, error="conflict", error_description="Duplicate resource error"
            ) from None
        if self.chosen["smtp"] == "down":
            del records.invitations[invitation.id]
        self.require_smtp()
        self.send_email(invitation)

    @routes.get(f"{ORG}/invitations", action="manage-realm")
    def list_invitations(self, request: IncomingRequest) -> Any:
        text = f"%{request.query.get('search', '').lower()}%"
        email = request.query.get("email", "%").lower()
        shown = self.organization.listed(self.organization.shown_invitations())
        if self.profile == "26.5":
            email = f"%{email}%"
        else:
            shown = sorted(shown, key=lambda one: one.id)
        wanted = [
            one
            for one in shown
            if matches(email, one.email)
            and any(matches(text, value) for value in (one.email, *invited_names(one)))
            and request.query.get("status", self.status(one)) == self.status(one)
        ]
        return [self.invitation(one) for one in self.part(wanted, request, len(wanted))]

    @routes.get(INVITATION, action="manage-realm")
    def get_invitation(self, request: IncomingRequest) -> Any:
        return self.invitation(self.organization.invitation(request.path["id"]))

    @routes.post(f"{INVITATION}/resend", status=204, action="manage-realm")
    def resend(self, request: IncomingRequest) -> Any:
        invitation = self.organization.invitation(request.path["id"])
        if self.organization.member_with(invitation.email):
            raise DuplicateMember("the person is a member")
        self.require_smtp()
        self.organization.resend(invitation, send=False)
        invitation.secret = self.new_id("secret")
        invitation.created_at = self.clock.now()
        self.send_email(invitation)

    @routes.delete(INVITATION, action="manage-realm")
    def revoke(self, request: IncomingRequest) -> Any:
        self.organization.revoke(self.organization.invitation(request.path["id"]))

    # ------------------------------------------------------------------ members

    @routes.get(f"{ORG}/members", action="manage-realm")
    def list_members(self, request: IncomingRequest) -> Any:
        text = request.query.get("search", "").lower().replace("*", "%")
        wanted = [
            member
            for member in self.organization.listed(self.organization.members())
            if any(matches(f"%{text}%", value) for value in searched(member.person))
        ]
        wanted.sort(key=lambda member: member.person.login)
        return [self.member(one) for one in self.part(wanted, request, 10)]

    @routes.get(f"{ORG}/members/{{id}}", action="manage-realm")
    def get_member(self, request: IncomingRequest) -> Any:
        return self.member(self.organization.member(request.path["id"])) | MORE_OF_A_MEMBER

    @routes.delete(f"{ORG}/members/{{id}}", action="manage-realm")
    def remove(self, request: IncomingRequest) -> Any:
        member = self.organization.member(request.path["id"])
        self.organization.remove(member)
        if is_managed(member.person):
            del self.organization.people[member.person.id]

    # ------------------------------------------------------------------ roles

    @routes.get(f"{REALMS}/roles", action="view-realm")
    def list_roles(self, request: IncomingRequest) -> Any:
        roles = sorted(self.organization.roles.values(), key=lambda role: role.name)
        return [self.role(one) for one in self.part(roles, request, len(roles))]

    @routes.get(MAPPINGS, action="view-users")
    def list_given(self, request: IncomingRequest) -> Any:
        return [self.role(one) for one in [*self.given(self.user(request)), self.default_role]]

    @routes.get(f"{MAPPINGS}/composite", action="view-users")
    def list_effective(self, request: IncomingRequest) -> Any:
        return [
            self.role(one)
            for one in self.expanded([*self.given(self.user(request)), self.default_role])
        ]

    @routes.post(MAPPINGS, status=204, action="manage-users")
    def assign(self, request: IncomingRequest) -> Any:
        given = self.given(self.user(request))
        given.extend(role for role in self.named(request) if role not in given)

    @routes.delete(MAPPINGS, action="manage-users")
    def unassign(self, request: IncomingRequest) -> Any:
        taken = self.named(request)
        given = self.given(self.user(request))
        given[:] = [role for role in given if role not in taken]

    # ------------------------------------------------------------------ records

    def invitation(self, invitation: InvitationRecord) -> Body:
        expires = invitation.expires_at
        shown = {
            "id": invitation.id,
            "organizationId": self.organization.id,
            "email": invitation.email,
            **{name: text for name, text in invitation.fields.items() if name != "is_known"},
            "sentDate": int(invitation.created_at.timestamp()),
            "expiresAt": int(expires.timestamp()) if expires else None,
            "status": self.status(invitation),
        }
        return shown | {"inviteLink": self.link(invitation)} if self.profile == "26.5" else shown

    def status(self, invitation: InvitationRecord) -> str:
        return invitation.state(self.clock.now()).upper()

    def member(self, member: MemberRecord) -> Body:
        person = member.person
        names = dict(zip(("firstName", "lastName"), names_of(person), strict=True))
        return {
            "id": person.id,
            "username": person.login or person.email,
            **{name: text for name, text in names.items() if text},
            "email": self.organization.address_of(member),
            "emailVerified": False,
            "enabled": True,
            "createdTimestamp": int(person.created_at.timestamp() * 1000),
            **(MORE_OF_A_MEMBER if self.profile == "26.5" else {}),
            "membershipType": "MANAGED" if is_managed(person) else "UNMANAGED",
        }

    def role(self, role: RoleRecord) -> Body:
        return {
            "id": role.id,
            "name": role.name,
            "description": role.fields["description"],
            "composite": role.name in COMPOSITES,
            "clientRole": False,
            "containerId": str(UUID(int=1)),
        }

    def link(self, invitation: InvitationRecord) -> str:
        """Returns the link of the email. It differs for people who have an account."""
        base = f"https://keycloak.example/realms/{REALM}"
        if invitation.fields["is_known"]:
            return f"{base}/login-actions/action-token?{urlencode({'key': invitation.secret})}"
        query = {"response_type": "code", "client_id": "account", "token": invitation.secret}
        return f"{base}/protocol/openid-connect/registrations?{urlencode(query)}"

    # ------------------------------------------------------------------ helpers of the endpoints

    def form(self, request: IncomingRequest) -> dict[str, str]:
        """Returns the fields of a form; empty for a body of another type."""
        if not request.headers.get("content-type", "").startswith(
            "application/x-www-form-urlencoded"
        ):
            return {}
        return {name: values[-1] for name, values in parse_qs(request.content.decode()).items()}

    def alike(self, email: str) -> list[InvitationRecord]:
        """Returns the invitations that block an address: 26.5 reads `_` and `%` as wildcards."""
        return [one for one in self.organization.shown_invitations() if matches(email, one.email)]

    def require_smtp(self) -> None:
        if self.chosen["smtp"] == "down":
            raise KeycloakRefusal(500, errorMessage="Failed to send invite email")

    def user(self, request: IncomingRequest) -> PersonRecord:
        if request.path["id"] not in self.organization.people:
            raise KeycloakRefusal(404, error="User not found")
        return self.organization.people[request.path["id"]]

    def given(self, person: PersonRecord) -> list[RoleRecord]:
        """Returns the roles that were given to an account. They stay when it leaves."""
        given: list[RoleRecord] = person.fields.setdefault("roles", [])
        return given

    def named(self, request: IncomingRequest) -> list[RoleRecord]:
        """Returns the roles in a body. The server needs the id and the name of each."""
        found = [
            self.organization.roles.get(str(one.get("id"))) for one in json.loads(request.content)
        ]
        names = [one.get("name") for one in json.loads(request.content)]
        roles = [
            role for role, name in zip(found, names, strict=True) if role and role.name == name
        ]
        if len(roles) < len(names):
            raise KeycloakRefusal(404, error="Role not found")
        return roles

    @property
    def default_role(self) -> RoleRecord:
        return self.organization.role_named(DEFAULT_ROLE)

    def expanded(self, roles: Iterable[RoleRecord]) -> list[RoleRecord]:
        """Returns roles, with those that come with them."""
        found: dict[str, RoleRecord] = {}
        for role in roles:
            found[role.id] = role
            for one in self.expanded(
                map(self.organization.role_named, COMPOSITES.get(role.name, ()))
            ):
                found[one.id] = one
        return list(found.values())

    def part(self, items: Sequence[T], request: IncomingRequest, default: int) -> Sequence[T]:
        """Returns the part of a list that a request asks for with `first` and `max`."""
        page = page_by_offset(
            items, request.query, start="first", size="max", default=default or 1, maximum=10**6
        )
        return page.items

    # ------------------------------------------------------------------ the form of answers

    def permit(self, request: IncomingRequest) -> None:
        if request.key is None or request.endpoint is None:
            return
        if request.path["realm"] != REALM:
            raise KeycloakRefusal(404, error="Realm not found.")
        needed = {request.endpoint.action}
        if self.profile != "26.5" and "/members" in request.http.scope["path"]:
            needed.add("view-users" if request.reads else "manage-users")
        held: set[str] = set(request.caller.fields["rights"])
        held |= {f"view-{right.removeprefix('manage-')}" for right in held}
        if not needed <= held:
            raise NotPermitted("a role is missing")
        if request.path.get("organization", ORGANIZATION) != ORGANIZATION:
            raise KeycloakRefusal(404, errorMessage="Organization not found.")

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        if isinstance(refusal, KeycloakRefusal):
            return refusal.body
        if isinstance(refusal, DuplicateMember):
            return {"errorMessage": "User already a member of the organization"}
        if isinstance(refusal, RecordNotFound) and refusal.kind == "invitation":
            return {"errorMessage": "Invitation not found"}
        return {"error": f"HTTP {status} {REASONS[status]}"}

    def new_id(self, kind: str) -> str:
        if kind in ("key", "secret"):
            return f"keycloak-sandbox-{self.random.getrandbits(128):032x}"
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def email(self, invitation: InvitationRecord) -> dict[str, Any]:
        link = self.link(invitation)
        name = self.organization.name
        return {
            "sender": "keycloak@example.org",
            "subject": f"Invitation to join the {name} organization",
            "text": f'You were invited to join the "{name}" organization. Click the link below to'
            f" join.\n\n{link}\n\nThis link will expire within 12 hours.\n",
            "link": link,
        }

    def send_dead_link(self, email: str) -> None:
        """Sends the email of an invitation that is not stored."""
        self.outbox.send(
            self.name,
            invitation=self.new_id("invitation"),
            to=email,
            organization=self.organization.name,
            expires_at=None,
            sender="keycloak@example.org",
            subject=f"Invitation to join the {self.organization.name} organization",
            text="You were invited. The link does not work.",
            link=None,
        )

    def accept(self, invitation: str, *, email: str = "") -> None:
        """Accepts an invitation. A person without an account registers, and is then managed by the
        organization."""
        found = self.organization.any_invitation(invitation)
        known = self.organization.person_with(found.email)
        super().accept(invitation, email=email)
        if known is None and found.member is not None:
            person = found.member.person
            person.fields["managed"] = True
            names = (found.fields.get("firstName"), found.fields.get("lastName"))
            person.name = " ".join(filter(None, names)) or person.name

    def settings(self, base_url: str) -> dict[str, str]:
        return {
            "base_url": base_url,
            "realm": REALM,
            "organization_id": ORGANIZATION,
            "client_id": "guestlist",
            "client_secret": CLIENTS["guestlist"][0],
            "delete_accounts": "true",
        }

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        """Returns settings with a client that may read roles only: no role lets a client read
        invitations and not send them."""
        viewer = {"client_id": "viewer", "client_secret": CLIENTS["viewer"][0]}
        return {**self.settings(base_url), **viewer}


REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
}


def is_managed(person: PersonRecord) -> bool:
    """Returns whether the organization created the account, so that it ends with the membership."""
    return bool(person.fields.get("managed"))


def names_of(person: PersonRecord) -> tuple[str, str]:
    """Returns the first and the last name."""
    first, _, last = person.name.partition(" ")
    return first, last


def invited_names(invitation: InvitationRecord) -> tuple[str, ...]:
    """Returns the first and the last name of the invited person, in lower case, if known."""
    names = (invitation.fields.get(name) for name in ("firstName", "lastName"))
    return tuple(name.lower() for name in names if name)


def searched(person: PersonRecord) -> tuple[str, ...]:
    """Returns the values that the search of members looks at."""
    return (person.login.lower(), person.email.lower(), *map(str.lower, names_of(person)))


def matches(pattern: str, text: str) -> bool:
    """Returns whether a text matches a pattern of SQL, in which `%` stands for any text and `_` for
    one character."""
    parts = {"%": ".*", "_": "."}
    expression = "".join(parts.get(one, re.escape(one)) for one in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None
