"""The imitation answers as the real Keycloak does: both are sent the same requests."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from guestlist.sandbox import AdjustableClock
from guestlist_keycloak.sandbox import COMPOSITES, PEOPLE, REALM, ROLES, KeycloakService

if TYPE_CHECKING:
    from tests.providers.keycloak.conftest import Realm

VARYING = frozenset(
    {"id", "organizationId", "sentDate", "expiresAt", "createdTimestamp", "containerId"}
)
"""Fields whose type has to be equal, and not the value."""
ORG = "/admin/realms/{realm}/organizations/{organization}"
TOKEN = "/realms/{realm}/protocol/openid-connect/token"
USER = "/admin/realms/{realm}/users"
GRANT = {"grant_type": "client_credentials", "client_id": "guestlist"}


@dataclass(frozen=True)
class Ask:
    """A request. `{name}` in its path and values is a value that an earlier answer has kept."""

    method: str
    path: str
    form: dict[str, str] | None = None
    json: Any = None
    query: dict[str, Any] = field(default_factory=dict)
    token: str | None = "good"
    keep: dict[str, str] = field(default_factory=dict)
    """Names for values in the answer: name to where it is, such as `0.id`."""


@dataclass(frozen=True)
class Act:
    """What happens outside of the API: a person accepts, time passes, the mail server is down."""

    how: str
    value: str = ""


def get(path: str, **query: Any) -> Ask:
    return Ask("GET", path, query=query)


def kept(path: str, keep: dict[str, str], **query: Any) -> Ask:
    return Ask("GET", path, query=query, keep=keep)


def invite(email: str, **more: str) -> Ask:
    return Ask("POST", f"{ORG}/members/invite-user", form={"email": email, **more})


def token(**changes: str) -> Ask:
    form = {**GRANT, "client_secret": "{secret}", **changes}
    return Ask("POST", TOKEN, form=form, token=None)


def listed() -> Ask:
    return get(f"{ORG}/invitations")


def roles_of(member: str, method: str = "GET", more: str = "", json: Any = None) -> Ask:
    return Ask(method, f"{USER}/{{{member}}}/role-mappings/realm{more}", json=json)


EDITOR = [{"id": "{editor}", "name": "editor"}]
STEPS: list[Ask | Act] = [
    # tokens
    token(),
    token(client_secret="wrong"),
    token(client_id="nobody"),
    Ask("POST", "/realms/nowhere/protocol/openid-connect/token", form=GRANT, token=None),
    Ask("GET", ORG, token=None),
    Ask("GET", ORG, token="wrong"),
    Ask("GET", ORG, token="idle"),
    get(ORG),
    get("/admin/realms/{realm}/organizations/nope"),
    get("/admin/realms/nowhere/organizations/{organization}"),
    get(f"{ORG}/nothing"),
    Ask("PUT", f"{ORG}/members", json={}),
    # the members at the start
    kept(f"{ORG}/members", {"ines": "0.id", "lena": "1.id"}),
    get(f"{ORG}/members", first=1, max=1),
    get(f"{ORG}/members", search="lena@"),
    get(f"{ORG}/members", search="LENA@"),
    get(f"{ORG}/members", search="ena@"),
    get(f"{ORG}/members/{{ines}}"),
    get(f"{ORG}/members/nope"),
    Ask("DELETE", f"{ORG}/members/nope"),
    # inviting
    listed(),
    invite("Ada@Example.com", firstName="Ada", lastName="Byron"),
    invite("ada@example.com"),
    invite("ines@example.org"),
    invite("nope"),
    invite(""),
    Ask("POST", f"{ORG}/members/invite-user", json={"email": "eve@example.com"}),
    kept(f"{ORG}/invitations", {"ada": "0.id"}),
    get(f"{ORG}/invitations/{{ada}}"),
    get(f"{ORG}/invitations/nope"),
    invite("bob@example.com"),
    get(f"{ORG}/invitations", first=0, max=1, search="ada@"),
    get(f"{ORG}/invitations", first=1, max=1, search="ada@"),
    get(f"{ORG}/invitations", email="ada@"),
    get(f"{ORG}/invitations", email="ADA@example.com"),
    get(f"{ORG}/invitations", search="ADA@"),
    get(f"{ORG}/invitations", search="da@"),
    get(f"{ORG}/invitations", search="yron"),
    get(f"{ORG}/invitations", search="nobody"),
    get(f"{ORG}/invitations", status="EXPIRED"),
    get(f"{ORG}/invitations", status="PENDING", search="bob@"),
    Ask("POST", f"{ORG}/invitations/{{ada}}/resend"),
    get(f"{ORG}/invitations/{{ada}}"),
    Ask("POST", f"{ORG}/invitations/{{ada}}/resend"),
    listed(),
    # accepting
    Act("accept", "ada@example.com"),
    listed(),
    kept(f"{ORG}/members", {"ada": "0.id"}, search="ada@"),
    invite("ADA@example.com"),
    # roles
    kept("/admin/realms/{realm}/roles", {"editor": "1.id"}, first=0, max=1000),
    get("/admin/realms/{realm}/roles", first=1, max=2),
    roles_of("ada"),
    roles_of("ines", more="/composite"),
    roles_of("ada", "POST", json=EDITOR),
    roles_of("ada", "POST", json=EDITOR),
    roles_of("ada"),
    roles_of("ada", more="/composite"),
    roles_of("ada", "POST", json=[{"id": "{editor}"}]),
    roles_of("ada", "POST", json=[{"name": "editor"}]),
    roles_of("ada", "POST", json=[{"id": "nope", "name": "editor"}]),
    Ask("GET", f"{USER}/nope/role-mappings/realm"),
    roles_of("ada", "DELETE", json=EDITOR),
    roles_of("ada", "DELETE", json=EDITOR),
    roles_of("ada"),
    # a managed member, and one who had an account
    Ask("DELETE", f"{ORG}/members/{{ada}}"),
    Ask("DELETE", f"{ORG}/members/{{ada}}"),
    roles_of("ada"),
    Ask("DELETE", f"{ORG}/members/{{lena}}"),
    roles_of("lena"),
    get(f"{ORG}/members"),
    invite("lena@example.org"),
    kept(f"{ORG}/invitations", {"lena_s": "0.id"}, search="lena@"),
    Act("accept", "lena@example.org"),
    get(f"{ORG}/members", search="lena@"),
    roles_of("lena"),
    # expiry
    Act("lifetime", "1"),
    invite("cy@example.com"),
    Act("wait"),
    Act("lifetime", "43200"),
    kept(f"{ORG}/invitations", {"cy": "0.id"}, search="cy@"),
    get(f"{ORG}/invitations", status="EXPIRED"),
    get(f"{ORG}/invitations", status="PENDING"),
    invite("cy@example.com"),
    Act("emails", "cy@example.com"),
    Ask("POST", f"{ORG}/invitations/{{cy}}/resend"),
    kept(f"{ORG}/invitations", {"cy": "0.id"}, search="cy@"),
    # the mail server
    Act("smtp", "down"),
    invite("dee@example.com"),
    Ask("POST", f"{ORG}/invitations/{{cy}}/resend"),
    listed(),
    Act("smtp", "up"),
    # revoking
    Ask("DELETE", f"{ORG}/invitations/{{cy}}"),
    Ask("DELETE", f"{ORG}/invitations/{{cy}}"),
    # addresses as patterns
    invite("b_b@example.com"),
    invite("b%@example.com"),
    listed(),
]


class Imitation:
    """The sandbox, with the acts of the outside."""

    def __init__(self, profile: str) -> None:
        self.now = 1_800_000_000.0
        self.service = KeycloakService(clock=AdjustableClock(lambda: self.now), profile=profile)
        self.client = TestClient(self.service.app, base_url="http://sandbox.test")
        self.known = {
            "realm": REALM,
            "organization": self.service.organization_id,
            "secret": self.service.settings("")["client_secret"],
        }
        viewer = self.service.read_only_settings("")
        self.idle = (viewer["client_id"], viewer["client_secret"])

    def act(self, act: Act) -> Any:
        service, emails = self.service, list(self.service.outbox.to(act.value))
        if act.how == "accept":
            service.accept(emails[-1].invitation)
        elif act.how == "lifetime":
            service.organization.lifetime = timedelta(seconds=int(act.value))
        elif act.how == "wait":
            self.now += 3
        elif act.how == "smtp":
            service.configure(smtp=act.value)
        else:
            return len(emails)
        return None


class Original:
    """The real server, in the same state."""

    def __init__(self, realm: Realm) -> None:
        self.realm = realm
        self.client = realm.server.client
        self.known = {
            "realm": realm.name,
            "organization": realm.id,
            "secret": realm.provider().client_secret,
        }
        realm.add_client("viewer", "view-realm", "view-users")
        self.idle = ("viewer", realm.provider().client_secret)
        for name in ("viewer", "editor", "manager"):
            description = ROLES[name]
            realm.admin("POST", "/roles", json={"name": name, "description": description})
        roles = {role["name"]: role for role in realm.admin("GET", "/roles").json()}
        for name, parts in COMPOSITES.items():
            if name in roles:
                path = f"/roles-by-id/{roles[name]['id']}/composites"
                realm.admin("POST", path, json=[roles[part] for part in parts])
        for email, (name, given) in PEOPLE.items():
            first, _, last = name.partition(" ")
            login = email.partition("@")[0]
            id = realm.add_member(email, username=login, firstName=first, lastName=last)
            path = f"/users/{id}/role-mappings/realm"
            realm.admin("POST", path, json=[roles[role] for role in given])

    def act(self, act: Act) -> Any:
        if act.how == "accept":
            self.realm.accept(act.value)
        elif act.how == "lifetime":
            self.realm.configure(actionTokenGeneratedByAdminLifespan=int(act.value))
        elif act.how == "wait":
            time.sleep(2.1)
        elif act.how == "smtp":
            port = "9" if act.value == "down" else self.realm.smtp["port"]
            self.realm.configure(smtpServer={**self.realm.smtp, "port": port})
        else:
            return len(self.realm.emails_to(act.value))
        return None


Side = Imitation | Original


def answers(side: Side) -> list[Any]:
    """Returns the answers to all steps, without what differs from run to run."""
    tokens = {"wrong": "wrong"}
    for name, (id, secret) in {
        "good": ("guestlist", side.known["secret"]),
        "idle": side.idle,
    }.items():
        form = {**GRANT, "client_id": id, "client_secret": secret}
        answer = side.client.post(filled(TOKEN, side.known), data=form)
        tokens[name] = answer.json()["access_token"]
    found = []
    for step in STEPS:
        if isinstance(step, Act):
            found.append(side.act(step))
            continue
        headers = {"Authorization": f"Bearer {tokens[step.token]}"} if step.token else {}
        answer = side.client.request(
            step.method,
            filled(step.path, side.known),
            params=step.query,
            data=filled(step.form, side.known),
            json=filled(step.json, side.known),
            headers=headers,
        )
        for name, where in step.keep.items():
            value = answer.json()
            for part in where.split("."):
                value = value[int(part) if part.isdecimal() else part]
            side.known[name] = value
        in_order = not step.path.endswith(("/composite", "/realm", "/invitations"))
        found.append(normal(answer, side.known, in_order=in_order))
    return found


def filled(value: Any, known: dict[str, str]) -> Any:
    """Puts what is known in the place of names in braces."""
    if isinstance(value, dict):
        return {name: filled(one, known) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, known) for one in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"\{(\w+)\}", lambda match: known[match[1]], value)


def normal(answer: Any, known: dict[str, str], *, in_order: bool) -> tuple[int, Any]:
    if not answer.content:
        return answer.status_code, None
    assert answer.headers["content-type"].startswith("application/json")
    body = _normal(answer.json(), known["realm"])
    if isinstance(body, list) and not in_order:
        body.sort(key=json.dumps)
    return answer.status_code, body


def _normal(value: Any, realm: str) -> Any:
    if isinstance(value, list):
        return [_normal(one, realm) for one in value]
    if isinstance(value, dict):
        return {name: _field(name, one, realm) for name, one in sorted(value.items())}
    return value.replace(realm, "REALM") if isinstance(value, str) else value


def _field(name: str, value: Any, realm: str) -> Any:
    if name in VARYING or name == "access_token":
        return type(value).__name__
    if name == "scope":
        return sorted(value.split())
    if name == "inviteLink":
        path = urlsplit(value)._replace(scheme="", netloc="").geturl()
        value = re.sub(r"(token|key)=[^&]+", r"\1=...", path)
    return _normal(value, realm)


@pytest.mark.proof  # the server takes a minute to start
def test_the_sandbox_answers_as_the_server_does(realm: Realm, version: str) -> None:
    profile = version.rpartition(".")[0]
    imitated, true = answers(Imitation(profile)), answers(Original(realm))
    assert len(true) == len(STEPS)
    steps = zip(STEPS, imitated, true, strict=True)
    wrong = [f"{step}\n  {came}\n  not {wanted}" for step, came, wanted in steps if came != wanted]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("profile", KeycloakService.profiles)
def test_the_steps_can_be_taken(profile: str) -> None:
    """Without the server, only that every step gets an answer."""
    assert len(answers(Imitation(profile))) == len(STEPS)
