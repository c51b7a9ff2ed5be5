"""The imitation of Vultr IAM, driven in-process and without an event loop."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from urllib.parse import quote, urlencode

import pytest
from tests.proofs import proofs

from guestlist.sandbox import Clock, SandboxRefusal
from guestlist_vultr.sandbox import VultrService
from guestlist_vultr.sandbox.service import ENGINEER_KEY, OWNER_KEY, READ_ONLY_KEY, SUPPORTER_KEY

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
        self.service = VultrService(clock=Clock(lambda: NOW), profile=profile, **chosen)

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
        headers = [(b"authorization", authorization.encode())] if authorization else []
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "root_path": "",
            "query_string": urlencode(query).encode(),
            "headers": headers,
            "client": (address, 50000),
            "server": ("127.0.0.1", 80),
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        app = cast(Callable[..., Awaitable[None]], self.service.app)
        coroutine = cast(Coroutine[Any, Any, None], app(scope, receive, send))
        with pytest.raises(StopIteration):  # it ends without ever suspending
            coroutine.send(None)
        start, *parts = sent
        decoded = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], decoded, b"".join(part["body"] for part in parts))

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
        ("PUT", "/v2/users/x", "DELETE, GET, HEAD, PATCH"),
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


NASTY: list[Any] = [None, True, -1, 1.0, 0.5, 10**300, "", " ", "x" * 9000, "\u0000", [], [[]], {}]


@pytest.mark.parametrize("profile", [VultrService.profiles[0], *proofs(*VultrService.profiles[1:])])
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_no_input_breaks_it(profile: str, method: str, path: str) -> None:
    fields = "email_invited permissions email password name first_name last_name api_enabled acls "
    fields += "service_user display_name description user_id role_type max_session_duration "
    fields += "policy_id policy_document version type expire date_expire"
    seen = Vultr()
    good: dict[str, Any] = {"email": "a@example.net", "email_invited": "a@example.net"}
    good |= {"password": "x", "name": "n", "display_name": "n", "policy_document": DOCUMENT}
    good |= {"expire": True, "date_expire": "2030-01-01T00:00:00Z"}
    statements = [{"Effect": e, "Action": a} for e in NASTY for a in NASTY]
    documents: list[Any] = [{"Statement": s} for s in [*NASTY, *[[n] for n in NASTY], statements]]

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
        for cursor in ("", "x", "=", "\u00e9", "bmV4dF9fMQ==", "cHJldl9fOQ==", "AAAA", "bmV4dF9f"):
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
    her_key = vultr.service.key_of("rosa@example.net")

    for who, key in (("me", her_key), (rosa, OWNER_KEY)):
        for kind, empty in (("groups", []), ("roles", nothing), ("policies", nothing)):
            assert vultr.ok("GET", f"/v2/users/{who}/{kind}", key=key)[kind] == empty
    assert vultr("GET", "/v2/users", key=her_key).status == 403


def test_a_key_needs_api_enabled(vultr: Vultr) -> None:
    rosa = vultr.join(api_enabled=False)
    key = vultr.service.key_of("ROSA@example.net")

    assert vultr("GET", "/v2/users/me/groups", key=key).status == 401
    vultr.ok("PATCH", f"/v2/users/{rosa}", {"api_enabled": True})
    assert vultr("GET", "/v2/users/me/groups", key=key).status == 200
    with pytest.raises(LookupError):
        vultr.service.key_of("nobody@example.net")


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


def test_switches_of_the_shape() -> None:
    vultr = Vultr(permissions="string", timestamps="plain", status_fields="all")
    invitation = vultr.invite(api_enabled=True)

    assert invitation["permissions"] == '{"api_enabled": true}'
    assert invitation["date_created"] == "2026-05-28 20:26:40"
    words = [invitation[name] for name in ("invite_status", "status", "status_full")]
    assert words == ["Pending"] * 3


# Paging


@pytest.mark.parametrize(("asked", "size"), [(None, 100), (0, 1), (7, 7), (9999, 500)])
def test_page_sizes(vultr: Vultr, asked: int | None, size: int) -> None:
    for number in range(501):
        vultr.invite(f"{number}@example.net")
    query = {} if asked is None else {"per_page": asked}
    assert len(vultr.ok("GET", "/v2/invitation", **query)["invites"]) == size


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
    vultr = Vultr(rate="bucket", retry_after="absent")
    statuses = {vultr("GET", "/v2/users").status for _ in range(40)}
    assert statuses == {200, 429}
    assert "retry-after" not in vultr("GET", "/v2/users").headers

    vultr.service.configure(rate="off")
    assert {vultr("GET", "/v2/users").status for _ in range(40)} == {200}


# Users


def test_the_life_of_a_user(vultr: Vultr) -> None:
    body = {"email": "kim@example.net", "password": "x", "name": "Kim Lee", "acls": ["dns"]}
    created = vultr("POST", "/v2/users", body)
    kim = created.json["user"]
    path = f"/v2/users/{kim['id']}"
    key = kim.pop("api_key")

    assert created.status == 201
    assert kim == {
        "id": kim["id"],
        "name": "Kim Lee",
        "email": "kim@example.net",
        "api_enabled": True,
        "acls": ["dns"],
        "service_user": False,
    }
    assert vultr("GET", "/v2/users/me/groups", key=key).status == 200
    change = {"email": "k@example.net", "acls": [], "name": "Kim Park", "password": "y"}
    assert vultr("PATCH", path, change).status == 202
    changed = {**kim, "email": "k@example.net", "acls": [], "name": "Kim Park"}
    assert vultr.ok("GET", path) == {"user": changed}
    assert vultr("DELETE", path).raw == b""
    assert vultr("GET", path).error == (404, "Invalid user")
    assert vultr("GET", "/v2/users/me/groups", key=key).status == 401
    vultr.ok("POST", "/v2/users", {**body, "email": "k@example.net"})  # free again


@pytest.mark.parametrize(
    "change",
    [
        {"email": "rosa"},
        {"email": "OMAR@example.org"},
        {"email": None},
        {"password": ""},
        {"name": ""},
        {"name": 7},
        {"acls": ["everything"]},
        {"acls": "dns"},
        {"api_enabled": "perhaps"},
    ],
)
def test_users_that_make_no_sense(vultr: Vultr, change: dict[str, Any]) -> None:
    body = {"email": "kim@example.net", "password": "x", "name": "Kim"}
    assert vultr("POST", "/v2/users", {**body, **change}).error[0] == 400


def test_a_refused_change_changes_nothing(vultr: Vultr) -> None:
    path = f"/v2/users/{vultr.id('users', 'lena@example.org')}"
    before = vultr.ok("GET", path)
    for wrong in ({"email": "OMAR@example.org"}, {"acls": ["x"]}, {"password": ""}):
        assert vultr("PATCH", path, {"name": "Other", **wrong}).error[0] == 400
    assert vultr.ok("GET", path) == before
    vultr.ok("PATCH", path, {"email": "LENA@example.org"})  # one's own address is no duplicate


def test_both_ways_to_name_a_user(vultr: Vultr) -> None:
    body = {"email": "kim@example.net", "password": "x", "first_name": "Kim", "last_name": "Lee"}
    assert vultr.ok("POST", "/v2/users", body)["user"]["name"] == "Kim Lee"


def test_users_may_show_where_they_stand() -> None:
    vultr = Vultr(user_status="present")
    lena = vultr.id("users", "lena@example.org")
    vultr.ok("PUT", f"/v2/organizations/{vultr.home}/user/{lena}/suspend")

    shown = [(u["status"], u["active"]) for u in vultr.ok("GET", "/v2/users")["users"]]
    assert shown == [("Active", True), ("Suspended", False), ("Active", True)]


def test_users_who_have_not_accepted_may_be_listed() -> None:
    vultr = Vultr(pending_users="listed", user_status="present")
    vultr.service.accept(vultr.invite("kim@example.net")["id"])
    for email in ("rosa@example.net", "ROSA@example.net", "omar@example.org"):
        vultr.invite(email)
    vultr.later(days=3)
    vultr.invite("ada@example.net")

    users = vultr.ok("GET", "/v2/users")["users"]
    shown = [(u["email"], u["invite_accepted"], u["status"]) for u in users[-3:]]
    assert shown == [
        ("omar@example.org", True, "Active"),
        ("kim@example.net", True, "Active"),
        ("ada@example.net", False, "Pending"),
    ]
    path = f"/v2/users/{users[-1]['id']}"
    assert vultr.ok("GET", path)["user"] == users[-1]
    assert vultr("PATCH", path, {"name": "Ada"}).error == (404, "Invalid user")


def test_users_as_openapi_describes_them(openapi: Vultr) -> None:
    openapi.service.configure(pending_users="listed")
    openapi.invite()
    *_, omar, rosa = openapi.ok("GET", "/v2/users")["users"]

    assert (omar["first_name"], omar["last_name"]) == ("Omar", "Support")
    assert [(u["invite_accepted"], u["status"]) for u in (omar, rosa)] == [
        (True, "active"),
        (False, "pending"),
    ]
    assert openapi("PATCH", f"/v2/users/{omar['id']}", {"name": "Omar"}).status == 204


def test_a_further_key_of_a_user(vultr: Vultr) -> None:
    keys = f"/v2/users/{vultr.join()}/apikeys"
    made = vultr("POST", keys, {"name": "laptop", "expire": False})
    temporary = {"expire": True, "date_expire": "2026-05-29T00:00:00Z"}
    short = vultr.ok("POST", keys, temporary)["apikey"]

    assert made.status == 201
    assert (made.json["apikey"]["name"], made.json["apikey"]["expire"]) == ("laptop", False)
    assert short["date_expire"] == "2026-05-29T00:00:00+00:00"
    for key in (made.json["apikey"]["api_key"], short["api_key"]):
        assert vultr.ok("GET", "/v2/users/me/groups", key=key)["groups"] == []
    vultr.later(days=1)
    assert vultr("GET", "/v2/users/me/groups", key=short["api_key"]).status == 401
    for wrong in ({"expire": True}, temporary, {"expire": True, "date_expire": "soon"}):
        assert vultr("POST", keys, wrong).error[0] == 400
    assert vultr("POST", keys, {}, key=ENGINEER_KEY).status == 403
    vultr.let_lena("Allow", "account.user.Create")
    assert vultr("POST", keys, {}, key=ENGINEER_KEY).status == 201


# Organizations


def test_organizations_as_openapi_describes_them(openapi: Vultr) -> None:
    listed = openapi.ok("GET", "/v2/organizations")["organizations"]
    path = f"/v2/organizations/{listed[0]['id']}"

    assert openapi.ok("GET", path) == {"organization": listed[0]}
    changed = openapi.ok("PUT", path, {"name": "New", "type": "Personal"})["organization"]
    assert (changed["name"], changed["type"]) == ("New", "Personal")
    assert openapi("POST", f"/v2/users/{NOBODY}/apikeys").error == (404, "Not found.")


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
        "first_name": "Lena",
        "last_name": "Engineer",
        "email": "lena@example.org",
        "date_created": "2026-05-28T20:26:40+00:00",
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
    for method, path in (
        ("DELETE", place),
        ("PUT", f"{place}/suspend"),
        ("DELETE", f"/v2/users/{ines}"),
    ):
        assert vultr(method, path).error[0] == 400


def test_the_life_of_a_group(vultr: Vultr) -> None:
    created = vultr("POST", "/v2/groups", {"display_name": "Night", "description": "Shift"})
    path = f"/v2/groups/{created.json['id']}"

    assert created.status == 201
    assert created.json == {
        "id": created.json["id"],
        "display_name": "Night",
        "description": "Shift",
        "members": [],
        "date_created": "2026-05-28T20:26:40+00:00",
    }
    assert vultr.ok("GET", path) == {"group": created.json}
    assert vultr.ok("PUT", path, {"display_name": "Day"}) == {**created.json, "display_name": "Day"}
    assert vultr("PUT", path, {"display_name": ""}).error[0] == 400
    assert vultr("POST", "/v2/groups", {"description": "x"}).error[0] == 400
    assert vultr("DELETE", path).status == 204
    assert vultr("GET", path).error == (404, "Group not found")
    assert len(vultr.ok("GET", "/v2/groups")["groups"]) == 2


def test_the_members_of_a_group(vultr: Vultr) -> None:
    lena = vultr.id("users", "lena@example.org")
    members = f"/v2/groups/{vultr.id('groups', 'Support')}/members"
    added = vultr("POST", members, {"user_id": lena, "display_name": ""})

    assert added.status == 201
    assert added.json["group_member"] == {
        "id": lena,
        "display_name": "Lena Engineer",
        "email": "lena@example.org",
        "first_name": "Lena",
        "last_name": "Engineer",
        "active": True,
        "service_user": False,
        "date_created": "2026-05-28T20:26:40+00:00",
        "date_updated": "2026-05-28T20:26:40+00:00",
    }
    assert vultr("POST", members, {"user_id": lena}).status == 201
    assert vultr.ok("GET", f"{members}/{lena}") == added.json
    assert [m["email"][:4] for m in vultr.ok("GET", members)["members"]] == ["lena", "omar"]
    assert vultr("DELETE", f"{members}/{lena}").status == 204
    for method in ("GET", "DELETE"):
        assert vultr(method, f"{members}/{lena}").error == (404, "Invalid user")
    restored = vultr("PUT", f"{members}/{lena}")
    assert (restored.status, restored.json) == (202, added.json)
    ines = vultr.id("users", "ines@example.org")
    assert vultr("PUT", f"{members}/{ines}").error == (404, "Invalid user")


@pytest.mark.parametrize("name", ["LENA@example.org", "Lena Engineer", "id"])
def test_a_member_may_be_named_by_display_name(vultr: Vultr, name: str) -> None:
    lena = vultr.id("users", "lena@example.org")
    members = f"/v2/groups/{vultr.id('groups', 'Support')}/members"
    body = {"display_name": lena if name == "id" else name}
    assert vultr.ok("POST", members, body)["group_member"]["id"] == lena


def test_openapi_names_a_member_in_display_name_alone(openapi: Vultr) -> None:
    lena, omar = (openapi.id("users", f"{name}@example.org") for name in ("lena", "omar"))
    openapi.ok("PATCH", f"/v2/users/{omar}", {"name": "Lena Engineer"})
    members = f"/v2/groups/{openapi.id('groups', 'Support')}/members"

    by_name = {"user_id": lena, "display_name": "Lena Engineer"}
    assert openapi("POST", members, by_name).error == (404, "Invalid user")
    added = openapi.ok("POST", members, {"user_id": omar, "display_name": lena})
    assert added["group_member"]["id"] == lena


def test_members_that_do_not_exist(vultr: Vultr) -> None:
    members = f"/v2/groups/{vultr.id('groups', 'Support')}/members"
    for body in ({"user_id": NOBODY, "display_name": "Lena Engineer"}, {"display_name": "Nobody"}):
        assert vultr("POST", members, body).error == (404, "Invalid user")
    assert vultr("POST", members, {}).error[0] == 400


# Roles and policies


def test_the_life_of_a_role(vultr: Vultr) -> None:
    unset = {"name": "Watch", "role_type": "", "max_session_duration": 0}  # as the Go client sends
    created = vultr("POST", "/v2/roles", unset)
    path = f"/v2/roles/{created.json['id']}"

    assert created.status == 201
    assert created.json == {
        "id": created.json["id"],
        "name": "Watch",
        "description": "",
        "role_type": "assumable",
        "max_session_duration": 3600,
        "policies": [],
        "date_created": "2026-05-28T20:26:40+00:00",
    }
    assert vultr.ok("GET", path) == {"role": created.json}
    changed = vultr.ok("PUT", path, {"role_type": "assignable", "max_session_duration": 60})
    assert changed == {**created.json, "role_type": "assignable", "max_session_duration": 60}
    assert vultr("PUT", path, {"role_type": "eternal"}).error[0] == 400
    odds: list[Any] = [-1, 1.5, False, "", "60", [], {}]
    for odd in odds:
        assert vultr("PUT", path, {"max_session_duration": odd}).error[0] == 400
    assert vultr("DELETE", path).status == 204
    assert vultr("GET", path).error == (404, "Role not found")
    assert vultr("PATCH", f"{path}/restore").json == changed
    assert vultr("PATCH", f"{path}/restore").status == 200


def test_the_life_of_a_policy(vultr: Vultr) -> None:
    body = {"name": "Look", "policy_document": DOCUMENT, "extra": 1}
    created = vultr("POST", "/v2/policies", body)
    path = f"/v2/policies/{created.json['id']}"

    assert created.status == 201
    assert created.json == {
        "id": created.json["id"],
        "name": "Look",
        "description": "",
        "policy_document": DOCUMENT,
        "version": "2012-10-17",
        "is_system_policy": False,
        "date_created": "2026-05-28T20:26:40+00:00",
    }
    assert vultr.ok("GET", path) == {"policy": created.json}
    changed = vultr("PUT", path, {"name": "See", "description": "More"})
    assert (changed.status, changed.json["name"]) == (202, "See")
    assert vultr("DELETE", path).status == 204
    assert vultr("GET", path).error == (404, "Policy not found")
    restored = vultr("PATCH", f"{path}/restore")
    assert (restored.status, restored.json) == (202, changed.json)


def test_the_version_of_a_policy_may_stand_in_either_place(vultr: Vultr) -> None:
    bare = {"Statement": DOCUMENT["Statement"]}
    for inside, beside, expected in (
        ("2012-10-20", None, "2012-10-20"),
        (None, "2012-10-20", "2012-10-20"),
        (None, None, "2012-10-17"),
    ):
        body = {"name": "x", "policy_document": {**bare, "Version": inside}, "version": beside}
        assert vultr.ok("POST", "/v2/policies", body)["version"] == expected


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"Statement": []},
        {"Statement": ["Allow"]},
        {"Statement": [{"Effect": "Allow", "Action": "a.b.C"}]},
        {"Statement": [{"Effect": "Allow", "Action": [], "Resource": "*"}]},
        {"Statement": [{"Effect": "Allow", "Action": ["a", 7], "Resource": "*"}]},
        {"Statement": [{"Effect": "Perhaps", "Action": "a.b.C", "Resource": "*"}]},
    ],
)
def test_policies_that_make_no_sense(vultr: Vultr, document: Any) -> None:
    body = {"name": "x", "policy_document": document}
    assert vultr("POST", "/v2/policies", body).error == (400, "Invalid policy_document.")


def test_a_system_policy_is_read_only(vultr: Vultr) -> None:
    path = f"/v2/policies/{vultr.id('policies', 'Administrator Access')}"
    for method in ("PUT", "DELETE"):
        assert vultr(method, path, {}).error == (403, "System policies cannot be changed.")


def test_assumable_roles_are_not_attached(vultr: Vultr) -> None:
    role = f"/v2/roles/{vultr.id('roles', 'Incident Response')}"
    lena, support = vultr.id("users", "lena@example.org"), vultr.id("groups", "Support")
    for right in (f"users/{lena}", f"groups/{support}"):
        assert vultr("POST", f"{role}/{right}").error[0] == 400
    assert vultr("POST", f"{role}/policies/{vultr.id('policies', 'Compute')}").status == 201
    vultr.service.configure(assumable="accept")
    assert vultr("POST", f"{role}/users/{lena}").status == 201


RELATIONS = [
    ("roles", "Support", "users", "lena@example.org", "role_user", "assignments"),
    ("roles", "Support", "groups", "Engineering", "role_group", "assignments"),
    ("roles", "Support", "policies", "Compute", "role_policy", "policies"),
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
    assert ("assigned_by" in made) is (openapi or name == "role_policy")
    vultr.later(hours=1)
    assert vultr("POST", one).json == first.json
    vultr.service.configure(reattach="refuse")
    assert vultr("POST", one).error[0] == 400

    [listed] = vultr.ok("GET", path)[f"{name}_relationships" if openapi else key]
    if openapi or key == "assignments":
        assert listed == made
    else:
        assert listed["id"] == ids[1]
        assert listed.get("assigned_date", "none") == (
            "none" if name == "role_policy" else "2026-05-28T20:26:40+00:00"
        )
    assert vultr("DELETE", one).status == 204
    assert vultr("DELETE", one).status == 404
    assert vultr.ok("GET", path)["meta"]["total"] == 0


def test_the_deprecated_way_to_attach_a_policy(vultr: Vultr) -> None:
    role, policy = vultr.id("roles", "Support"), vultr.id("policies", "Compute")
    path = f"/v2/roles/{role}/policies"

    made = vultr("POST", path, {"policy_id": policy})
    assert (made.status, made.json["policy_id"]) == (201, policy)
    assert vultr("POST", path, {"policy_id": NOBODY}).error == (404, "Policy not found")
    assert vultr("POST", path, {}).error[0] == 400
    assert names(vultr.ok("GET", path)["policies"]) == ["Compute"]
    assert names(vultr.ok("GET", f"/v2/roles/{role}")["role"]["policies"]) == ["Compute"]


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
        assert names(policies["inherited"]) == ["Invoice Reading", "Ticket Handling"]
        assert {p["from_role"] for p in policies["all"]} == {r["id"] for r in roles["all"]}


def test_what_lena_has(vultr: Vultr) -> None:
    policies = vultr.ok("GET", "/v2/users/me/policies", key=ENGINEER_KEY)["policies"]
    assert [(p["name"], p["source"]) for p in policies["direct"]] == [("Invoice Reading", "direct")]
    assert [(p["name"], p["source"]) for p in policies["inherited"]] == [("Compute", "group")]
    assert not any("from_role" in p for p in policies["all"])


def test_what_a_group_has(vultr: Vultr) -> None:
    path = f"/v2/groups/{vultr.id('groups', 'Support')}"
    roles = vultr.ok("GET", f"{path}/roles")["roles"]
    policies = vultr.ok("GET", f"{path}/policies")["policies"]

    assert [role["display_name"] for role in roles["direct"]] == ["Support Engineer"]
    assert (roles["all"], roles["inherited"]) == (roles["direct"], [])
    assert names(policies["from_roles"]) == names(policies["all"]) == ["Ticket Handling"]
    assert policies["direct"] == []


def test_access_as_openapi_describes_it(openapi: Vultr) -> None:
    support = openapi.id("groups", "Support")
    [group] = openapi.ok("GET", "/v2/users/me/groups", key=SUPPORTER_KEY)["groups"]
    roles = openapi.ok("GET", "/v2/users/me/roles", key=SUPPORTER_KEY)["roles"]
    policies = openapi.ok("GET", "/v2/users/me/policies", key=SUPPORTER_KEY)["policies"]
    of_group = openapi.ok("GET", f"/v2/groups/{support}/roles")["role_group_relationships"]
    through = openapi.ok("GET", f"/v2/groups/{support}/policies")["policy_group_relationships"]
    shown = openapi.ok("GET", f"/v2/groups/{support}", show_last_activity="true")["group"]

    assert group["members"][0]["display_name"] == "Omar Support"
    assert [role["role_name"] for role in roles] == ["Support Engineer", "Billing Viewer"]
    assert sorted(p["policy_name"] for p in policies) == ["Invoice Reading", "Ticket Handling"]
    assert [(r["role_name"], r["group_id"]) for r in of_group] == [("Support Engineer", support)]
    assert [p["policy_name"] for p in through] == ["Ticket Handling"]
    assert (shown["status"], "last_activity" in shown) == ("active", True)


def test_openapi_wraps_every_single_object(openapi: Vultr) -> None:
    for kind, key in (("groups", "group"), ("roles", "role"), ("policies", "policy")):
        body = {"name": "x", "display_name": "x", "policy_document": DOCUMENT}
        made = openapi.ok("POST", f"/v2/{kind}", body)
        path = f"/v2/{kind}/{made[key]['id']}"
        assert openapi.ok("GET", path) == openapi.ok("PUT", path, {}) == made


def test_access_pages_cut_the_whole_and_its_parts(vultr: Vultr) -> None:
    omar = f"/v2/users/{vultr.id('users', 'omar@example.org')}/roles"
    first = vultr.ok("GET", omar, per_page=1)
    rest = vultr.ok("GET", omar, per_page=1, cursor=first["meta"]["links"]["next"])

    assert first["meta"]["total"] == 2
    assert names(first["roles"]["inherited"]) == ["Support Engineer"]
    assert first["roles"]["direct"] == rest["roles"]["inherited"] == []
    assert names(rest["roles"]["all"]) == names(rest["roles"]["direct"]) == ["Billing Viewer"]


def test_what_is_deleted_grants_nothing_until_it_is_restored(vultr: Vultr) -> None:
    role = f"/v2/roles/{vultr.id('roles', 'Support Engineer')}"

    def has() -> list[str]:
        mine = vultr.ok("GET", "/v2/users/me/policies", key=SUPPORTER_KEY)
        return names(mine["policies"]["all"])

    assert "Ticket Handling" in has()
    vultr.ok("DELETE", role)
    assert has() == ["Invoice Reading"]
    vultr.ok("PATCH", f"{role}/restore")
    assert "Ticket Handling" in has()


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


def test_documented_actions(vultr: Vultr) -> None:
    paths = {
        "iam.group.Read": f"/v2/groups/{vultr.id('groups', 'Support')}",
        "iam.role.Read": f"/v2/roles/{vultr.id('roles', 'Support')}",
        "account.user.Read": f"/v2/users/{vultr.id('users', 'omar@example.org')}",
    }
    for action, path in paths.items():
        assert vultr("GET", path, key=ENGINEER_KEY).status == 403
        vultr.let_lena("Allow", action)
        assert vultr("GET", path, key=ENGINEER_KEY).status == 200


def test_the_acl_manage_users_is_as_good_as_root(vultr: Vultr) -> None:
    lena = vultr.id("users", "lena@example.org")
    vultr.ok("PATCH", f"/v2/users/{lena}", {"acls": ["manage_users"]})
    vultr.let_lena("Deny", "*")
    assert vultr("POST", "/v2/groups", {"display_name": "Night"}, key=ENGINEER_KEY).status == 201


# The sandbox's side


def test_the_same_seed_gives_the_same_ids() -> None:
    first, second = Vultr(), Vultr()
    id = first.invite()["id"]

    assert id == second.invite()["id"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id)
    assert first.service.snapshot() == second.service.snapshot()


def test_a_name_that_fits_a_group_and_a_role(vultr: Vultr) -> None:
    assert vultr.id("groups", "Support") != vultr.id("roles", "Support")
