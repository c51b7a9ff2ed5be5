"""Aitronos for benchmarks: replays the answers of its sandbox as fast as possible.

The sandbox is asked once for each request that the verbs make; from then on a server answers that
only looks up bytes. So guestlist, bare HTTP clients and the official SDK get the sandbox's own
answers, and none of them waits for it. Every call is about another address, as a user's calls are;
the server does not distinguish them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

import httpx

from benchmarks.server import Site, answer
from guestlist import AsyncGuestlist, Role
from guestlist.provider import Limit
from guestlist_aitronos import Aitronos
from guestlist_aitronos import sandbox as seed
from guestlist_aitronos.sandbox import AitronosService

KEY = seed.OWNER_KEY
ORGANIZATION = seed.ORGANIZATION
NUMBER = re.compile(r"-\d+@").sub
"""What is replaced with `-0@`, so that addresses are alike."""


def newcomer(number: int) -> str:
    """Somebody who is invited."""
    return f"ada-{number}@example.com"


def guest(number: int) -> str:
    """Somebody whose invitation is asked for, or sent again."""
    return f"noor-{number}@example.net"


class Unpaced(Aitronos):
    """Without the service's limits: it is the code that is measured."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        return ()


def provider(base_url: str) -> Unpaced:
    """An account on a server that answers as the sandbox does."""
    return Unpaced(base_url=base_url, api_key=KEY, organization_id=ORGANIZATION, token=None)


@dataclass(frozen=True)
class Sent:
    """One request of a verb, and what the sandbox answered."""

    method: str
    target: str
    body: bytes
    status: int
    content: bytes

    def target_for(self, number: int) -> str:
        """The target of the same request about another address."""
        return self.target.replace("-0%40", f"-{number}%40")


class _Recorder(httpx.AsyncBaseTransport):
    def __init__(self, service: AitronosService) -> None:
        self._inner = httpx.ASGITransport(service.app)
        self.sent: list[Sent] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answered = await self._inner.handle_async_request(request)
        content = await answered.aread()
        target = request.url.raw_path.decode()
        self.sent.append(
            Sent(request.method, target, request.content, answered.status_code, content)
        )
        return httpx.Response(answered.status_code, headers=answered.headers, content=content)


VERBS: dict[str, Callable[[Any, Role, int], Any]] = {
    "status": lambda guests, _, number: guests.status(guest(number)),
    "invite": lambda guests, role, number: guests.invite(newcomer(number), role=role),
    "resend": lambda guests, _, number: guests.resend(guest(number)),
}


@dataclass(frozen=True)
class Recorded:
    """The verbs' requests to the sandbox, with its answers.

    Attributes:
        role: what the invitation offers.
        verbs: what each verb sent.
        roles: what reading the roles sent: the command line shows their names.
    """

    role: Role
    verbs: dict[str, tuple[Sent, ...]]
    roles: tuple[Sent, ...]

    @property
    def user_id(self) -> str:
        """Of the guest whose invitation is sent again."""
        [path] = [one.target for one in self.verbs["resend"] if "resend" in one.target]
        return path.split("/")[5]

    @property
    def site(self) -> Site:
        """Answers every request of every verb, and what is no part of them with 501."""
        known = {
            (one.method, unquote(one.target)): answer(one.status, one.content)
            for sent in (*self.verbs.values(), self.roles)
            for one in sent
        }
        unknown = answer(501)

        def find(method: str, target: str, _body: bytes) -> bytes:
            # clients quote the @ of an address or leave it
            alike = NUMBER("-0@", target.replace("%40", "@"))
            return known.get((method, alike), unknown)

        return find


@cache
def recorded() -> Recorded:
    """Asks the sandbox, once."""
    return asyncio.run(_record())


async def _record() -> Recorded:
    recorder = _Recorder(AitronosService())
    verbs = {}
    account = provider("http://127.0.0.1:1")
    async with AsyncGuestlist({"aitronos": account}, transport=recorder) as guests:
        roles = {role.name: role async for role in guests.roles()}
        reading = tuple(recorder.sent)
        await guests.invite(guest(0), role=roles["Member"])
        for name, verb in VERBS.items():
            recorder.sent.clear()
            await verb(guests, roles["Member"], 0)
            verbs[name] = tuple(recorder.sent)
    return Recorded(roles["Member"], verbs, reading)
