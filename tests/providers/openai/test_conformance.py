"""OpenAI keeps the rules of the contract.

The answers in `DOCUMENTED` are the examples of OpenAI's API reference.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from guestlist.errors import Conflict, Forbidden, NotFound, RateLimited, Rejected, Unauthorized
from guestlist.models import Member, NewInvitation, Role
from guestlist_openai.sandbox import OpenAIService
from pytest_guestlist.conformance import Example, ProviderSuite, VariantSuite

INVITE: dict[str, Any] = {
    "object": "organization.invite",
    "id": "invite-def",
    "email": "anotheruser@example.com",
    "role": "reader",
    "status": "pending",
    "created_at": 1711471533,
    "expires_at": 1712076333,
    "accepted_at": None,
    "projects": [
        {"id": "project-xyz", "role": "member"},
        {"id": "project-abc", "role": "owner"},
    ],
}
READ = {
    "id": "invite-def",
    "email": "anotheruser@example.com",
    "state": "pending",
    "raw_state": "pending",
    "roles": ["reader", "project-xyz", "project-abc/owner"],
    "created_at": "2024-03-26T16:45:33+00:00",
    "expires_at": "2024-04-02T16:45:33+00:00",
    "responded_at": None,
}
PLAIN = INVITE | {"projects": []}
USER: dict[str, Any] = {
    "object": "organization.user",
    "id": "user_abc",
    "name": "First Last",
    "email": "user@example.com",
    "role": "owner",
    "added_at": 1711471533,
}
PROJECT = {
    "id": "project-abc",
    "object": "organization.project",
    "name": "Web",
    "created_at": 1711471533,
    "archived_at": None,
    "status": "active",
}
IN_IT = {
    "object": "organization.project.user",
    "id": "user_abc",
    "name": "First Last",
    "email": "user@example.com",
    "role": "owner",
    "added_at": 1711471533,
}
MEMBER = {
    "id": "user_abc",
    "email": "user@example.com",
    "name": "First Last",
    "roles": ["owner", "project-abc/owner"],
    "state": "active",
    "service": False,
    "joined_at": "2024-03-26T16:45:33+00:00",
}
ALONE = {"projects": False}


def page(*records: dict[str, Any], more: bool = False) -> dict[str, Any]:
    ids = [record.get("id") for record in records] or [None]
    return {
        "object": "list",
        "data": [*records],
        "has_more": more,
        "first_id": ids[0],
        "last_id": ids[-1],
    }


def ordered(*roles: Role) -> tuple[NewInvitation]:
    return (NewInvitation(email="anotheruser@example.com", roles=roles),)


def refused(
    status: int, means: type[Exception], error_contains: str = "", message: str = "No"
) -> Example:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return Example("remove", {"error": error}, means, status=status, error_contains=error_contains)


READER = Role(id="reader")
MISSING = "You have insufficient permissions. Missing scopes: api.management.read."
READS = "Can use the API and the projects that the person is in"
NOWHERE = '"projects":[]'

DOCUMENTED = (
    Example(
        "invite",
        INVITE,
        READ,
        arguments=ordered(
            Role(id="project-xyz", kind="project"),
            READER,
            Role(id="project-abc/owner", kind="project"),
        ),
        sends=[
            '"projects":[{"id":"project-xyz","role":"member"},{"id":"project-abc","role":"owner"}]',
            '"role":"reader"',
            "Bearer ",
        ],
    ),
    Example("invite", PLAIN, {"roles": ["reader"]}, arguments=ordered(READER), sends=[NOWHERE]),
    Example("get_invitation", PLAIN, {"roles": ["reader"]}),
    *(
        Example("get_invitation", PLAIN | {"status": word}, {"state": state, "raw_state": word})
        for word, state in (
            ("accepted", "accepted"),
            ("expired", "expired"),
            ("deleted", "unknown"),
        )
    ),
    Example(
        "get_invitation",
        PLAIN | {"accepted_at": 1711471533},
        {"responded_at": "2024-03-26T16:45:33+00:00"},
    ),
    Example("get_invitation", PLAIN | {"expires_at": None}, {"expires_at": None}),
    Example(
        "get_invitation",
        {name: PLAIN[name] for name in PLAIN if name != "created_at"} | {"invited_at": 1711471533},
        {"created_at": "2024-03-26T16:45:33+00:00"},
    ),
    Example(
        "invitations",
        [page(PLAIN, more=True)],
        {"items": [READ | {"roles": ["reader"]}], "next": "invite-def"},
        several=True,
        arguments=("invite-7",),
        sends=["after=invite-7", "limit=100"],
    ),
    Example(
        "invitations", [page(INVITE), page(PROJECT)], {"items": [READ], "next": None}, several=True
    ),
    Example(
        "revoke", INVITE | {"status": "accepted"}, Conflict, error_contains="cannot be deleted"
    ),
    Example("get_member", [USER, page(PROJECT), page(IN_IT)], MEMBER, several=True),
    Example(
        "get_member",
        [USER, page(PROJECT), page(IN_IT | {"role": "member"})],
        {"roles": ["owner", "project-abc"]},
        several=True,
    ),
    Example(
        "get_member",
        USER | {"email": None, "name": None, "role": None, "is_service_account": True},
        {"email": None, "name": None, "roles": [], "service": True},
        settings=ALONE,
    ),
    *(
        Example(
            "get_member",
            USER | {"user": {"object": "user", "id": "user_abc", **locked}},
            {"state": state},
            settings=ALONE,
        )
        for locked, state in (
            ({"banned": True}, "suspended"),
            ({"enabled": False}, "suspended"),
            ({"banned": False, "enabled": True}, "active"),
            ({"banned": None, "enabled": None}, "active"),
        )
    ),
    Example(
        "get_member",
        [USER, page(PROJECT, PROJECT | {"id": "project-b"}), page(IN_IT)],
        {"roles": ["owner", "project-abc/owner", "project-b/owner"]},
        several=True,
    ),
    Example(
        "assign_role",
        [page(IN_IT), IN_IT],
        None,
        several=True,
        arguments=(
            Member(id="user_abc", email="user@example.com"),
            Role(id="project-abc", kind="project"),
        ),
        sends=["/users/user_abc", '{"role":"member"}'],
    ),
    Example(
        "members",
        [page(PROJECT), page(IN_IT), page(USER)],
        {"items": [MEMBER], "next": None},
        several=True,
        sends=["/projects/project-abc/users?limit=100"],
    ),
    Example(
        "find_member",
        page(USER | {"id": "user_b", "email": None}, USER),
        {"id": "user_abc"},
        arguments=("USER@example.com",),
        settings=ALONE,
        sends=["emails%5B%5D=USER%40example.com"],
    ),
    Example("find_member", page(USER), None, arguments=("other@example.com",), settings=ALONE),
    Example(
        "roles",
        page(PROJECT),
        {
            "items": [
                {"id": "reader", "kind": "role", "name": "reader", "description": READS},
                {"id": "owner", "kind": "role"},
                {
                    "id": "project-abc",
                    "kind": "project",
                    "name": "Web",
                    "description": "member",
                    "not_assignable": None,
                },
                {
                    "id": "project-abc/owner",
                    "kind": "project",
                    "name": "Web/owner",
                    "description": "owner",
                    "not_assignable": None,
                },
            ]
        },
    ),
    Example(
        "unassign_role",
        page(IN_IT),
        None,
        arguments=(
            Member(id="user_abc", email="user@example.com"),
            Role(id="project-abc", kind="project"),
        ),
    ),
    Example(
        "organization",
        page(),
        "org-x",
        headers={"openai-organization": "org-x"},
        sends=["/organization/users?limit=1 "],
    ),
    Example("organization", page(), "an organization on OpenAI"),
    refused(400, Rejected, error_contains="No"),
    refused(404, NotFound),
    refused(401, Unauthorized, error_contains="Use an Admin API key"),
    refused(401, Forbidden, error_contains="under Organization Administration", message=MISSING),
    refused(403, Forbidden, error_contains="under Organization Administration", message=MISSING),
    Example("remove", {"error": MISSING}, Forbidden, status=401, error_contains="Missing scopes"),
    refused(429, RateLimited),
)


class TestOpenAI(ProviderSuite):
    service = OpenAIService
    role = "reader"
    organization_in_requests = False
    documented = DOCUMENTED


@pytest.mark.proof  # repeats the suite above for other switches of the sandbox
class TestOtherAnswers(VariantSuite):
    """What OpenAI does with a second invitation is not documented."""

    service = OpenAIService
    role = "reader"
    facts: ClassVar[dict[str, str]] = {
        "duplicates": "allow",
        "inviting_members": "allow",
        "expiry": "null",
        "scopes": "401",
    }
