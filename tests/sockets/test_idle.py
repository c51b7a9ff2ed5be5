"""A service that drops idle connections without a sign gets each invitation once all the same."""

from __future__ import annotations

import asyncio

import pytest
from tests.sockets.matrix import COLUMNS, Stage

from guestlist.sandbox.services import accounts_of
from pytest_guestlist.proxy import FaultProxy


class ForgetsConnections(FaultProxy):
    """Answers the first request of each connection and a second one with a reset, without closing
    the connection in between. Firewalls and load balancers that drop idle connections do so."""

    lost: list[str]

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await super()._exchange(reader, writer)
        self.lost.append((await reader.readuntil(b"\r\n")).decode())
        writer.transport.abort()
        return False


@pytest.mark.parametrize("column", ["httpx", "httpx async"])
def test_an_invitation_is_sent_once_although_idle_connections_are_dropped(
    stage: Stage, column: str
) -> None:
    stage.sandbox.reset()
    account = accounts_of(stage.sandbox)["vultr"]
    with ForgetsConnections(account.base_url) as proxy:
        proxy.lost = []
        accounts = {"v": account.model_copy(update={"base_url": proxy.url})}
        with COLUMNS[column](accounts, stage.clock) as client:
            results = [client.invite(f"{name}@example.net", timeout=10) for name in ("ada", "rosa")]
            doubted = [event for event in client.events if event.name == "unknown"]
    assert [result.outcome for result in results] == ["invited", "invited"]
    assert doubted == []
    creates = [one.line for one in proxy.seen if one.line.startswith("POST")]
    assert len(creates) == 2
    assert len(proxy.lost) > 0  # the looks, which are repeated
    assert not [line for line in proxy.lost if line.startswith("POST")]
