"""No call outlasts its total, however slowly a service drips or however long it is silent.

The totals are short real time; what would take place without the bound takes 5 s and more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import anyio
import httpx
import pytest

from guestlist.exchange.step import Outgoing, SendFailure
from guestlist.exchange.wire import AsyncHttpxWire, HttpxWire
from guestlist.provider import Response
from pytest_guestlist.faults import Door, Fault, Forward, answering
from pytest_guestlist.framing import answer_of
from pytest_guestlist.proxy import FaultProxy

TOTAL = 0.3
LONGEST = 2.5
"""Seconds: far above the total, for machines under load, and below what would be without it."""
NOWHERE = "http://127.0.0.1:9"


def outgoing(url: str, total: float = TOTAL) -> Outgoing:
    return Outgoing("POST", f"{url}/", {}, b"{}", timeout=5.0, total=total, max_body=1 << 20)


def sync(url: str) -> Response | SendFailure:
    wire = HttpxWire()
    try:
        return wire.send(outgoing(url))
    finally:
        wire.close()


def asynchronous(url: str, backend: str = "asyncio") -> Response | SendFailure:
    async def send() -> Response | SendFailure:
        wire = AsyncHttpxWire()
        try:
            return await wire.send(outgoing(url))
        finally:
            await wire.close()

    return anyio.run(send, backend=backend)


on_trio = partial(asynchronous, backend="trio")


DRIPPING = {
    "headers": answer_of(201, b"{}", {"X-Long": "x" * 400}),
    "body": answer_of(201, b" " * 400, {}),
}


def drip(part: str) -> Fault:
    """An answer that takes at least 8 s, of which each byte comes in time."""
    return Fault(Forward.NEVER, lambda _: DRIPPING[part], drip=0.02)


@pytest.mark.parametrize("part", DRIPPING)
@pytest.mark.parametrize("send", [sync, asynchronous, on_trio])
def test_a_dripping_answer_is_given_up(
    send: Callable[[str], Response | SendFailure], part: str
) -> None:
    with FaultProxy(NOWHERE, [drip(part)]) as proxy:
        began = time.monotonic()
        answer = send(proxy.url)
        took = time.monotonic() - began

    assert isinstance(answer, SendFailure)
    assert answer.sent
    assert TOTAL * 0.9 < took < LONGEST


def test_a_dripping_body_is_given_up_with_a_transport_that_the_caller_brings() -> None:
    with FaultProxy(NOWHERE, [drip("body")]) as proxy, httpx.HTTPTransport() as transport:
        began = time.monotonic()
        answer = HttpxWire(transport=transport).send(outgoing(proxy.url))
        took = time.monotonic() - began

    assert isinstance(answer, SendFailure)
    assert answer.status == 201
    assert took < LONGEST


@pytest.mark.parametrize("send", [sync, asynchronous, on_trio])
def test_a_tls_handshake_that_stalls_is_given_up_and_nothing_was_sent(
    send: Callable[[str], Response | SendFailure],
) -> None:
    with FaultProxy(NOWHERE, door=Door.SILENT) as proxy:
        began = time.monotonic()
        answer = send(proxy.url.replace("http:", "https:"))
        took = time.monotonic() - began

    assert isinstance(answer, SendFailure)
    assert not answer.sent
    assert took < LONGEST


def test_the_end_of_one_call_is_not_the_end_of_the_next() -> None:
    wire = HttpxWire()
    with FaultProxy(NOWHERE, [drip("body"), answering(200, b"{}")]) as proxy:
        late = wire.send(outgoing(proxy.url))
        answer = wire.send(outgoing(proxy.url, total=30.0))
        wire.close()

    assert isinstance(late, SendFailure)
    assert isinstance(answer, Response)
