"""The imitation answers as the real better-auth does: both are sent the same requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guestlist import Guestlist
from guestlist.models import Outcome, State
from guestlist.sandbox import Sandbox, SandboxRefusal
from guestlist_betterauth import BetterAuth
from guestlist_betterauth.sandbox import READ_ONLY_TOKEN, BetterAuthService

if TYPE_CHECKING:
    from tests.providers.betterauth.conftest import Organization

EXACT = frozenset({"status", "role", "code", "message", "total"})
"""Fields that have to be equal; of others the type counts, and whether it is a date."""
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass(frozen=True)
class Ask:
    """A request. `{name}` in its values is the id that an earlier one has kept."""

    method: str
    path: str
    values: dict[str, Any] = field(default_factory=dict)
    token: str = "owner"
    raw: str | None = None
    """The whole body, where it is no object."""
    keep: dict[str, str] = field(default_factory=dict)
    """Names for ids in the answer: name to where it is, such as `members.1.id`."""


@dataclass(frozen=True)
class Act:
    """What an invitee, or time, does to an invitation."""

    how: str
    invitation: str


def get(path: str, **values: Any) -> Ask:
    return Ask("GET", path, {"organizationId": "{org}", **values})


def post(path: str, *, token: str = "owner", keep: str = "", **values: Any) -> Ask:
    kept = {keep: "id"} if keep else {}
    return Ask("POST", path, {"organizationId": "{org}", **values}, token, keep=kept)


def invite(email: str, *role: str, **more: Any) -> Ask:
    return post("invite-member", email=email, role=list(role), **more)


MAY_INVITE = {"invitation": ["create"]}
TEXTS: list[Any] = [None, 5, 1.5, True, [], {}, "", ["x"]]
ROLES: list[Any] = [*TEXTS, [5], [["member"]], [""]]
INVITE = {
    "email": TEXTS,
    "role": ROLES,
    "resend": [*TEXTS, 0, "true", False],
    "organizationId": TEXTS,
}
CANCEL = {"invitationId": TEXTS}
UPDATE = {"memberId": TEXTS, "role": ROLES}
REMOVE = {"memberIdOrEmail": TEXTS}
"""Fields, and what they are tried with."""


def each(fields: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, odd) for name, odds in fields.items() for odd in odds]


EVERYBODY = {"owner_member": "members.0.id", "member": "members.2.id"}
STEPS: list[Ask | Act] = [
    Ask("GET", "list", keep={"org": "0.id"}),
    Ask("GET", "list-members", {"organizationId": "{org}"}, keep=EVERYBODY),
    get("list-members", limit=2, offset=1, sortBy="createdAt", sortDirection="asc"),
    get("list-members", limit=2, offset=4),
    get("list-members", filterField="id", filterValue="{member}"),
    get("list-members", filterField="id", filterValue="nope"),
    get("list-members", organizationId="nope"),
    get("list-invitations"),
    get("list-invitations", organizationId="nope"),
    Ask("GET", "list-invitations", {"organizationId": "{org}"}, token="member"),
    # inviting
    invite("Ada@Example.com", "admin", "member", keep="ada"),
    invite("ada@example.com", "member"),
    invite("ada@example.com", "member", resend=True),
    invite("bo@example.com", "boss", "clerk"),
    invite("bo@example.com"),
    invite("cy", "member"),
    invite("cy@example.com", "member", organizationId="nope"),
    post("invite-member", email="cy@example.com"),
    post("invite-member", email="cy@example.com", role="member", keep="cy"),
    invite("omar@example.org", "member"),
    invite("di@example.com", "member", token="member"),
    get("list-invitations"),
    # answering
    Act("accept", "{ada}"),
    Act("decline", "{cy}"),
    get("list-invitations"),
    get("list-members", limit=1, offset=3),
    # after expiry
    invite("ed@example.com", "member", keep="ed"),
    Act("expire", "{ed}"),
    invite("ed@example.com", "admin", resend=True, keep="ed2"),
    get("list-invitations"),
    # cancelling
    Ask("POST", "cancel-invitation", {"invitationId": "{ed2}"}, token="member"),
    Ask("POST", "cancel-invitation", {"invitationId": "{ed2}"}),
    Ask("POST", "cancel-invitation", {"invitationId": "{ed2}"}),
    Ask("POST", "cancel-invitation", {"invitationId": "{ada}"}),
    Ask("POST", "cancel-invitation", {"invitationId": "nope"}),
    get("list-invitations"),
    # roles
    post("update-member-role", memberId="{member}", role=["admin", "member"]),
    post("update-member-role", memberId="{member}", role=["boss"]),
    post("update-member-role", memberId="{member}", role=[]),
    post("update-member-role", memberId="nope", role=["member"]),
    post("update-member-role", memberId="{member}", role=["member"]),
    post("update-member-role", memberId="{member}", role=["admin"], token="member"),
    post("update-member-role", memberId="{member}", role=["owner"], token="member"),
    post("update-member-role", memberId="{owner_member}", role=["member"]),
    # removing
    post("remove-member", memberIdOrEmail="{member}", token="member"),
    post("remove-member", memberIdOrEmail="{owner_member}", token="member"),
    post("remove-member", memberIdOrEmail="{owner_member}"),
    post("remove-member", memberIdOrEmail="nope"),
    post("remove-member", memberIdOrEmail="LENA@example.org"),
    post("remove-member", memberIdOrEmail="{member}"),
    post("remove-member", memberIdOrEmail="{member}"),
    get("list-members"),
    # of another type
    *(
        post("invite-member", **{"email": f"type{n}@example.com", "role": "member", name: odd})
        for n, (name, odd) in enumerate(each(INVITE))
    ),
    post("invite-member", email=5, role=5, resend=5),
    post("invite-member"),
    post("invite-member", token="nonsense"),
    *(Ask("POST", "cancel-invitation", {name: odd}) for name, odd in each(CANCEL)),
    Ask("POST", "cancel-invitation"),
    *(
        post("update-member-role", **{"memberId": "nope", "role": "member", name: odd})
        for name, odd in each(UPDATE)
    ),
    post("update-member-role"),
    *(post("remove-member", **{name: odd}) for name, odd in each(REMOVE)),
    post("remove-member"),
    *(
        Ask("POST", "invite-member", raw=raw)
        for raw in ("", "[]", "5", "null", "true", '"x"', "{", "nonsense")
    ),
    *(get("list-members", limit=odd) for odd in ("x", "-1", "", "0")),
    *(get("list-members", offset=odd) for odd in ("x", "-5", "")),
    # refusals
    Ask("GET", "list", token="nonsense"),
    Ask("GET", "list", token=""),
    invite("di@example.com", "member", token="nonsense"),
    post("has-permission", permissions=MAY_INVITE),
    post("has-permission", permissions=MAY_INVITE, token="member"),
    Ask("POST", "has-permission", {"organizationId": "nope", "permissions": MAY_INVITE}),
    Ask("GET", "nowhere"),
    Ask("GET", "invite-member"),
]


class Imitation:
    """The sandbox, as a place to send the steps to."""

    def __init__(self, service: BetterAuthService, base_url: str) -> None:
        self.settings = service.settings(base_url)
        self.tokens = {"owner": self.settings["token"], "member": READ_ONLY_TOKEN}
        self._service = service

    def act(self, how: str, invitation: str) -> None:
        if how == "expire":
            record = self._service.organization.invitation(invitation)
            record.expires_at = datetime(2026, 1, 1, tzinfo=UTC)
        else:
            getattr(self._service, how)(invitation)


class Real:
    """An organization on the real server that has the people of the sandbox."""

    def __init__(self, organization: Organization) -> None:
        self.settings = {"base_url": organization.server.url}
        omar = organization.server.token_of("omar@example.org")
        self.tokens = {"owner": organization.token, "member": omar}
        self.act = lambda how, invitation: getattr(organization, how)(invitation)
        with Guestlist({"auth": organization.provider()}) as guests:
            for email, role in (("lena@example.org", "admin"), ("omar@example.org", "member")):
                invitation = guests.invite(email, role=role).guest.invitation
                assert invitation is not None
                assert invitation.id is not None
                organization.accept(invitation.id)
        forget = "delete from invitation where organizationId = ?"
        organization.server.execute(forget, organization.id)


def answers(place: Imitation | Real) -> Iterator[tuple[int, Any]]:
    """What a place answers to the steps: status and shape of each."""
    kept: dict[str, str] = {}

    def filled(value: Any) -> Any:
        return value.format_map(kept) if isinstance(value, str) else value

    with httpx.Client(base_url=place.settings["base_url"], trust_env=False) as client:
        for step in STEPS:
            if isinstance(step, Act):
                place.act(step.how, filled(step.invitation))
                continue
            token = place.tokens.get(step.token, step.token)
            values = {name: filled(value) for name, value in step.values.items()}
            answer = client.request(
                step.method,
                f"/organization/{step.path}",
                headers={
                    **({"Authorization": f"Bearer {token}"} if token else {}),
                    **({"Content-Type": "application/json"} if step.method == "POST" else {}),
                },
                params=values if step.method == "GET" else None,
                json=values if step.method == "POST" and step.raw is None else None,
                content=step.raw,
            )
            client.cookies.clear()
            body: Any = answer.json() if answer.content else None
            for name, where in step.keep.items():
                found = body
                for key in where.split("."):
                    found = found[int(key) if key.isdigit() else key]
                kept[name] = found
            yield answer.status_code, shape(body)


def shape(value: Any) -> Any:
    """A value without what is by chance."""
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, dict):
        return {
            name: item if name in EXACT and not isinstance(item, dict) else shape(item)
            for name, item in value.items()
        }
    if isinstance(value, str):
        return "date" if DATE.fullmatch(value) else "text"
    return type(value).__name__


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([BetterAuthService]) as sandbox:
        yield sandbox


@pytest.fixture
def service(sandbox: Sandbox) -> BetterAuthService:
    hosted = sandbox.services["betterauth"].service
    assert isinstance(hosted, BetterAuthService)
    return hosted


@pytest.fixture
def guests(sandbox: Sandbox) -> Iterator[Guestlist]:
    settings: dict[str, Any] = sandbox.services["betterauth"].settings
    with Guestlist({"auth": BetterAuth(**settings)}) as guests:
        yield guests


def test_the_same_requests_get_the_same_answers(
    organization: Organization, sandbox: Sandbox, service: BetterAuthService
) -> None:
    imitated = list(answers(Imitation(service, sandbox.services["betterauth"].base_url)))
    real = list(answers(Real(organization)))
    asked = [step for step in STEPS if isinstance(step, Ask)]
    different = [
        f"{step}\n  real:      {ours}\n  imitation: {theirs}"
        for step, ours, theirs in zip(asked, real, imitated, strict=True)
        if ours != theirs
    ]
    assert not different, "\n".join(different)


def test_a_whole_life(guests: Guestlist, service: BetterAuthService, sandbox: Sandbox) -> None:
    assert guests.check() == "Example Works"
    first = guests.invite("ada@example.com", role="member").guest.invitation
    assert first is not None
    sandbox.clock.advance(BetterAuth.lifetime)
    mail = list(sandbox.outbox.to("ada@example.com"))[-1]
    assert mail.link is not None
    assert mail.link.endswith(f"/{first.id}")
    with pytest.raises(SandboxRefusal):
        service.accept(mail.invitation)

    second = guests.resend("ada@example.com")
    assert second.outcome is Outcome.RESENT
    service.accept(list(sandbox.outbox.to("ada@example.com"))[-1].invitation)
    assert guests.status("ada@example.com").state is State.ACCEPTED
    assert guests.assign_role("ada@example.com", "admin").guest.member is not None
    assert guests.remove("ada@example.com").guest.state is State.GONE


def test_declining_what_has_expired(guests: Guestlist, service: BetterAuthService) -> None:
    invitation = guests.invite("ada@example.com", role="member").guest.invitation
    assert invitation is not None
    assert invitation.id is not None
    service.decline(invitation.id)
    assert guests.status("ada@example.com").state is State.DECLINED
    with pytest.raises(SandboxRefusal):
        service.decline(invitation.id)
    assert [one["state"] for one in service.snapshot()["invitations"]] == ["declined"]


def test_too_many_requests_are_refused_alike(
    strict_organization: Organization, service: BetterAuthService, sandbox: Sandbox
) -> None:
    service.configure(rate="window")
    real, imitation = strict_organization.server.url, sandbox.services["betterauth"].settings
    with httpx.Client(trust_env=False) as client:
        answers = [
            [client.get(f"{url}/organization/list") for _ in range(101)][-1]
            for url in (real, imitation["base_url"])
        ]
    assert [answer.status_code for answer in answers] == [429, 429]
    assert answers[0].json() == answers[1].json()
    assert all(0 < int(answer.headers["x-retry-after"]) <= 10 for answer in answers)
    assert "retry-after" not in answers[0].headers
