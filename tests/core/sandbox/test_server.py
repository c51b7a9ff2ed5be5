"""Ports, threads, signals, and what is left behind: nothing."""

from __future__ import annotations

import gc
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from email.utils import parsedate_to_datetime

import httpx
import pytest

from guestlist.sandbox import Sandbox, SandboxError, Service

Kinds = list[type[Service]]


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


def free_ports(count: int) -> int:
    """The first of some ports in a row that nothing uses."""
    for first in range(20_000, 60_000, count):
        try:
            with ExitStack() as closing:
                for port in range(first, first + count):
                    closing.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def test_ports_follow_each_other(kinds: Kinds) -> None:
    port = free_ports(3)
    with Sandbox(kinds, port=port) as sandbox:
        assert sandbox.url == f"http://127.0.0.1:{port}"
        urls = [hosted.base_url for hosted in sandbox.services.values()]
        assert urls == [f"http://127.0.0.1:{port + 1}", f"http://127.0.0.1:{port + 2}"]
        assert [get(url).json()["profile"] for url in urls] == ["plain", "plain"]


def test_answers_carry_the_date_of_the_sandbox(sandbox: Sandbox) -> None:
    url = sandbox.services["club"].base_url
    for one in (url, f"{url}/nothing", sandbox.url):
        assert get(one).headers.get_list("Date") == ["Fri, 15 Jan 2027 08:00:00 GMT"]
    assert get(f"{url}/dated").headers.get_list("Date") == ["its own"]
    sandbox.reset()
    assert parsedate_to_datetime(get(url).headers["Date"]) == sandbox.clock.now()


def test_starts_with_a_profile_and_returns_to_it(kinds: Kinds) -> None:
    with Sandbox(
        kinds, profiles={"club": "fancy"}, switches={"choir": {"duplicates": "allow"}}
    ) as s:
        club = s.services["club"]
        club.service.configure(profile="plain")
        s.reset()
        assert s.services["club"] is club
        assert club.service.profile == "fancy"
        assert s.services["choir"].service.chosen == {"duplicates": "allow"}


def test_leaves_nothing_behind_and_starts_again(kinds: Kinds) -> None:
    threads = threading.active_count()
    sandbox = Sandbox(kinds)
    for _ in range(2):
        with sandbox, httpx.Client(trust_env=False) as client:
            url = sandbox.url
            assert client.get(url).is_success  # this connection stays open while it stops
        with pytest.raises(httpx.ConnectError):
            get(url)
    assert threading.active_count() == threads
    gc.collect()  # a socket or loop left open would warn here, and warnings are errors
    with pytest.raises(SandboxError, match="not running"):
        sandbox.reset()
    with pytest.raises(SandboxError, match="not running"):
        _ = sandbox.url


def test_handlers_of_the_main_thread_are_given_back(kinds: Kinds) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    Sandbox(kinds).run(lambda sandbox: sandbox.stop())
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_failing_callback_ends_it(kinds: Kinds) -> None:
    def fail(sandbox: Sandbox) -> None:
        raise LookupError(sandbox.url)

    sandbox = Sandbox(kinds)
    with pytest.raises(LookupError, match="http") as caught:
        sandbox.run(fail)
    with pytest.raises(httpx.ConnectError):
        get(str(caught.value))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_cleanly(number: signal.Signals) -> None:
    program = (
        "from guestlist.sandbox import Sandbox\n"
        "Sandbox([]).run(lambda sandbox: print(sandbox.url, flush=True))\n"
        "print('over')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert "None is running" in get(url).text
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("over\n", "", 0)


@pytest.mark.parametrize("offset", [0, 2])
def test_port_in_use_is_one_clear_error(kinds: Kinds, offset: int) -> None:
    port = free_ports(3)
    names = ["the mailbox", "club", "choir"]
    text = f"port {port + offset} of 127.0.0.1, for {names[offset]}, is in use"
    with socket.create_server(("127.0.0.1", port + offset)):
        for start in (lambda: Sandbox(kinds, port=port).run(), Sandbox(kinds, port=port).__enter__):
            with pytest.raises(SandboxError, match=text):
                start()
    with Sandbox(kinds, port=port):
        pass  # what it had taken before it failed was given back


def test_other_reasons_not_to_start(kinds: Kinds) -> None:
    with pytest.raises(SandboxError, match="port 65536, for club, is above 65535"):
        Sandbox(kinds, port=65_535).run()
    with pytest.raises(SandboxError, match="has no profile 'grand'"):
        Sandbox(kinds, profiles={"club": "grand"}).run()
    with pytest.raises(SandboxError, match="two services are called 'club'"):
        Sandbox([kinds[0], kinds[0]])
    with pytest.raises(SandboxError, match="is not an address"):
        Sandbox(kinds, host="no such host")
    with Sandbox(kinds) as sandbox, pytest.raises(SandboxError, match="running already"):
        sandbox.run()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104 - it is refused
def test_only_loopback(kinds: Kinds, host: str) -> None:
    with pytest.raises(SandboxError, match="other machines"):
        Sandbox(kinds, host=host)


def test_remote_when_allowed(kinds: Kinds) -> None:
    with Sandbox(kinds, host="0.0.0.0", allow_remote=True) as sandbox:  # noqa: S104 - for the test
        assert sandbox.url.startswith("http://127.0.0.1:")
        headers = {"Host": "box.example"}
        assert httpx.get(sandbox.url, headers=headers, trust_env=False).is_success


def test_loopback_by_name(kinds: Kinds) -> None:
    with Sandbox(kinds, host="localhost") as sandbox:
        assert get(sandbox.url).is_success
