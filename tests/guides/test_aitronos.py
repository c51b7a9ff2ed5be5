"""Aitronos' page "Invite User to Organization": each statement holds against the default sandbox,
through the page's own curl command and bodies, the Python API, the command line and the SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from aitronos import Aitronos as Sdk
from tests.guides.conftest import Cli, Client, Reply, Send

from guestlist import Forbidden, Outcome, UnknownRole
from guestlist.sandbox import Sandbox
from guestlist_aitronos import Aitronos
from guestlist_aitronos.sandbox import AitronosService

ADA = "newmember@example.com"
DAYS_7 = timedelta(days=7)

INVITE = """\
curl -X POST \\
  "https://api.aitronos.com/v1/organizations/org_xyz789/invite-user" \\
  -H "X-API-Key: $FREDDY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "email": "newmember@example.com",
    "role_id": "role_member",
    "send_invitation": true
  }'
"""
OTHER_NAMES = {"email": ADA, "role_name": "Member", "send_email": True}
"""The body of the page's second Python sample."""


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox([AitronosService]) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def settings(sandbox: Sandbox) -> dict[str, Any]:
    return {**sandbox.services["aitronos"].settings}


@pytest.fixture
def read_only(sandbox: Sandbox) -> dict[str, Any]:
    return {**sandbox.services["aitronos"].read_only_settings}


def run(send: Send, command: str, settings: dict[str, Any]) -> Reply:
    """Sends a command of the page."""
    command = command.replace("https://api.aitronos.com", settings["base_url"])
    command = command.replace("org_xyz789", settings["organization_id"])
    return send(command, {"FREDDY_API_KEY": settings["api_key"]})


def test_inviting_with_the_command(sandbox: Sandbox, settings: dict[str, Any], send: Send) -> None:
    """ "201 Created" with what the page shows, and an email unless send_invitation is false."""
    invited = run(send, INVITE, settings)
    assert invited.status == 201
    shown = {"invitation_id", "email", "invitation_key", "is_new_user", "user_id", "expires_at"}
    assert shown <= set(invited.json)
    assert (invited.json["email"], invited.json["is_new_user"]) == (ADA, True)
    assert [mail.to for mail in sandbox.outbox.emails] == [ADA]

    silent = INVITE.replace("true", "false").replace(ADA, "silent@example.com")
    assert run(send, silent, settings).status == 201
    admin = INVITE.replace("role_member", "role_admin").replace(ADA, "admin@example.com")
    assert run(send, admin, settings).json["role_id"] == "role_admin"
    assert [mail.to for mail in sandbox.outbox.emails] == [ADA, "admin@example.com"]


def test_the_second_sample_has_other_names(sandbox: Sandbox, settings: dict[str, Any]) -> None:
    url = f"{settings['base_url']}/v1/organizations/{settings['organization_id']}/invite-user"
    headers = {"X-API-Key": settings["api_key"]}
    invited = httpx.post(url, headers=headers, json=OTHER_NAMES, trust_env=False)
    assert (invited.status_code, invited.json()["role_id"]) == (201, "role_member")
    assert [mail.to for mail in sandbox.outbox.emails] == [ADA]


def test_the_first_sample_with_the_sdk(sandbox: Sandbox, settings: dict[str, Any]) -> None:
    with httpx.Client(trust_env=False) as http:
        client = Sdk(api_key=settings["api_key"], base_url=settings["base_url"], httpx_client=http)
        result = client.crew_management_invitations.invite_user(
            organization_id=settings["organization_id"], email=ADA, role_id="role_member"
        )
    assert (result.email, result.role_id) == (ADA, "role_member")
    assert [mail.to for mail in sandbox.outbox.emails] == [ADA]


def test_who_may_not_invite_reads_the_pages_words(read_only: dict[str, Any], send: Send) -> None:
    """ "User must be Admin or Owner." """
    refused = run(send, INVITE, read_only)
    error = refused.json["error"]
    assert (refused.status, refused.json["success"]) == (403, False)
    assert {
        "code": "INSUFFICIENT_PERMISSIONS",
        "message": "You don't have permission to perform this action.",
        "system_message": "Insufficient permissions for this operation",
        "type": "client_error",
        "status": 403,
        "details": {},
    }.items() <= error.items()
    assert {"trace_id", "timestamp"} <= set(error)


def test_inviting_in_python(
    sandbox: Sandbox, settings: dict[str, Any], read_only: dict[str, Any], client: Client
) -> None:
    guests = client(Aitronos(**settings))
    for role in ("role_member", "Member", "role:Member"):
        email = f"{role.replace(':', '-')}@example.com"
        result = guests.invite(email, role=role)
        invitation = result.guest.invitation
        assert (result.outcome, result.email_sent) == (Outcome.INVITED, True)
        assert (invitation.is_new_user, invitation.key is not None) == (True, True)
        assert invitation.roles[0].id == "role_member"
        assert abs(invitation.expires_at - sandbox.clock.now() - DAYS_7) < timedelta(seconds=5)
    assert len(sandbox.outbox.emails) == 3
    assert guests.invite(ADA, role="role_admin", send_email=False).email_sent is False
    known = guests.invite("otto.outsider@elsewhere.example", role="role_member")
    assert known.guest.invitation.is_new_user is False
    assert len(sandbox.outbox.emails) == 4

    with pytest.raises(UnknownRole):
        guests.invite("x@example.com", role="role_king")
    with pytest.raises(Forbidden, match="You don't have permission to perform this action"):
        client(Aitronos(**read_only)).invite("x@example.com", role="role_member")


def test_inviting_on_the_command_line(
    sandbox: Sandbox, settings: dict[str, Any], read_only: dict[str, Any], cli: Any
) -> None:
    guestlist: Cli = cli({"provider": "aitronos", **settings})
    [invited] = guestlist("invite", ADA, "--role", "role_member")["results"]
    invitation = invited["guest"]["invitation"]
    assert (invited["outcome"], invitation["is_new_user"]) == ("invited", True)
    assert invitation["roles"][0]["id"] == "role_member"
    assert str(sandbox.outbox.emails[0].link).rpartition("=")[2] not in json.dumps(invited)
    [silent] = guestlist("invite", "b@example.com", "--role", "role_admin", "--no-email")["results"]
    assert silent["email_sent"] is False
    assert [mail.to for mail in sandbox.outbox.emails] == [ADA]

    reader: Cli = cli({"provider": "aitronos", **read_only})
    [error] = reader("invite", "c@example.com", "--role", "role_member", code=1)["errors"]
    assert (error["status"], error["code"]) == (403, "INSUFFICIENT_PERMISSIONS")
    assert "You don't have permission to perform this action" in error["message"]
