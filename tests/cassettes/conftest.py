"""Every scenario is played twice from one file: by the sync and by the async client."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from guestlist import Guestlist
from guestlist.provider import Provider
from guestlist_aitronos import sandbox as aitronos
from guestlist_vultr import sandbox as vultr

READ_ONLY = {"aitronos": aitronos.READ_ONLY_KEY, "vultr": vultr.READ_ONLY_KEY}
ROOT = Path(__file__).parents[2] / "cassettes"


def pytest_itemcollected(item: pytest.Item) -> None:
    """A replay must not reach the network, not even the sandbox."""
    if item.get_closest_marker("guestlist_cassette") and not item.config.getoption(
        "--guestlist-record"
    ):
        item.add_marker("block_network")


@pytest.fixture
def guestlist_cassette_dir() -> Path:
    return Path(os.environ.get("CASSETTES", ROOT))


@pytest.fixture
def guestlist_accounts(guestlist_accounts: dict[str, Provider]) -> dict[str, Provider]:
    """Besides each account one whose key may only read, and one whose key does not work."""
    others = {
        f"{name}-{kind}": account.model_copy(update={"api_key": key})
        for name, account in guestlist_accounts.items()
        if name in READ_ONLY
        for kind, key in (("reader", READ_ONLY[name]), ("wrong", "a-key-that-does-not-work"))
    }
    return guestlist_accounts | others


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Iterator[Guestlist]:
    """A client whose methods are called without `await`, whichever it is."""
    if not request.config.getoption("--guestlist-record"):
        with socket.socket() as out, pytest.raises(RuntimeError, match="Network is disabled"):
            out.connect(("127.0.0.1", 9))
    if request.param == "sync":
        yield request.getfixturevalue("guestlist_client")
        return
    if request.config.getoption("--guestlist-live"):
        pytest.skip("nobody is really invited twice")
    with start_blocking_portal() as portal:
        yield cast(Guestlist, Blocking(request.getfixturevalue("guestlist_async_client"), portal))


class Blocking:
    """An async client, called from sync code: its event loop runs in another thread."""

    def __init__(self, guests: Any, portal: BlockingPortal) -> None:
        self._guests = guests
        self._portal = portal

    def account(self, name: str) -> Blocking:
        return Blocking(self._guests.account(name), self._portal)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._guests, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if isinstance(result, AsyncIterator):
                return iter(self._portal.call(collect, result))
            return self._portal.call(wait, result)

        return call


async def wait(result: Awaitable[Any]) -> Any:
    return await result


async def collect(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]
