"""The proxy itself: what it forwards, and that nothing of it is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from pytest_guestlist.faults import (
    TWICE,
    Door,
    End,
    Fault,
    answering,
    cut_in_body,
    on,
    scripted,
    unanswered,
)
from pytest_guestlist.framing import read_answer
from pytest_guestlist.proxy import FaultProxy


@pytest.fixture
def service() -> Iterator[FaultProxy]:
    """Something that answers `ok`."""
    with FaultProxy("http://127.0.0.1:9", lambda line, number: answering(200, b"ok")) as proxy:
        yield proxy


def test_without_a_fault_it_only_passes_on(service: FaultProxy) -> None:
    with FaultProxy(service.url) as proxy, httpx.Client(trust_env=False) as client:
        answers = [
            client.post(f"{proxy.url}/a?b=c", content=b"1", headers={"X-Key": "k"}),
            client.post(f"{proxy.url}/chunked", content=iter([b"one", b"two"])),
            client.get(f"{proxy.url}/"),
        ]

    assert [answer.text for answer in answers] == ["ok"] * 3
    assert [one.line for one in service.seen] == [one.line for one in proxy.seen]
    assert service.seen[0].line == "POST /a?b=c HTTP/1.1"
    assert service.seen[0].headers["x-key"] == "k"
    assert service.seen[0].headers["host"] == service.url.removeprefix("http://")
    assert "k" not in repr(proxy.seen[0]).removeprefix("Seen(line='POST /a?b=c HTTP/1.1'")


def test_faults_befall_the_requests_they_are_meant_for(service: FaultProxy) -> None:
    with (
        FaultProxy(service.url, on("POST /a", None, answering(503))) as proxy,
        httpx.Client(base_url=proxy.url, trust_env=False) as client,
    ):
        paths = ["/a", "/b", "/a", "/a"]
        assert [client.post(path).status_code for path in paths] == [200, 200, 503, 200]

    assert [one.forwarded for one in proxy.seen] == [True, True, False, True]


def test_a_server_that_is_stopped_refuses_and_comes_back_on_its_port(service: FaultProxy) -> None:
    with FaultProxy(service.url) as proxy, httpx.Client(trust_env=False) as client:
        before = proxy.url
        proxy.stop()
        with pytest.raises(httpx.ConnectError):
            client.get(proxy.url)
        proxy.start()

        assert client.get(before).text == "ok"


def test_a_plan_that_fails_is_heard_of(service: FaultProxy) -> None:
    def fail(line: str, number: int) -> Fault:
        raise LookupError("a mistake in the plan")

    with (
        pytest.raises(LookupError, match="a mistake in the plan"),
        FaultProxy(service.url, fail) as proxy,
        httpx.Client(trust_env=False) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.get(proxy.url)


def test_nothing_is_left_behind(service: FaultProxy) -> None:
    """Neither thread nor socket, whatever was under way; a task that is left is a warning."""
    faults = scripted(
        [Fault(), unanswered(End.STALL), unanswered(End.HALF), cut_in_body(End.STALL), TWICE]
    )
    gc.collect()
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))

    with (
        FaultProxy(service.url, faults) as proxy,
        FaultProxy(service.url, door=Door.SILENT) as mute,
    ):
        clients = [httpx.Client(timeout=0.2, trust_env=False) for _ in range(6)]
        for client, url in zip(clients, [proxy.url] * 5 + [mute.url], strict=True):
            with suppress(httpx.TransportError):
                client.get(url)
    for client in clients:
        client.close()
    gc.collect()

    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == files


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nTrailer: t\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
    ids=["length", "chunked", "trailers", "no body"],
)
@pytest.mark.parametrize("early", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_an_answer_ends_where_it_ends(answer: bytes, early: bytes) -> None:
    async def read() -> tuple[bytes, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(early + answer + b"more")
        reader.feed_eof()
        return await read_answer(reader, "GET"), await reader.read()

    assert asyncio.run(read()) == (answer, b"more")
