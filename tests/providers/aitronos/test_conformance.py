"""Aitronos keeps the rules that every provider keeps, in both families of its documentation."""

from __future__ import annotations

from typing import Any, ClassVar

from guestlist.errors import ConfigError, Conflict, InvalidArgument, MalformedResponse, NotFound
from guestlist.models import Invitation, Member, State
from guestlist_aitronos import Aitronos
from guestlist_aitronos.sandbox import AitronosService
from pytest_guestlist.conformance import Example, ProviderSuite, VariantSuite, WalkthroughRunner

LINK = "https://chat.aitronos.com/user/register?invite=invkey_1"
BARE: dict[str, Any] = {"invitation_id": "inv_1", "email": "rosa@example.net"}
FULL: dict[str, Any] = {
    **BARE,
    "user_id": "usr_1",
    "role_id": "role_1",
    "role_name": "Member",
    "organization_id": "org_1",
    "organization_name": "Works",
    "invitation_key": "own",
    "invitation_link": LINK,
    "created_at": "2026-02-03T10:00:00",
    "expires_at": "2026-02-10T12:00:00+02:00",
}
READ = {
    "id": "inv_1",
    "email": "rosa@example.net",
    "state": "pending",
    "raw_state": None,
    "user_id": "usr_1",
    "roles": [{"id": "role_1", "name": "Member"}],
    "organization_id": "org_1",
    "organization": "Works",
    "key": "own",
    "link": LINK,
    "created_at": "2026-02-03T10:00:00+00:00",
    "expires_at": "2026-02-10T12:00:00+02:00",
}
PERSON: dict[str, Any] = {"id": "orgusr_1", "user_id": "usr_1", "email": "ada@example.com"}
NESTED = {
    **PERSON,
    "full_name": "Ada",
    "role": {"id": "role_1", "name": "Member"},
    "status": {"id": "sts_1", "name": "Inactive"},
    "joined_at": "2026-02-03T10:00:00Z",
}
FLAT = {
    **PERSON,
    "username": "Ada",
    "role_id": "role_1",
    "role_name": "Member",
    "status_id": "sts_1",
    "status_name": "Inactive",
    "joined_at": "2026-02-03T10:00:00Z",
}
MEMBER = {
    "id": "orgusr_1",
    "user_id": "usr_1",
    "name": "Ada",
    "roles": [{"id": "role_1", "name": "Member"}],
    "state": "suspended",
    "joined_at": "2026-02-03T10:00:00+00:00",
}
ROSA = Invitation(id="inv_1", email="rosa@example.net", state=State.PENDING)
NOBODY = Invitation(id=None, email="rosa@example.net", state=State.PENDING)
ADA = Member(id="orgusr_1", email="ada@example.com")
STATUSES = {
    "statuses": [
        {"id": "sts_1", "name": "Inactive"},
        {"id": "sts_2", "name": "Invitation Sent", "description": "D"},
        {"id": "sts_3", "name": "Pending"},
    ]
}
WAITING = {**PERSON, "status": {"id": "sts_2", "name": "Invitation Sent"}}
OVER = ("Invitation already accepted", "It was ALREADY BEEN USED", "She is already a member")


def one(raw: dict[str, Any], **means: Any) -> Example:
    return Example("get_invitation", BARE | raw, means)


def person(raw: dict[str, Any], **means: Any) -> Example:
    return Example("get_member", PERSON | raw, means)


def listed(*answers: Any, **means: Any) -> Example:
    return Example("invitations", list(answers), means, several=True)


DOCUMENTED = (
    # ------------------------------------------------------------------ invitations
    Example("get_invitation", FULL, READ),
    Example("get_invitation", FULL, READ, arguments=("usr_1",), sends=["user_id=usr_1"]),
    Example("get_invitation", FULL, READ, arguments=("orgusr_1",), sends=["user_id=orgusr_1"]),
    Example("get_invitation", FULL, READ, arguments=("orguser_1",), sends=["user_id=orguser_1"]),
    Example("get_invitation", FULL, READ, arguments=("inv_1",), sends=["invitation_id=inv_1"]),
    one({}, created_at=None, expires_at=None, organization_id="ORGANIZATION_ID", link=None),
    one({"invitation_link": LINK}, key="invkey_1", link=LINK),
    one({"invitation_link": "https://[broken"}, key=None, link="https://[broken"),
    one({"invitation_link": "https://chat.aitronos.com/register"}, key=None),
    one({"created_at": ""}, created_at=None),
    Example(
        "get_invitation", {"user_id": "usr_1", "email": "a@b.example"}, {"id": None, "key": None}
    ),
    Example("get_invitation", {"email": "a@b.example"}, MalformedResponse),
    Example("invite", {"invitation_id": "inv_1", "role_id": "r-1"}, {"roles": ["r-1"]}),
    Example("invite", {"invitation_id": "inv_1"}, {"roles": ["r-1"], "email": "ada@example.com"}),
    Example("invite", {"invitation_id": "inv_1", "role_id": "r-2"}, {"roles": ["r-2"]}),
    Example(
        "find_invitation", {"error": "none"}, None, status=404, sends=["email=ada%40example.com"]
    ),
    Example("resend", FULL, READ, sends=["users/u-1/resend-invitation", "user_id=u-1"]),
    Example("resend", FULL, READ, arguments=(ROSA,), sends=["users/usr_1/", "invitation_id=inv_1"]),
    Example("resend", FULL, READ, arguments=(NOBODY,), sends=["users/usr_1/", "email=rosa%40"]),
    Example("resend", BARE, MalformedResponse, arguments=(ROSA,), error_contains="user id"),
    Example("resend", [{}, {"error": "none"}], {"id": "i-1"}, status=404, several=True),
    Example("revoke", FULL, None, arguments=(NOBODY,), sends=["DELETE", "/invitations/inv_1"]),
    Example(
        "revoke",
        {"user_id": "u", "email": "rosa@example.net"},
        MalformedResponse,
        arguments=(NOBODY,),
        error_contains="has no id",
    ),
    Example("validate_key", FULL, {**READ, "key": "k"}, arguments=("k",), sends=["/validate/k "]),
    Example("validate_key", FULL | {"valid": True}, {"state": "pending"}, arguments=("k",)),
    Example(
        "validate_key",
        FULL | {"valid": False},
        {"state": "unknown", "raw_state": "not valid"},
        arguments=("k",),
    ),
    # ------------------------------------------------------------------ the list of them
    listed(
        STATUSES,
        {"users": [WAITING], "total_users_count": 1},
        FULL,
        items=[READ],
        next="sts_3:0",
    ),
    Example(
        "invitations",
        [{"users": [WAITING], "total": 9}, FULL],
        {"items": [READ], "next": "sts_2,sts_3:8/9"},
        several=True,
        arguments=("sts_2,sts_3:7",),
        sends=[
            '"skip":7',
            '"take":25',
            '"status_id":"sts_2"',
            '"sort_field":"created_at"',
            '"sort_direction":"asc"',
            "user_id=usr_1",
        ],
    ),
    Example(
        "invitations",
        [{"users": [{**WAITING, "user_id": None}], "total": 1}, FULL],
        {"items": [READ], "next": None},
        several=True,
        arguments=("sts_2:0",),
        sends=["user_id=orgusr_1"],
    ),
    Example(
        "invitations",
        [{"users": [WAITING], "total": 9}, {"error": "none"}],
        {
            "items": [
                {
                    "id": None,
                    "email": "ada@example.com",
                    "state": "unknown",
                    "raw_state": "Invitation Sent",
                    "basis": "inferred",
                    "user_id": "usr_1",
                    "roles": [],
                    "organization_id": "ORGANIZATION_ID",
                    "created_at": None,
                }
            ]
        },
        status=404,
        several=True,
        arguments=("sts_2:0",),
    ),
    Example(
        "invitations",
        [
            {"users": [{**FLAT, "status_name": "invited", "created_at": "2026-02-03T10:00:00"}]},
            {"error": "none"},
        ],
        {"items": [{"roles": ["role_1"], "created_at": "2026-02-03T10:00:00+00:00"}], "next": None},
        status=404,
        several=True,
        arguments=("sts_2:0",),
    ),
    listed({"statuses": []}, {"users": [WAITING, FLAT, PERSON]}, FULL, items=[READ], next=None),
    listed(STATUSES, {"users": [FLAT], "total": 0}, items=[], next="sts_3:0"),
    listed(STATUSES, {"users": [PERSON]}, FULL, items=[READ], next="sts_3:0"),
    Example("invitations", {"users": []}, {"items": [], "next": None}, arguments=("sts_2:0",)),
    # ------------------------------------------------------------------ members
    Example("get_member", NESTED, MEMBER),
    Example("get_member", FLAT, MEMBER),
    Example("get_member", WAITING, NotFound, error_contains="has not accepted"),
    person({}, name=None, roles=None, state="active"),
    person({"id": ""}, id="usr_1"),
    *(
        person({"status_name": word}, state=state)
        for word, state in (
            ("Active", "active"),
            ("deactivated", "suspended"),
            ("Deleted", "removed"),
            ("On holiday", "active"),
        )
    ),
    *(
        Example("get_member", PERSON | {"status_name": word}, NotFound)
        for word in ("InvitationSent", "Invited", "pending", "invitation_pending")
    ),
    Example(
        "members",
        {"users": [WAITING, FLAT], "total_users_count": 9},
        {"items": [MEMBER], "next": "2/9"},
    ),
    Example("members", {"members": [FLAT], "total": 9}, {"items": [MEMBER], "next": "1/9"}),
    Example("members", {"members": [FLAT], "total": 1}, {"items": [MEMBER], "next": None}),
    Example(
        "members",
        {"users": [FLAT] * 100},
        {"next": "100//" + ".".join(["71df0ecc"] * 5)},
        sends=['"take":100', '"skip":0'],
    ),
    Example("members", {"users": [FLAT] * 99}, {"next": None}),
    Example("members", {"users": [], "total": 9}, {"items": [], "next": None}),
    Example("members", {"users": {}}, MalformedResponse),
    *(
        Example("find_member", {"users": [*before, one, *after], "total": 0}, means)
        for before, one, after, means in (
            ([], FLAT, [{**FLAT, "status_name": "Deleted"}], MEMBER),
            ([{**FLAT, "status_name": "Deleted"}], FLAT, [], MEMBER),
            ([WAITING], FLAT, [], MEMBER),
            (
                [{**FLAT, "id": "other", "status_name": "Deleted"}],
                WAITING,
                [],
                {"state": "invited"},
            ),
            ([FLAT], {**FLAT, "status_name": "Active"}, [], {"state": "active"}),
            ([{**FLAT, "email": "b.ada@example.com"}], NESTED, [{**NESTED, "id": "2"}], MEMBER),
        )
    ),
    Example("find_member", {"users": []}, None, sends=['"include_deleted":true', '"search_term"']),
    Example(
        "search", {"users": [FLAT]}, [MEMBER], arguments=("ada",), sends=['"search_term":"ada"}']
    ),
    # ------------------------------------------------------------------ statuses and roles
    Example(
        "statuses",
        STATUSES,
        [{"id": "sts_1"}, {"description": "D"}, {"name": "Pending"}],
        sends=["active_only=false"],
    ),
    *(
        Example(
            "set_status",
            [STATUSES, FLAT, {"error": "asked once more than needed"}],
            MEMBER,
            status=500,
            several=True,
            arguments=(ADA, word),
            sends=['"status_id":"sts_2"'],
        )
        for word in ("sts_2", "invitation_sent")
    ),
    Example(
        "set_status",
        [STATUSES, {"message": "done"}, FLAT],
        MEMBER,
        several=True,
        arguments=(ADA, "Inactive"),
        sends=[
            "PUT",
            "GET https://api.aitronos.com/v1/organizations/ORGANIZATION_ID/users/orgusr_1",
        ],
    ),
    Example(
        "set_status",
        STATUSES,
        InvalidArgument,
        arguments=(ADA, "Away"),
        error_contains="Invitation Sent, Pending",
    ),
    Example(
        "roles",
        {
            "roles": [
                {"id": "1", "name": "A"},
                {"id": "2", "name": "B", "description": "D", "capabilities": ["x", "y"]},
                {"id": "3", "name": "C", "permissions": {"x": True, "y": False}},
                {"id": "4", "name": "D", "capabilities": ["x"], "permissions": ["y"]},
            ]
        },
        [
            {"id": "1", "name": "A", "description": None},
            {"description": "D (allows: x, y)"},
            {"description": "(allows: x)"},
            {"description": "(allows: x)"},
        ],
    ),
    Example(
        "access",
        [FLAT, {"roles": []}],
        [{"role": {"id": "role_1", "name": "Member"}}],
        several=True,
    ),
    Example(
        "access",
        [FLAT, {"roles": [{"id": "role_1", "name": "Member", "description": "D"}]}],
        [{"role": {"description": "D"}}],
        several=True,
    ),
    Example("access", PERSON, []),
    Example("unassign_role", {}, None, sends=["DELETE", "/roles/r-1/members/u-1"]),
    # ------------------------------------------------------------------ many at once
    Example(
        "bulk_resend",
        {
            "success_count": 2,
            "failure_count": 3,
            "failed_operations": [{"id": "usr_9", "error": "Invitation already accepted"}],
        },
        {
            "sent": 2,
            "failed": 3,
            "failures": [{"id": "usr_9", "reason": "Invitation already accepted"}],
        },
        arguments=(["usr_1"],),
        sends=['"user_ids":["usr_1"]'],
    ),
    Example("bulk_resend", {"success_count": 2}, {"sent": 2, "failed": 0}, arguments=([],)),
    Example("bulk_resend", {"success_count": 1000}, {"sent": 1000}, arguments=(["u"] * 1000,)),
    Example(
        "bulk_resend",
        {},
        InvalidArgument,
        arguments=(["u"] * 1001,),
        error_contains="too many for one bulk",
    ),
    # ------------------------------------------------------------------ errors
    *(
        Example("get_member", {"error": {"message": words}}, Conflict, status=status)
        for status in (400, 422)
        for words in OVER
    ),
    Example(
        "get_member", {"error": {"message": "No"}}, Exception, status=403, error_contains="Admin's"
    ),
    *(
        Example(
            "get_member",
            {"error": {"message": "No", "code": code}},
            Exception,
            status=403,
            error_contains=error_contains,
        )
        for code, error_contains in (
            ("INSUFFICIENT_PERMISSIONS", "Admin's"),
            ("LOCKED", "allowed to do"),
        )
    ),
    # ------------------------------------------------------------------ accounts
    Example("organization", {"name": "Works"}, "Works", sends=["'X-API-Key': 'API_KEY'"]),
    *(
        Example("organization", {"name": "Works"}, "Works", settings=settings, sends=sends)
        for settings, sends in (
            ({"token": None, "credential": "bearer"}, ["'Authorization': 'Bearer API_KEY'"]),
            ({"api_key": None}, ["'Authorization': 'Bearer TOKEN'"]),
            (
                {"credential": "x-api-key"},
                ["'X-API-Key': 'API_KEY', 'Authorization': 'Bearer TOKEN'"],
            ),
            ({"api_key": None, "credential": "bearer"}, ["'Authorization': 'Bearer TOKEN'"]),
        )
    ),
    *(
        Example("organization", {}, ConfigError, settings=settings, error_contains=error_contains)
        for settings, error_contains in (
            ({"api_key": None, "token": None}, "FREDDY_API_KEY"),
            ({"credential": "bearer"}, "set only one"),
        )
    ),
)


class Aitronoses(VariantSuite):
    service = AitronosService
    role = "Member"

    @classmethod
    def extra_operations(cls, runner: WalkthroughRunner, member: Member) -> None:
        found = [one.id for one in runner.run("search", member.email).items]
        assert found == [member.id]
        statuses = runner.run("statuses")
        assert runner.run("set_status", member, "Inactive").state == "suspended"
        active = next(status for status in statuses if status.name == "Active")
        run, provider = runner.harness.run, runner.harness.provider
        assert isinstance(provider, Aitronos)
        assert run(provider.set_status(member, active)).state == "active"
        invited = runner.harness.invitation("eve")
        assert runner.run("bulk_resend", [str(invited.user_id)]).sent == 1
        told = runner.run("validate_key", invited.key)
        assert (told.email, told.key) == (invited.email, invited.key)
        run(provider.remove(member))
        deleted = run(provider.search(member.email or "", include_deleted=True)).items
        assert [one.state for one in deleted] == ["removed"]
        runner.run("restore", member)


class TestAitronos(Aitronoses, ProviderSuite):
    documented = DOCUMENTED


class TestAitronosOrganizations(Aitronoses):
    facts: ClassVar = {
        "profile": "organizations",
        "expired_lookup": "missing",
        "duplicates": "resend",
        "invitee_status": "Pending",
        "resend_moves_expiry": "no",
    }
