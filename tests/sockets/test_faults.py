"""Faults of this machine and its network: which are tried again, and what the message says."""

from __future__ import annotations

import errno
import gc
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trustme
from tests.sockets.test_connection import Service, Tunnel

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import ConfigError, GuestlistError, ServiceUnavailable
from guestlist_vultr import Vultr
from pytest_guestlist.clock import VirtualClock

ELSEWHERE = "https://api.acme.example/v2"
START = datetime(2026, 1, 1, tzinfo=UTC)
Fail = Callable[[str], GuestlistError]


def sync(url: str) -> GuestlistError:
    accounts = {"cloud": Vultr(api_key="key", base_url=url)}
    with Guestlist(accounts, clock=VirtualClock(START)) as guests:
        with pytest.raises(GuestlistError) as caught:
            guests.check()
        return caught.value


def on(backend: str, url: str) -> GuestlistError:
    async def main() -> GuestlistError:
        accounts = {"cloud": Vultr(api_key="key", base_url=url)}
        async with AsyncGuestlist(accounts, clock=VirtualClock(START)) as guests:
            with pytest.raises(GuestlistError) as caught:
                await guests.check()
            return caught.value

    return anyio.run(main, backend=backend)


WAYS: dict[str, Fail] = {
    "sync": sync,
    "asyncio": partial(on, "asyncio"),
    "trio": partial(on, "trio"),
}


@pytest.fixture(params=WAYS)
def fail(request: pytest.FixtureRequest) -> Fail:
    """Makes a call that has to fail, and returns its error."""
    return WAYS[request.param]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def certified(name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(name).configure_cert(context)
    return context


def test_an_untrusted_certificate(fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/corp/ca.pem")
    with Service(tls=certified()) as there:
        error = fail(there.url.rstrip("/"))
    assert isinstance(error, ServiceUnavailable)
    assert error.happened is False
    assert error.attempts == 1
    host = there.url.split("/")[2]
    assert error.message.startswith(f"no connection to {host}: its certificate is not trusted: ")
    assert "set SSL_CERT_FILE" in error.hint
    assert "REQUESTS_CA_BUNDLE is not read" in error.hint


def test_a_certificate_for_another_host(
    fail: Fail, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Service(tls=context) as there:
        error = fail(there.url.rstrip("/"))
    assert error.attempts == 1
    assert "its certificate is for another host" in error.message
    assert error.hint == "Check base_url of [accounts.cloud]."


def test_a_plain_service_behind_an_https_address(fail: Fail) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.recv(1 << 16)

    with Service(refuse, tls=None) as there:
        error = fail(there.url.rstrip("/").replace("http://", "https://"))
    assert isinstance(error, ServiceUnavailable)
    assert error.attempts == 1
    assert error.happened is False
    assert ": it does not speak TLS as this machine does: " in error.message
    assert error.hint == "Check base_url of [accounts.cloud]: its scheme, host and port."


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "not one"])
def test_a_wrong_ssl_cert_file(
    fail: Fail, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    error = fail(ELSEWHERE)
    assert isinstance(error, ConfigError)
    assert error.attempts == 1
    assert error.message.startswith(f"the file in SSL_CERT_FILE ({file}) ")
    assert error.hint == "Correct or unset SSL_CERT_FILE."


@pytest.mark.parametrize(
    ("code", "attempts", "said"),
    [
        (socket.EAI_NONAME, 1, "no such host"),
        (socket.EAI_AGAIN, 4, "the name server does not answer"),
    ],
)
def test_a_host_that_cannot_be_found(
    fail: Fail, monkeypatch: pytest.MonkeyPatch, code: int, attempts: int, said: str
) -> None:
    def getaddrinfo(host: object, *_: object, **__: object) -> Any:
        raise socket.gaierror(code, "as the system says it")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = fail(ELSEWHERE)
    assert isinstance(error, ServiceUnavailable)
    assert error.attempts == attempts
    assert error.message == f"no connection to api.acme.example:443: {said}"
    assert "base_url of [accounts.cloud]" in error.hint


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files(fail: Fail, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def getaddrinfo(*_: object, **__: object) -> Any:
        raise OSError(code, "as the system says it")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = fail(ELSEWHERE)
    assert isinstance(error, ServiceUnavailable)
    assert error.happened is False
    assert error.attempts == 1
    assert error.message == (
        "no connection to api.acme.example:443: this process or machine has too many open files"
    )
    assert "ulimit -n" in error.hint


def test_certificates_that_cannot_be_opened_because_of_too_many_files(
    fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(httpx, "create_ssl_context", load)
    error = fail(ELSEWHERE)
    assert isinstance(error, ConfigError)
    assert error.attempts == 1
    assert "the trusted certificates cannot be loaded" in error.message
    assert "ulimit -n" in error.hint


def test_a_refused_port_is_tried_again_because_a_service_may_be_restarting(fail: Fail) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    error = fail(f"http://127.0.0.1:{port}")
    assert isinstance(error, ServiceUnavailable)
    assert error.attempts == 4
    assert error.message.startswith(f"no connection to 127.0.0.1:{port}: connection refused")
    assert error.hint == "Check base_url of [accounts.cloud]. Try again later."


@pytest.mark.block_network
@pytest.mark.filterwarnings(  # asyncio and trio leave the socket open whose connecting is blocked
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_network_that_a_test_tool_blocks(fail: Fail) -> None:
    error = fail("http://127.0.0.1:9")
    gc.collect()
    assert isinstance(error, ConfigError)
    assert error.attempts == 1
    assert "127.0.0.1:9: blocked in this process" in error.message
    assert "--allowed-hosts=127.0.0.1" in error.hint


def test_a_socks_proxy_without_its_package(fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://ada:hunter2@127.0.0.1:9")
    error = fail(ELSEWHERE)
    assert isinstance(error, ConfigError)
    assert error.attempts == 1
    assert error.message.startswith("ALL_PROXY names a SOCKS proxy")
    assert "pip install 'httpx[socks]'" in error.hint
    assert "hunter2" not in str(error)


def test_an_invalid_proxy(fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://ada:hunter2@127.0.0.1:9")
    error = fail(ELSEWHERE)
    assert isinstance(error, ConfigError)
    assert error.attempts == 1
    assert "HTTPS_PROXY" in error.hint
    assert "hunter2" not in str(error)


def test_a_proxy_that_is_not_there(fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:hunter2@127.0.0.1:9")
    error = fail(ELSEWHERE)
    assert error.message.startswith("no connection to the proxy 127.0.0.1:9: connection refused")
    assert error.hint == "Check HTTPS_PROXY. Try again later."


def test_a_proxy_that_wants_a_password(fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    with Tunnel(None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = fail(ELSEWHERE)
    assert error.attempts == 1
    assert error.message.startswith("the proxy refused the request: 407")
    assert error.hint == "Check HTTPS_PROXY: host, user and password."
