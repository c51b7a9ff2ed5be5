"""What a service does on the wire: bombs, redirects, cookies. Over transports, without sockets."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import GuestlistError, MalformedResponse, Rejected
from guestlist.exchange.account import Budget
from guestlist_vultr import Vultr

ORGANIZATION = json.dumps({"organization": {"id": "o", "name": "Example Works"}}).encode()
SMALL = Budget(max_body=1_000_000)
Answer = Callable[[httpx.Request], httpx.Response]


class Drip(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in chunks and tells how many were taken."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.taken += 1
            yield chunk

    async def __aiter__(self) -> Any:
        for chunk in self:
            yield chunk


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers as a function says, and keeps the requests."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


def vultr(key: str = "secret-key", host: str = "api.vultr.com") -> Vultr:
    return Vultr(api_key=key, organization_id="o", base_url=f"https://{host}")


def check_sync(transport: Transport, budget: Budget = SMALL) -> str:
    with Guestlist({"cloud": vultr()}, transport=transport, budget=budget) as guests:
        return guests.check()


def check_async(transport: Transport, budget: Budget = SMALL) -> str:
    async def main() -> str:
        async with AsyncGuestlist({"cloud": vultr()}, transport=transport, budget=budget) as guests:
            return await guests.check()

    return anyio.run(main)


KINDS = pytest.mark.parametrize("check", [check_sync, check_async], ids=["sync", "async"])


def bomb(size: int = 2_000_000_000) -> Iterator[bytes]:
    """Two gigabytes of zeros, compressed a thousandfold."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(10_000_000)
    for _ in range(size // len(zeros)):
        yield packer.compress(zeros) + packer.flush(zlib.Z_SYNC_FLUSH)


@KINDS
@pytest.mark.parametrize("status", [200, 500])
def test_a_compressed_bomb_is_not_unpacked(check: Any, status: int) -> None:
    body = Drip(bomb())
    answer = httpx.Response(status, headers={"content-encoding": "gzip"}, stream=body)
    with pytest.raises(GuestlistError) as failed:
        check(Transport(lambda request: answer))
    assert isinstance(failed.value, MalformedResponse) is (status == 200)
    assert body.taken <= 2


@KINDS
def test_what_follows_a_compressed_answer_is_not_kept(check: Any) -> None:
    def endless() -> Iterator[bytes]:
        yield gzip.compress(ORGANIZATION)
        for _ in range(100_000):
            yield bytes(100_000)

    body = Drip(endless())
    answer = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=body)
    with pytest.raises(MalformedResponse, match="follows"):
        check(Transport(lambda request: answer))
    assert body.taken <= 2


@KINDS
def test_an_endless_answer_is_cut_off(check: Any) -> None:
    body = Drip(bytes(100_000) for _ in range(100_000))
    with pytest.raises(MalformedResponse, match="large"):
        check(Transport(lambda request: httpx.Response(200, stream=body)))
    assert body.taken <= 11


@KINDS
@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "x" * 9999])
def test_an_encoding_that_was_not_asked_for_is_refused(check: Any, encoding: str) -> None:
    answer = httpx.Response(
        200, headers={"content-encoding": encoding}, stream=Drip(iter([b"zzz"]))
    )
    with pytest.raises(MalformedResponse, match="encoded"):
        check(Transport(lambda request: answer))


@KINDS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "where", ["https://evil.example/", "//evil.example/v2", "/v2/elsewhere", "file:///etc/passwd"]
)
def test_redirects_are_not_followed(check: Any, status: int, where: str) -> None:
    transport = Transport(lambda request: httpx.Response(status, headers={"location": where}))
    with pytest.raises(GuestlistError) as failed:
        check(transport, Budget(attempts=1))
    assert isinstance(failed.value, Rejected)
    assert len(transport.requests) == 1


def test_credentials_go_to_their_own_origin_only() -> None:
    transport = Transport(lambda request: httpx.Response(200, content=ORGANIZATION))
    accounts = {"one": vultr("key-one", "one.example"), "two": vultr("key-two", "two.example")}
    with Guestlist(accounts, transport=transport) as guests:
        for name in ("one", "two", "one"):
            guests.check(account=name)
    sent = [(one.url.host, one.headers["authorization"]) for one in transport.requests]
    assert sent == [
        ("one.example", "Bearer key-one"),
        ("two.example", "Bearer key-two"),
        ("one.example", "Bearer key-one"),
    ]


@pytest.mark.parametrize("brought", ["transport", "client"])
def test_cookies_are_not_kept(brought: str) -> None:
    """Neither between calls nor between accounts, also where the caller's client would."""
    headers = {"set-cookie": "session=of-somebody-else; Path=/"}
    transport = Transport(
        lambda request: httpx.Response(200, headers=headers, content=ORGANIZATION)
    )
    accounts = {"one": vultr("key-one"), "two": vultr("key-two")}
    client = httpx.Client(transport=transport, cookies={"mine": "1"}, auth=("me", "mine"))
    using: Any = {"transport": transport} if brought == "transport" else {"http_client": client}
    with client, Guestlist(accounts, **using) as guests:
        for name in ("one", "one", "two"):
            guests.check(account=name)
    assert len(transport.requests) == 3
    for request in transport.requests:
        assert "cookie" not in request.headers
        assert request.headers["authorization"].startswith("Bearer key-")
