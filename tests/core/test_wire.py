"""Sending over real sockets: what was sent, what came, and what may be concluded from it.

A server in a thread does to its connections whatever the test says. Every way of sending is tried:
sync and async, httpx and httpx2, with and without a client or transport of the caller.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import importlib
import socket
import ssl
import struct
import threading
import time
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from guestlist.exchange.step import Outgoing, SendFailure
from guestlist.exchange.wire import AsyncHttpxWire, HttpxWire
from guestlist.provider import Response

TLS = ssl.create_default_context()
"""Shared: making one costs tens of milliseconds."""
SHORT = 0.3
"""Seconds that a test may take when it has to wait for a time-out."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"

# ---------------------------------------------------------------------------- the other side


class Connection:
    """One connection, as the server sees it."""

    def __init__(self, sock: socket.socket, requests: list[bytes]) -> None:
        self.sock = sock
        self._requests = requests

    def read(self) -> bytes:
        """One whole request; nothing when the client has hung up."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        while len(body) < length:
            body += self.sock.recv(65536)
        self._requests.append(head + b"\r\n\r\n" + body)
        return self._requests[-1]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, pause: float = 0.01) -> None:
        for byte in data:
            self.sock.sendall(bytes([byte]))
            time.sleep(pause)  # the one clock that sockets know

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Act = Callable[[Connection], None]


class Server:
    """Runs `act` for every connection, each in a thread of its own."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=[sock])
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError), sock:
            self._act(Connection(sock, self.requests))

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[Act], Server]]:
    with ExitStack() as closing:

        def start(act: Act) -> Server:
            server = Server(act)
            closing.callback(server.close)
            return server

        yield start


def answering(*answers: bytes, then_close: bool = False) -> Act:
    """Answers each request of a connection with the next of the answers."""

    def act(connection: Connection) -> None:
        for answer in answers:
            if not connection.read():
                return
            connection.send(answer)
        if not then_close:
            connection.read()  # until the client hangs up

    return act


def reply(
    body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = None
) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


# ---------------------------------------------------------------------------- the ways of sending

Send = Callable[[Outgoing], Response | SendFailure]


@contextmanager
def sync_way(library: str | None, brought: str | None) -> Iterator[Send]:
    with ExitStack() as closing:
        given: dict[str, Any] = {}
        if library is not None:
            http = importlib.import_module(library)
            made = {
                "client": lambda: http.Client(verify=TLS, trust_env=False),
                "transport": lambda: http.HTTPTransport(verify=TLS),
            }[str(brought)]()
            given = {str(brought): closing.enter_context(made)}
        wire = HttpxWire(**given)
        closing.callback(wire.close)
        yield wire.send


@contextmanager
def async_way(library: str | None, brought: str | None) -> Iterator[Send]:
    with asyncio.Runner() as runner, ExitStack() as closing:
        given: dict[str, Any] = {}
        if library is not None:
            http = importlib.import_module(library)
            made = {
                "client": lambda: http.AsyncClient(verify=TLS, trust_env=False),
                "transport": lambda: http.AsyncHTTPTransport(verify=TLS),
            }[str(brought)]()
            closing.callback(lambda: runner.run(made.aclose()))
            given = {str(brought): made}
        wire = AsyncHttpxWire(**given)
        closing.callback(lambda: runner.run(wire.close()))
        yield lambda outgoing: runner.run(wire.send(outgoing))


WAYS = {
    f"{kind}-{library or 'own'}-{brought or ''}".rstrip("-"): (way, library, brought)
    for kind, way in (("sync", sync_way), ("async", async_way))
    for library, brought in (
        (None, None),
        ("httpx", "client"),
        ("httpx", "transport"),
        ("httpx2", "client"),
        ("httpx2", "transport"),
    )
}


@pytest.fixture(params=WAYS)
def send(request: pytest.FixtureRequest) -> Iterator[Send]:
    way, library, brought = WAYS[request.param]
    with way(library, brought) as sending:
        yield sending


@pytest.fixture(params=["sync-own", "async-own"])
def own(request: pytest.FixtureRequest) -> Iterator[Send]:
    way, library, brought = WAYS[request.param]
    with way(library, brought) as sending:
        yield sending


def outgoing(url: str, method: str = "GET", **changes: Any) -> Outgoing:
    facts: dict[str, Any] = {
        "headers": {"Accept-Encoding": "gzip"},
        "content": None,
        "timeout": 5.0,
        "total": 10.0,
        "max_body": 1 << 20,
    }
    return Outgoing(method=method, url=url, **{**facts, **changes})


def failed(answer: Response | SendFailure) -> SendFailure:
    assert isinstance(answer, SendFailure)
    assert "\n" not in answer.reason
    return answer


def came(answer: Response | SendFailure) -> Response:
    assert isinstance(answer, Response), answer
    return answer


# ---------------------------------------------------------------------------- it works


def test_a_request_arrives_as_it_was_built(send: Send, serve: Any) -> None:
    server = serve(answering(reply(b'{"a": 1}', "X-Request-Id: r1", status="201 Created")))
    headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}
    answer = came(
        send(
            outgoing(f"{server.url}/a%2Fb?x=%26", "POST", headers=headers, content=b'{"name":"x"}')
        )
    )
    assert answer.status == 201
    assert answer.headers["x-request-id"] == "r1"
    assert answer.json() == {"a": 1}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    assert line == "POST /a%2Fb?x=%26 HTTP/1.1"
    assert body == b'{"name":"x"}'
    names = {field.partition(":")[0].lower() for field in fields}
    assert names <= {"host", "authorization", "content-type", "content-length", "connection"}
    assert "Authorization: Bearer key" in fields


@pytest.mark.parametrize("status", ["204 No Content", "400 Bad Request", "503 Out Of Order"])
def test_every_status_is_an_answer(send: Send, serve: Any, status: str) -> None:
    server = serve(answering(reply(status=status)))
    assert came(send(outgoing(server.url))).status == int(status[:3])


def test_a_connection_is_used_again(send: Send, serve: Any) -> None:
    server = serve(answering(OK, OK, OK))
    for _ in range(3):
        assert came(send(outgoing(server.url))).json() == {}
    assert server.connections == 1


def test_threads_share_a_wire(serve: Any) -> None:
    server = serve(answering(*[OK] * 100))  # one connection may get to answer every request
    wire = HttpxWire()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(wire.send, [outgoing(server.url)] * 100))
    wire.close()
    assert all(came(answer).status == 200 for answer in answers)
    assert len(server.requests) == 100


# ---------------------------------------------------------------------------- nothing was sent


def test_a_refused_connection_proves_that_nothing_was_sent(send: Send) -> None:
    failure = failed(send(outgoing(f"http://127.0.0.1:{closed_port()}", "POST")))
    assert failure.sent is False
    assert failure.status is None
    assert failure.reason.startswith("no connection")


@pytest.mark.filterwarnings(  # httpcore leaves this one socket open
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_missing_unix_socket_proves_that_nothing_was_sent(tmp_path: Path) -> None:
    path = str(tmp_path / "none.sock")
    with httpx.HTTPTransport(uds=path) as transport:
        failure = failed(HttpxWire(None, transport).send(outgoing("http://x.example", "POST")))
    sent, reason = failure.sent, failure.reason
    del failure  # its traceback refers to the socket
    gc.collect()
    assert sent is False
    assert path in reason


def test_a_failed_handshake_proves_that_nothing_was_sent(send: Send, serve: Any) -> None:
    server = serve(lambda connection: connection.send(b"I speak no TLS, and never will.\r\n"))
    failure = failed(send(outgoing(f"https://127.0.0.1:{server.port}", "POST")))
    assert failure.sent is False


def test_no_free_connection_proves_that_nothing_was_sent(serve: Any) -> None:
    release = threading.Event()

    def act(connection: Connection) -> None:
        connection.read()
        release.wait(5)
        connection.send(OK)

    server = serve(act)
    with httpx.HTTPTransport(verify=TLS, limits=httpx.Limits(max_connections=1)) as transport:
        wire = HttpxWire(transport=transport)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(wire.send, outgoing(server.url))
            while not server.requests:
                time.sleep(0.001)
            failure = failed(wire.send(outgoing(server.url, "POST", timeout=0.05)))
            release.set()
            assert came(first.result()).status == 200
    assert failure.sent is False
    assert failure.reason.startswith("no free connection in time")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "changes", [{"url": "http://[::1"}, {"headers": {"X": "schlüssel"}}], ids=str
)
def test_what_cannot_be_built_is_not_sent(own: Send, changes: dict[str, Any]) -> None:
    facts = {"url": "http://127.0.0.1:9", **changes}
    failure = failed(own(outgoing(facts.pop("url"), "POST", **facts)))
    assert failure.sent is False
    assert failure.reason.startswith("it cannot be sent")


# ---------------------------------------------------------------------------- perhaps it was sent


def test_hanging_up_on_the_first_byte_proves_nothing(send: Send, serve: Any) -> None:
    def act(connection: Connection) -> None:
        connection.sock.recv(1)
        connection.reset()

    server = serve(act)
    failure = failed(send(outgoing(server.url, "POST", content=b"x")))
    assert failure.sent is True
    assert failure.status is None


@pytest.mark.parametrize("hang_up", ["reset", "close"])
def test_hanging_up_after_the_request_proves_nothing(send: Send, serve: Any, hang_up: str) -> None:
    def act(connection: Connection) -> None:
        connection.read()
        connection.reset() if hang_up == "reset" else connection.sock.close()

    server = serve(act)
    failure = failed(send(outgoing(server.url, "POST", content=b"x")))
    assert failure.sent is True
    assert failure.status is None
    assert failure.cause is not None
    assert len(server.requests) == 1  # nobody has sent it again


def test_no_answer_in_time_proves_nothing(send: Send, serve: Any) -> None:
    server = serve(lambda connection: connection.read() and connection.read())
    failure = failed(send(outgoing(server.url, "POST", timeout=SHORT)))
    assert failure.sent is True
    assert failure.reason.startswith("no answer in time")


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n"]
)
def test_what_is_not_http_proves_nothing(send: Send, serve: Any, garbage: bytes) -> None:
    server = serve(answering(garbage, then_close=True))
    failure = failed(send(outgoing(server.url, "POST")))
    assert failure.sent is True
    assert failure.status is None


class Lying(httpx.BaseTransport):
    """Does what it is asked, and reports what it likes."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("late"),
        httpx.PoolTimeout("full"),
        ConnectionRefusedError("refused"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("as_client", [True, False])
def test_a_stranger_s_word_is_no_proof(error: Exception, as_client: bool) -> None:
    transport = Lying(error)
    if as_client:
        with httpx.Client(transport=transport) as client:
            assert failed(HttpxWire(client).send(outgoing("http://x.example", "POST"))).sent
    else:
        assert failed(HttpxWire(None, transport).send(outgoing("http://x.example", "POST"))).sent


# ---------------------------------------------------------------------------- the status came


@pytest.mark.parametrize(
    "answer",
    [
        reply(b'{"a"', length=1000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{'a':\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ],
    ids=["length", "chunks", "nonsense"],
)
def test_a_body_that_is_cut_off_leaves_the_status(send: Send, serve: Any, answer: bytes) -> None:
    server = serve(answering(answer, then_close=True))
    failure = failed(send(outgoing(server.url, "POST")))
    assert (failure.sent, failure.status) == (True, 200)
    assert not failure.malformed


def test_more_than_the_length_is_left_alone(send: Send, serve: Any) -> None:
    """What came too much must not become the answer to the next request."""
    evil = reply(b'"somebody else\'s"')
    server = serve(answering(reply(b'"mine"') + evil, reply(b'"mine too"')))
    assert came(send(outgoing(server.url))).json() == "mine"
    assert came(send(outgoing(server.url))).json() == "mine"
    assert server.connections == 2


def test_gzip(send: Send, serve: Any) -> None:
    packed = gzip.compress(b'{"a": 1}')
    server = serve(answering(reply(packed, "Content-Encoding: gzip")))
    assert came(send(outgoing(server.url))).json() == {"a": 1}


def test_an_empty_body_may_call_itself_gzip(send: Send, serve: Any) -> None:
    server = serve(answering(reply(b"", "Content-Encoding: gzip", status="204 No Content")))
    assert came(send(outgoing(server.url))).content == b""


DEFLATED = gzip.compress(b'{"a": 1}' * 100)
UNREADABLE = {
    "gzip that is cut off": (DEFLATED[:-9], "gzip"),
    "gzip that is none": (b'{"a": 1}', "gzip"),
    "gzip that is damaged": (DEFLATED[:12] + b"\xff" + DEFLATED[13:], "gzip"),
    "gzip in gzip": (gzip.compress(DEFLATED), "gzip, gzip"),
    "brotli": (b"\x0b\x02\x80{}\x03", "br"),
    "deflate": (zlib.compress(b"{}"), "deflate"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_unpacked_is_malformed(send: Send, serve: Any, what: str) -> None:
    body, encoding = UNREADABLE[what]
    server = serve(answering(reply(body, f"Content-Encoding: {encoding}")))
    failure = failed(send(outgoing(server.url)))
    assert failure.malformed
    assert failure.status == 200


def test_an_encoding_is_not_repeated(send: Send, serve: Any) -> None:
    server = serve(answering(reply(b"{}", f"Content-Encoding: {'x' * 32}Hunter2-Hunter2")))
    failure = failed(send(outgoing(server.url)))
    assert failure.malformed
    assert "hunter2" not in failure.reason


@cache
def bomb() -> bytes:
    """64 MB in 64 KB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(bytes(64 << 20)) + packer.flush()


def test_a_bomb_does_not_go_off(send: Send, serve: Any) -> None:
    server = serve(answering(reply(bomb(), "Content-Encoding: gzip")))
    began = time.perf_counter()
    failure = failed(send(outgoing(server.url)))
    assert failure.malformed
    assert failure.reason == "the answer is larger than the limit"
    assert time.perf_counter() - began < 2


def test_a_huge_body_is_not_read_to_its_end(send: Send, serve: Any) -> None:
    sent = 0

    def act(connection: Connection) -> None:
        nonlocal sent
        connection.read()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n[")
        while True:
            connection.send(bytes(1 << 16))
            sent += 1 << 16

    server = serve(act)
    failure = failed(send(outgoing(server.url)))
    assert failure.malformed
    assert failure.status == 200
    assert sent < 64 << 20


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1])
@pytest.mark.parametrize("packed", [True, False])
def test_the_bound_is_exact(send: Send, serve: Any, size: int, packed: bool) -> None:
    body = b" " * size
    answer = reply(gzip.compress(body), "Content-Encoding: gzip") if packed else reply(body)
    got = send(outgoing(serve(answering(answer)).url))
    assert isinstance(got, Response) == (size == 1 << 20)


# ---------------------------------------------------------------------------- slowness


def dripping(head: bytes, body: bytes) -> Act:
    def act(connection: Connection) -> None:
        connection.read()
        connection.send(head)
        connection.drip(body)

    return act


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


def test_a_body_that_drips_ends_with_the_total(send: Send, serve: Any) -> None:
    server = serve(dripping(HEAD, b" " * 100_000))
    began = time.perf_counter()
    failure = failed(send(outgoing(server.url, "POST", timeout=5.0, total=SHORT)))
    assert time.perf_counter() - began < 4 * SHORT
    assert (failure.sent, failure.status) == (True, 200)


def test_a_head_that_drips_ends_with_the_total(own: Send, serve: Any) -> None:
    """In a sync client this holds for guestlist's own transport; a brought one keeps to its
    time-outs, which begin anew with every byte."""
    server = serve(dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x" * 100_000))
    began = time.perf_counter()
    failure = failed(own(outgoing(server.url, "POST", timeout=5.0, total=SHORT)))
    assert time.perf_counter() - began < 4 * SHORT
    assert (failure.sent, failure.status) == (True, None)


# ---------------------------------------------------------------------------- nothing is added


def test_redirects_are_not_followed(send: Send, serve: Any) -> None:
    elsewhere = serve(answering(OK))
    server = serve(
        answering(reply(b"", f"Location: {elsewhere.url}/", status="307 Temporary Redirect"))
    )
    assert came(send(outgoing(server.url, "POST", content=b"x"))).status == 307
    assert elsewhere.requests == []


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_brought_client_adds_nothing_of_its_own(serve: Any, library: str) -> None:
    http: Any = importlib.import_module(library)
    server = serve(answering(reply(b"{}", "Set-Cookie: session=1"), OK, OK))
    elsewhere = serve(answering(OK))
    with http.Client(
        auth=("user", "password"),
        headers={"X-App": "1"},
        cookies={"c": "1"},
        params={"p": "1"},
        base_url=elsewhere.url,
        follow_redirects=True,
        verify=TLS,
        trust_env=False,
    ) as client:
        wire = HttpxWire(client)
        for _ in range(2):
            assert came(wire.send(outgoing(f"{server.url}/path"))).status == 200
        wire.close()
        assert not client.is_closed
    for request in server.requests:
        text = request.decode().lower()
        assert text.startswith("get /path http/1.1")
        assert not [word for word in ("x-app", "cookie", "authorization", "p=1") if word in text]


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_hook_that_raises_for_the_status_leaves_the_status(serve: Any, library: str) -> None:
    http: Any = importlib.import_module(library)

    def strict(response: Any) -> None:
        response.raise_for_status()

    server = serve(answering(reply(b"{}", status="404 Not Found")))
    with http.Client(event_hooks={"response": [strict]}, verify=TLS, trust_env=False) as client:
        answer = HttpxWire(client).send(outgoing(server.url, "POST"))
    assert answer.status == 404


def test_an_answer_that_was_read_already_is_bounded_too() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=b" " * 1001))
    wire = HttpxWire(transport=transport)
    assert came(wire.send(outgoing("http://x.example", max_body=1001))).content == b" " * 1001
    assert failed(wire.send(outgoing("http://x.example", max_body=1000))).malformed


# ---------------------------------------------------------------------------- closing


class Counting(httpx.HTTPTransport):
    """Notes when it is closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
        super().close()


def test_a_brought_transport_is_used_and_not_closed(serve: Any) -> None:
    server = serve(answering(OK, OK))
    with Counting(verify=TLS) as transport:
        wire = HttpxWire(transport=transport)
        assert came(wire.send(outgoing(server.url))).status == 200
        wire.close()
        assert transport.closed == 0
        assert came(wire.send(outgoing(server.url))).status == 200
    assert server.connections == 1


def test_after_closing_new_connections_are_opened(serve: Any) -> None:
    server = serve(answering(OK))
    wire = HttpxWire()
    for _ in range(2):
        assert came(wire.send(outgoing(server.url))).status == 200
        wire.close()
    assert server.connections == 2


@pytest.mark.parametrize("way", WAYS)
def test_no_socket_is_left_open(serve: Any, way: str) -> None:
    def broken(connection: Connection) -> None:
        connection.read()
        connection.send(reply(b"{", length=100))

    servers = [
        serve(answering(OK)),
        serve(broken),
        serve(lambda connection: connection.reset()),
        serve(answering(reply(b"x" * 3000))),
        serve(answering(reply(b"x", "Content-Encoding: gzip"))),
        serve(lambda connection: connection.read() and connection.read()),
    ]
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        make, library, brought = WAYS[way]
        with make(library, brought) as sending:
            for server in servers:
                sending(outgoing(server.url, timeout=0.1, max_body=2000))
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


# ---------------------------------------------------------------------------- proxies


@pytest.fixture
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_the_environment_s_proxy_is_used(
    own: Send, serve: Any, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    proxy = serve(answering(reply(b'"by proxy"')))
    monkeypatch.setenv(variable, proxy.url)
    assert came(own(outgoing("http://service.example/path"))).json() == "by proxy"
    assert proxy.requests[0].startswith(b"GET http://service.example/path HTTP/1.1\r\n")


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize("user", ["", "ada:hunter2@"])
def test_a_proxy_may_be_named_without_a_scheme(
    own: Send, serve: Any, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    proxy = serve(answering(reply(b'"by proxy"')))
    monkeypatch.setenv("http_proxy", proxy.url.replace("http://", user))
    assert came(own(outgoing("http://service.example/path"))).json() == "by proxy"
    credentials = base64.b64encode(b"ada:hunter2")
    assert (credentials in proxy.requests[0]) is bool(user)


@pytest.mark.usefixtures("_no_proxies")
def test_exceptions_from_the_proxy(own: Send, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = serve(answering(OK)), serve(answering(OK))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert came(own(outgoing(server.url))).status == 200
    assert proxy.requests == []


@pytest.mark.usefixtures("_no_proxies")
def test_what_is_for_this_machine_stays_on_it(
    own: Send, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http is allowed to this machine only, because it shows the credentials."""
    proxy, server = serve(answering(OK)), serve(answering(OK))
    monkeypatch.setenv("http_proxy", proxy.url)
    assert came(own(outgoing(server.url))).status == 200
    assert proxy.requests == []


@pytest.mark.usefixtures("_no_proxies")
def test_a_refusing_proxy_proves_that_nothing_was_sent(
    own: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    assert failed(own(outgoing("http://service.example", "POST"))).sent is False


@pytest.mark.usefixtures("_no_proxies")
def test_an_unusable_proxy_raises_an_error(own: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:70")
    failure = failed(own(outgoing("http://service.example", "POST")))
    assert failure.sent is False
    assert "gopher" in failure.reason


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize(
    "proxy",
    ["http://ada:hunter2/2@127.0.0.1:1", "ada:hunter2#2@127.0.0.1:1", "gopher://a:hunter2@b:1"],
)
def test_a_proxy_that_cannot_be_used_shows_no_password(
    own: Send, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    failure = failed(own(outgoing("http://service.example", "POST")))
    assert failure.sent is False
    assert "the proxy of the environment" in failure.reason
    assert isinstance(failure.cause, ValueError)
    assert "hunter2" not in failure.reason + "".join(traceback.format_exception(failure.cause))


# ---------------------------------------------------------------------------- what may be brought


@pytest.mark.parametrize(
    ("wire", "given"),
    [
        (HttpxWire, {"client": object()}),
        (HttpxWire, {"transport": object()}),
        (HttpxWire, {"client": socket}),
        (AsyncHttpxWire, {"transport": Lying(OSError())}),
    ],
    ids=["client", "transport", "a module", "a sync transport for async"],
)
def test_what_cannot_send_is_refused_at_once(wire: Any, given: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        wire(**given)


def test_the_wrong_kind_is_refused_at_once() -> None:
    with httpx.Client() as client:
        with pytest.raises(TypeError, match="async ones for AsyncGuestlist"):
            AsyncHttpxWire(client)
        with pytest.raises(TypeError, match="not both"):
            HttpxWire(client, Lying(OSError()))
    with pytest.raises(TypeError, match="sync ones are for Guestlist"):
        HttpxWire(httpx.AsyncClient())
