"""Anthropic keeps the rules of the contract.

The answers in `DOCUMENTED` are the examples of Anthropic's API reference, with the fields that the
official SDK added later.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from guestlist.errors import (
    Conflict,
    Forbidden,
    GuestlistError,
    NotFound,
    RateLimited,
    Rejected,
    SeatLimit,
    Unauthorized,
)
from guestlist.models import Member, NewInvitation, Role
from guestlist_anthropic.sandbox import AnthropicService
from pytest_guestlist.conformance import Example, ProviderSuite, VariantSuite

INVITE: dict[str, Any] = {
    "id": "invite_015gWxCN9Hfg2QhZwTK7Mdeu",
    "type": "invite",
    "email": "user@emaildomain.com",
    "role": "user",
    "status": "pending",
    "invited_at": "2024-10-30T23:58:27.427722Z",
    "expires_at": "2024-11-20T23:58:27.427722Z",
    "accepted_at": None,
    "rbac_group_ids": [],
}
READ = {
    "id": "invite_015gWxCN9Hfg2QhZwTK7Mdeu",
    "email": "user@emaildomain.com",
    "state": "pending",
    "raw_state": "pending",
    "roles": ["user"],
    "created_at": "2024-10-30T23:58:27.427722+00:00",
    "expires_at": "2024-11-20T23:58:27.427722+00:00",
    "responded_at": None,
}
USER: dict[str, Any] = {
    "id": "user_01WCz1FkmYMm4gnmykNKUu3Q",
    "type": "user",
    "email": "user@emaildomain.com",
    "name": "Jane Doe",
    "role": "developer",
    "added_at": "2024-10-30T23:58:27.427722Z",
}
WORKSPACE = {"id": "wrkspc_1", "type": "workspace", "name": "Research", "archived_at": None}
IN_IT = {
    "type": "workspace_member",
    "user_id": USER["id"],
    "workspace_id": "wrkspc_1",
    "workspace_role": "workspace_admin",
}
MEMBER = {
    "id": USER["id"],
    "email": "user@emaildomain.com",
    "name": "Jane Doe",
    "roles": ["developer", "wrkspc_1/workspace_admin"],
    "joined_at": "2024-10-30T23:58:27.427722+00:00",
}


def page(*records: dict[str, Any], more: bool = False) -> dict[str, Any]:
    ids = [record.get("id") for record in records] or [None]
    return {"data": [*records], "has_more": more, "first_id": ids[0], "last_id": ids[-1]}


NOT_BY_API = "the API does not grant it; an admin can do so in the Claude Console"
USES = "Can use the Workbench; on Claude Enterprise, can use Claude"
DATES = ("2025-02-01", "2025-01-01")


def refused(
    code: str | None, means: type[GuestlistError], status: int = 400, error_contains: str = ""
) -> Example:
    details = {"details": {"error_code": code}} if code else {}
    error = {"type": "invalid_request_error", "message": "No, thank you", **details}
    body = {"type": "error", "error": error, "request_id": "req_1"}
    return Example("remove", body, means, status=status, error_contains=error_contains)


DOCUMENTED = (
    Example(
        "invite",
        INVITE,
        READ,
        arguments=(NewInvitation(email="user@emaildomain.com", roles=(Role(id="user"),)),),
        sends=['{"email":"user@emaildomain.com","role":"user"}', "2026-10-21", "x-api-key"],
    ),
    Example("get_invitation", INVITE, READ),
    *(
        Example("get_invitation", INVITE | {"status": word}, {"state": state, "raw_state": word})
        for word, state in (
            ("accepted", "accepted"),
            ("expired", "expired"),
            ("deleted", "revoked"),
            ("Pending", "unknown"),
        )
    ),
    Example(
        "get_invitation",
        INVITE | {"status": "accepted", "accepted_at": "2024-11-01T00:00:00Z"},
        {"responded_at": "2024-11-01T00:00:00+00:00"},
    ),
    Example("get_invitation", INVITE | {"role": "new_role"}, {"roles": ["new_role"]}),
    Example(
        "invitations",
        page(INVITE, more=True),
        {"items": [READ], "next": INVITE["id"]},
        arguments=("invite_7",),
        sends=["after_id=invite_7", "limit=1000"],
    ),
    Example("invitations", page(INVITE), {"items": [READ], "next": None}),
    Example(
        "find_invitation",
        page(INVITE | {"id": "late", "status": "expired", "invited_at": None}, INVITE),
        READ,
        arguments=("USER@emaildomain.com",),
        sends=["email=USER%40emaildomain.com"],
    ),
    Example(
        "find_invitation",
        page(*(INVITE | {"id": at, "status": "expired", "invited_at": at} for at in DATES)),
        {"id": "2025-02-01"},
        arguments=("user@emaildomain.com",),
    ),
    Example("find_invitation", page(INVITE), None, arguments=("other@emaildomain.com",)),
    Example("get_member", [USER, page(WORKSPACE), page(IN_IT)], MEMBER, several=True),
    Example(
        "get_member",
        [USER, page(WORKSPACE), page(IN_IT | {"user_id": "user_2"})],
        {"roles": ["developer"]},
        several=True,
    ),
    Example("get_member", USER, {"roles": ["developer"]}, settings={"workspaces": False}),
    Example(
        "get_member",
        [USER, page(WORKSPACE, WORKSPACE | {"id": "wrkspc_2"}), page(IN_IT)],
        {"roles": ["developer", "wrkspc_1/workspace_admin", "wrkspc_2/workspace_admin"]},
        several=True,
    ),
    *(
        Example("revoke", INVITE | {"status": word}, Conflict, error_contains="only a pending one")
        for word in ("accepted", "expired", "deleted")
    ),
    Example(
        "assign_role",
        [page(IN_IT), IN_IT],
        None,
        several=True,
        arguments=(
            Member(id=USER["id"], email=USER["email"]),
            Role(id="wrkspc_1/workspace_developer", kind="workspace"),
        ),
        sends=[f"/members/{USER['id']}", '{"workspace_role":"workspace_developer"}'],
    ),
    Example(
        "members",
        [page(WORKSPACE), page(IN_IT), page(USER)],
        {"items": [MEMBER], "next": None},
        several=True,
        sends=["/workspaces/wrkspc_1/members?limit=1000"],
    ),
    Example(
        "roles",
        page(WORKSPACE),
        {
            "items": [
                {"id": "user", "not_assignable": None, "description": USES},
                {"id": "claude_code_user", "not_assignable": None},
                {"id": "billing", "not_assignable": None},
                {"id": "developer", "not_assignable": None},
                {"id": "managed", "not_assignable": NOT_BY_API},
                {"id": "admin", "not_assignable": NOT_BY_API},
                {"id": "membership_admin"},
                {"id": "owner"},
                {"id": "primary_owner"},
                {
                    "id": "wrkspc_1",
                    "kind": "workspace",
                    "name": "Research",
                    "description": "workspace_user",
                    "not_assignable": None,
                },
                {
                    "id": "wrkspc_1/workspace_developer",
                    "kind": "workspace",
                    "name": "Research/developer",
                    "description": "workspace_developer",
                    "not_assignable": None,
                },
                {"id": "wrkspc_1/workspace_restricted_developer"},
                {"id": "wrkspc_1/workspace_admin"},
            ]
        },
    ),
    Example(
        "unassign_role",
        page(IN_IT),
        None,
        arguments=(
            Member(id=USER["id"], email=USER["email"]),
            Role(id="wrkspc_1", kind="workspace"),
        ),
    ),
    refused("already_member", Conflict, error_contains="code already_member"),
    refused("invite_already_exists", Conflict),
    refused("org_member_limit_exceeded", SeatLimit, error_contains="Pending invites count"),
    refused("workspace_member_limit_exceeded", Forbidden, error_contains="workspace"),
    refused("cannot_remove_last_member", Conflict, error_contains="Add another member first"),
    refused("concurrent_membership_change", RateLimited, status=409),
    refused("email_domain_not_allowed", Forbidden, error_contains="allowed email domains"),
    refused("cannot_invite_emails_with_unverified_domains", Forbidden, error_contains="Verify"),
    refused("organization_type_not_supported", Forbidden, error_contains="workspaces = false"),
    refused("organization_on_hold", Forbidden, error_contains="appeal"),
    refused("a_new_code", Rejected, error_contains="No, thank you"),
    refused(None, Rejected, error_contains="No, thank you"),
    refused(None, NotFound, status=404),
    refused(None, Unauthorized, status=401, error_contains="Use an Admin API key"),
    refused(None, Forbidden, status=403, error_contains="write:members"),
)


class TestAnthropic(ProviderSuite):
    service = AnthropicService
    role = "user"
    organization_in_requests = False
    documented = DOCUMENTED


@pytest.mark.proof  # repeats the suite above for one switch of the sandbox
class TestVanishing(VariantSuite):
    """Whether a deleted invite can still be read is not documented."""

    service = AnthropicService
    role = "user"
    facts: ClassVar[dict[str, str]] = {"revoked": "vanish"}
