"""No call outlasts its total, however slowly a service drips or however long it is silent.

The totals are short real time; what would take place without the bound takes 5 s and more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import httpx2
import pytest

from guestlist.exchange import wire
from guestlist.exchange.passage import wrap
from guestlist.exchange.step import Failure, Outgoing
from guestlist.exchange.wire import AsyncHttpxWire, HttpxWire
from guestlist.provider import Response
from guestlist.testing.faults import Door, Fault, Forward, answering
from guestlist.testing.framing import answer_of
from guestlist.testing.proxy import FaultProxy

TOTAL = 0.3
LONGEST = 2.5
"""Seconds: far above the total, for machines under load, and below what would be without it."""
NOWHERE = "http://127.0.0.1:9"


def outgoing(url: str, total: float = TOTAL) -> Outgoing:
    return Outgoing("POST", f"{url}/", {}, b"{}", timeout=5.0, total=total, max_body=1 << 20)


def sync(url: str) -> Response | Failure:
    wire = HttpxWire()
    try:
        return wire.send(outgoing(url))
    finally:
        wire.close()


def bounded_httpx2(url: str) -> Response | Failure:
    with httpx2.HTTPTransport() as transport:
        wrap(transport)
        return HttpxWire(transport=transport).send(outgoing(url))


def asynchronous(url: str) -> Response | Failure:
    async def send() -> Response | Failure:
        wire = AsyncHttpxWire()
        try:
            return await wire.send(outgoing(url))
        finally:
            await wire.close()

    return asyncio.run(send())


DRIPPING = {
    "headers": answer_of(201, b"{}", {"X-Long": "x" * 400}),
    "body": answer_of(201, b" " * 400, {}),
}


def drip(part: str) -> Fault:
    """An answer that takes at least 8 s, of which each byte comes in time."""
    return Fault(Forward.NEVER, lambda _: DRIPPING[part], drip=0.02)


@pytest.mark.parametrize("part", DRIPPING)
@pytest.mark.parametrize("send", [sync, bounded_httpx2, asynchronous])
def test_a_dripping_answer_is_given_up(
    send: Callable[[str], Response | Failure], part: str
) -> None:
    with FaultProxy(NOWHERE, [drip(part)]) as proxy:
        began = time.monotonic()
        answer = send(proxy.url)
        took = time.monotonic() - began

    assert isinstance(answer, Failure)
    assert answer.sent
    assert TOTAL * 0.9 < took < LONGEST


def test_a_dripping_body_is_given_up_with_a_transport_that_the_caller_brings() -> None:
    with FaultProxy(NOWHERE, [drip("body")]) as proxy, httpx.HTTPTransport() as transport:
        began = time.monotonic()
        answer = HttpxWire(transport=transport).send(outgoing(proxy.url))
        took = time.monotonic() - began

    assert isinstance(answer, Failure)
    assert answer.status == 201
    assert took < LONGEST


@pytest.mark.parametrize("send", [sync, bounded_httpx2, asynchronous])
def test_a_tls_handshake_that_stalls_is_given_up_and_nothing_was_sent(
    send: Callable[[str], Response | Failure],
) -> None:
    with FaultProxy(NOWHERE, door=Door.SILENT) as proxy:
        began = time.monotonic()
        answer = send(proxy.url.replace("http:", "https:"))
        took = time.monotonic() - began

    assert isinstance(answer, Failure)
    assert not answer.sent
    assert took < LONGEST


def test_the_end_of_one_call_is_not_the_end_of_the_next() -> None:
    wire = HttpxWire()
    with FaultProxy(NOWHERE, [drip("body"), answering(200, b"{}")]) as proxy:
        late = wire.send(outgoing(proxy.url))
        answer = wire.send(outgoing(proxy.url, total=30.0))
        wire.close()

    assert isinstance(late, Failure)
    assert isinstance(answer, Response)


def test_a_library_that_is_built_otherwise_is_bounded_and_proves_what_was_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "wrap", lambda transport: False)
    with FaultProxy(NOWHERE, [drip("headers")]) as proxy:
        began = time.monotonic()
        dripping = asynchronous(proxy.url)
        took = time.monotonic() - began
    refused = [send(NOWHERE) for send in (sync, asynchronous)]

    assert isinstance(dripping, Failure)
    assert dripping.sent
    assert took < LONGEST
    assert [isinstance(one, Failure) and one.sent for one in refused] == [False, False]
