"""The imitation of Aitronos, driven in-process: no sockets, no event loop, virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from tests.asgi import ask

from guestlist.sandbox.service import AdjustableClock
from guestlist_aitronos import sandbox as seed
from guestlist_aitronos.sandbox import AitronosService

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
        answer = ask(self.service.app, method, path, content, sent_headers, query or {})
        return Reply(*answer)

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

    def emails(self, to: str = EMAIL) -> int:
        return len(list(self.service.outbox.to(to)))

    def state(self, invitation: str) -> str:
        found = self.service.snapshot()["invitations"]
        return next(str(one["state"]) for one in found if one["id"] == invitation)


Make = Callable[..., Sandbox]


@pytest.fixture
def make() -> Make:
    def make(**options: Any) -> Sandbox:
        return Sandbox(AitronosService(clock=AdjustableClock(lambda: START), **options))

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
    assert (mail.link, mail.organization) == (link, "Example Works")
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


def test_invite_tells_that_an_account_exists(make: Make) -> None:
    invited = make(profile="organizations").invite(seed.OUTSIDER_EMAIL)
    assert invited["is_new_user"] is False


@pytest.mark.parametrize("send", [True, False])
def test_invite_takes_the_other_names_of_its_fields(sandbox: Sandbox, send: bool) -> None:
    wanted = {"email": EMAIL, "role_name": "support", "send_email": send}
    reply = sandbox.post(f"{ORG}/invite-user", wanted)
    assert reply.body["role_id"] == sandbox.role("Support")
    assert sandbox.emails() == int(send)


def test_invite_refuses_a_member(sandbox: Sandbox) -> None:
    wanted = {"email": seed.SUPPORT_EMAIL.upper(), "role_id": sandbox.role()}
    reply = sandbox.post(f"{ORG}/invite-user", wanted)
    assert (reply.status, reply.code) == (409, "RESOURCE_ALREADY_EXISTS")


def test_invite_refuses_an_invited_address(sandbox: Sandbox) -> None:
    sandbox.invite()
    reply = sandbox.post(f"{ORG}/invite-user", {"email": EMAIL, "role_id": sandbox.role()})
    assert (reply.status, reply.code) == (409, "RESOURCE_ALREADY_EXISTS")
    assert sandbox.emails() == 1


def test_invite_can_send_an_invited_address_another_email(make: Make) -> None:
    sandbox = make(duplicates="resend")
    first = sandbox.invite()
    sandbox.forward(days=3)
    second = sandbox.invite(role="Support")
    renewed = {"role_id": sandbox.role("Support"), "expires_at": "2026-02-12T02:40:00Z"}
    assert second == first | renewed
    assert sandbox.details(email=EMAIL).body["expires_at"] == "2026-02-12T02:40:00Z"
    assert sandbox.emails() == 2


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
    assert sandbox.emails() == 4
    assert key_of(sandbox.details(email=EMAIL).body) == key_of(invited)


def test_resend_answers_a_message_in_the_other_profile(make: Make) -> None:
    sandbox = make(profile="organizations")
    reply = resend(sandbox, sandbox.invite()["user_id"])
    assert (reply.status, reply.body["success"]) == (200, True)
    assert reply.body["message"]


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


# --- cancelling ---------------------------------------------------------------------------------


def cancel(sandbox: Sandbox, invitation: str, **options: Any) -> Reply:
    return sandbox.call("DELETE", f"{ORG}/invitations/{invitation}", **options)


def test_cancel_removes_the_row_and_kills_the_link(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    reply = cancel(sandbox, invited["invitation_id"])
    assert (reply.status, reply.content) == (204, b"")
    assert sandbox.state(invited["invitation_id"]) == "revoked"
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
    reply = sandbox.complete(key_of(invited))
    assert reply.status == 200
    done = reply.body
    assert done["success"] is True
    assert (done["user_id"], done["email"]) == (invited["user_id"], EMAIL)
    assert done["organization_id"] == seed.ORGANIZATION
    assert done["device_id"] is None
    assert done["recommended_username"] == "noor"
    assert done["token"].count(".") == 2
    assert sandbox.get(ORG, token=done["token"]).status == 200
    assert sandbox.member(EMAIL)["full_name"] == "Noor Example"
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


@pytest.mark.parametrize(
    "wanted",
    [
        {"take": 0},
        {"take": 101},
        {"skip": -1},
        {"take": "many"},
        {"sort_field": "age"},
        {"sort_direction": "up"},
        {"search_term": 7},
    ],
)
def test_members_list_checks_its_body(sandbox: Sandbox, wanted: dict[str, Any]) -> None:
    reply = sandbox.post(f"{ORG}/users", wanted)
    assert (reply.status, reply.code) == (422, "VALIDATION_ERROR")


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
    assert update(sandbox, seed.OWNER_EMAIL, role_id=sandbox.role()).status == status
    assert update(sandbox, seed.OWNER_EMAIL, status_id=sandbox.status("Inactive")).status == status
    assert sandbox.call("DELETE", f"{path}/delete").status == status
    unassign = f"{ORG}/roles/{sandbox.role('Owner')}/members/{owner['user_id']}"
    assert sandbox.call("DELETE", unassign).code == "CANNOT_REMOVE_LAST_OWNER"
    assert sandbox.member(seed.OWNER_EMAIL) == owner


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


def test_unassign_role(sandbox: Sandbox) -> None:
    user = sandbox.member(seed.SUPPORT_EMAIL)["user_id"]
    other = f"{ORG}/roles/{sandbox.role('Admin')}/members/{user}"
    assert sandbox.call("DELETE", other).code == "RESOURCE_NOT_FOUND"
    only = f"{ORG}/roles/{sandbox.role('Support')}/members/{user}"
    assert sandbox.call("DELETE", only).status == 204
    assert sandbox.member(seed.SUPPORT_EMAIL)["role"]["name"] == "Member"
    invited = sandbox.invite()["user_id"]
    path = f"{ORG}/roles/{sandbox.role()}/members/{invited}"
    assert sandbox.call("DELETE", path).status == 404


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
    ],
)
def test_bad_credentials(sandbox: Sandbox, headers: dict[str, str], code: str) -> None:
    reply = sandbox.get(ORG, key=None, headers=headers)
    assert (reply.status, reply.code) == (401, code)


def test_a_token_wins_over_a_key(sandbox: Sandbox) -> None:
    token = sandbox.complete(key_of(sandbox.invite())).body["token"]
    headers = {"x-api-key": seed.OWNER_KEY, "authorization": f"Bearer {token}"}
    wanted = {"email": "x@example.net", "role_id": sandbox.role()}
    reply = sandbox.post(f"{ORG}/invite-user", wanted, key=None, headers=headers)
    assert reply.code == "INSUFFICIENT_PERMISSIONS"


def test_the_read_only_key_reads_and_changes_nothing(sandbox: Sandbox) -> None:
    invited = sandbox.invite()
    person, role = invited["user_id"], sandbox.role()
    before = sandbox.service.snapshot()
    everyone = {"user_ids": [person]}
    for method, path, body in [
        ("POST", "/invite-user", {"email": "x@example.net", "role_id": role}),
        ("POST", f"/users/{person}/resend-invitation", None),
        ("POST", "/users/resend-invitation-bulk", everyone),
        ("DELETE", f"/invitations/{invited['invitation_id']}", None),
        ("PUT", f"/users/{person}", {"role_id": role}),
        ("DELETE", f"/users/{person}/delete", None),
        ("POST", f"/users/{person}/restore", None),
        ("DELETE", f"/roles/{role}/members/{person}", None),
    ]:
        reply = sandbox.call(method, f"{ORG}{path}", body, key=seed.READ_ONLY_KEY)
        assert (reply.status, reply.code) == (403, "INSUFFICIENT_PERMISSIONS"), path
    assert sandbox.service.snapshot() == before
    for path in ("/roles", "/statuses", f"/users/{person}", ""):
        assert sandbox.get(f"{ORG}{path}", key=seed.READ_ONLY_KEY).status == 200
    assert sandbox.post(f"{ORG}/users", {}, key=seed.READ_ONLY_KEY).status == 200


# --- limits, headers, errors --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "rate", "most", "wait"),
    [
        ("standard", "bucket", 120, "1"),
        ("standard", "window", 100, "60"),
    ],
)
def test_the_rate_is_limited(make: Make, plan: str, rate: str, most: int, wait: str) -> None:
    sandbox = make(plan=plan, rate=rate)
    for left in reversed(range(most)):
        reply = sandbox.get(ORG)
        assert reply.status == 200
        assert reply.headers["x-ratelimit-remaining"] == str(left)
        assert reply.headers["x-ratelimit-limit"] == str(most)
        assert reply.headers["x-ratelimit-retry-after"] == "0"
    refused = sandbox.get(ORG)
    assert (refused.status, refused.code) == (429, "RATE_LIMIT_EXCEEDED")
    assert refused.headers["retry-after"] == wait
    assert refused.headers["x-ratelimit-retry-after"] == wait
    assert float(refused.headers["x-ratelimit-reset"]) > START
    assert refused.headers["x-request-id"]
    assert sandbox.get(ORG, key=seed.READ_ONLY_KEY).status == 200
    sandbox.forward(seconds=int(wait))
    assert sandbox.get(ORG).status == 200


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
    } <= set(first.headers)


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


STRANGE: list[Any] = [None, True, 0, -1, 1e300, "", "x", "\U0001f600\0", [], [None], {}, {"a": 1}]


@pytest.mark.parametrize(
    ("method", "path"), [pytest.param(m, p, id=f"{m} {p}") for m, p in AitronosService.routes]
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
    names = (
        "email role_id role_name send_invitation send_email user_ids email_key full_name password "
    )
    names += "skip take search_term status_id sort_field sort_direction include_deleted user_id"
    for value in STRANGE:
        fields = dict.fromkeys(names.split(), value)
        query = {name: str(value) for name in names.split()}
        for options in (
            {"body": fields},
            {"query": query},
            {"raw": b'{"email": "\\ud800"}'},
            {"raw": b'{"take": NaN, "skip": ' + b"9" * 5_000 + b"}"},
        ):
            assert sandbox.call(method, path, **options).status < 500
        odd = quote(str(value)) or "-"
        assert sandbox.call(method, path.replace(person, odd), fields).status < 500
