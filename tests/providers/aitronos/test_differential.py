"""The official SDK and our provider, asked for the same: do they send the same?

Nothing is answered: the requests alone are compared, for every call that both support.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from guestlist.exchange.account import Account, Budget
from guestlist.models import Invitation, Member, NewInvitation, Role, State
from guestlist.provider import Flow
from guestlist_aitronos import Aitronos

sdk = pytest.importorskip(
    "aitronos", reason="the official client is not installed: pip install aitronos-sdk"
)
ApiError = pytest.importorskip("aitronos.core.api_error").ApiError

KEY, ORG, USER = "ak_differential", "org_7h2k", "usr_31fd"
EMAIL = "Noor+1@example.net"
ROLE = Role(id="role_5p1q", name="Member")
INVITATION = Invitation(id="inv_9c41", email=EMAIL, state=State.PENDING, user_id=USER)
MEMBER = Member(id=USER, email=EMAIL, roles=())

Ours = Callable[[Aitronos], Flow[Any]]
Theirs = tuple[str, dict[str, Any]]

INVITATIONS, MEMBERS = "crew_management_invitations", "crew_management_members"

CALLS: dict[str, tuple[Ours, Theirs]] = {
    "invite": (
        lambda p: p.invite(NewInvitation(email=EMAIL, roles=(ROLE,))),
        (
            f"{INVITATIONS}.invite_user",
            {"email": EMAIL, "role_id": ROLE.id, "send_invitation": True},
        ),
    ),
    "invite without a mail": (
        lambda p: p.invite(NewInvitation(email=EMAIL, roles=(ROLE,), send_email=False)),
        (
            f"{INVITATIONS}.invite_user",
            {"email": EMAIL, "role_id": ROLE.id, "send_invitation": False},
        ),
    ),
    "find_invitation": (
        lambda p: p.find_invitation(EMAIL),
        (f"{INVITATIONS}.get_invitation", {"email": EMAIL}),
    ),
    "get_invitation": (
        lambda p: p.get_invitation("inv_9c41"),
        (f"{INVITATIONS}.get_invitation", {"invitation_id": "inv_9c41"}),
    ),
    "get_invitation of a user": (
        lambda p: p.get_invitation(USER),
        (f"{INVITATIONS}.get_invitation", {"user_id": USER}),
    ),
    "resend": (
        lambda p: p.resend(INVITATION),
        (f"{INVITATIONS}.resend_invitation", {"user_id": USER}),
    ),
    "bulk_resend": (
        lambda p: p.bulk_resend([USER, "usr_77aa"]),
        (f"{INVITATIONS}.resend_invitations_bulk", {"user_ids": [USER, "usr_77aa"]}),
    ),
    "revoke": (
        lambda p: p.revoke(INVITATION),
        (f"{INVITATIONS}.cancel_invitation", {"invitation_id": "inv_9c41"}),
    ),
    "validate_key": (
        lambda p: p.validate_key("invkey_4f0d6a1b"),
        (f"{INVITATIONS}.validate_invitation", {"email_key": "invkey_4f0d6a1b"}),
    ),
    "members": (
        lambda p: p.members(),
        (f"{MEMBERS}.list_members", {"skip": 0, "take": 100}),
    ),
    "search": (
        lambda p: p.search("noor"),
        (f"{MEMBERS}.list_members", {"skip": 0, "take": 100, "search_term": "noor"}),
    ),
    "get_member": (
        lambda p: p.get_member(USER),
        (f"{MEMBERS}.get_member", {"user_id": USER}),
    ),
    "assign_role": (
        lambda p: p.assign_role(MEMBER, ROLE),
        (f"{MEMBERS}.update_member", {"user_id": USER, "role_id": ROLE.id}),
    ),
    "remove": (
        lambda p: p.remove(MEMBER),
        (f"{MEMBERS}.delete_member", {"user_id": USER}),
    ),
    "restore": (
        lambda p: p.restore(MEMBER),
        (f"{MEMBERS}.restore_member", {"user_id": USER}),
    ),
    "roles": (lambda p: p.roles(), ("organizations.list_roles", {})),
    "statuses": (lambda p: p.statuses(), ("organizations.list_statuses", {"active_only": False})),
    "organization": (lambda p: p.organization(), ("organizations.get_organization", {})),
}


def sent(method: str, url: str, content: bytes, headers: Any, *, public: bool) -> dict[str, Any]:
    """What counts of a request."""
    parts = urlsplit(url)
    return {
        "method": method,
        "path": parts.path,
        "query": dict(parse_qsl(parts.query)),
        "body": json.loads(content) if content else None,
        "key": None if public else headers.get("x-api-key"),
    }


def ours(start: Ours, *, public: bool) -> dict[str, Any]:
    provider = Aitronos(api_key=KEY, organization_id=ORG)
    flow = start(provider)
    outgoing = Account("differential", provider).outgoing(next(flow), Budget())
    flow.close()
    headers = {name.lower(): value for name, value in outgoing.headers.items()}
    return sent(outgoing.method, outgoing.url, outgoing.content or b"", headers, public=public)


def theirs(name: str, arguments: dict[str, Any], *, public: bool) -> dict[str, Any]:
    noted: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        noted.append(request)
        return httpx.Response(404, json={})

    group, _, method = name.partition(".")
    with httpx.Client(transport=httpx.MockTransport(note)) as http:
        client = sdk.Aitronos(base_url="https://api.aitronos.com", api_key=KEY, httpx_client=http)
        organization = {} if public else {"organization_id": ORG}
        with suppress(ApiError):
            getattr(getattr(client, group), method)(**organization, **arguments)
    (request,) = noted
    return sent(request.method, str(request.url), request.content, request.headers, public=public)


@pytest.mark.parametrize("call", CALLS)
def test_the_same_is_sent(call: str) -> None:
    start, (name, arguments) = CALLS[call]
    public = call == "validate_key"
    assert ours(start, public=public) == theirs(name, arguments, public=public)
