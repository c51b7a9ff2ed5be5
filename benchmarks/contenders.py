"""The same calls made with something else: bare httpx, requests, and Aitronos' own SDK.

Bare clients send the requests that guestlist sends, as somebody would write them who knows which
ones are needed: one client, kept open, the body read to its end and not parsed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import httpx
import requests
from aitronos import Aitronos, AsyncAitronos
from aitronos.core.api_error import ApiError

from benchmarks.aitronos import GUEST, NEWCOMER, Sent
from guestlist import Role
from guestlist_aitronos.sandbox import seed

Call = Callable[[], object]
AsyncCall = Callable[[], Awaitable[object]]

KEY = {"X-API-Key": seed.OWNER_KEY, "Accept": "application/json"}
JSON = {"Content-Type": "application/json"}
ORGANIZATION = seed.ORGANIZATION


def bare(client: httpx.Client, sent: Sequence[Sent]) -> Call:
    """The requests through `httpx.Client`."""

    def call() -> None:
        for one in sent:
            headers = JSON if one.body else None
            client.request(one.method, one.target, content=one.body, headers=headers).content  # noqa: B018

    return call


def bare_async(client: httpx.AsyncClient, sent: Sequence[Sent]) -> AsyncCall:
    """The requests through `httpx.AsyncClient`."""

    async def call() -> None:
        for one in sent:
            headers = JSON if one.body else None
            answer = await client.request(one.method, one.target, content=one.body, headers=headers)
            answer.content  # noqa: B018

    return call


def with_requests(session: requests.Session, base_url: str, sent: Sequence[Sent]) -> Call:
    """The requests through a session of `requests`."""

    def call() -> None:
        for one in sent:
            headers = JSON if one.body else None
            session.request(
                one.method, base_url + one.target, data=one.body or None, headers=headers
            ).content

    return call


def official(client: Aitronos, user_id: str, role: Role) -> dict[str, Call]:
    """The same verbs through the official SDK."""
    invitations, members = client.crew_management_invitations, client.crew_management_members

    def status() -> None:
        invitations.get_invitation(ORGANIZATION, email=GUEST)

    def invite() -> None:
        with suppress(ApiError):  # nobody has invited the address
            invitations.get_invitation(ORGANIZATION, email=NEWCOMER)
        members.list_members(ORGANIZATION, search_term=NEWCOMER, include_deleted=True)
        invitations.invite_user(ORGANIZATION, email=NEWCOMER, role_id=role.id)

    def resend() -> None:
        invitations.get_invitation(ORGANIZATION, email=GUEST)
        invitations.resend_invitation(ORGANIZATION, user_id)
        invitations.get_invitation(ORGANIZATION, user_id=user_id)

    return {"status": status, "invite": invite, "resend": resend}


def official_async(client: AsyncAitronos, user_id: str, role: Role) -> dict[str, Any]:
    """The same verbs through the official SDK's async client."""
    invitations, members = client.crew_management_invitations, client.crew_management_members

    async def status() -> None:
        await invitations.get_invitation(ORGANIZATION, email=GUEST)

    async def invite() -> None:
        with suppress(ApiError):  # nobody has invited the address
            await invitations.get_invitation(ORGANIZATION, email=NEWCOMER)
        await members.list_members(ORGANIZATION, search_term=NEWCOMER, include_deleted=True)
        await invitations.invite_user(ORGANIZATION, email=NEWCOMER, role_id=role.id)

    async def resend() -> None:
        await invitations.get_invitation(ORGANIZATION, email=GUEST)
        await invitations.resend_invitation(ORGANIZATION, user_id)
        await invitations.get_invitation(ORGANIZATION, user_id=user_id)

    return {"status": status, "invite": invite, "resend": resend}
