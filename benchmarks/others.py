"""The same calls through `requests`, aiohttp, and Aitronos' own SDK."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import aiohttp
import httpx
import requests
from aitronos import Aitronos, AsyncAitronos
from aitronos.core.api_error import ApiError

from benchmarks.aitronos import KEY, ORGANIZATION, Recorded, Sent, guest, newcomer
from benchmarks.bare import HEADERS, JSON, AsyncCall, Call


def requests_session() -> requests.Session:
    """A session of `requests`."""
    session = requests.Session()
    session.headers.update(HEADERS)
    return session


def requests_call(session: requests.Session, base_url: str, sent: Sequence[Sent]) -> Call:
    """The requests through `requests`, which reads the body unasked."""

    def send(number: int) -> None:
        for one in sent:
            url, headers = base_url + one.target_for(number), JSON if one.body else None
            session.request(one.method, url, data=one.body or None, headers=headers)

    return send


def aiohttp_session(base_url: str) -> aiohttp.ClientSession:
    """A session of aiohttp, without its limit of 100 connections."""
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(base_url, headers=HEADERS, connector=connector)


def aiohttp_call(session: aiohttp.ClientSession, sent: Sequence[Sent]) -> AsyncCall:
    """The requests through aiohttp."""

    async def send(number: int) -> None:
        for one in sent:
            target, headers = one.target_for(number), JSON if one.body else None
            data = one.body or None
            async with session.request(one.method, target, data=data, headers=headers) as answer:
                await answer.read()

    return send


def official_client(base_url: str) -> Aitronos:
    """The official client, as its documentation makes it."""
    return Aitronos(base_url=base_url, api_key=KEY)


def official_async_client(base_url: str, http: httpx.AsyncClient) -> AsyncAitronos:
    """The official async client, with an HTTP client like the one that it makes itself."""
    return AsyncAitronos(base_url=base_url, api_key=KEY, httpx_client=http)


def official_http() -> httpx.AsyncClient:
    """What `AsyncAitronos` makes itself and cannot close."""
    return httpx.AsyncClient(timeout=60, follow_redirects=True)


def official(client: Aitronos, known: Recorded) -> dict[str, Call]:
    """The same verbs through the official SDK."""
    invitations, members = client.crew_management_invitations, client.crew_management_members

    def status(number: int) -> None:
        invitations.get_invitation(ORGANIZATION, email=guest(number))
        members.list_members(ORGANIZATION, search_term=guest(number), include_deleted=True)

    def invite(number: int) -> None:
        email = newcomer(number)
        with suppress(ApiError):  # nobody has invited the address
            invitations.get_invitation(ORGANIZATION, email=email)
        members.list_members(ORGANIZATION, search_term=email, include_deleted=True)
        invitations.invite_user(ORGANIZATION, email=email, role_id=known.role.id)

    def resend(number: int) -> None:
        status(number)
        invitations.resend_invitation(ORGANIZATION, known.user_id)
        invitations.get_invitation(ORGANIZATION, user_id=known.user_id)

    return {"status": status, "invite": invite, "resend": resend}


def official_async(client: AsyncAitronos, known: Recorded) -> dict[str, AsyncCall]:
    """The same verbs through the official SDK's async client."""
    invitations, members = client.crew_management_invitations, client.crew_management_members

    async def status(number: int) -> None:
        await invitations.get_invitation(ORGANIZATION, email=guest(number))
        await members.list_members(ORGANIZATION, search_term=guest(number), include_deleted=True)

    async def invite(number: int) -> None:
        email = newcomer(number)
        with suppress(ApiError):  # nobody has invited the address
            await invitations.get_invitation(ORGANIZATION, email=email)
        await members.list_members(ORGANIZATION, search_term=email, include_deleted=True)
        await invitations.invite_user(ORGANIZATION, email=email, role_id=known.role.id)

    async def resend(number: int) -> None:
        await status(number)
        await invitations.resend_invitation(ORGANIZATION, known.user_id)
        await invitations.get_invitation(ORGANIZATION, user_id=known.user_id)

    return {"status": status, "invite": invite, "resend": resend}
