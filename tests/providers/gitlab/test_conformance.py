"""GitLab keeps the rules that every provider keeps: on its sandbox, as the owner of a group, as an
administrator, who sees the addresses of members, and in a project."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

import pytest

from guestlist.errors import (
    Conflict,
    Forbidden,
    MalformedResponse,
    NotFound,
    RateLimited,
    Rejected,
    SeatLimit,
    Unauthorized,
)
from guestlist.models import Grant, Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Request
from guestlist_gitlab import GitLab, GitLabOptions
from guestlist_gitlab.provider import custom, level
from guestlist_gitlab.sandbox import GitLabService
from pytest_guestlist.conformance import Example, ProviderSuite, VariantSuite

RAW: dict[str, Any] = {  # docs.gitlab.com/api/invitations
    "id": 1,
    "invite_email": "ada@example.com",
    "created_at": "2026-10-22T14:13:35Z",
    "access_level": 30,
    "expires_at": "2026-11-22T14:13:35Z",
    "user_name": "Raymond Smith",
    "created_by_name": "Administrator",
}
READ = {
    "id": None,
    "email": "ada@example.com",
    "state": "pending",
    "basis": "inferred",
    "roles": ["30"],
    "created_at": "2026-10-22T14:13:35+00:00",
    "expires_at": None,  # the date in the record is the end of the membership
    "invited_by": "Administrator",
}
PERSON: dict[str, Any] = {  # docs.gitlab.com/api/group_members
    "id": 2,
    "username": "john_doe",
    "name": "John Doe",
    "state": "active",
    "avatar_url": "https://www.gravatar.com/avatar/c2525a7f",
    "created_at": "2026-09-22T14:13:35Z",
    "created_by": {"id": 1, "username": "raymond_smith", "state": "active"},
    "expires_at": "2027-10-22",
    "access_level": 30,
    "group_saml_identity": None,
}
MEMBER = {
    "id": "2",
    "email": None,
    "login": "john_doe",
    "name": "John Doe",
    "roles": ["30"],
    "state": "active",
    "service": False,
    "joined_at": None,
}
AUDITOR: dict[str, Any] = {  # docs.gitlab.com/api/member_roles
    "id": 2,
    "name": "Guest + read code",
    "description": "Custom guest that can read code",
    "group_id": 84,
    "base_access_level": 20,
    "read_code": True,
}
CUSTOM = Role(id="2", name="Guest + read code", kind="custom_role")
NEW = NewInvitation(email="ada@example.com", roles=(Role(id="30"),))
QUEUED = {"username_1": "Request queued for administrator approval."}
SUCCESS = {"status": "success"}
GROUP: dict[str, Any] = {"group": "55", "project": None}
PROJECT: dict[str, Any] = {"group": None, "project": "my/site"}


TOKEN: dict[str, Any] = {"id": 4, "name": "guestlist", "scopes": ["api"], "user_id": 1}
"""The record of a token (docs.gitlab.com, "Personal access tokens API")."""


def sent(*answers: Any) -> dict[str, Any]:
    """Returns the answers of an operation that sends several requests."""
    return {"answers": list(answers), "several": True}


def refused(message: Any, means: type[Exception], error_contains: str, **more: Any) -> Example:
    """Returns an error in a 201."""
    body = {"status": "error", "message": message, **more}
    return Example("invite", body, means, status=201, error_contains=error_contains, settings=GROUP)


def answered(
    status: int, body: Any, means: type[Exception], error_contains: str, **more: Any
) -> Example:
    """Returns an error with the status of one."""
    return Example(
        "remove",
        body,
        means,
        status=status,
        error_contains=error_contains,
        **{"settings": GROUP, **more},
    )


DOCUMENTED = (
    Example(
        "invite",
        [SUCCESS, [RAW]],
        READ,
        several=True,
        sends=[
            "POST",
            "/api/v4/groups/55/invitations",
            '"access_level":30',
            "query=ada%40example.com",
            "'PRIVATE-TOKEN': 'TOKEN'",
        ],
        arguments=(NEW,),
        settings=GROUP,
    ),
    Example(
        "invite",
        [SUCCESS, []],
        {"id": None, "state": "accepted", "basis": "inferred", "email": "ada@example.com"},
        several=True,
        settings=PROJECT,
        sends=["/api/v4/projects/my%2Fsite/invitations"],
    ),
    Example(
        "invite",
        {"queued_users": QUEUED, "status": "success"},
        {"id": None, "state": "awaiting_approval", "roles": ["30"], "basis": "reported"},
        arguments=(NEW,),
        settings=GROUP,
    ),
    Example(
        "invite",
        PERSON,
        MEMBER,
        status=201,
        arguments=(NEW.model_copy(update={"login": "@john_doe"}),),
        sends=["POST", "/groups/55/members", '"username":"john_doe"'],
        settings=GROUP,
    ),
    Example(
        "invite",
        {"message": QUEUED},
        {"state": "awaiting_approval"},
        arguments=(NEW.model_copy(update={"login": "username_1"}),),
        settings=GROUP,
    ),
    Example("invite", {"status": "done"}, MalformedResponse, settings=GROUP, error_contains="done"),
    Example(
        "invite",
        [[AUDITOR], SUCCESS, [RAW]],
        {"roles": [], "state": "pending"},
        several=True,
        arguments=(NEW.model_copy(update={"roles": (CUSTOM,)}),),
        sends=["/groups/84/member_roles", '"access_level":20', '"member_role_id":2'],
        settings={**GROUP, "custom_roles": "84"},
    ),
    # Of several addresses, each has its own text; guestlist sends one.
    refused({"test@example.com": "Invite email has already been taken"}, Conflict, "test@example"),
    refused({"test2@example.com": "User already exists in source"}, Conflict, "already exists"),
    refused({"test_username": "Access level is not included in the list"}, Rejected, "level"),
    refused(
        {"a@b.example": "The member's email address is not allowed for this group."},
        Rejected,
        "is not allowed for this group",
    ),
    refused(
        {
            "a@b.example": "Access level should be greater than or equal to Developer inherited"
            " membership from group Works"
        },
        Conflict,
        "a higher role here",
    ),
    refused(
        "There are not enough available seats to invite this many users.",
        SeatLimit,
        "Buy seats",
        reason="seat_limit_exceeded_error",
    ),
    refused("Members::CreateService::MembershipLockedError", Forbidden, "Users cannot be added"),
    refused("Invite limit of 20 per day exceeded.", Rejected, "tomorrow"),
    refused({"a": "not authorized to create member"}, Forbidden, "Owner"),
    refused("Emails cannot be blank", Rejected, "Emails cannot be blank"),
    Example(
        "invite",
        [SUCCESS, [RAW]],
        READ,
        several=True,
        arguments=(
            NEW.model_copy(update={"options": GitLabOptions(expires_at=date(2027, 1, 31))}),
        ),
        sends=['"expires_at":"2027-01-31"'],
        settings=GROUP,
    ),
    Example(
        "change_invitation",
        {},
        Conflict,
        arguments=(
            Invitation(id=None, email="ada@example.com", state=State.PENDING),
            (CUSTOM,),
        ),
        error_contains="cannot give a custom role",
        settings=GROUP,
    ),
    Example(
        "invite",
        [SUCCESS, [RAW]],
        {"state": "pending"},
        several=True,
        arguments=(
            NEW.model_copy(update={"roles": (CUSTOM.model_copy(update={"raw": AUDITOR}),)}),
        ),
        sends=['"access_level":20'],
        settings=GROUP,
    ),
    answered(404, {"message": "404 User Not Found"}, NotFound, "leave the login out"),
    answered(409, {"message": {"a": "taken"}}, Conflict, "a: taken"),
    answered(422, {"message": {"a": ["taken"]}}, Rejected, "a: taken"),
    answered(400, {"error": {"a": "wrong"}}, Rejected, "a: wrong"),
    Example("organization", **sent({"name": "Works"}, TOKEN), means="Works", settings=GROUP),
    Example(
        "organization",
        **sent({"name": "Works"}, TOKEN | {"scopes": ["read_api", "read_user"]}),
        means=Forbidden,
        error_contains="only the scopes read_api, read_user",
        settings=GROUP,
    ),
    Example(
        "organization",
        **sent({"name": "Works"}, TOKEN | {"scopes": ["granular"]}),
        means="Works",
        settings=GROUP,
    ),
    Example(
        "assign_role",
        PERSON,
        None,
        arguments=(Member(id="2", login="john_doe", roles=(Role(id="10"),)), Role(id="30")),
        sends=['{"access_level":30} '],
        settings=GROUP,
    ),
    Example("find_invitation", [RAW], READ, settings=GROUP, sends=["query=ada%40example.com"]),
    Example(
        "find_invitation",
        [[], [RAW | {"invite_email": "Ada@Example.com"}]],
        {"email": "Ada@Example.com"},
        several=True,
        arguments=("Ada@Example.com",),
        sends=["query=ada%40example.com", "query=Ada%40Example.com"],
        settings=GROUP,
    ),
    Example("find_invitation", [RAW | {"invite_email": "b@c.example"}], None, settings=GROUP),
    Example(
        "invitations",
        [RAW],
        {"items": [READ], "next": "page:2/250/83dcefb7", "total": 250},
        headers={
            "X-Total": "250",
            "Link": '<https://gitlab.com/api/v4/groups/55/invitations?page=2>; rel="next"',
        },
        sends=["/api/v4/groups/55/invitations?per_page=100"],
        settings=GROUP,
    ),
    Example("invitations", [RAW], {"next": None, "total": None}, settings=GROUP),
    Example(
        "change_invitation",
        {"expires_at": "2012-10-22T14:13:35Z", "access_level": 40},
        {"email": "ada@example.com", "roles": ["r-1"]},
        sends=["PUT", "/groups/55/invitations/ada%40example.com", '{"access_level":"r-1"}'],
        settings=GROUP,
    ),
    Example(
        "members",
        [PERSON],
        {"items": [MEMBER], "next": None, "total": 1},
        headers={"X-Total": "1"},
        sends=["/api/v4/groups/55/members?per_page=100"],
        settings=GROUP,
    ),
    Example(
        "members",
        [PERSON],
        {"next": "page:4/9/1ad5be0d", "total": 9},
        arguments=("page:3/9",),
        headers={"X-Total": "9", "Link": '<https://g/?page=4>; rel="next"'},
        sends=["/projects/my%2Fsite/members/all?per_page=100&page=3"],
        settings={**PROJECT, "inherited": True},
    ),
    *(
        Example("get_member", PERSON | change, MEMBER | means, settings=GROUP)
        for change, means in (
            ({}, {}),
            ({"email": "john@example.com"}, {"email": "john@example.com"}),
            ({"state": "deactivated"}, {}),
            ({"state": "blocked"}, {"state": "suspended"}),
            ({"state": "ldap_blocked"}, {"state": "suspended"}),
            ({"state": "banned"}, {"state": "suspended"}),
            ({"state": "blocked_pending_approval"}, {"state": "suspended"}),
            ({"membership_state": "awaiting"}, {"state": "suspended"}),
            ({"member_role": AUDITOR}, {"roles": ["2"]}),
            ({"access_level": 60}, {"roles": ["60"]}),
            (
                {"username": "project_7_bot_4ffca233d8298ea1"},
                {"login": "project_7_bot_4ffca233d8298ea1", "service": True},
            ),
            ({"username": "group_7_bot"}, {"login": "group_7_bot", "service": True}),
            (
                {"username": "service_account_group_345_6018"},
                {"login": "service_account_group_345_6018", "service": True},
            ),
        )
    ),
    Example(
        "roles",
        [AUDITOR],
        [*({"id": id} for id in ["0", "5", "10", "15", "20", "25", "30", "40", "50"]), {"id": "2"}],
        settings={**GROUP, "custom_roles": "instance"},
        sends=["GET https", "/api/v4/member_roles"],
    ),
    Example(
        "roles",
        {"message": "403 Forbidden"},
        Forbidden,
        status=403,
        error_contains="GitLab Ultimate",
        settings={**GROUP, "custom_roles": "84"},
    ),
    Example(
        "assign_role",
        PERSON,
        None,
        arguments=(Member(id="2", login="john_doe", roles=(CUSTOM,)), Role(id="30")),
        sends=["PUT", "/groups/55/members/2", '{"access_level":30,"member_role_id":null}'],
        settings=GROUP,
    ),
    Example(
        "assign_role",
        {"message": QUEUED},
        Conflict,
        error_contains="Role promotions",
        settings=GROUP,
    ),
    Example(
        "access",
        [PERSON | {"access_level": 40}, PERSON],
        [{"direct": True}, {"direct": False}],
        several=True,
        sends=["/groups/55/members/all/m-1", "/groups/55/members/m-1"],
        settings=GROUP,
    ),
    Example(
        "organization",
        **sent({"name": "Works", "full_name": "Holding / Works"}, TOKEN),
        means="Holding / Works",
        sends=["/groups/55?with_projects=false", "/api/v4/personal_access_tokens/self"],
        settings=GROUP,
    ),
    Example(
        "organization",
        **sent({"name": "Site", "name_with_namespace": "Works / Site"}, TOKEN),
        means="Works / Site",
        settings=PROJECT,
    ),
    answered(401, {"message": "401 Unauthorized"}, Unauthorized, "Create a new token"),
    answered(
        401,
        {"error": "invalid_token", "error_description": "Token was revoked."},
        Unauthorized,
        "Token was revoked.",
    ),
    answered(
        403,
        {"error": "insufficient_scope", "error_description": "Higher privileges", "scope": "api"},
        Forbidden,
        "scope api",
    ),
    answered(403, {"message": "403 Forbidden"}, Forbidden, "Owner in the group"),
    answered(403, {"message": "403 Forbidden"}, Forbidden, "Maintainer or Owner", settings=PROJECT),
    answered(404, {"message": "404 Group Not Found"}, NotFound, "Check group"),
    answered(
        404, {"message": "404 Project Not Found"}, NotFound, "Check project", settings=PROJECT
    ),
    answered(404, {"message": "404 Not found"}, NotFound, "404 Not found"),
    answered(409, {"message": "Member already exists"}, Conflict, "Member already exists"),
    answered(400, {"error": "access_level is invalid"}, Rejected, "access_level is invalid"),
    answered(
        400,
        {"message": {"access_level": ["is not included", "is no number"]}},
        Rejected,
        "access_level: is not included, is no number",
    ),
    answered(
        429,
        {"message": {"error": "This endpoint has been requested too many times."}},
        RateLimited,
        "",
    ),
)


class TestSandbox(ProviderSuite):
    service = GitLabService
    role = "Developer"
    documented = DOCUMENTED

    def test_access_levels_have_gitlab_s_names(self) -> None:
        """They are those of the documentation."""
        names = {number: level(number).name for number in (0, 5, 10, 15, 20, 25, 30, 40, 50)}
        assert list(names.values()) == [
            "No access",
            "Minimal access",
            "Guest",
            "Planner",
            "Reporter",
            "Security manager",
            "Developer",
            "Maintainer",
            "Owner",
        ]

    def test_facts(self) -> None:
        """Facts that no answer shows."""
        account = GitLab(token="t", group="g")
        assert (account.inherited, account.sees_addresses, account.invite_unknown) == (False,) * 3
        assert (account.most_roles, account.counts_seats) == (1, True)
        assert account.organization_settings == ("group", "project")
        assert account.admin_roles == {"Owner"}
        assert account.secret_fields == {"invite_token"}
        assert GitLab.members_show_emails is False
        assert account.members_show_emails is False
        assert GitLab(token="t", group="g", sees_addresses=True).members_show_emails is True

    def test_limits_count_what_the_documentation_says(self) -> None:
        """2,000 requests a minute, 200 lists of members, and 60 removals."""
        limits = GitLab(token="t", group="g").limits
        assert [(one.count, one.per) for one in limits] == [(2000, 60.0), (200, 60.0), (60, 60.0)]
        assert [one.what for one in limits] == ["requests", "lists of members", "removals"]
        path = ("api", "v4", "groups", "g")
        counted = [
            (Request.get(*path, "members"), [True, False]),
            (Request.get(*path, "members", "all"), [True, False]),
            (Request.get(*path, "members", "7"), [False, False]),
            (Request.get(*path, "invitations"), [False, False]),
            (Request.post(*path, "members"), [False, False]),
            (Request.delete(*path, "members", "7"), [False, True]),
            (Request.delete(*path, "invitations", "a@b.example"), [False, False]),
            (Request.put(*path, "members", "7"), [False, False]),
        ]
        for request, expected in counted:
            found = [one.applies_to is not None and one.applies_to(request) for one in limits[1:]]
            assert found == expected

    def test_a_copy_keeps_the_end_of_the_membership(self) -> None:
        """The end is in the record, as a date or a time."""
        account = GitLab(token="t", group="g")
        options = account.copy_of(account.read_invitation(RAW)).options
        assert options == GitLabOptions(expires_at=date(2026, 11, 22))
        without = account.copy_of(account.read_invitation(RAW | {"expires_at": None}))
        assert without.options == GitLabOptions()
        assert account.copy_of(Invitation(id=None, email="a@b.example", state=State.PENDING))

    def test_roles_without_access_are_explained(self) -> None:
        """No access and Minimal access allow nothing, unless there is another role."""
        account = GitLab(token="t", group="g")
        none, least, guest = (Grant(role=level(number)) for number in (0, 5, 10))
        for grants, effective in (
            ([none], False),
            ([least], False),
            ([none, least], False),
            ([least, guest], True),
            ([guest], True),
            ([], False),
        ):
            assert account.explain_access(grants)[0] is effective

    def test_custom_roles_are_read(self) -> None:
        """With name, level and description."""
        role = custom(AUDITOR)
        assert (role.id, role.kind, role.label) == (
            "2",
            "custom_role",
            "custom_role:Guest + read code",
        )
        assert role.description == "Custom guest that can read code"


@pytest.mark.proof  # the project below shows addresses, too
class TestAdministrator(VariantSuite):
    service = GitLabService
    role = "Developer"
    facts: ClassVar[dict[str, str]] = {"member_addresses": "shown"}


class TestProject(VariantSuite):
    service = GitLabService
    role = "Developer"
    facts: ClassVar[dict[str, str]] = {
        "profile": "project",
        "member_addresses": "shown",
        "again": "refuse",
        "known_people": "invite",
    }
