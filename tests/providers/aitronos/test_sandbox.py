"""The imitation of Aitronos, driven in-process: no sockets, no event loop, virtual time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from starlette.types import Message, Scope

from guestlist.sandbox.service import Clock, SandboxRefusal
from guestlist_aitronos.sandbox import AitronosService, members, seed
from guestlist_aitronos.sandbox.bodies import Fields
from guestlist_aitronos.sandbox.service import ROUTES

START = 1_770_000_000.0  # 2026-02-02T02:40:00Z
ORG = f"/v1/organizations/{seed.ORGANIZATION}"
EMAIL = "noor@example.net"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """The code of the error envelope, whose parts are all there."""
        error = self.body["error"]
        assert self.body["success"] is False
        assert error["status"] == self.status
        assert error["type"] == "client_error"
        assert error["trace_id"]
        assert error["timestamp"].endswith("Z")
        assert error["message"]
        assert error["system_message"]
        return str(error["code"])


class Sandbox:
    """A service and somebody who calls it: the owner, unless told otherwise."""

    def __init__(self, service: AitronosService) -> None:
        self.service = service

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        query: Mapping[str, Any] | None = None,
        key: str | None = seed.OWNER_KEY,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        sent_headers = dict(headers or {})
        if token is not None:
            sent_headers["authorization"] = f"Bearer {token}"
        elif key is not None:
            sent_headers["x-api-key"] = key
        scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "root_path": "",
            "query_string": urlencode(query or {}).encode(),
            "headers": [(n.encode(), v.encode()) for n, v in sent_headers.items()],
            "client": ("127.0.0.1", 1234),
            "server": ("127.0.0.1", 80),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        run = self.service.app(scope, receive, send)
        with pytest.raises(StopIteration):  # that is, it never suspends
            run.send(None)  # type: ignore[attr-defined]
        answered = {n.decode(): v.decode() for n, v in sent[0]["headers"]}
        return Reply(sent[0]["status"], answered, b"".join(m["body"] for m in sent[1:]))

    def get(self, path: str, **options: Any) -> Reply:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.call("POST", path, body, **options)

    def role(self, name: str = "Member") -> str:
        roles = self.get(f"{ORG}/roles").body
        return str(next(role["id"] for role in roles if role["name"] == name))

    def status(self, name: str) -> str:
        statuses = self.get(f"{ORG}/statuses").body
        return str(next(status["id"] for status in statuses if status["name"] == name))

    def invite(self, email: str = EMAIL, *, role: str = "Member", **options: Any) -> Any:
        wanted = {"email": email, "role_id": self.role(role)}
        reply = self.post(f"{ORG}/invite-user", wanted, **options)
        assert reply.status == 201, reply.body
        return reply.body

    def members(self, **wanted: Any) -> Any:
        return self.post(f"{ORG}/users", wanted).body

    def member(self, email: str) -> Any:
        (found,) = self.members(search_term=email, include_deleted=True)["users"]
        return found

    def details(self, **selector: str) -> Reply:
        return self.get(f"{ORG}/invitation", query=selector)

    def complete(self, key: str, **changed: Any) -> Reply:
        wanted = {"email_key": key, "full_name": "Noor Example", "password": "correct-horse-9"}
        return self.post("/v1/invitations/complete", wanted | changed, key=None)

    def accept(self, email_key: str, **options: Any) -> Reply:
        return self.post("/v1/invitations/accept", query={"email_key": email_key}, **options)

    def forward(self, **by: float) -> None:
        self.service.clock.advance(timedelta(**by))

    def mails(self, to: str = EMAIL) -> int:
        return len(list(self.service.outbox.to(to)))

    def state(self, invitation: str) -> str:
        found = self.service.snapshot()["invitations"]
        return next(str(one["state"]) for one in found if one["id"] == invitation)


Make = Callable[..., Sandbox]


@pytest.fixture
def make() -> Make:
    def make(**options: Any) -> Sandbox:
        return Sandbox(AitronosService(clock=Clock(lambda: START), **options))

    return make


@pytest.fixture
def sandbox(make: Make) -> Sandbox:
    return make()


def key_of(invited: Mapping[str, Any]) -> str:
    return str(parse_qs(urlsplit(invited["invitation_link"]).query)["invite"][0])


# --- inviting -----------------------------------------------------------------------------------


def test_invite_answers_variant_b_and_sends_a_mail(make: Make) -> None:
    sandbox = make(invite_reply="profile")
    invited = sandbox.invite()
    assert set(invited) == {"invitation_id", "email", "role_id", "user_id", "invitation_link"}
    assert invited["email"] == EMAIL
    assert invited["role_id"] == sandbox.role()
    assert invited["invitation_id"].startswith("inv_")
    assert invited["user_id"].startswith("usr_")
    link = invited["invitation_link"]
    assert link.startswith("https://chat.aitronos.com/user/register?invite=invkey_")
    assert len(key_of(invited)) == len("invkey_") + 32
    (mail,) = sandbox.service.outbox.to(EMAIL)
    assert (mail.service, mail.invitation) == ("aitronos", invited["invitation_id"])
    assert (mail.link, mail.organization) == (link, seed.ORGANIZATION_NAME)
    assert mail.expires_at == sandbox.service.clock.now() + timedelta(days=7)


def test_invite_answers_variant_a_in_the_other_profile(make: Make) -> None:
    invited = make(profile="organizations", invite_reply="profile").invite()
    assert invited.pop("invitation_id").startswith("inv_")
    assert invited.pop("invitation_key").startswith("invkey_")
    assert invited.pop("user_id").startswith("usr_")
    assert invited == {"email": EMAIL, "is_new_user": True, "expires_at": "2026-02-09T02:40:00Z"}


@pytest.mark.parametrize("profile", AitronosService.profiles)
def test_invite_answers_the_union(make: Make, profile: str) -> None:
    invited = make(profile=profile).invite()
    assert invited["invitation_link"].endswith(invited["invitation_key"])
    assert {"role_id", "is_new_user", "expires_at"} <= set(invited)


@pytest.mark.parametrize(
    ("days", "expires_at"), [("1", "2026-02-03T02:40:00Z"), ("30", "2026-03-04T02:40:00Z")]
)
def test_invitations_live_as_long_as_chosen(make: Make, days: str, expires_at: str) -> None:
    sandbox = make(validity_days=days)
    sandbox.invite()
    assert sandbox.details(email=EMAIL).body["expires_at"] == expires_at


def test_invite_wants_a_role(sandbox: Sandbox) -> None:
    reply = sandbox.post(f"{ORG}/invite-user", {"email": EMAIL})
    assert (reply.status, reply.code) == (422, "VALIDATION_ERROR")


def test_invite_tells_that_an_account_exists(make: Make) -> None:
    invited = make(profile="organizations").invite(seed.OUTSIDER_EMAIL)
    assert invited["is_new_user"] is False


def test_invite_without_mail(sandbox: Sandbox) -> None:
    wanted = {"email": EMAIL, "role_id": sandbox.role(), "send_invitation": False}
    assert sandbox.post(f"{ORG}/invite-user", wanted).status == 201
    assert sandbox.mails() == 0


@pytest.mark.parametrize("send", [True, False])
def test_invite_takes_the_other_names_of_its_fields(sandbox: Sandbox, send: bool) -> None:
    wanted = {"email": EMAIL, "role_name": "support", "send_email": send}
    reply = sandbox.post(f"{ORG}/invite-user", wanted)
    assert reply.body["role_id"] == sandbox.role("Support")
    assert sandbox.mails() == int(send)


def test_invite_refuses_an_unknown_role_name(sandbox: Sandbox) -> None:
    reply = sandbox.post(f"{ORG}/invite-user", {"email": EMAIL, "role_name": "Emperor"})
    assert (reply.status, reply.code) == (404, "RESOURCE_NOT_FOUND")


def test_strict_refuses_fields_it_does_not_know(make: Make) -> None:
    sandbox = make(extra_fields="strict")
    wanted = {"email": EMAIL, "role_id": sandbox.role(), "send_email": True}
    reply = sandbox.post(f"{ORG}/invite-user", wanted)
    assert (reply.status, reply.code) == (422, "VALIDATION_ERROR")
    (problem,) = reply.body["error"]["details"]["errors"]
    assert (problem["field"], problem["type"]) == ("send_email", "extra_forbidden")
    sandbox.invite()


def test_invite_refuses_a_member(sandbox: Sandbox) -> None:
    wanted = {"email": seed.SUPPORT_EMAIL.upper(), "role_id": sandbox.role()}
    reply = sandbox.post(f"{ORG}/invite-user", wanted)
    assert (reply.status, reply.code) == (409, "RESOURCE_ALREADY_EXISTS")


def test_invite_refuses_an_invited_address(sandbox: Sandbox) -> None:
    sandbox.invite()
    reply = sandbox.post(f"{ORG}/invite-user", {"email": EMAIL, "role_id": sandbox.role()})
    assert (reply.status, reply.code) == (409, "RESOURCE_ALREADY_EXISTS")
    assert sandbox.mails() == 1


def test_invite_can_refresh_an_invited_address(make: Make) -> None:
    sandbox = make(duplicates="refresh")
    first = sandbox.invite()
    sandbox.forward(days=3)
    second = sandbox.invite(role="Support")
    renewed = {"role_id": sandbox.role("Support"), "expires_at": "2026-02-12T02:40:00Z"}
    assert second == first | renewed
    assert sandbox.details(email=EMAIL).body["expires_at"] == "2026-02-12T02:40:00Z"
    assert sandbox.mails() == 2


def test_invite_again_after_expiry_withdraws_the_old_invitation(sandbox: Sandbox) -> None:
    first = sandbox.invite()
    sandbox.forward(days=7)
    second = sandbox.invite()
    assert second["user_id"] == first["user_id"]
    assert second["invitation_id"] != first["invitation_id"]
    assert sandbox.details(email=EMAIL).body["invitation_id"] == second["invitation_id"]
    assert sandbox.details(invitation_id=first["invitation_id"]).status == 404


def test_invite_checks_in_the_documented_order(sandbox: Sandbox) -> None:
    def invite(email: str, role: str, **options: Any) -> Reply:
        return sandbox.post(f"{ORG}/invite-user", {"email": email, "role_id": role}, **options)

    unknown, known, bad = "role_unknown", sandbox.role(), "not an address"
    assert invite(bad, unknown, key=None).code == "AUTHENTICATION_REQUIRED"
    assert invite(bad, unknown, key=seed.OUTSIDER_KEY).code == "ORGANIZATION_ACCESS_DENIED"
    assert invite(bad, unknown, key=seed.READ_ONLY_KEY).code == "INSUFFICIENT_PERMISSIONS"
    assert invite(seed.OWNER_EMAIL, unknown).status == 404
    assert invite(seed.OWNER_EMAIL, known).status == 409
    assert invite(bad, known).code == "INVALID_EMAIL_FORMAT"


@pytest.mark.parametrize(
    "email", ["", "noor", "@example.net", "noor@", "noor@net", "a b@c.de", "a@b..de", "a\0@b.de"]
)
def test_invite_refuses_what_is_no_address(sandbox: Sandbox, email: str) -> None:
    reply = sandbox.post(f"{ORG}/invite-user", {"email": email, "role_id": sandbox.role()})
    assert (reply.status, reply.code) == (422, "INVALID_EMAIL_FORMAT")


def test_any_member_may_invite_when_so_chosen(make: Make) -> None:
    sandbox = make(who_may_invite="member")
    invited = sandbox.invite(key=seed.READ_ONLY_KEY)
    path = f"{ORG}/invitations/{invited['invitation_id']}"
    assert sandbox.call("DELETE", path, key=seed.READ_ONLY_KEY).status == 204


def test_ids_repeat_with_the_seed(make: Make) -> None:
    quiet, chatty = make(), make()
    for _ in range(5):
        chatty.get(f"{ORG}/nothing")
    assert quiet.invite() == chatty.invite()
    assert make(seed=1).invite() != make(seed=2).invite()


def test_invite_v2(sandbox: Sandbox) -> None:
    wanted = {
        "email": EMAIL,
        "full_name": "Noor",
        "role_ids": [sandbox.role("Admin"), sandbox.role("Support")],
        "department_ids": ["dept_1"],
        "custom_message": "See you on Monday.",
    }
    reply = sandbox.post(f"{ORG}/users/invite/v2", wanted)
    assert reply.status == 201
    assert reply.body["account_state"] == "invited"
    assert [role["name"] for role in reply.body["roles"]] == ["Admin", "Support"]
    assert reply.body["departments"] == [{"id": "dept_1"}]
    (mail,) = sandbox.service.outbox.to(EMAIL)
    assert "See you on Monday." in mail.text
    assert sandbox.details(user_id=reply.body["id"]).status == 200


def test_invite_v2_makes_a_plain_member_by_default(make: Make) -> None:
    sandbox = make(members_include_invited="no")
    reply = sandbox.post(f"{ORG}/users/invite/v2", {"email": EMAIL})
    assert [role["name"] for role in reply.body["roles"]] == ["Member"]


# --- looking up ---------------------------------------------------------------------------------


def test_an_invitation_is_found_by_each_selector(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    found = sandbox.details(email=EMAIL.upper()).body
    told = {name: invited[name] for name in invited.keys() - {"invitation_key", "is_new_user"}}
    assert found == told | {
        "organization_id": seed.ORGANIZATION,
        "created_at": "2026-02-02T02:40:00Z",
        "expires_at": "2026-02-09T02:40:00Z",
    }
    assert sandbox.details(user_id=invited["user_id"]).body == found
    assert sandbox.details(invitation_id=invited["invitation_id"]).body == found


@pytest.mark.parametrize(
    "selector", [{}, {"email": ""}, {"email": EMAIL, "user_id": "usr_1"}, {"other": "x"}]
)
def test_looking_up_takes_exactly_one_selector(sandbox: Sandbox, selector: dict[str, str]) -> None:
    reply = sandbox.details(**selector)
    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "selector",
    [
        {"email": EMAIL},
        {"email": seed.SUPPORT_EMAIL},
        {"user_id": "usr_0"},
        {"invitation_id": "inv_0"},
    ],
)
def test_looking_up_what_is_not_there(sandbox: Sandbox, selector: dict[str, str]) -> None:
    reply = sandbox.details(**selector)
    assert (reply.status, reply.code) == (404, "INVITATION_NOT_FOUND")


def test_members_may_look_up(sandbox: Sandbox) -> None:
    sandbox.invite()
    query = {"email": EMAIL}
    assert sandbox.get(f"{ORG}/invitation", query=query, key=seed.READ_ONLY_KEY).status == 200
    assert sandbox.get(f"{ORG}/invitation", query=query, key=seed.OUTSIDER_KEY).status == 403


@pytest.mark.parametrize(("choice", "status"), [("found", 200), ("missing", 404)])
def test_looking_up_an_expired_invitation(make: Make, choice: str, status: int) -> None:
    sandbox = make(expired_lookup=choice)
    invited = sandbox.invite()
    sandbox.forward(days=6, hours=23)
    assert sandbox.details(email=EMAIL).status == 200
    sandbox.forward(hours=1)
    assert sandbox.details(email=EMAIL).status == status
    assert sandbox.state(invited["invitation_id"]) == "expired"


def test_invitations_cannot_be_listed(sandbox: Sandbox) -> None:
    assert sandbox.get(f"{ORG}/invitations").status == 404
    assert sandbox.get(f"{ORG}/invitations/inv_1").code == "METHOD_NOT_ALLOWED"


# --- sending again ------------------------------------------------------------------------------


def resend(sandbox: Sandbox, person: str, **options: Any) -> Reply:
    return sandbox.post(f"{ORG}/users/{person}/resend-invitation", **options)


def test_resend_by_user_and_membership_id(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    row = sandbox.member(EMAIL)["id"]
    for person in (invited["user_id"], row, row.replace("orgusr_", "orguser_")):
        reply = resend(sandbox, person)
        assert (reply.status, reply.content) == (204, b"")
    assert sandbox.mails() == 4
    assert key_of(sandbox.details(email=EMAIL).body) == key_of(invited)


def test_resend_answers_a_message_in_the_other_profile(make: Make) -> None:
    sandbox = make(profile="organizations")
    reply = resend(sandbox, sandbox.invite()["user_id"])
    assert (reply.status, reply.body["success"]) == (200, True)
    assert reply.body["message"]


@pytest.mark.parametrize(
    ("choice", "expires_at"),
    [("yes", "2026-02-17T02:40:00Z"), ("no", "2026-02-09T02:40:00Z")],
)
def test_resend_of_an_expired_invitation(make: Make, choice: str, expires_at: str) -> None:
    sandbox = make(resend_moves_expiry=choice)
    invited = sandbox.invite()
    sandbox.forward(days=8)
    assert resend(sandbox, invited["user_id"]).status == 204
    assert sandbox.details(email=EMAIL).body["expires_at"] == expires_at


def test_resend_refusals(sandbox: Sandbox) -> None:
    assert resend(sandbox, "usr_0").code == "INVITATION_NOT_FOUND"
    assert resend(sandbox, sandbox.member(seed.SUPPORT_EMAIL)["id"]).status == 404
    invited = sandbox.invite()
    assert resend(sandbox, invited["user_id"], key=seed.READ_ONLY_KEY).status == 403
    sandbox.complete(key_of(invited))
    reply = resend(sandbox, invited["user_id"])
    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")


def test_resend_bulk_tells_each_failure(sandbox: Sandbox) -> None:
    first, second = sandbox.invite(), sandbox.invite("second@example.net")
    sandbox.complete(key_of(second))
    ids = [first["user_id"], second["user_id"], "usr_0"]
    reply = sandbox.post(f"{ORG}/users/resend-invitation-bulk", {"user_ids": ids})
    assert reply.status == 200
    assert reply.body == {
        "success_count": 1,
        "failure_count": 2,
        "failed_operations": [
            {"id": second["user_id"], "error": "Invitation already accepted"},
            {"id": "usr_0", "error": "Invitation not found"},
        ],
    }


@pytest.mark.parametrize("path", ["resend-invitation-bulk", "delete-bulk", "change-status-bulk"])
def test_bulk_takes_at_most_a_thousand(sandbox: Sandbox, path: str) -> None:
    more = {"status_id": sandbox.status("Active")}
    ids = [f"usr_{number}" for number in range(1_001)]
    assert sandbox.post(f"{ORG}/users/{path}", {"user_ids": ids} | more).status == 422
    reply = sandbox.post(f"{ORG}/users/{path}", {"user_ids": ids[:-1]} | more)
    assert (reply.status, reply.body["failure_count"]) == (200, 1_000)
    reply = sandbox.post(f"{ORG}/users/{path}", {"user_ids": ids} | more, key=seed.READ_ONLY_KEY)
    assert reply.code == "INSUFFICIENT_PERMISSIONS"


# --- cancelling ---------------------------------------------------------------------------------


def cancel(sandbox: Sandbox, invitation: str, **options: Any) -> Reply:
    return sandbox.call("DELETE", f"{ORG}/invitations/{invitation}", **options)


def test_cancel_removes_the_row_and_kills_the_link(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    reply = cancel(sandbox, invited["invitation_id"])
    assert (reply.status, reply.content) == (204, b"")
    assert sandbox.state(invited["invitation_id"]) == "cancelled"
    assert sandbox.details(invitation_id=invited["invitation_id"]).status == 404
    assert sandbox.members(search_term=EMAIL, include_deleted=True)["total_users_count"] == 0
    assert sandbox.get(f"/v1/invitations/validate/{key_of(invited)}").status == 404
    assert sandbox.complete(key_of(invited)).status == 404
    assert resend(sandbox, invited["user_id"]).status == 404
    assert sandbox.invite()["user_id"] == invited["user_id"]


def test_cancel_refusals(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    assert cancel(sandbox, "inv_0").code == "INVITATION_NOT_FOUND"
    assert cancel(sandbox, invited["invitation_id"], key=seed.READ_ONLY_KEY).status == 403
    assert cancel(sandbox, invited["invitation_id"]).status == 204
    assert cancel(sandbox, invited["invitation_id"]).status == 404
    used = sandbox.invite("second@example.net")
    sandbox.complete(key_of(used))
    assert cancel(sandbox, used["invitation_id"]).status == 404


def test_cancel_of_a_former_member_leaves_the_deleted_row(sandbox: Sandbox) -> None:
    row = sandbox.member(seed.SUPPORT_EMAIL)
    sandbox.call("DELETE", f"{ORG}/users/{row['id']}/delete")
    invited = sandbox.invite(seed.SUPPORT_EMAIL)
    assert sandbox.member(seed.SUPPORT_EMAIL)["status"]["name"] == "InvitationSent"
    cancel(sandbox, invited["invitation_id"])
    assert sandbox.member(seed.SUPPORT_EMAIL)["status"]["name"] == "Deleted"


# --- answering an invitation --------------------------------------------------------------------


def validate(sandbox: Sandbox, key: str) -> Reply:
    return sandbox.get(f"/v1/invitations/validate/{key}", key=None)


def test_validate_is_public(sandbox: Sandbox) -> None:
    invited = sandbox.invite(role="Support")
    assert validate(sandbox, key_of(invited)).body == {
        "valid": True,
        "invitation_id": invited["invitation_id"],
        "email": EMAIL,
        "organization_id": seed.ORGANIZATION,
        "organization_name": "Example Works",
        "role_id": sandbox.role("Support"),
        "role_name": "Support",
        "expires_at": "2026-02-09T02:40:00Z",
    }
    assert validate(sandbox, "invkey_0").code == "INVITATION_NOT_FOUND"
    sandbox.forward(days=7)
    assert validate(sandbox, key_of(invited)).status == 400


def test_complete_registers_and_signs_in(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    assert sandbox.get(f"/v1/user/{invited['user_id']}").body["is_active"] is False
    reply = sandbox.complete(key_of(invited))
    assert reply.status == 200
    done = reply.body
    assert done["success"] is True
    assert (done["user_id"], done["email"]) == (invited["user_id"], EMAIL)
    assert done["organization_id"] == seed.ORGANIZATION
    assert done["device_id"] is None
    assert done["recommended_username"] == "noor"
    assert done["refresh_token"]["expires_at"] == "2026-03-04T02:40:00Z"
    claims = done["token"].split(".")[1]
    claimed = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert claimed["sub"] == invited["user_id"]

    assert sandbox.get("/v1/user/me", token=done["token"]).body["full_name"] == "Noor Example"
    assert sandbox.member(EMAIL)["status"]["name"] == "Active"
    assert sandbox.details(email=EMAIL).status == 404
    assert validate(sandbox, key_of(invited)).status == 400
    assert sandbox.complete(key_of(invited)).status == 400
    assert sandbox.state(invited["invitation_id"]) == "accepted"


@pytest.mark.parametrize(
    "changed",
    [
        {"full_name": ""},
        {"full_name": "x" * 256},
        {"password": "x" * 7},
        {"email_key": ""},
        {"email_key": None},
        {"password": 12345678},
    ],
)
def test_complete_checks_its_body(sandbox: Sandbox, changed: dict[str, Any]) -> None:
    reply = sandbox.complete(key_of(sandbox.invite()), **changed)
    assert (reply.status, reply.code) == (422, "VALIDATION_ERROR")


def test_complete_refuses_an_expired_invitation(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    sandbox.forward(days=7)
    assert sandbox.complete(key_of(invited)).code == "VALIDATION_ERROR"
    assert sandbox.complete("invkey_0").status == 404


def test_complete_does_not_overwrite_an_account(sandbox: Sandbox) -> None:
    invited = sandbox.invite(seed.OUTSIDER_EMAIL)
    assert sandbox.complete(key_of(invited)).status == 400
    assert sandbox.accept(key_of(invited), key=seed.OUTSIDER_KEY).status == 200


@pytest.mark.parametrize("place", ["query", "body"])
def test_accept_takes_the_key_from_query_or_body(sandbox: Sandbox, place: str) -> None:
    invited = sandbox.invite(seed.OUTSIDER_EMAIL)
    wanted = {"email_key": key_of(invited)}
    options = {"query": wanted} if place == "query" else {"body": wanted}
    reply = sandbox.post("/v1/invitations/accept", key=seed.OUTSIDER_KEY, **options)
    assert reply.status == 200
    assert reply.body == {
        "success": True,
        "organization_id": seed.ORGANIZATION,
        "organization_name": "Example Works",
        "role_id": sandbox.role(),
        "role_name": "Member",
    }
    assert sandbox.get(ORG, key=seed.OUTSIDER_KEY).status == 200


def test_accept_prefers_the_query(sandbox: Sandbox) -> None:
    key = key_of(sandbox.invite(seed.OUTSIDER_EMAIL))
    options = {"key": seed.OUTSIDER_KEY, "body": {"email_key": "invkey_0"}}
    assert sandbox.accept(key, **options).status == 200


def test_accept_refusals(sandbox: Sandbox) -> None:
    invited = sandbox.invite(seed.OUTSIDER_EMAIL)
    key = key_of(invited)
    assert sandbox.accept(key, key=None).status == 401
    assert sandbox.accept("", key=seed.OUTSIDER_KEY, body={}).code == "VALIDATION_ERROR"
    assert sandbox.accept("", key=seed.OUTSIDER_KEY).status == 422
    assert sandbox.accept("invkey_0", key=seed.OUTSIDER_KEY).status == 404
    assert sandbox.accept(key).code == "ACCESS_DENIED"
    sandbox.forward(days=7)
    assert sandbox.accept(key, key=seed.OUTSIDER_KEY).status == 400
    resend(sandbox, invited["user_id"])
    assert sandbox.accept(key, key=seed.OUTSIDER_KEY).status == 200
    assert sandbox.accept(key, key=seed.OUTSIDER_KEY).status == 409


def test_accept_by_another_address_when_so_chosen(make: Make) -> None:
    sandbox = make(accept_address="any")
    key = key_of(sandbox.invite(role="Support"))
    assert sandbox.accept(key).status == 409  # the owner is a member already
    assert sandbox.accept(key, key=seed.OUTSIDER_KEY).status == 200
    assert sandbox.member(seed.OUTSIDER_EMAIL)["role"]["name"] == "Support"
    assert sandbox.members(search_term=EMAIL, include_deleted=True)["total_users_count"] == 0
    assert sandbox.accept(key, key=seed.OUTSIDER_KEY).status == 409


def test_accept_by_another_address_of_a_former_members_invitation(make: Make) -> None:
    sandbox = make(accept_address="any")
    row = sandbox.member(seed.SUPPORT_EMAIL)["id"]
    sandbox.call("DELETE", f"{ORG}/users/{row}/delete")
    key = key_of(sandbox.invite(seed.SUPPORT_EMAIL))
    assert sandbox.accept(key, key=seed.OUTSIDER_KEY).status == 200
    assert sandbox.member(seed.SUPPORT_EMAIL)["status"]["name"] == "Deleted"


def test_the_mailbox_accepts_for_the_invitee(sandbox: Sandbox) -> None:
    new, known = sandbox.invite(), sandbox.invite(seed.OUTSIDER_EMAIL)
    for invited in (new, known):
        sandbox.service.accept(invited["invitation_id"])
        assert sandbox.state(invited["invitation_id"]) == "accepted"
    emails = {member["email"] for member in sandbox.service.snapshot()["members"]}
    assert {EMAIL, seed.OUTSIDER_EMAIL} <= emails
    login = {"email_or_username": EMAIL, "password": seed.PASSWORD}
    assert sandbox.post("/v1/auth/dev-login", login, key=None).status == 200


def test_the_mailbox_refuses_what_the_service_refuses(sandbox: Sandbox) -> None:
    def refused(invitation: str) -> str:
        with pytest.raises(SandboxRefusal) as refusal:
            sandbox.service.accept(invitation)
        return str(refusal.value)

    assert "does not exist" in refused("inv_0")
    first = sandbox.invite()["invitation_id"]
    sandbox.service.accept(first)
    assert "used" in refused(first)
    second = sandbox.invite("second@example.net")["invitation_id"]
    cancel(sandbox, second)
    assert "cancelled" in refused(second)
    third = sandbox.invite("third@example.net")["invitation_id"]
    sandbox.forward(days=7)
    assert "expired" in refused(third)
    with pytest.raises(SandboxRefusal, match="no way to decline"):
        sandbox.service.decline(third)


# --- members ------------------------------------------------------------------------------------


def test_members_are_listed_with_nested_role_and_status(sandbox: Sandbox) -> None:
    sandbox.forward(hours=1)
    sandbox.invite()
    listed = sandbox.members()
    assert {name: listed[name] for name in ("total_users_count", "skip", "take")} == {
        "total_users_count": 4,
        "skip": 0,
        "take": 10,
    }
    first = listed["users"][0]  # newest first
    assert first["email"] == EMAIL
    assert first["id"].startswith("orgusr_")
    assert first["full_name"] is None
    assert first["role"] == {"id": sandbox.role(), "name": "Member"}
    assert first["status"] == {
        "id": sandbox.status("InvitationSent"),
        "name": "InvitationSent",
        "selectable_in_ui": False,
    }
    assert first["joined_at"] == first["created_at"] == "2026-02-02T03:40:00Z"


def test_members_are_flat_in_the_other_profile(make: Make) -> None:
    listed = make(profile="organizations").members(take=1, sort_field="email")
    assert {name: listed[name] for name in ("total", "skip", "limit")} == {
        "total": 3,
        "skip": 0,
        "limit": 1,
    }
    (member,) = listed["members"]
    assert (member["role_name"], member["status_name"]) == ("Support", "Active")
    assert {"role", "status"}.isdisjoint(member)


def test_members_are_paged(sandbox: Sandbox) -> None:
    for number in range(105):
        email = f"guest{number}@example.net"
        sandbox.service.configure(rate="off")
        sandbox.invite(email)
    seen: list[str] = []
    while page := sandbox.members(skip=len(seen), take=100)["users"]:
        seen += [member["email"] for member in page]
    assert len(seen) == len(set(seen)) == 108
    assert sandbox.members(skip=108)["users"] == []
    assert sandbox.members(skip=10**30)["users"] == []
    assert len(sandbox.members()["users"]) == 10


@pytest.mark.parametrize(
    "wanted",
    [
        {"take": 0},
        {"take": 101},
        {"skip": -1},
        {"take": "many"},
        {"sort_field": "age"},
        {"sort_direction": "up"},
        {"include_deleted": "perhaps"},
        {"search_term": 7},
    ],
)
def test_members_list_checks_its_body(sandbox: Sandbox, wanted: dict[str, Any]) -> None:
    reply = sandbox.post(f"{ORG}/users", wanted)
    assert (reply.status, reply.code) == (422, "VALIDATION_ERROR")


def test_members_list_takes_null_for_absent(sandbox: Sandbox) -> None:
    assert sandbox.members(take=None, search_term=None, role_id=None)["take"] == 10


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"search_term": "RITA"}, ["Rita Reader"]),
        ({"search_term": "sam.support@"}, ["Sam Support"]),
        ({"search_term": "nobody"}, []),
        ({"sort_field": "email"}, ["Sam Support", "Rita Reader", "Olga Owner"]),
        ({"sort_field": "role"}, ["Sam Support", "Olga Owner", "Rita Reader"]),
        (
            {"sort_field": "full_name", "sort_direction": "asc"},
            ["Olga Owner", "Rita Reader", "Sam Support"],
        ),
        ({"sort_field": "status", "take": 1, "skip": 1}, ["Rita Reader"]),
        ({"role_id": "role_0"}, []),
        ({"status_id": "status_0"}, []),
    ],
)
def test_members_are_filtered_and_sorted(
    sandbox: Sandbox, wanted: dict[str, Any], names: list[str]
) -> None:
    assert [member["full_name"] for member in sandbox.members(**wanted)["users"]] == names


def test_members_are_filtered_by_role_and_status(sandbox: Sandbox) -> None:
    sandbox.invite()
    by_role = sandbox.members(role_id=sandbox.role("Support"))["users"]
    by_status = sandbox.members(status_id=sandbox.status("InvitationSent"))["users"]
    assert [member["email"] for member in by_role] == [seed.SUPPORT_EMAIL]
    assert [member["email"] for member in by_status] == [EMAIL]


def test_invitees_may_be_called_pending(make: Make) -> None:
    sandbox = make(invitee_status="Pending")
    sandbox.invite()
    assert sandbox.member(EMAIL)["status"]["name"] == "Pending"
    statuses = [status["name"] for status in sandbox.get(f"{ORG}/statuses").body]
    assert statuses == ["Active", "Inactive", "Pending", "Deleted"]


def test_invitees_may_be_no_members(make: Make) -> None:
    sandbox = make(members_include_invited="no")
    invited = sandbox.invite()
    assert sandbox.members()["total_users_count"] == 3
    assert invited["user_id"] not in sandbox.post(f"{ORG}/users/ids").body
    assert sandbox.get(f"{ORG}/users/{invited['user_id']}").status == 404
    counts = sandbox.get(f"{ORG}/users/status-summary").body["status_counts"]
    assert [count["count"] for count in counts] == [3, 0, 0, 0]
    assert resend(sandbox, invited["user_id"]).status == 204
    sandbox.complete(key_of(invited))
    assert sandbox.members()["total_users_count"] == 4


def test_ids_by_ids_and_summary(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    ids = sandbox.post(f"{ORG}/users/ids").body
    assert len(ids) == 4
    found = sandbox.post(f"{ORG}/users/by-ids", {"user_ids": [invited["user_id"], "usr_0"]}).body
    assert [member["email"] for member in found["users"]] == [EMAIL]
    assert (found["total"], found["requested_ids"]) == (1, [invited["user_id"], "usr_0"])
    sandbox.call("DELETE", f"{ORG}/users/{invited['user_id']}/delete")
    assert len(sandbox.post(f"{ORG}/users/ids").body) == 3
    everyone = sandbox.post(f"{ORG}/users/ids", query={"include_deleted": "true"}).body
    assert len(everyone) == 4
    counts = sandbox.get(f"{ORG}/users/status-summary").body["status_counts"]
    assert {count["status_name"]: count["count"] for count in counts} == {
        "Active": 3,
        "Inactive": 0,
        "InvitationSent": 0,
        "Deleted": 1,
    }


def test_get_member_by_either_id(sandbox: Sandbox) -> None:
    listed = sandbox.member(seed.SUPPORT_EMAIL)
    for person in (listed["id"], listed["user_id"], listed["id"].replace("usr", "user")):
        assert sandbox.get(f"{ORG}/users/{person}").body == listed
    assert sandbox.get(f"{ORG}/users/usr_0").code == "RESOURCE_NOT_FOUND"


def update(sandbox: Sandbox, email: str, key: str = seed.OWNER_KEY, **wanted: str) -> Reply:
    row = sandbox.member(email)["id"]
    return sandbox.call("PUT", f"{ORG}/users/{row}", wanted, key=key)


def test_update_role_and_status(sandbox: Sandbox) -> None:
    sandbox.forward(hours=1)
    role, status = sandbox.role("Admin"), sandbox.status("Inactive")
    member = update(sandbox, seed.SUPPORT_EMAIL, role_id=role, status_id=status).body
    assert (member["role"]["name"], member["status"]["name"]) == ("Admin", "Inactive")
    assert member["last_modified_at"] == "2026-02-02T03:40:00Z"


def test_update_answers_a_confirmation_in_the_other_profile(make: Make) -> None:
    sandbox = make(profile="organizations")
    row = sandbox.members(search_term=seed.SUPPORT_EMAIL)["members"][0]
    wanted = {"role_id": sandbox.role("Admin")}
    body = sandbox.call("PUT", f"{ORG}/users/{row['user_id']}", wanted).body
    assert body.pop("message")
    assert body == {
        "success": True,
        "id": row["id"],
        "user_id": row["user_id"],
        "role_id": wanted["role_id"],
        "role_name": "Admin",
    }


def test_update_of_an_invitee_changes_the_invitation(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    assert update(sandbox, EMAIL, role_id=sandbox.role("Support")).status == 200
    assert validate(sandbox, key_of(invited)).body["role_name"] == "Support"
    assert update(sandbox, EMAIL, status_id=sandbox.status("Active")).status == 400
    sandbox.complete(key_of(invited))
    assert sandbox.member(EMAIL)["role"]["name"] == "Support"


def test_update_refusals(sandbox: Sandbox) -> None:
    role, inactive = sandbox.role("Admin"), sandbox.status("Inactive")
    assert update(sandbox, seed.SUPPORT_EMAIL).status == 422
    assert update(sandbox, seed.SUPPORT_EMAIL, role_id="role_0").status == 404
    assert update(sandbox, seed.SUPPORT_EMAIL, status_id="status_0").status == 404
    deleted = sandbox.status("Deleted")
    assert update(sandbox, seed.SUPPORT_EMAIL, status_id=deleted).status == 400
    assert sandbox.call("PUT", f"{ORG}/users/usr_0", {"role_id": role}).status == 404
    reader = {"key": seed.READ_ONLY_KEY}
    refused = update(sandbox, seed.SUPPORT_EMAIL, **reader, role_id=role)
    assert refused.code == "INSUFFICIENT_PERMISSIONS"
    assert update(sandbox, seed.SUPPORT_EMAIL, **reader, status_id=inactive).status == 200


@pytest.mark.parametrize(("choice", "status"), [("validation", 400), ("forbidden", 403)])
def test_the_owner_is_protected(make: Make, choice: str, status: int) -> None:
    sandbox = make(owner_refusal=choice)
    owner = sandbox.member(seed.OWNER_EMAIL)
    path = f"{ORG}/users/{owner['id']}"
    departments = {"transfer_resources_to_department_id": "dept_1"}
    assert update(sandbox, seed.OWNER_EMAIL, role_id=sandbox.role()).status == status
    assert update(sandbox, seed.OWNER_EMAIL, status_id=sandbox.status("Inactive")).status == status
    assert sandbox.call("DELETE", f"{path}/delete").status == status
    assert sandbox.call("DELETE", path, {"confirm": True}).status == status
    assert sandbox.post(f"{path}/deactivate", departments).status == status
    bulk = sandbox.post(f"{ORG}/users/delete-bulk", {"user_ids": [owner["user_id"]]}).body
    assert (bulk["success_count"], bulk["failure_count"]) == (0, 1)
    unassign = f"{ORG}/roles/{sandbox.role('Owner')}/members/{owner['user_id']}"
    assert sandbox.call("DELETE", unassign).code == "CANNOT_REMOVE_LAST_OWNER"
    assert sandbox.member(seed.OWNER_EMAIL) == owner


def test_deleting_the_owner_has_its_own_code(make: Make) -> None:
    sandbox = make(owner_refusal="forbidden")
    path = f"{ORG}/users/{sandbox.member(seed.OWNER_EMAIL)['id']}/delete"
    assert sandbox.call("DELETE", path).code == "CANNOT_DELETE_OWNER"


def test_delete_and_restore(sandbox: Sandbox) -> None:
    path = f"{ORG}/users/{sandbox.member(seed.SUPPORT_EMAIL)['user_id']}"
    assert sandbox.post(f"{path}/restore").status == 400
    assert sandbox.call("DELETE", f"{path}/delete", key=seed.READ_ONLY_KEY).status == 403
    assert sandbox.call("DELETE", f"{path}/delete").status == 204
    assert sandbox.get(path).status == 404
    assert sandbox.call("DELETE", f"{path}/delete").status == 404
    assert sandbox.members(search_term=seed.SUPPORT_EMAIL)["total_users_count"] == 0
    assert sandbox.member(seed.SUPPORT_EMAIL)["status"]["name"] == "Deleted"
    assert sandbox.post(f"{path}/restore").status == 204
    assert sandbox.get(path).body["status"]["name"] == "Active"


def test_deleting_an_invitee_withdraws_the_invitation(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    path = f"{ORG}/users/{invited['user_id']}"
    assert sandbox.call("DELETE", f"{path}/delete").status == 204
    assert sandbox.state(invited["invitation_id"]) == "cancelled"
    assert sandbox.post(f"{path}/restore").status == 204
    assert sandbox.member(EMAIL)["status"]["name"] == "InvitationSent"
    assert sandbox.details(email=EMAIL).status == 404
    sandbox.invite()


def test_remove_v2_wants_a_confirmation(sandbox: Sandbox) -> None:
    path = f"{ORG}/users/{sandbox.member(seed.SUPPORT_EMAIL)['id']}"
    assert sandbox.call("DELETE", path).status == 422
    assert sandbox.call("DELETE", path, {"confirm": False}).status == 422
    assert sandbox.call("DELETE", f"{ORG}/users/usr_0", {"confirm": False}).status == 404
    assert sandbox.call("DELETE", path, {"confirm": True}).status == 204


def test_bulk_delete_and_status(sandbox: Sandbox) -> None:
    owner = sandbox.member(seed.OWNER_EMAIL)["user_id"]
    reader = sandbox.member(seed.READ_ONLY_EMAIL)["user_id"]
    wanted = {"user_ids": [owner, reader], "status_id": sandbox.status("Inactive")}
    changed = sandbox.post(f"{ORG}/users/change-status-bulk", wanted)
    assert changed.body["success_count"] == 1
    assert changed.body["failed_operations"][0]["id"] == owner
    assert sandbox.get(ORG, key=seed.READ_ONLY_KEY).code == "ORGANIZATION_ACCESS_DENIED"
    deleted = sandbox.post(f"{ORG}/users/delete-bulk", {"user_ids": [owner, reader]})
    assert (deleted.body["success_count"], deleted.body["failure_count"]) == (1, 1)
    wanted = {"user_ids": [reader], "status_id": "status_0"}
    assert sandbox.post(f"{ORG}/users/change-status-bulk", wanted).status == 404


def test_deactivate_and_reactivate(sandbox: Sandbox) -> None:
    path = f"{ORG}/users/{sandbox.member(seed.SUPPORT_EMAIL)['id']}"
    department = {"transfer_resources_to_department_id": "dept_1"}
    assert sandbox.post(f"{path}/deactivate", {}).status == 422
    assert sandbox.post(f"{path}/deactivate", department).body["account_state"] == "deactivated"
    assert sandbox.member(seed.SUPPORT_EMAIL)["status"]["name"] == "Inactive"
    assert sandbox.post(f"{path}/reactivate").body["account_state"] == "active"


def test_export(sandbox: Sandbox) -> None:
    sandbox.invite()
    wanted = {"sort_by": "role_name", "sort_order": "desc"}
    reply = sandbox.post(f"{ORG}/users/export-csv", wanted)
    assert reply.headers["content-type"].startswith("text/csv")
    lines = reply.content.decode().splitlines()
    assert lines[0] == "full_name,email,role_name,status_name,joined_at"
    assert lines[1].startswith("Sam Support,")
    assert len(lines) == 5
    assert sandbox.post(f"{ORG}/users/export-csv", {}, key=seed.READ_ONLY_KEY).status == 403


def test_export_has_a_limit(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "EXPORT_LIMIT", 2)
    assert sandbox.post(f"{ORG}/users/export-csv", {}).code == "VALIDATION_ERROR"


def test_change_logs_name_the_inviter(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    sandbox.forward(hours=1)
    sandbox.complete(key_of(invited))
    logs = sandbox.post(f"{ORG}/dashboard/change-logs", {}).body
    assert (logs["total_count"], logs["skip"], logs["take"]) == (2, 0, 10)
    updated, created = logs["logs"]
    assert (updated["action"], created["action"]) == ("updated", "created")
    assert (created["user_email"], created["user_name"]) == (seed.OWNER_EMAIL, "Olga Owner")
    assert created["resource_type"] == "organization_user"
    assert created["changes"][0]["new_value"] == "InvitationSent"
    path = f"{ORG}/users/{invited['user_id']}/change-logs"
    assert sandbox.post(path, {"action": "created"}).body["logs"] == [created]
    assert sandbox.post(path, {"start_date": "2026-02-02T03:00:00Z"}).body["logs"] == [updated]
    assert sandbox.post(path, {"end_date": "2026-02-02T03:00:00"}).body["logs"] == [created]
    assert sandbox.post(path, {"skip": 1, "take": 1}).body["logs"] == [created]
    assert sandbox.post(path, {"resource_type": "rule"}).body["total_count"] == 0
    assert sandbox.post(path, {"take": 101}).status == 422
    assert sandbox.post(path, {}, key=seed.READ_ONLY_KEY).status == 403


# --- roles and statuses -------------------------------------------------------------------------


def test_roles_are_listed_in_order(sandbox: Sandbox) -> None:
    roles = sandbox.get(f"{ORG}/roles").body
    assert [role["name"] for role in roles] == [*seed.SYSTEM_ROLES, "Support"]
    owner, support = roles[0], roles[-1]
    assert (owner["is_base_role"], owner["is_custom"], owner["organization_id"]) == (
        True,
        False,
        None,
    )
    assert support["is_custom"] is True
    assert support["organization_id"] == seed.ORGANIZATION
    assert support["member_count"] == 1
    own = sandbox.get(f"{ORG}/roles", query={"include_global": "false"}).body
    assert own == [support]
    assert sandbox.get(f"{ORG}/roles", query={"include_global": "perhaps"}).status == 400


def test_create_role(sandbox: Sandbox) -> None:
    wanted = {"name": "Auditor", "capabilities": ["view_members"]}
    reply = sandbox.post(f"{ORG}/roles", wanted)
    assert (reply.status, reply.body["member_count"]) == (201, 0)
    assert sandbox.role("Auditor") == reply.body["id"]
    assert sandbox.post(f"{ORG}/roles", wanted | {"name": "auditor"}).status == 409
    assert sandbox.post(f"{ORG}/roles", wanted | {"name": "x" * 101}).status == 422
    assert sandbox.post(f"{ORG}/roles", wanted | {"capabilities": []}).status == 422
    assert sandbox.post(f"{ORG}/roles", wanted, key=seed.READ_ONLY_KEY).status == 403
    unheld = {"name": "Wizard", "capabilities": ["magic"]}
    assert sandbox.post(f"{ORG}/roles", unheld).code == "INSUFFICIENT_PERMISSIONS"


def test_assign_and_unassign_role(sandbox: Sandbox) -> None:
    person = sandbox.member(seed.SUPPORT_EMAIL)
    user, admin = person["user_id"], sandbox.role("Admin")
    path = f"{ORG}/roles/{admin}/members"
    reply = sandbox.post(path, {"user_id": user})
    assert reply.status == 201
    assert reply.body.pop("id")
    assert reply.body["assigned_at"] == "2026-02-02T02:40:00Z"
    assert sandbox.post(path, {"user_id": user}).status == 409
    assert sandbox.get(path).body == {
        "members": [
            {
                "user_id": user,
                "full_name": "Sam Support",
                "email": seed.SUPPORT_EMAIL,
                "account_state": "active",
                "avatar_url": None,
            }
        ],
        "total": 1,
    }
    assert sandbox.get(path, query={"skip": 1}).body == {"members": [], "total": 1}
    assert sandbox.get(path, query={"limit": 101}).status == 400
    assert sandbox.member(seed.SUPPORT_EMAIL)["role"]["name"] == "Support"
    assert sandbox.call("DELETE", f"{path}/{user}").status == 204
    assert sandbox.call("DELETE", f"{path}/{user}").status == 404
    only = f"{ORG}/roles/{sandbox.role('Support')}/members/{user}"
    assert sandbox.call("DELETE", only).status == 204
    assert sandbox.member(seed.SUPPORT_EMAIL)["role"]["name"] == "Member"


def test_assign_refusals(sandbox: Sandbox) -> None:
    invited = sandbox.invite()["user_id"]
    path = f"{ORG}/roles/{sandbox.role('Admin')}/members"
    assert sandbox.post(path, {"user_id": invited}).status == 404
    assert sandbox.post(path, {"user_id": "usr_0"}).status == 404
    assert sandbox.post(f"{ORG}/roles/role_0/members", {"user_id": invited}).status == 404
    assert sandbox.post(path, {"user_id": 7}).status == 422
    assert sandbox.post(path, {"user_id": invited}, key=seed.READ_ONLY_KEY).status == 403


def test_statuses(sandbox: Sandbox) -> None:
    statuses = sandbox.get(f"{ORG}/statuses", query={"active_only": "true"}).body
    assert [status["name"] for status in statuses] == [
        "Active",
        "Inactive",
        "InvitationSent",
        "Deleted",
    ]
    assert all(status["id"].startswith("status_") for status in statuses)
    assert {status["organization_id"] for status in statuses} == {seed.ORGANIZATION}


# --- users --------------------------------------------------------------------------------------


def test_users_by_email_and_id(sandbox: Sandbox) -> None:
    found = sandbox.get(f"/v1/user/email/{seed.OUTSIDER_EMAIL.upper()}").body
    assert (found["first_name"], found["last_name"]) == ("Otto", "Outsider")
    profile = sandbox.get(f"/v1/user/{found['id']}").body
    assert profile["username"] == "otto"
    assert profile["current_organization_id"] is None
    assert sandbox.get("/v1/user/email/nobody@example.net").status == 404
    assert sandbox.get("/v1/user/usr_0").status == 404
    assert sandbox.get("/v1/user/0").status == 422
    assert sandbox.get("/v1/user/usr_0", key=None).status == 401


@pytest.mark.parametrize("path", ["me", "profile", "current"])
def test_me(sandbox: Sandbox, path: str) -> None:
    assert sandbox.get(f"/v1/user/{path}").body["email"] == seed.OWNER_EMAIL


@pytest.mark.parametrize("path", ["/v1/user", "/v1/user/"])
def test_users_are_listed(sandbox: Sandbox, path: str) -> None:
    sandbox.invite()
    assert len(sandbox.get(path).body) == 4
    assert len(sandbox.get(path, query={"active_only": "false"}).body) == 5
    assert len(sandbox.get(path, query={"skip": 3, "limit": 10}).body) == 1
    assert sandbox.get(path, query={"limit": 0}).status == 400
    assert sandbox.get(path, query={"skip": "x"}).status == 400


def test_create_batch_and_delete_users(sandbox: Sandbox) -> None:
    wanted = {"email": EMAIL, "password": "correct-horse-9", "first_name": "Noor"}
    created = sandbox.post("/v1/user/", wanted)
    assert (created.status, created.body["first_name"]) == (201, "Noor")
    assert sandbox.post("/v1/user/", wanted).status == 409
    assert sandbox.post("/v1/user/", wanted | {"email": "x"}).status == 422
    assert sandbox.post("/v1/user/", wanted | {"password": "short"}).status == 422
    batch = sandbox.post("/v1/user/batch", {"user_ids": [created.body["id"], "usr_0"]}).body
    assert (batch["total"], len(batch["users"]), len(batch["requested_ids"])) == (1, 1, 2)
    path = f"/v1/user/{created.body['id']}"
    assert sandbox.call("DELETE", path).code == "OPERATION_NOT_ALLOWED"
    login = {"email_or_username": EMAIL, "password": "correct-horse-9"}
    token = sandbox.post("/v1/auth/dev-login", login, key=None).body["access_token"]
    assert sandbox.call("DELETE", path, token=token).body["success"] is True
    assert sandbox.get("/v1/user/me", token=token).code == "TOKEN_INVALID"
    assert sandbox.get(path).status == 404
    deleted = sandbox.get("/v1/user/deleted").body
    assert [user["email"] for user in deleted] == [EMAIL]
    assert sandbox.get("/v1/user/deleted", key=seed.READ_ONLY_KEY).status == 403


def test_the_owner_cannot_leave(sandbox: Sandbox) -> None:
    path = f"/v1/user/{sandbox.get('/v1/user/me').body['id']}"
    assert sandbox.call("DELETE", path).code == "CANNOT_REMOVE_LAST_OWNER"


def test_a_deleted_user_leaves_the_organizations(sandbox: Sandbox) -> None:
    id = sandbox.get("/v1/user/me", key=seed.READ_ONLY_KEY).body["id"]
    assert sandbox.call("DELETE", f"/v1/user/{id}", key=seed.READ_ONLY_KEY).status == 200
    assert sandbox.members()["total_users_count"] == 2
    assert sandbox.get(ORG, key=seed.READ_ONLY_KEY).code == "INVALID_API_KEY"
    sandbox.invite(seed.READ_ONLY_EMAIL)


# --- organizations ------------------------------------------------------------------------------


def test_organizations(sandbox: Sandbox) -> None:
    listed = sandbox.get("/v1/organizations").body
    assert (listed["total"], listed["skip"], listed["limit"]) == (1, 0, 100)
    assert listed["organizations"] == [sandbox.get(ORG).body]
    created = sandbox.post("/v1/organizations", {"name": "Side Works", "type": "School"})
    assert (created.status, created.body["type"]) == (201, "School")
    assert sandbox.post("/v1/organizations", {"name": "X", "type": "Secret"}).status == 422
    page = sandbox.get("/v1/organizations", query={"skip": 1, "limit": 1}).body
    assert [one["id"] for one in page["organizations"]] == [created.body["id"]]

    path = f"/v1/organizations/{created.body['id']}"
    sandbox.forward(hours=1)
    changed = sandbox.call("PATCH", path, {"name": "Other Works", "is_active": False}).body
    assert (changed["name"], changed["updated_at"]) == ("Other Works", "2026-02-02T03:40:00Z")
    assert sandbox.get("/v1/organizations").body["total"] == 1
    assert sandbox.get("/v1/organizations", query={"active_only": "0"}).body["total"] == 2
    assert sandbox.call("DELETE", path, key=seed.READ_ONLY_KEY).status == 403
    assert sandbox.call("DELETE", path).status == 204
    assert sandbox.get(path).code == "ORGANIZATION_ACCESS_DENIED"


def test_only_the_right_people_change_an_organization(sandbox: Sandbox) -> None:
    reader: dict[str, Any] = {"key": seed.READ_ONLY_KEY}
    assert sandbox.call("PATCH", ORG, {"name": "X"}, **reader).status == 403
    assert sandbox.call("DELETE", ORG, **reader).code == "INSUFFICIENT_PERMISSIONS"
    update(sandbox, seed.READ_ONLY_EMAIL, role_id=sandbox.role("Admin"))
    assert sandbox.call("PATCH", ORG, {"name": "X"}, **reader).status == 200
    assert sandbox.call("DELETE", ORG, **reader).status == 403


def test_an_invitation_dies_with_its_organization(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    sandbox.call("DELETE", ORG)
    assert validate(sandbox, key_of(invited)).status == 404


def test_people_of_a_domain_join_by_themselves(sandbox: Sandbox) -> None:
    sandbox.call("PATCH", ORG, {"domains": ["Elsewhere.example"]})
    assert sandbox.get(ORG, key=seed.OUTSIDER_KEY).status == 403
    assert sandbox.get("/v1/organizations", key=seed.OUTSIDER_KEY).body["total"] == 1
    assert sandbox.member(seed.OUTSIDER_EMAIL)["role"]["name"] == "Member"
    assert sandbox.get(ORG).body["users_added_from_domains"] == 1


# --- authentication -----------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["X-API-Key", "api-key", "Authorization"])
def test_a_key_is_read_from_each_header(sandbox: Sandbox, header: str) -> None:
    value = f"Bearer {seed.OWNER_KEY}" if header == "Authorization" else seed.OWNER_KEY
    assert sandbox.get(ORG, key=None, headers={header.lower(): value}).status == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "AUTHENTICATION_REQUIRED"),
        ({"x-api-key": ""}, "AUTHENTICATION_REQUIRED"),
        ({"authorization": "Basic abc"}, "AUTHENTICATION_REQUIRED"),
        ({"x-api-key": "ak_wrong"}, "INVALID_API_KEY"),
        ({"authorization": "Bearer ak_wrong"}, "INVALID_API_KEY"),
        ({"authorization": "bearer a.b.c"}, "TOKEN_INVALID"),
        ({"x-api-key": seed.EXPIRED_KEY}, "API_KEY_EXPIRED"),
        ({"x-api-key": seed.DEACTIVATED_KEY}, "API_KEY_DEACTIVATED"),
        ({"x-api-key": seed.PAUSED_KEY}, "API_KEY_PAUSED"),
    ],
)
def test_bad_credentials(sandbox: Sandbox, headers: dict[str, str], code: str) -> None:
    reply = sandbox.get(ORG, key=None, headers=headers)
    assert (reply.status, reply.code) == (401, code)


def test_a_token_wins_over_a_key(sandbox: Sandbox) -> None:
    token = sandbox.complete(key_of(sandbox.invite())).body["token"]
    headers = {"x-api-key": seed.OWNER_KEY, "authorization": f"Bearer {token}"}
    assert sandbox.get("/v1/user/me", key=None, headers=headers).body["email"] == EMAIL


def test_tokens_expire_and_are_refreshed(sandbox: Sandbox) -> None:
    done = sandbox.complete(key_of(sandbox.invite())).body
    assert sandbox.get("/v1/auth/validate", token=done["token"]).body["is_valid"] is True
    sandbox.forward(hours=24)
    assert sandbox.get("/v1/auth/validate", token=done["token"]).code == "TOKEN_EXPIRED"
    wanted = {"refresh_token": done["refresh_token"]["token"]}
    fresh = sandbox.post("/v1/auth/refresh", wanted, key=None).body
    assert sandbox.get("/v1/auth/validate", token=fresh["access_token"]).status == 200
    assert sandbox.post("/v1/auth/refresh", wanted, key=None).code == "TOKEN_INVALID"
    sandbox.forward(days=31)
    wanted = {"refresh_token": fresh["refresh_token"]}
    assert sandbox.post("/v1/auth/refresh", wanted, key=None).code == "TOKEN_EXPIRED"


def test_login(sandbox: Sandbox) -> None:
    wanted = {"email_or_username": "OLGA", "password": seed.PASSWORD}
    reply = sandbox.post("/v1/auth/dev-login", wanted, key=None)
    assert sandbox.get(ORG, token=reply.body["access_token"]).status == 200
    wrong = wanted | {"password": "wrong"}
    assert sandbox.post("/v1/auth/dev-login", wrong, key=None).code == "INVALID_CREDENTIALS"
    assert sandbox.post("/v1/auth/dev-login", wanted | {"x": 1}, key=None).status == 422


def test_validate_email(sandbox: Sandbox) -> None:
    def verdict(email: str) -> tuple[bool, str | None, bool | None]:
        body = sandbox.post("/v1/auth/validate-email", {"email": email}, key=None).body
        about = body["organization"] and body["organization"]["requires_invitation"]
        return body["is_valid"], body["reason"], about

    assert verdict("nonsense") == (False, "invalid_format", None)
    assert verdict(seed.OWNER_EMAIL) == (False, "already_registered", None)
    assert verdict(EMAIL) == (False, "no_organization", None)
    sandbox.invite()
    assert verdict(EMAIL) == (True, None, True)
    sandbox.call("PATCH", ORG, {"domains": ["example.net"]})
    assert verdict("other@example.net") == (True, None, False)
    wanted = {"email": EMAIL, "speculative": 1}
    assert sandbox.post("/v1/auth/validate-email", wanted, key=None).status == 422


def test_the_read_only_key_reads_and_changes_nothing(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    person, role = invited["user_id"], sandbox.role()
    status = sandbox.status("Active")
    before = sandbox.service.snapshot()
    everyone = {"user_ids": [person]}
    for method, path, body in [
        ("POST", "/invite-user", {"email": "x@example.net", "role_id": role}),
        ("POST", "/users/invite/v2", {"email": "x@example.net"}),
        ("POST", f"/users/{person}/resend-invitation", None),
        ("POST", "/users/resend-invitation-bulk", everyone),
        ("DELETE", f"/invitations/{invited['invitation_id']}", None),
        ("PUT", f"/users/{person}", {"role_id": role}),
        ("DELETE", f"/users/{person}/delete", None),
        ("DELETE", f"/users/{person}", {"confirm": True}),
        ("POST", "/users/delete-bulk", everyone),
        ("POST", f"/users/{person}/restore", None),
        ("POST", "/users/change-status-bulk", everyone | {"status_id": status}),
        ("POST", f"/users/{person}/deactivate", {"transfer_resources_to_department_id": "d"}),
        ("POST", f"/users/{person}/reactivate", None),
        ("POST", "/roles", {"name": "x", "capabilities": ["view_members"]}),
        ("POST", f"/roles/{role}/members", {"user_id": person}),
        ("DELETE", f"/roles/{role}/members/{person}", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
    ]:
        reply = sandbox.call(method, f"{ORG}{path}", body, key=seed.READ_ONLY_KEY)
        assert (reply.status, reply.code) == (403, "INSUFFICIENT_PERMISSIONS"), path
    assert sandbox.service.snapshot() == before
    for path in ("/roles", "/statuses", "/users/status-summary", f"/users/{person}", ""):
        assert sandbox.get(f"{ORG}{path}", key=seed.READ_ONLY_KEY).status == 200
    assert sandbox.post(f"{ORG}/users", {}, key=seed.READ_ONLY_KEY).status == 200


# --- limits, headers, errors --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "rate", "most", "wait"),
    [
        ("standard", "bucket", 120, "1"),
        ("standard", "window", 100, "60"),
        ("premium", "bucket", 1_200, "1"),
        ("premium", "window", 1_000, "60"),
    ],
)
def test_the_rate_is_limited(make: Make, plan: str, rate: str, most: int, wait: str) -> None:
    sandbox = make(plan=plan, rate=rate)
    for left in reversed(range(most)):
        reply = sandbox.get("/v1/user/me")
        assert reply.status == 200
        assert reply.headers["x-ratelimit-remaining"] == str(left)
        assert reply.headers["x-ratelimit-limit"] == str(most)
        assert reply.headers["x-ratelimit-retry-after"] == "0"
    refused = sandbox.get("/v1/user/me")
    assert (refused.status, refused.code) == (429, "RATE_LIMIT_EXCEEDED")
    assert refused.headers["retry-after"] == wait
    assert refused.headers["x-ratelimit-retry-after"] == wait
    assert float(refused.headers["x-ratelimit-reset"]) > START
    assert refused.headers["x-request-id"]
    assert sandbox.get("/v1/user/me", key=seed.READ_ONLY_KEY).status == 200
    sandbox.forward(seconds=int(wait))
    assert sandbox.get("/v1/user/me").status == 200


def test_a_day_has_its_own_limit(sandbox: Sandbox) -> None:
    for _ in range(100):
        for _ in range(100):
            assert sandbox.get("/v1/user/me").status == 200
        sandbox.forward(minutes=1)
    refused = sandbox.get("/v1/user/me")
    assert (refused.status, refused.headers["retry-after"]) == (429, str(86_400 - 6_000))


def test_the_limit_can_be_off(make: Make) -> None:
    sandbox = make(rate="off")
    for _ in range(200):
        reply = sandbox.get("/v1/user/me")
        assert (reply.status, reply.headers["x-ratelimit-remaining"]) == (200, "120")


@pytest.mark.parametrize(
    ("path", "key"),
    [(ORG, seed.OWNER_KEY), (ORG, None), ("/v1/nothing", None), ("/", None)],
)
def test_every_answer_is_traced_and_paced(sandbox: Sandbox, path: str, key: str | None) -> None:
    first, second = sandbox.get(path, key=key), sandbox.get(path, key=key)
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert {
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-ratelimit-retry-after",
        "freddy-api-version",
        "freddy-processing-ms",
    } <= set(first.headers)
    organization = first.headers.get("aitronos-organization")
    assert organization == (seed.ORGANIZATION if key else None)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object(make: Make, raw: bytes) -> None:
    reply = make().post(f"{ORG}/invite-user", raw=raw)
    assert (reply.status, reply.code) == (422, "VALIDATION_ERROR")
    plain = make(validation_body="detail").post(f"{ORG}/invite-user", raw=raw)
    assert plain.status == 422
    (problem,) = plain.body["detail"]
    assert problem["loc"][0] == "body"
    assert problem["msg"]
    assert problem["type"]


def test_detail_is_only_for_422(make: Make) -> None:
    sandbox = make(validation_body="detail")
    wrong = sandbox.post(f"{ORG}/invite-user", {"email": 7, "role_id": "role_0"})
    assert wrong.body["detail"][0]["loc"] == ["body", "email"]
    bad = sandbox.post(f"{ORG}/invite-user", {"email": "x", "role_id": sandbox.role()})
    assert bad.body["detail"][0]["loc"] == ["body", "email"]
    assert sandbox.details().code == "VALIDATION_ERROR"


def all_bodies(kind: type[Fields]) -> list[type[Fields]]:
    """A body's class and everything derived from it."""
    return [kind, *(each for child in kind.__subclasses__() for each in all_bodies(child))]


STRANGE: list[Any] = [None, True, 0, -1, 1e300, "", "x", "\U0001f600\0", [], [None], {}, {"a": 1}]


@pytest.mark.parametrize(
    ("method", "path"), [pytest.param(m, p, id=f"{m} {p}") for m, p, _ in ROUTES]
)
def test_nothing_is_a_500(make: Make, method: str, path: str) -> None:
    """Every field of every endpoint with every kind of value; a crash would raise here."""
    sandbox = make(rate="off")
    person = sandbox.invite()["user_id"]
    path = (
        path.replace("{organization}", seed.ORGANIZATION)
        .replace("{user}", person)
        .replace("{role}", sandbox.role())
    )
    names = {name for kind in all_bodies(Fields) for name in kind.model_fields}
    for value in STRANGE:
        fields = dict.fromkeys(names, value)
        query = {name: str(value) for name in names}
        for options in (
            {"body": fields},
            {"query": query},
            {"raw": b'{"email": "\\ud800"}'},
            {"raw": b'{"take": NaN, "skip": ' + b"9" * 5_000 + b"}"},
            {"body": {"start_date": "0001-01-01T00:00:00+14:00", "end_date": "9999-12-31T23:59Z"}},
        ):
            assert sandbox.call(method, path, **options).status < 500
        odd = quote(str(value)) or "-"
        assert sandbox.call(method, path.replace(person, odd), fields).status < 500


def test_unknown_paths_and_methods(sandbox: Sandbox) -> None:
    missing = sandbox.get("/v2/anything")
    assert (missing.status, missing.code) == (404, "RESOURCE_NOT_FOUND")
    wrong = sandbox.call("PATCH", f"{ORG}/roles")
    assert (wrong.status, wrong.code) == (405, "METHOD_NOT_ALLOWED")


# --- the service as an object -------------------------------------------------------------------


def test_settings_and_snapshot(sandbox: Sandbox) -> None:
    settings = sandbox.service.settings("http://127.0.0.1:9")
    assert settings == {
        "api_key": seed.OWNER_KEY,
        "organization_id": seed.ORGANIZATION,
        "base_url": "http://127.0.0.1:9",
    }
    reader = sandbox.service.read_only_settings("http://127.0.0.1:9")
    assert reader == settings | {"api_key": seed.READ_ONLY_KEY}
    invited = sandbox.invite()
    snapshot = sandbox.service.snapshot()
    assert [one["id"] for one in snapshot["invitations"]] == [invited["invitation_id"]]
    assert {"id", "email", "state"} <= set(snapshot["invitations"][0])
    assert {member["email"] for member in snapshot["members"]} == {
        seed.OWNER_EMAIL,
        seed.READ_ONLY_EMAIL,
        seed.SUPPORT_EMAIL,
    }


def test_switches_can_be_moved_while_it_runs(sandbox: Sandbox) -> None:
    sandbox.invite()
    sandbox.service.configure(profile="organizations", duplicates="refresh")
    assert "invitation_key" in sandbox.invite()
    with pytest.raises(ValueError, match="no switch"):
        sandbox.service.configure(weather="fine")


def test_records_do_not_show_secrets(sandbox: Sandbox) -> None:
    key = key_of(sandbox.invite())
    sandbox.complete(key)
    shown = repr(sandbox.service.records)
    assert key not in shown
    assert "correct-horse-9" not in shown
    assert seed.OWNER_KEY not in shown
