"""Vultr keeps the rules that every provider keeps, in each of the shapes that its sources show."""

from __future__ import annotations

from typing import Any, ClassVar

from guestlist.errors import (
    ConfigError,
    Conflict,
    InvalidArgument,
    MalformedResponse,
    NotFound,
    Unsupported,
)
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist_vultr.provider import VultrOptions
from guestlist_vultr.sandbox import VultrService
from pytest_guestlist.conformance import Example, ProviderSuite, VariantSuite, WalkthroughRunner

BARE: dict[str, Any] = {"id": "i1", "email_invited": "rosa@example.net"}
FULL: dict[str, Any] = {
    "id": "i1",
    "email_invited": "rosa@example.net",
    "email_registered": "r@example.com",
    "invite_status": "Accepted",
    "org_id": "o1",
    "org_name": "Works",
    "date_created": "2026-05-04 12:00:00",
    "expiration_date": "2026-05-07T14:00:00+02:00",
    "date_responded": "2026-05-05T12:00:00Z",
    "inviter_email": "omar@example.org",
}
READ = {
    "id": "i1",
    "email": "rosa@example.net",
    "state": "accepted",
    "raw_state": "Accepted",
    "organization_id": "o1",
    "organization": "Works",
    "created_at": "2026-05-04T12:00:00+00:00",
    "expires_at": "2026-05-07T14:00:00+02:00",
    "responded_at": "2026-05-05T12:00:00+00:00",
    "invited_by": "omar@example.org",
}
ADA = Member(id="u1", email="ada@example.com")
NAMELESS = Invitation(id=None, email="rosa@example.net", state=State.PENDING)
ORGANIZATION = {"organization_id": "o1"}


def invitation(raw: dict[str, Any], **means: Any) -> Example:
    return Example("get_invitation", BARE | raw, means)


def user(raw: dict[str, Any], **means: Any) -> Example:
    return Example("get_member", {"id": "u1", "email": "ada@example.com"} | raw, means)


def refused(status: int, words: str, means: type[Exception], error_contains: str = "") -> Example:
    return Example(
        "get_member", {"error": words}, means, status=status, error_contains=error_contains
    )


def held(groups: Any, roles: Any, policies: Any, *means: dict[str, Any]) -> Example:
    """The grants of a member, from the three lists that are asked for."""
    lists = zip(("groups", "roles", "policies"), (groups, roles, policies), strict=True)
    return Example(
        "access", [{name: content} for name, content in lists], list(means), several=True
    )


def grant(id: str, *via: str, direct: bool = True) -> dict[str, Any]:
    return {"role": id, "direct": direct, "via": list(via)}


A, B = {"id": "a"}, {"id": "b"}
ENDS: tuple[Any, ...] = (
    {},
    {"meta": None},
    {"meta": {"total": 1}},
    {"meta": {"links": []}},
    {"meta": {"links": {}}},
    {"meta": {"links": {"next": ""}}},
    {"meta": {"links": {"next": None}}},
)

DOCUMENTED = (
    # ------------------------------------------------------------------ invitations
    Example("get_invitation", FULL, READ),
    Example("get_invitation", {"invitation": FULL}, READ),
    Example("get_invitation", {"invite": FULL}, READ),
    invitation({"id": "", "uuid": "i2"}, id="i2"),
    invitation({"email_invited": "", "email_registered": "r@example.com"}, email="r@example.com"),
    invitation({"inviter_name": "Omar"}, invited_by="Omar"),
    invitation({"expiration_date": "0000-00-00 00:00:00"}, expires_at=None),
    invitation({"expiration_date": "0001-01-01T00:00:00Z"}, expires_at=None),
    invitation({"date_created": ""}, created_at=None, organization=None, responded_at=None),
    *(
        invitation(words, state=state, raw_state=word)
        for words, state, word in (
            ({"invite_status": "Accepted", "status": "Pending"}, "accepted", "Accepted"),
            ({"status": "Accepted", "status_full": "Pending"}, "accepted", "Accepted"),
            ({"invite_status": "", "status_full": "Pending"}, "pending", "Pending"),
            ({"invite_status": "pending"}, "pending", "pending"),
            ({"invite_status": " EXPIRED"}, "expired", " EXPIRED"),
            ({"invite_status": "Expires"}, "expired", "Expires"),
            ({"invite_status": "Declined"}, "declined", "Declined"),
            ({"invite_status": "Invite rejected"}, "declined", "Invite rejected"),
            ({"invite_status": "Cancelled"}, "unknown", "Cancelled"),
            ({}, "unknown", None),
        )
    ),
    *(
        Example(
            "invite",
            BARE,
            {"id": "i1"},
            arguments=(NewInvitation(email="rosa@example.net", options=options),),
            settings={"boolean": boolean},
            sends=[f'"permissions":{{"api_enabled":{sent}}}', '"email_invited":"rosa@example.net"'],
        )
        for options, boolean, sent in (
            (VultrOptions(), "words", '"no"'),
            (VultrOptions(api_enabled=True), "words", '"yes"'),
            (VultrOptions(api_enabled=True), "json", "true"),
        )
    ),
    Example("resend", BARE, InvalidArgument, arguments=(NAMELESS,)),
    *(
        Example("invitations", {name: [BARE]} | end, [{"id": "i1"}])
        for name in ("invites", "invitations")
        for end in ENDS
    ),
    Example("invitations", [BARE], {"items": [{"id": "i1"}], "next": None, "total": None}),
    Example("invitations", {"invites": None}, []),
    Example(
        "invitations",
        {"invites": [BARE], "meta": {"total": 7, "links": {"next": "bmV4dA=="}}},
        {"items": [{"id": "i1"}], "next": "bmV4dA==", "total": 7},
        sends=["per_page=500"],
    ),
    # ------------------------------------------------------------------ members
    user({"uuid": "u2"}, id="u1", state="active"),
    user({"id": "", "uuid": "u2"}, id="u2"),
    user({"name": "Ada"}, name="Ada"),
    user({"display_name": "Ada"}, name="Ada"),
    user({"name": "", "first_name": "Ada", "last_name": "Byron"}, name="Ada Byron"),
    user({"first_name": "Ada"}, name="Ada"),
    user({"email": None}, name=None, email=""),
    Example("get_member", {"user": {"id": "u1"}}, {"id": "u1"}),
    *(
        user(raw, state=state)
        for raw, state in (
            ({"status": "Active"}, "active"),
            ({"status": "Suspended"}, "suspended"),
            ({"status": "closed"}, "removed"),
            ({"status": "pending", "invite_accepted": True}, "invited"),
            ({"status": "active", "invite_accepted": False}, "active"),
            ({"invite_accepted": False}, "invited"),
            ({"invite_accepted": "no", "active": True}, "invited"),
            ({"invite_accepted": False, "service_user": True}, "active"),
            ({"invite_accepted": True}, "active"),
            ({"invite_accepted": None}, "active"),
            ({"status": "deleted"}, "removed"),
            ({"status": "removed"}, "removed"),
            ({"active": True}, "active"),
            ({"active": False}, "suspended"),
            ({"active": "no"}, "suspended"),
            ({"active": "0"}, "suspended"),
            ({"date_suspended": ""}, "active"),
            ({"date_suspended": "2026-05-04T12:00:00+00:00"}, "suspended"),
        )
    ),
    *(
        user({"service_user": told}, service=means)
        for told, means in (("yes", True), (True, True), (1, True), ("no", False), (None, False))
    ),
    *(
        Example("members", {"users": [{"id": "u1", "status": word}, {"id": "u2"}]}, [{"id": "u2"}])
        for word in ("Pending", "Invited")
    ),
    Example(
        "members",
        {"users": [{"id": "u1", "invite_accepted": False}, {"user": {"id": "u2"}}]},
        [{"id": "u2"}],
    ),
    *(
        Example(
            "suspended", {name: [{"id": "u1"}]}, [{"state": "suspended"}], settings=ORGANIZATION
        )
        for name in ("users", "members")
    ),
    Example("set_api_enabled", {}, None, arguments=(ADA, True), sends=['{"api_enabled":true}']),
    # ------------------------------------------------------------------ organizations
    *(
        Example("organization", {name: [{"id": "o1", "name": "Works"}]}, "Works")
        for name in ("orgs", "organizations")
    ),
    Example("organization", {"orgs": [{"id": "o1"}]}, "o1"),
    Example(
        "organization",
        {"orgs": [{"id": "o1"}]},
        "o1",
        settings={"base_url": "https://api.vultr.com/v2"},
        sends=["GET https://api.vultr.com/v2/organizations?"],
    ),
    Example("organization", {"orgs": []}, ConfigError, error_contains="no organization"),
    Example(
        "organization",
        {"orgs": [{"id": "o1"}, {"id": "o2"}]},
        ConfigError,
        error_contains="o1 (o1), o2",
    ),
    *(
        Example(
            "organization",
            body,
            "Works",
            settings=ORGANIZATION,
            sends=["GET https://api.vultr.com/v2/organizations/o1 "],
        )
        for body in (
            {"name": "Works"},
            {"organization": {"name": "Works"}},
            {"org": {"name": "Works"}},
        )
    ),
    Example(
        "remove", {}, None, arguments=(ADA,), settings=ORGANIZATION, sends=["/organizations/o1/"]
    ),
    # ------------------------------------------------------------------ grants
    Example(
        "roles",
        {"groups": [{"id": "g", "display_name": "G"}, {"id": "h", "status": "deleted"}]},
        {"items": [{"id": "g", "name": "G", "kind": "group"}], "next": "role:"},
    ),
    Example(
        "roles",
        {"roles": [{"id": "r", "name": "R", "description": "D"}], "meta": {"links": {"next": "c"}}},
        {"items": [{"id": "r", "name": "R", "kind": "role", "description": "D"}], "next": "role:c"},
        arguments=("role:b",),
        sends=["cursor=b"],
    ),
    Example("roles", {"roles": []}, {"items": [], "next": "policy:"}, arguments=("role:",)),
    Example("roles", {"policies": []}, {"items": [], "next": None}, arguments=("policy:",)),
    Example("roles", {}, InvalidArgument, arguments=("user:",)),
    Example("assign_role", {}, InvalidArgument, arguments=(ADA, Role(id="x", kind="user"))),
    Example(
        "restore_group_member", {}, InvalidArgument, arguments=(ADA, Role(id="x", kind="role"))
    ),
    *(
        Example(
            "assign_role",
            {},
            None,
            arguments=(member, Role(id="g", kind="group")),
            sends=['"user_id":"u1"', f'"display_name":"{name}"'],
        )
        for member, name in (
            # names are not unique: the id stands in both fields
            (ADA, "u1"),
            (ADA.model_copy(update={"name": "Ada"}), "u1"),
        )
    ),
    held([A], [A], [A], grant("a"), grant("a"), grant("a")),
    Example("access", [{"assignments": [A]}], [grant("a")] * 3, several=True),
    held(
        None,
        {"all": [A, B], "direct": [A], "inherited": [B]},
        [],
        grant("a"),
        grant("b", direct=False),
    ),
    held([], {"all": [A, B], "direct": [A]}, [], grant("a"), grant("b", direct=False)),
    held([], {"all": [A, B], "inherited": [B]}, [], grant("a"), grant("b", direct=False)),
    held([], {"all": [A, B], "direct": None, "inherited": None}, [], grant("a"), grant("b")),
    held([], {"all": [A], "direct": [A, B]}, [], grant("a")),
    held([], {"direct": [A], "inherited": [A, B]}, [], grant("a"), grant("b", direct=False)),
    held([], {"all": None, "inherited": [B]}, [], grant("b", direct=False)),
    Example(
        "access",
        [{"groups": []}, {"roles": {"whole": [A]}}, {"policies": []}],
        MalformedResponse,
        several=True,
    ),
    held([], {"direct": [A], "from_roles": [B]}, [], grant("a"), grant("b", direct=False)),
    held([], [A, A, {"id": "b", "status": "deleted"}], {}, grant("a")),
    held([{"group_id": "g", "group_name": "G"}], [], [], grant("g")),
    held([], [{"role_id": "r", "role_name": "R", "role_description": "D"}], [], grant("r")),
    held(
        [],
        [{"id": "r", "name": "Known"}],
        [
            {"id": "p", "from_role": "r"},
            {"id": "q", "role_id": "s", "role_name": "S"},
            {"id": "o", "group_id": "g", "group_name": "G"},
        ],
        grant("r"),
        {"role": "p", "direct": False, "via": [{"id": "r", "name": "Known", "kind": "role"}]},
        {"role": "q", "direct": False, "via": [{"id": "s", "name": "S", "kind": "role"}]},
        {"role": "o", "direct": False, "via": [{"id": "g", "name": "G", "kind": "group"}]},
    ),
    # ------------------------------------------------------------------ errors
    *(
        refused(400, words, NotFound)
        for words in (
            "Invite not found",
            "Invalid user",
            "Group not found",
            "Role not found",
            "Policy not found",
            "Organization not found.",
            "Invalid UUID format",
        )
    ),
    refused(400, "This user has Already been invited", Conflict),
    refused(405, "No", Unsupported, "does not offer this"),
    refused(401, "Invalid API token", Exception, "this machine's address"),
    refused(403, "No", Exception, "iam.invitation"),
)


class Vultrs(VariantSuite):
    service = VultrService
    organization_in_requests = False  # the API key decides

    @classmethod
    def extra_operations(cls, runner: WalkthroughRunner, member: Member) -> None:
        group = next(role for role in runner.harness.roles() if role.kind == "group")
        runner.run("set_api_enabled", member, True)
        runner.run("suspend", member)
        assert [one.id for one in runner.run("suspended").items] == [member.id]
        runner.run("unsuspend", member)
        assert runner.harness.run(runner.harness.provider.get_member(member.id)).state == "active"
        assert runner.run("own_access")
        runner.harness.run(runner.harness.provider.assign_role(member, group))
        runner.harness.run(runner.harness.provider.unassign_role(member, group))
        runner.run("restore_group_member", member, group)


class TestVultr(Vultrs, ProviderSuite):
    documented = DOCUMENTED


class TestVultrOpenapi(Vultrs):
    origins_are_shown = False  # its lists of what a user holds are flat
    facts: ClassVar = {
        "profile": "openapi",
        "listing": "pending",
        "pending_users": "listed",
        "assumable": "accept",  # its document does not tell the two types of roles apart
        "duplicates": "refuse",
    }
