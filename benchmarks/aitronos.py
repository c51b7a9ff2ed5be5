"""Aitronos for benchmarks: what its sandbox answers, told again as fast as can be.

The sandbox is asked once for each request that the verbs make; from then on a server answers that
only looks up bytes. So guestlist, bare HTTP clients and the official SDK get the sandbox's own
answers, and none of them waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import httpx

from benchmarks.server import Site, answer
from guestlist import AsyncGuestlist, Role
from guestlist.provider import Limit
from guestlist_aitronos import Aitronos
from guestlist_aitronos.sandbox import AitronosService, seed

NEWCOMER, GUEST = "ada@example.com", "noor@example.net"
"""Who is invited, and who has an invitation that is asked for and sent again."""


class Unpaced(Aitronos):
    """Without the service's limits: it is the code that is measured."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        return ()


def provider(base_url: str) -> Unpaced:
    """An account on a server that answers as the sandbox does."""
    return Unpaced(
        base_url=base_url, api_key=seed.OWNER_KEY, organization_id=seed.ORGANIZATION, token=None
    )


@dataclass(frozen=True)
class Sent:
    """One request of a verb, and what the sandbox answered."""

    method: str
    target: str
    body: bytes
    headers: dict[str, str]
    status: int
    content: bytes


class _Recorder(httpx.AsyncBaseTransport):
    def __init__(self, service: AitronosService) -> None:
        self._inner = httpx.ASGITransport(service.app)
        self.sent: list[Sent] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answered = await self._inner.handle_async_request(request)
        content = await answered.aread()
        self.sent.append(
            Sent(
                request.method,
                request.url.raw_path.decode(),
                request.content,
                dict(request.headers),
                answered.status_code,
                content,
            )
        )
        return httpx.Response(answered.status_code, headers=answered.headers, content=content)


VERBS: dict[str, Callable[[Any, Role], Any]] = {
    "status": lambda guests, _: guests.status(GUEST),
    "invite": lambda guests, role: guests.invite(NEWCOMER, role=role),
    "resend": lambda guests, _: guests.resend(GUEST),
}


class Recorded:
    """The verbs' requests to the sandbox, with its answers."""

    def __init__(self) -> None:
        self.verbs: dict[str, tuple[Sent, ...]] = {}
        asyncio.run(self._record())

    async def _record(self) -> None:
        recorder = _Recorder(AitronosService())
        account = provider("http://127.0.0.1:1")
        async with AsyncGuestlist({"aitronos": account}, transport=recorder) as guests:
            roles = {role.name: role async for role in guests.roles()}
            self.role = roles["Member"]
            await guests.invite(GUEST, role=self.role)
            for name, verb in VERBS.items():
                recorder.sent.clear()
                await verb(guests, self.role)
                self.verbs[name] = tuple(recorder.sent)

    @cached_property
    def site(self) -> Site:
        """Answers every request of every verb, and what is no part of them with 501."""
        known = {
            (one.method, unquote(one.target)): answer(one.status, one.content)
            for sent in self.verbs.values()
            for one in sent
        }
        unknown = answer(501)
        # clients quote the @ of an address or leave it
        return lambda method, target, _body: known.get((method, unquote(target)), unknown)
