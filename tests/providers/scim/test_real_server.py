"""The scim2-server command, over loopback. The conformance suite runs on it in this process."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import pytest

from guestlist import AsyncGuestlist
from guestlist_scim import Scim

pytestmark = pytest.mark.proof

TOKEN = "real-token"


@pytest.fixture
def base_url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = ["-m", "scim2_server.testserver.cli", "--port", port, "--bearer-token", TOKEN]
    server = subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/v2"
    try:
        for _ in range(300):
            try:
                httpx2.get(f"{url}/Users")
                break
            except httpx2.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        server.kill()
        server.wait()


def test_a_hundred_people_join_get_a_role_and_leave(base_url: str) -> None:
    """Many at once, so that pages are read while others join, with the async client."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    group = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Staff"}
    assert httpx2.post(f"{base_url}/Groups", json=group, headers=headers).status_code == 201
    people = [f"p{number}@example.com" for number in range(101)]
    account = Scim(base_url=base_url, token=TOKEN, find_groups=True, page_size=10)

    async def live() -> None:
        async with AsyncGuestlist({"scim": account}) as guests:
            joined = await asyncio.gather(*map(guests.invite, people + people[:5]))
            assert (
                sorted(one.outcome for one in joined) == ["already_member"] * 5 + ["joined"] * 101
            )
            await asyncio.gather(*(guests.assign_role(one, "Staff") for one in people[:20]))
            held = {one.email: one.roles or () async for one in guests.members()}
            assert set(held) == set(people)
            assert {who for who, roles in held.items() if roles} == set(people[:20])
            await asyncio.gather(*map(guests.remove, people[1:]))
            assert [one.email async for one in guests.members()] == people[:1]

    asyncio.run(live())
