"""The imitation of Vultr IAM, driven in-process and without an event loop."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pytest
from tests.asgi import ask
from tests.proofs import proofs

from guestlist.sandbox import AdjustableClock, SandboxRefusal
from guestlist_vultr.sandbox import (
    ENGINEER_KEY,
    OWNER_KEY,
    READ_ONLY_KEY,
    SUPPORTER_KEY,
    VultrService,
)

NOW = 1_780_000_000.0  # 2026-05-28T20:26:40 UTC
NOBODY = "00000000-0000-4000-8000-000000000000"
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["a.b.C"], "Resource": "*"}],
}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> tuple[int, str]:
        """The status and the text, after checking that the envelope is as it should be."""
        assert self.headers["content-type"] == "application/json"
        assert self.json == {"error": self.json["error"], "status": self.status}
        return self.status, self.json["error"]


class Vultr:
    """A sandbox on a clock that stands still, and a client of it."""

    def __init__(self, *, profile: str | None = None, **switches: str) -> None:
        chosen: dict[str, Any] = {"rate": "off", **switches}
        self.service = VultrService(clock=AdjustableClock(lambda: NOW), profile=profile, **chosen)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = OWNER_KEY,
        raw: bytes | None = None,
        authorization: str | None = None,
        address: str = "192.0.2.1",
        **query: Any,
    ) -> Reply:
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        authorization = authorization or (f"Bearer {key}" if key else None)
        headers = {"authorization": authorization} if authorization else {}
        return Reply(*ask(self.service.app, method, path, content, headers, query, address))

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The body of an answer that has to be a success; None for a 204."""
        reply = self(method, path, body, **more)
        assert 200 <= reply.status < 300, reply
        return reply.json if reply.raw else None

    def later(self, **by: float) -> None:
        self.service.clock.advance(timedelta(**by))

    def invite(self, email: str = "rosa@example.net", **permissions: Any) -> dict[str, Any]:
        body = {"email_invited": email, "permissions": permissions}
        return cast(dict[str, Any], self.ok("POST", "/v2/invitation", body))

    def join(self, email: str = "rosa@example.net", *, api_enabled: bool = True) -> str:
        """Invites and accepts; the id of the new member."""
        self.service.accept(self.invite(email, api_enabled=api_enabled)["id"])
        return self.id("users", email)

    def key_of(self, user: str) -> str:
        """Creates an API key for a member."""
        return str(self.ok("POST", f"/v2/users/{user}/apikeys", {})["apikey"]["api_key"])

    def id(self, kind: str, name: str) -> str:
        """The id of a seeded record by its name, or of a person by their address."""
        for each in self.ok("GET", f"/v2/{kind}")[kind]:
            if name in (each.get("email"), each.get("display_name"), each.get("name")):
                return str(each["id"])
        raise LookupError(name)

    def let_lena(self, effect: str, action: str) -> None:
        """Attaches a policy to the engineer."""
        statement = {"Effect": effect, "Action": action, "Resource": "*"}
        body = {"name": action, "policy_document": {"Statement": [statement]}}
        policy = self.ok("POST", "/v2/policies", body)["id"]
        self.ok("POST", f"/v2/policies/{policy}/users/{self.id('users', 'lena@example.org')}")

    @property
    def home(self) -> str:
        return str(self.ok("GET", "/v2/organizations")["orgs"][0]["id"])


@pytest.fixture
def vultr() -> Vultr:
    return Vultr()


@pytest.fixture
def openapi() -> Vultr:
    return Vultr(profile="openapi")


def names(records: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in records]


# The order of refusals


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer ", "Bearer wrong", f"Basic {OWNER_KEY}", OWNER_KEY]
)
def test_the_key_comes_before_the_record(vultr: Vultr, authorization: str | None) -> None:
    for method, path in (("GET", "/v2/users"), ("POST", "/v2/invitation/x/resend")):
        reply = vultr(method, path, key=None, authorization=authorization)
        assert reply.error == (401, "Invalid API token.")


def test_permission_then_lookup_then_body(vultr: Vultr) -> None:
    def add(key: str, group: str) -> tuple[int, str]:
        return vultr("POST", f"/v2/groups/{group}/members", key=key, raw=b"{").error

    assert add(READ_ONLY_KEY, NOBODY) == (403, "Forbidden.")
    assert add(OWNER_KEY, NOBODY) == (404, "Group not found")
    assert add(OWNER_KEY, vultr.id("groups", "Support")) == (400, "Bad request.")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v2/invitation/x", "GET, HEAD"),
        ("PATCH", "/v2/invitation/x", "GET, HEAD"),
        ("PUT", "/v2/invitation", "GET, HEAD, POST"),
        ("GET", "/v2/invitation/x/resend", "POST"),
        ("PUT", "/v2/users/x", "GET, HEAD, PATCH"),
    ],
)
def test_methods_that_do_not_exist(vultr: Vultr, method: str, path: str, allow: str) -> None:
    reply = vultr(method, path)

    assert reply.error == (405, "Method not allowed.")
    assert ", ".join(sorted(reply.headers["allow"].split(", "))) == allow


@pytest.mark.parametrize("path", ["/", "/v2", "/v2/v2/users", "/v2/users/", "/v2/invitations"])
def test_paths_that_do_not_exist(vultr: Vultr, path: str) -> None:
    assert vultr("GET", path).error == (404, "Not found.")


# Every endpoint at once


ENDPOINTS = list(VultrService.routes)


def filled(vultr: Vultr, path: str) -> str:
    """A path whose ids are all of seeded records."""
    kinds = {"users": "Lena Engineer", "user": "Lena Engineer", "members": "Lena Engineer"}
    kinds |= {"groups": "Engineering", "roles": "Support Engineer", "policies": "Compute"}
    parts = path.split("/")
    for position, part in enumerate(parts):
        before = parts[position - 1]
        if part.startswith("{") and before == "organizations":
            parts[position] = vultr.home
        elif part.startswith("{") and before == "invitation":
            parts[position] = vultr.invite()["id"]
        elif part.startswith("{"):
            kind = before if before in ("groups", "roles", "policies") else "users"
            parts[position] = vultr.id(kind, kinds[before])
    return "/".join(parts)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_who_may_do_what(vultr: Vultr, method: str, path: str) -> None:
    path = filled(vultr, path)
    mine = "/users/me/" in path

    reader = vultr(method, path, key=READ_ONLY_KEY).status
    assert reader != 403 if method == "GET" else reader == 403
    for member in (ENGINEER_KEY, SUPPORTER_KEY):
        status = vultr(method, path, key=member).status
        assert status == (200 if mine else 403)
    # Last, because this one has its way.
    assert vultr(method, path, key=OWNER_KEY).status not in (401, 403)


@pytest.mark.parametrize(("method", "path"), [each for each in ENDPOINTS if "{" in each[1]])
def test_unknown_ids_are_not_found(vultr: Vultr, method: str, path: str) -> None:
    reply = vultr(method, re.sub(r"\{\w+\}", NOBODY, path), {})

    texts = {
        "invitation": "Invite not found",
        "users": "Invalid user",
        "organizations": "Organization not found.",
        "groups": "Group not found",
        "roles": "Role not found",
        "policies": "Policy not found",
    }
    assert reply.error == (404, texts[path.split("/")[2]])


NASTY: list[Any] = [None, True, -1, 0.5, 10**300, "", "x" * 9000, "\u0000", [], [[]], {}]


@pytest.mark.parametrize("profile", [VultrService.profiles[0], *proofs(*VultrService.profiles[1:])])
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_no_input_breaks_it(profile: str, method: str, path: str) -> None:
    fields = (
        "email_invited permissions api_enabled display_name user_id name policy_document expire"
    )
    seen = Vultr()
    good: dict[str, Any] = {"email_invited": "a@example.net", "display_name": "n", "name": "n"}
    good["policy_document"] = DOCUMENT
    documents: list[Any] = [{"Statement": one} for one in [*NASTY, *[[n] for n in NASTY]]]

    path = filled(seen, path)
    seen.service.configure(profile=profile, pending_users="listed")
    if method != "GET":
        odd = dict.fromkeys(fields.split(), NASTY)
        odd["policy_document"] = [*NASTY, *documents, {"Version": {}, **DOCUMENT}]
        odd["permissions"] = [*NASTY, {"api_enabled": []}]
        for field, values in odd.items():
            for value in values:
                assert seen(method, path, {**good, field: value}).status < 500
    for size in ("", "0", "-5", "x", "9" * 5000, "1.5", "\u0664"):
        for cursor in ("", "x", "\u00e9", "bmV4dF9fMQ==", "cHJldl9fOQ==", "bmV4dF9f"):
            assert seen(method, path, good, per_page=size, cursor=cursor).status < 500


# Invitations


def test_an_invitation_as_the_go_client_reads_it(vultr: Vultr) -> None:
    reply = vultr(
        "POST",
        "/v2/invitation",
        {"email_invited": "Rosa@Example.net", "permissions": {"api_enabled": "yes"}, "role": "x"},
    )

    assert reply.status == 201
    assert reply.headers["content-type"] == "application/json"  # the Go client compares it whole
    assert reply.json == {
        "id": reply.json["id"],
        "inviter_name": "Ines Admin",
        "inviter_email": "ines@example.org",
        "email_invited": "Rosa@Example.net",
        "email_registered": "",
        "permissions": {"api_enabled": True},
        "org_id": vultr.home,
        "org_name": "Example Works",
        "invite_status": "Pending",
        "date_created": "2026-05-28T20:26:40+00:00",
        "date_responded": "",
        "expiration_date": "2026-05-31T20:26:40+00:00",
    }
    assert vultr.ok("GET", f"/v2/invitation/{reply.json['id']}") == reply.json
    assert vultr.ok("GET", "/v2/invitation")["invites"] == [reply.json]


def test_an_invitation_as_openapi_describes_it(openapi: Vultr) -> None:
    created = openapi.invite()["invitation"]
    path = f"/v2/invitation/{created['id']}"

    assert "date_responded" not in created
    assert created["permissions"] == '{"api_enabled": false}'
    assert openapi.ok("GET", path) == {"invitation": created}
    assert openapi.ok("POST", f"{path}/resend") == {"invitation": created}
    assert openapi.ok("GET", "/v2/invitation")["invitations"] == [created]


@pytest.mark.parametrize(
    ("permissions", "enabled"),
    [
        (None, False),
        ({}, False),
        ({"api_enabled": None}, False),
        *[({"api_enabled": yes}, True) for yes in (True, "yes", "true", "YES", 1)],
        *[({"api_enabled": no}, False) for no in (False, "no", "false", 0)],
    ],
)
def test_api_enabled_is_read_in_many_forms(vultr: Vultr, permissions: Any, enabled: bool) -> None:
    body = {"email_invited": "rosa@example.net", "permissions": permissions}
    assert vultr.ok("POST", "/v2/invitation", body)["permissions"] == {"api_enabled": enabled}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email_invited": 7},
        *[
            {"email_invited": wrong}
            for wrong in ("", "rosa", "@x.net", "a@b", "a b@x.net", "a@@x.net", "a@x..net")
        ],
        {"email_invited": f"{'x' * 250}@example.net"},
        {"email_invited": "rosa@example.net", "permissions": "yes"},
        {"email_invited": "rosa@example.net", "permissions": []},
        *[
            {"email_invited": "rosa@example.net", "permissions": {"api_enabled": wrong}}
            for wrong in NASTY
            if wrong is not None and wrong is not True
        ],
    ],
)
def test_invitations_that_make_no_sense(vultr: Vultr, body: Any) -> None:
    status, text = vultr("POST", "/v2/invitation", body).error

    assert (status, text.startswith("Invalid ")) == (400, True)
    assert vultr.service.outbox.emails == []


def test_every_create_and_resend_sends_a_mail_without_a_link(vultr: Vultr) -> None:
    invitation = vultr.invite()
    vultr.later(hours=1)
    vultr.ok("POST", f"/v2/invitation/{invitation['id']}/resend")

    first, second = vultr.service.outbox.to("rosa@example.net")
    assert (first.service, first.invitation, first.link) == ("vultr", invitation["id"], None)
    assert first.expires_at
    assert second.expires_at == first.expires_at + timedelta(hours=1)
    assert "Ines Admin" in first.text
    assert "2026-05-31 at 20:26 UTC" in first.text


def test_an_expired_invitation_reads_pending_and_can_be_resent(vultr: Vultr) -> None:
    id = vultr.invite()["id"]
    vultr.later(hours=72)

    assert vultr.service.snapshot()["invitations"][0]["state"] == "expired"
    assert vultr.ok("GET", f"/v2/invitation/{id}")["invite_status"] == "Pending"
    with pytest.raises(SandboxRefusal, match="expired"):
        vultr.service.accept(id)
    vultr.ok("POST", f"/v2/invitation/{id}/resend")
    vultr.service.accept(id)


def test_or_it_reads_expired_and_cannot() -> None:
    vultr = Vultr(expired="expired", status_fields="all")
    id = vultr.invite()["id"]
    vultr.later(hours=71, minutes=59, seconds=59)
    assert vultr.ok("GET", f"/v2/invitation/{id}")["invite_status"] == "Pending"
    vultr.later(seconds=1)

    shown = vultr.ok("GET", f"/v2/invitation/{id}")
    assert {shown[f] for f in ("status", "status_full", "invite_status")} == {"Expired"}
    assert vultr("POST", f"/v2/invitation/{id}/resend").error[0] == 400
    assert vultr.invite()["id"] != id  # it is not in the way of a new one


def test_accepting(vultr: Vultr) -> None:
    invitation = vultr.invite("Rosa.Diaz@Example.net", api_enabled=True)
    vultr.later(hours=5)
    vultr.service.accept(invitation["id"])

    after = vultr.ok("GET", f"/v2/invitation/{invitation['id']}")
    assert after == {
        **invitation,
        "invite_status": "Accepted",
        "email_registered": "Rosa.Diaz@Example.net",
        "date_responded": "2026-05-29T01:26:40+00:00",
    }
    [rosa] = [
        u for u in vultr.ok("GET", "/v2/users")["users"] if u["email"] == "Rosa.Diaz@Example.net"
    ]
    assert (rosa["name"], rosa["api_enabled"]) == ("Rosa Diaz", True)
    assert {"id": rosa["id"], "email": rosa["email"]} in vultr.service.snapshot()["members"]
    assert vultr("POST", f"/v2/invitation/{invitation['id']}/resend").error[0] == 400


def test_a_new_member_has_nothing_at_all(vultr: Vultr) -> None:
    rosa = vultr.join()
    nothing: dict[str, list[Any]] = {"all": [], "direct": [], "inherited": []}
    her_key = vultr.key_of(rosa)

    for who, key in (("me", her_key), (rosa, OWNER_KEY)):
        for kind, empty in (("groups", []), ("roles", nothing), ("policies", nothing)):
            assert vultr.ok("GET", f"/v2/users/{who}/{kind}", key=key)[kind] == empty
    assert vultr("GET", "/v2/users", key=her_key).status == 403


def test_a_key_needs_api_enabled(vultr: Vultr) -> None:
    rosa = vultr.join(api_enabled=False)
    key = vultr.key_of(rosa)

    assert vultr("GET", "/v2/users/me/groups", key=key).status == 401
    assert vultr("PATCH", f"/v2/users/{rosa}", {"api_enabled": True}).status == 202
    assert vultr("GET", "/v2/users/me/groups", key=key).status == 200
    assert vultr("POST", f"/v2/users/{rosa}/apikeys", {"expire": True}).error[0] == 400


def test_duplicates_may_be_refused() -> None:
    vultr = Vultr(duplicates="refuse")
    vultr.invite()
    for email in ("ROSA@example.net", "Omar@example.org"):
        assert vultr("POST", "/v2/invitation", {"email_invited": email}).error[0] == 400
    assert len(vultr.service.outbox.emails) == 1


def test_duplicates_are_allowed_and_the_old_one_lives_on(vultr: Vultr) -> None:
    first, second = vultr.invite(), vultr.invite()
    vultr.invite("omar@example.org")

    assert first["id"] != second["id"]
    vultr.service.accept(first["id"])
    vultr.service.accept(second["id"])  # joining twice is joining once
    assert len(vultr.service.snapshot()["members"]) == 4


@pytest.mark.parametrize(("listing", "emails"), [("all", ["a", "b", "c"]), ("pending", ["b", "c"])])
def test_what_the_list_holds(listing: str, emails: list[str]) -> None:
    vultr = Vultr(listing=listing)
    ids = [vultr.invite(f"{name}@example.net")["id"] for name in "abc"]
    vultr.service.accept(ids[0])

    shown = vultr.ok("GET", "/v2/invitation")
    assert [one["email_invited"][0] for one in shown["invites"]] == emails
    assert shown["meta"]["total"] == len(emails)


# Paging


@pytest.mark.parametrize("query", [{"cursor": "x"}, {"cursor": "bmV4dA=="}, {"per_page": "two"}])
def test_pages_that_do_not_exist(vultr: Vultr, query: dict[str, Any]) -> None:
    assert vultr("GET", "/v2/users", **query).error[0] == 400


def test_an_empty_list(vultr: Vultr) -> None:
    empty = {"total": 0, "links": {"next": "", "prev": ""}}
    assert vultr.ok("GET", "/v2/invitation") == {"invites": [], "meta": empty}


# The rate limit


@pytest.mark.parametrize("kind", ["bucket", "window"])
def test_thirty_requests_of_a_second(kind: str) -> None:
    vultr = Vultr(rate=kind)
    assert [vultr("GET", "/v2/users", key=None).status for _ in range(31)] == [401] * 30 + [429]

    refused = vultr("GET", "/v2/users")
    assert refused.error == (429, "rate limit exceeded")
    assert refused.headers["retry-after"] == "1"
    assert vultr("GET", "/v2/users", address="192.0.2.2").status == 200
    vultr.later(seconds=0.5)
    assert vultr("GET", "/v2/users").status == (200 if kind == "bucket" else 429)
    vultr.later(seconds=0.5)
    assert vultr("GET", "/v2/users").status == 200


def test_the_limit_can_change_while_it_runs() -> None:
    vultr = Vultr(rate="bucket")
    assert {vultr("GET", "/v2/users").status for _ in range(40)} == {200, 429}
    vultr.service.configure(rate="off")
    assert {vultr("GET", "/v2/users").status for _ in range(40)} == {200}


# Users


@pytest.mark.parametrize("profile", VultrService.profiles)
def test_users_who_have_not_accepted_may_be_listed(profile: str) -> None:
    vultr = Vultr(pending_users="listed")
    vultr.service.accept(vultr.invite("kim@example.net")["id"])
    for email in ("rosa@example.net", "ROSA@example.net", "omar@example.org"):
        vultr.invite(email)
    vultr.later(days=3)
    vultr.invite("ada@example.net")
    vultr.service.configure(profile=profile)

    users = vultr.ok("GET", "/v2/users")["users"]
    states = ("active", "active", "pending") if profile == "openapi" else (None, None, None)
    assert [(u["email"], u["invite_accepted"], u.get("status")) for u in users[-3:]] == [
        ("omar@example.org", True, states[0]),
        ("kim@example.net", True, states[1]),
        ("ada@example.net", False, states[2]),
    ]
    path = f"/v2/users/{users[-1]['id']}"
    assert vultr.ok("GET", path)["user"] == users[-1]
    assert vultr("PATCH", path, {}).error == (404, "Invalid user")


def test_suspending(vultr: Vultr) -> None:
    lena = vultr.id("users", "lena@example.org")
    path = f"/v2/organizations/{vultr.home}/user/{lena}"
    suspended = f"/v2/organizations/{vultr.home}/suspended-users"

    assert vultr("PUT", f"{path}/suspend").status == 204
    vultr.later(hours=1)
    vultr.ok("PUT", f"{path}/suspend")  # the first moment stays
    [shown] = vultr.ok("GET", suspended)["users"]
    assert shown == {
        "id": lena,
        "name": "Lena Engineer",
        "display_name": "Lena Engineer",
        "first_name": "Lena",
        "last_name": "Engineer",
        "email": "lena@example.org",
        "active": False,
        "service_user": False,
        "date_created": "2026-05-28T20:26:40+00:00",
        "date_updated": "2026-05-28T20:26:40+00:00",
        "date_suspended": "2026-05-28T20:26:40+00:00",
    }
    assert vultr("GET", "/v2/users/me/groups", key=ENGINEER_KEY).status == 401
    support = vultr.id("groups", "Support")
    assert vultr("POST", f"/v2/groups/{support}/members", {"user_id": lena}).error[0] == 400
    assert vultr("PUT", f"{path}/unsuspend").status == 204
    assert vultr.ok("GET", suspended)["users"] == []
    assert vultr("GET", "/v2/users/me/groups", key=ENGINEER_KEY).status == 200


def test_a_removed_user_comes_back_as_the_same_person_with_nothing(vultr: Vultr) -> None:
    omar = vultr.id("users", "omar@example.org")
    assert vultr("DELETE", f"/v2/organizations/{vultr.home}/user/{omar}").status == 204
    assert vultr("GET", f"/v2/users/{omar}").error == (404, "Invalid user")
    assert vultr("GET", "/v2/users/me/roles", key=SUPPORTER_KEY).status == 401

    vultr.service.accept(vultr.invite("Omar@Example.org")["id"])
    assert vultr.id("users", "omar@example.org") == omar
    assert vultr.ok("GET", f"/v2/users/{omar}/roles")["roles"]["all"] == []
    assert vultr.ok("GET", f"/v2/users/{omar}/groups")["groups"] == []


def test_the_root_user_stays(vultr: Vultr) -> None:
    ines = vultr.id("users", "ines@example.org")
    place = f"/v2/organizations/{vultr.home}/user/{ines}"
    for method, path in (("DELETE", place), ("PUT", f"{place}/suspend")):
        assert vultr(method, path).error[0] == 400


@pytest.mark.parametrize("profile", VultrService.profiles)
@pytest.mark.parametrize("field", ["user_id", "display_name"])
def test_the_members_of_a_group(profile: str, field: str) -> None:
    vultr = Vultr()
    lena = vultr.id("users", "lena@example.org")
    group = f"/v2/groups/{vultr.id('groups', 'Support')}"
    vultr.service.configure(profile=profile)

    def members() -> list[str]:
        return [one["email"] for one in vultr.ok("GET", group)["group"]["members"]]

    def add() -> Reply:
        return vultr("POST", f"{group}/members", {"user_id": "", field: lena})

    added = add()
    assert (added.status, added.json["group_member"]["id"]) == (201, lena)
    assert add().json == added.json  # adding one again changes nothing
    assert members() == ["lena@example.org", "omar@example.org"]
    one = f"{group}/members/{lena}"
    assert vultr("DELETE", one).status == 204
    assert vultr("DELETE", one).error == (404, "Invalid user")
    assert members() == ["omar@example.org"]
    restored = vultr("PUT", one)
    assert (restored.status, restored.json) == (202, added.json)
    ines = vultr.id("users", "ines@example.org")
    assert vultr("PUT", f"{group}/members/{ines}").error == (404, "Invalid user")


def test_members_that_do_not_exist(vultr: Vultr) -> None:
    members = f"/v2/groups/{vultr.id('groups', 'Support')}/members"
    for body in ({"user_id": NOBODY}, {"display_name": "Nobody"}):
        assert vultr("POST", members, body).error == (404, "Invalid user")
    assert vultr("POST", members, {}).error[0] == 400


# Roles and policies


def test_assumable_roles_are_not_attached(vultr: Vultr) -> None:
    role = f"/v2/roles/{vultr.id('roles', 'Incident Response')}"
    lena, support = vultr.id("users", "lena@example.org"), vultr.id("groups", "Support")
    for right in (f"users/{lena}", f"groups/{support}"):
        assert vultr("POST", f"{role}/{right}").error[0] == 400
    vultr.service.configure(assumable="accept")
    assert vultr("POST", f"{role}/users/{lena}").status == 201


RELATIONS = [
    ("roles", "Support", "users", "lena@example.org", "role_user", "assignments"),
    ("roles", "Support", "groups", "Engineering", "role_group", "assignments"),
    ("policies", "Ticket Handling", "users", "lena@example.org", "policy_user", "users"),
    ("policies", "Ticket Handling", "groups", "Engineering", "policy_group", "groups"),
]


@pytest.mark.parametrize(("lefts", "left", "rights", "right", "name", "key"), RELATIONS)
@pytest.mark.parametrize("profile", VultrService.profiles)
def test_attaching_and_detaching(
    profile: str, lefts: str, left: str, rights: str, right: str, name: str, key: str
) -> None:
    vultr = Vultr()
    ids = vultr.id(lefts, left), vultr.id(rights, right)
    path = f"/v2/{lefts}/{ids[0]}/{rights}"
    one = f"{path}/{ids[1]}"
    vultr.service.configure(profile=profile)
    openapi = profile == "openapi"

    first = vultr("POST", one)
    assert first.status == 201
    made = first.json[f"{name}_relationship"] if openapi else first.json
    kinds = name.split("_")
    assert (made[f"{kinds[0]}_id"], made[f"{kinds[1]}_id"]) == ids
    vultr.later(hours=1)
    assert vultr("POST", one).json == first.json
    vultr.service.configure(reattach="refuse")
    assert vultr("POST", one).error[0] == 400

    [listed] = vultr.ok("GET", path)[f"{name}_relationships" if openapi else key]
    if openapi or key == "assignments":
        assert listed == made
    else:
        assert listed["id"] == ids[1]
        assert listed["assigned_date"] == "2026-05-28T20:26:40+00:00"
    assert vultr("DELETE", one).status == 204
    assert vultr("DELETE", one).status == 404
    assert vultr.ok("GET", path)["meta"]["total"] == 0


# Effective access


def test_what_omar_has(vultr: Vultr) -> None:
    omar = vultr.id("users", "omar@example.org")
    for who, key in (("me", SUPPORTER_KEY), (omar, OWNER_KEY)):
        [group] = vultr.ok("GET", f"/v2/users/{who}/groups", key=key)["groups"]
        roles = vultr.ok("GET", f"/v2/users/{who}/roles", key=key)["roles"]
        policies = vultr.ok("GET", f"/v2/users/{who}/policies", key=key)["policies"]

        assert (group["display_name"], group["members"][0]["id"]) == ("Support", omar)
        assert group["assigned_date"]
        assert names(roles["direct"]) == ["Billing Viewer"]
        assert names(roles["inherited"]) == ["Support Engineer"]
        assert names(roles["all"]) == ["Support Engineer", "Billing Viewer"]
        assert policies["direct"] == []
        assert sorted(names(policies["inherited"])) == ["Invoice Reading", "Ticket Handling"]
        assert {p["from_role"] for p in policies["all"]} == {r["id"] for r in roles["all"]}


def test_what_lena_has(vultr: Vultr) -> None:
    policies = vultr.ok("GET", "/v2/users/me/policies", key=ENGINEER_KEY)["policies"]
    assert [(p["name"], p["source"]) for p in policies["direct"]] == [("Invoice Reading", "direct")]
    assert [(p["name"], p["source"]) for p in policies["inherited"]] == [("Compute", "group")]
    assert not any("from_role" in p for p in policies["all"])


def test_access_as_openapi_describes_it(openapi: Vultr) -> None:
    [group] = openapi.ok("GET", "/v2/users/me/groups", key=SUPPORTER_KEY)["groups"]
    roles = openapi.ok("GET", "/v2/users/me/roles", key=SUPPORTER_KEY)["roles"]
    policies = openapi.ok("GET", "/v2/users/me/policies", key=SUPPORTER_KEY)["policies"]

    assert (group["members"][0]["display_name"], group["status"]) == ("Omar Support", "active")
    assert [role["role_name"] for role in roles] == ["Support Engineer", "Billing Viewer"]
    assert sorted(p["policy_name"] for p in policies) == ["Invoice Reading", "Ticket Handling"]


def test_access_pages_cut_the_whole_and_its_parts(vultr: Vultr) -> None:
    omar = f"/v2/users/{vultr.id('users', 'omar@example.org')}/roles"
    first = vultr.ok("GET", omar, per_page=1)
    rest = vultr.ok("GET", omar, per_page=1, cursor=first["meta"]["links"]["next"])

    assert first["meta"]["total"] == 2
    assert names(first["roles"]["inherited"]) == ["Support Engineer"]
    assert first["roles"]["direct"] == rest["roles"]["inherited"] == []
    assert names(rest["roles"]["all"]) == names(rest["roles"]["direct"]) == ["Billing Viewer"]


def test_policies_open_doors_and_denials_close_them(vultr: Vultr) -> None:
    def statuses() -> list[int]:
        body = {"display_name": "Night"}
        created = vultr("POST", "/v2/groups", body, key=ENGINEER_KEY).status
        return [created, vultr("GET", "/v2/groups", key=ENGINEER_KEY).status]

    assert statuses() == [403, 403]
    vultr.let_lena("Allow", "iam.group.*")
    assert statuses() == [201, 200]
    vultr.let_lena("Deny", "iam.group.Create")
    assert statuses() == [403, 200]


# The sandbox's side


def test_the_same_seed_gives_the_same_ids() -> None:
    first, second = Vultr(), Vultr()
    id = first.invite()["id"]

    assert id == second.invite()["id"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id)
    assert first.service.snapshot() == second.service.snapshot()
