"""What a connection is good for: large bodies, ends of every kind, TLS. Sync and async alike."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self

import anyio
import httpx
import pytest
import trustme
from tests.cancelled import CancelledAt

from guestlist.exchange.step import Outgoing, SendFailure
from guestlist.exchange.wire import AsyncHttpxWire, HttpxWire
from guestlist.provider import Response
from pytest_guestlist.framing import END_OF_HEAD, answer_of, headers_of, split_message

LARGE = b"0123456789abcdef" * 200_000
"""3.2 MB: several times what any buffer on the way holds."""
ELSEWHERE = "service.test"
"""A host that only a proxy can find."""
PATIENCE = 20.0
"""Seconds after which something hangs."""

Answers = list[Response | SendFailure]
Serve = Callable[[socket.socket], object]
"""What the service does with a connection; then it is closed."""


# ---------------------------------------------------------------------------- the service


class Service:
    """A service on loopback that plays `serve` with one connection after another; by default it
    leaves each as it is until the end of the block."""

    def __init__(
        self, serve: Serve | None = None, *, tls: ssl.SSLContext | None, held: int | None = None
    ) -> None:
        self._over = threading.Event()
        self._serve = serve or (lambda _: self._over.wait(PATIENCE))
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        if held is not None:  # what its system takes before it is read
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, held)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listening.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._run)
        self.closed = threading.Semaphore(0)
        """Released for each connection that has ended."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listening.close()

    def _run(self) -> None:
        while True:
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            taken.settimeout(PATIENCE)
            with suppress(OSError):  # a client that goes away, also while TLS begins
                wrapped = self._tls.wrap_socket(taken, server_side=True) if self._tls else taken
                with wrapped:
                    self._serve(wrapped)
            taken.close()
            self.closed.release()


def read_request(connection: socket.socket, step: int = 1 << 16, before: bytes = b"") -> bytes:
    """The body of the next request, of which so much was read before."""

    def more() -> bytes:
        came = connection.recv(step)
        if not came:
            raise ConnectionError("the client has gone")
        return came

    held = before
    while END_OF_HEAD not in held:
        held += more()
    head, body = split_message(held)
    parts, left = [body], int(headers_of(head).get("content-length", "0")) - len(body)
    while left > 0:
        parts.append(more())
        left -= len(parts[-1])
    return b"".join(parts)


def answering(*messages: bytes) -> Serve:
    """Each request of a connection gets one of the messages; then it is closed."""

    def serve(connection: socket.socket) -> None:
        for message in messages:
            read_request(connection)
            connection.sendall(message)

    return serve


# ---------------------------------------------------------------------------- the ways to it


def sync(*outgoing: Outgoing, between: Callable[[], object] = bool) -> Answers:
    wire = HttpxWire()
    answers: Answers = []
    for one in outgoing:
        answers.append(wire.send(one))
        between()
    wire.close()
    return answers


async def _asynchronous(*outgoing: Outgoing, between: Callable[[], object] = bool) -> Answers:
    wire = AsyncHttpxWire()
    try:
        answers: Answers = []
        for one in outgoing:
            answers.append(await wire.send(one))
            between()
        return answers
    finally:
        await wire.close()


def _on(backend: str, *outgoing: Outgoing, between: Callable[[], object] = bool) -> Answers:
    return anyio.run(partial(_asynchronous, *outgoing, between=between), backend=backend)


WAYS: dict[str, Callable[..., Answers]] = {
    "sync": sync,
    "asyncio": partial(_on, "asyncio"),
    "trio": partial(_on, "trio"),
}


@pytest.fixture(params=WAYS)
def send(request: pytest.FixtureRequest) -> Callable[..., Answers]:
    return WAYS[request.param]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A service's certificate, and the file to trust it by."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", ELSEWHERE).configure_cert(context)
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return context, file


@pytest.fixture(params=["plain", "tls"])
def service(
    request: pytest.FixtureRequest,
    authority: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Service]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
    return partial(Service, tls=authority[0] if request.param == "tls" else None)


@pytest.fixture(autouse=True)
def no_socket_is_left() -> Iterator[None]:
    yield
    gc.collect()  # one that is left warns, and warnings are errors


def outgoing(url: str, content: bytes = b"{}") -> Outgoing:
    return Outgoing("POST", url, {}, content, timeout=10.0, total=PATIENCE, max_body=1 << 24)


# ---------------------------------------------------------------------------- what is relied on

Wanted = Callable[..., Service]


def test_a_large_answer_comes_whole(send: Callable[..., Answers], service: Wanted) -> None:
    with service(answering(answer_of(200, LARGE, {}), answer_of(200, b"two", {}))) as there:
        answers = send(outgoing(there.url), outgoing(there.url))
    assert [one.content for one in answers if isinstance(one, Response)] == [LARGE, b"two"]


def test_a_large_request_arrives_whole(send: Callable[..., Answers], service: Wanted) -> None:
    came: list[bytes] = []

    def slowly(connection: socket.socket) -> None:
        came.append(read_request(connection, step=1 << 12))
        connection.sendall(answer_of(201, b"{}", {}))

    with service(slowly) as there:
        (answer,) = send(outgoing(there.url, LARGE))
    assert isinstance(answer, Response)
    assert came == [LARGE]


def test_a_service_may_say_that_it_goes_on(send: Callable[..., Answers], service: Wanted) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        read_request(connection, before=b"P")
        connection.sendall(answer_of(201, b"{}", {}))

    with service(serve) as there:
        (answer,) = send(outgoing(there.url, LARGE * 4))
    assert isinstance(answer, Response)
    assert answer.status == 201


def test_an_answer_may_end_with_the_connection(
    send: Callable[..., Answers], service: Wanted
) -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE)
        if isinstance(connection, ssl.SSLSocket):
            connection.unwrap()

    with service(serve) as there:
        (answer,) = send(outgoing(there.url))
    assert isinstance(answer, Response)
    assert answer.content == LARGE


def test_a_truncated_answer_raises_an_error(send: Callable[..., Answers], service: Wanted) -> None:
    with service(answering(answer_of(200, LARGE, {})[:-1])) as there:
        (answer,) = send(outgoing(there.url))
    assert isinstance(answer, SendFailure)
    assert answer.status == 200


def test_a_broken_connection_raises_an_error(send: Callable[..., Answers], service: Wanted) -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with service(serve) as there:
        (answer,) = send(outgoing(there.url))
    assert isinstance(answer, SendFailure)
    assert answer.sent
    assert "the connection broke" in answer.reason


def test_a_service_that_does_not_answer_is_given_up(
    send: Callable[..., Answers], service: Wanted
) -> None:
    with service() as there:
        (answer,) = send(replace(outgoing(there.url), timeout=0.2))
        assert isinstance(answer, SendFailure)
        assert answer.sent
        assert answer.reason.startswith("no answer in time")


not_all_sent = pytest.mark.filterwarnings(
    # on trio, of the generator that httpx makes of every body
    "ignore:Async generator 'httpx:ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


@not_all_sent
def test_what_was_given_up_does_not_arrive_later(
    send: Callable[..., Answers], service: Wanted
) -> None:
    """Most of it waits in this machine's own system when the service begins to read again."""
    given_up, came = threading.Event(), list[bytes]()

    def serve(connection: socket.socket) -> None:
        given_up.wait(PATIENCE)
        came.append(read_request(connection))

    with service(serve, held=1 << 12) as there:
        request = replace(outgoing(there.url, LARGE[: 1 << 18]), timeout=0.3)
        (answer,) = send(request, between=given_up.set)
    assert isinstance(answer, SendFailure)
    assert came == []


@not_all_sent
def test_a_service_that_does_not_read_is_given_up(
    send: Callable[..., Answers], service: Wanted
) -> None:
    with service() as there:
        (answer,) = send(replace(outgoing(there.url, LARGE * 4), timeout=0.2))
        assert isinstance(answer, SendFailure)
        assert answer.sent
        assert "in time" in answer.reason


def test_a_connection_that_ended_while_nobody_looked_is_not_used_again(
    send: Callable[..., Answers], service: Wanted
) -> None:
    with service(answering(answer_of(200, b"{}", {}))) as there:

        def until_closed() -> None:  # an event loop stands still meanwhile
            assert there.closed.acquire(timeout=PATIENCE)

        answers = send(outgoing(there.url), outgoing(there.url), between=until_closed)
    assert [type(one) for one in answers] == [Response, Response]


def test_an_untrusted_server_receives_nothing(send: Callable[..., Answers]) -> None:
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(stranger)
    with Service(tls=stranger) as there:
        (answer,) = send(outgoing(there.url))
    assert isinstance(answer, SendFailure)
    assert not answer.sent
    assert answer.reason.startswith("no connection")


def test_cancelled_at_any_moment_nothing_is_left(service: Wanted) -> None:
    async def main(url: str, number: int) -> bool:
        wire = AsyncHttpxWire()
        try:
            return await CancelledAt(wire.send(outgoing(url)), number)
        except asyncio.CancelledError:
            return False
        finally:
            await wire.close()

    with service(answering(answer_of(200, b"{}", {}))) as there:
        waits = next(number for number in count(1) if asyncio.run(main(there.url, number)))
    assert waits > 5


class Tunnel(Service):
    """A proxy that takes every tunnel to one place, or refuses all where there is none."""

    def __init__(self, end: str | None, after: bytes = b"") -> None:
        super().__init__(self._dig, tls=None)
        self._end = end
        self._after = after
        self.asked: list[bytes] = []

    def _dig(self, connection: socket.socket) -> None:
        self.asked.append(connection.recv(1 << 16).partition(b"\r\n")[0])
        if self._end is None:
            connection.sendall(answer_of(407, b"", {}))
            return
        host, _, port = self._end.partition("//")[2].rstrip("/").partition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as there:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + self._after)
            back = threading.Thread(target=self._pump, args=(there, connection))
            back.start()
            self._pump(connection, there)
            back.join(PATIENCE)

    @staticmethod
    def _pump(here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while part := here.recv(1 << 16):
                there.sendall(part)
            there.shutdown(socket.SHUT_WR)


def test_tls_goes_through_the_tunnel_of_a_proxy(
    send: Callable[..., Answers],
    authority: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve = answering(answer_of(200, LARGE, {}), answer_of(200, b"two", {}))
    with Service(serve, tls=authority[0]) as there, Tunnel(there.url) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
        monkeypatch.setenv("https_proxy", proxy.url)
        hidden = there.url.replace("127.0.0.1", ELSEWHERE)
        answers = send(outgoing(hidden), outgoing(hidden))
        asked = hidden.partition("//")[2].rstrip("/").encode()

    assert [one.content for one in answers if isinstance(one, Response)] == [LARGE, b"two"]
    assert proxy.asked == [b"CONNECT " + asked + b" HTTP/1.1"]


def test_what_comes_before_tls_is_no_answer(
    send: Callable[..., Answers],
    authority: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever is between us and the proxy sends more than is read at once, and its own answer."""
    forged = b" " * (1 << 16) + answer_of(201, b"{}", {})
    serve = answering(answer_of(200, b"{}", {}))
    with Service(serve, tls=authority[0]) as there, Tunnel(there.url, forged) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
        monkeypatch.setenv("https_proxy", proxy.url)
        request = outgoing(there.url.replace("127.0.0.1", ELSEWHERE))
        # if the bytes come with the proxy's own answer, httpcore drops them, and TLS times out
        request.timeout = request.total = 2.0
        (answer,) = send(request)
    assert isinstance(answer, SendFailure)
    assert not answer.sent


def _brought(*outgoing: Outgoing) -> Answers:
    """With a transport of the caller's, which tells of itself by httpcore's trace."""
    with httpx.HTTPTransport(proxy=os.environ["https_proxy"]) as transport:
        return [HttpxWire(transport=transport).send(one) for one in outgoing]


@pytest.mark.parametrize("way", [*WAYS.values(), _brought], ids=[*WAYS, "brought"])
def test_of_what_a_proxy_does_not_let_through_nothing_was_sent(
    way: Callable[..., Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Tunnel(None) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        (answer,) = way(outgoing(f"https://{ELSEWHERE}/"))
    assert isinstance(answer, SendFailure)
    assert answer.reason.startswith("the proxy refused the request: 407")
    assert not answer.sent


@pytest.mark.parametrize("way", [*WAYS.values(), _brought], ids=[*WAYS, "brought"])
def test_what_breaks_behind_a_proxy_s_tunnel_may_have_been_sent(
    way: Callable[..., Answers],
    authority: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Service(read_request, tls=authority[0]) as there, Tunnel(there.url) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority[1]))
        monkeypatch.setenv("https_proxy", proxy.url)
        (answer,) = way(outgoing(there.url.replace("127.0.0.1", ELSEWHERE)))
    assert isinstance(answer, SendFailure)
    assert answer.sent


# ---------------------------------------------------------------------------- how they end

OK = answer_of(200, b"{}", {})


class Endings:
    """A service that notes how each of its connections ends, below TLS: OpenSSL reports a reset as
    an end.

    Args:
        answers: how many requests of a connection are answered; one more is only read.
        more: whether that one comes.
    """

    def __init__(self, answers: int, *, more: bool = False) -> None:
        self.seen: list[str] = []
        self._answers = answers
        self._more = more

    def __call__(self, connection: socket.socket) -> None:
        for _ in range(self._answers):
            read_request(connection)
            connection.sendall(OK)
        if self._more:
            read_request(connection)
        try:
            rest = socket.socket.recv(connection, 1)
        except ConnectionResetError:
            self.seen.append("reset")
        else:
            self.seen.append("closed" if rest == b"" else "continued")


def test_an_idle_connection_is_closed_properly(
    send: Callable[..., Answers], service: Wanted
) -> None:
    endings = Endings(2)
    with service(endings) as there:
        answers = send(outgoing(there.url), outgoing(there.url))
        assert there.closed.acquire(timeout=20)
    assert [type(one) for one in answers] == [Response, Response]
    assert endings.seen == ["closed"]


def test_a_connection_that_a_request_replaces_is_closed_properly(
    send: Callable[..., Answers], service: Wanted
) -> None:
    endings = Endings(1)
    with service(endings) as there:
        create = replace(outgoing(there.url), fresh=True, timeout=0.2)
        send(outgoing(there.url), create)  # the service takes one connection at a time
        assert there.closed.acquire(timeout=20)
    assert endings.seen[0] == "closed"


def test_a_connection_whose_request_was_given_up_is_reset(
    send: Callable[..., Answers], service: Wanted
) -> None:
    endings = Endings(0, more=True)
    with service(endings) as there:
        (answer,) = send(replace(outgoing(there.url), timeout=0.2))
        assert there.closed.acquire(timeout=20)
    assert isinstance(answer, SendFailure)
    assert endings.seen == ["reset"]


def test_bytes_in_place_of_tls_end_a_call_at_once(send: Callable[..., Answers]) -> None:
    def speak_first(connection: socket.socket) -> None:
        connection.sendall(b"220 mail.example.com ESMTP\r\n")
        with suppress(OSError):
            while connection.recv(1 << 16):
                pass

    with Service(speak_first, tls=None) as there:
        began = time.monotonic()
        (answer,) = send(outgoing(there.url.replace("http:", "https:")))
        took = time.monotonic() - began
    assert isinstance(answer, SendFailure)
    assert not answer.sent
    assert took < 5  # the call might take 20 s
