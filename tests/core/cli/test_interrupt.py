"""Ctrl-C: one line that says what may have happened."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.cli.program import Program

from guestlist.errors import LedgerError
from guestlist.ledger import Ledger
from guestlist.ledger.lock import exclusive
from guestlist.sandbox import Sandbox

from .conftest import Cli, script

HANGS_SECONDS = 300
"""Bound of every wait, much more than a slow machine needs."""

REPORTER = "guestlist.cli.run_reporter.RunReporter"

EMPTY = json.dumps({"invitations": [], "users": [], "meta": {"total": 0}}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class Silent:
    """A service that answers reads, and never a request that changes something."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.asked = threading.Event()
        self.posted = threading.Event()
        self.reads = True
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        while head := connection.recv(65536):
            self.asked.set()
            if head.startswith(b"POST"):
                self.posted.set()
                return
            if not self.reads:
                return
            connection.sendall(ANSWER % (len(EMPTY), EMPTY))

    def hang_up(self) -> None:
        for connection in self._open:
            connection.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # ends the thread that accepts
        self.hang_up()
        self._listening.close()


@pytest.fixture
def service() -> Iterator[Silent]:
    service = Silent()
    account = f'provider = "vultr"\napi_key = "hunter2-hunter2"\nbase_url = "{service.url}"\n'
    Path("guestlist.toml").write_text(f"[accounts.cloud]\n{account}\n[accounts.other]\n{account}")
    yield service
    service.close()


def interrupted(words: list[str], when: threading.Event) -> tuple[int, str]:
    with Program(*words) as running:
        assert when.wait(HANGS_SECONDS)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=HANGS_SECONDS)
        return running.wait(), last_line(err)


def last_line(err: str) -> str:
    """Returns the last line. Lines of progress come before it if the command takes 10 s."""
    return err.splitlines(keepends=True)[-1]


def test_in_the_middle_of_a_change(service: Silent) -> None:
    words = ["invite", "ada@example.com", "bob@example.com", "-a", "cloud"]
    code, err = interrupted(words, service.posted)
    assert code == 130
    assert err == (
        "interrupted: invite ada@example.com on cloud may have happened"
        " (see `guestlist status`); 1 not started\n"
    )


def test_in_the_middle_of_changes_on_two_accounts(service: Silent) -> None:
    service.reads = False
    words = ["invite", "ada@example.com", "-a", "cloud", "-a", "other"]
    code, err = interrupted(words, service.asked)
    assert code == 130
    assert err.startswith("interrupted: invite ada@example.com on ")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_end_the_wait_for_requests(
    service: Silent, by: signal.Signals
) -> None:
    with Path("guestlist.toml").open("a") as file:
        file.write('[[people]]\nemail = "ada@example.com"\naccounts.cloud = true\n')
    words = ["apply", "--yes", "--timeout", "60s"]
    with Program(*words) as running:
        assert service.posted.wait(HANGS_SECONDS)
        for _ in range(2):
            running.send_signal(by)
            time.sleep(0.5)  # two that come together would be one
        with (
            Ledger("guestlist.db") as ledger,
            pytest.raises(LedgerError, match="another run is under way"),
            exclusive(ledger.store),
        ):
            pass
        service.hang_up()
        _, err = running.communicate(timeout=HANGS_SECONDS)
    assert running.returncode == 128 + by
    assert last_line(err) == "interrupted: stopped: 1 left; run `guestlist apply` to continue\n"


@pytest.mark.parametrize(
    "moment", ["guestlist.cli.run_display.ProgressBars.__enter__", f"{REPORTER}._show_run"]
)
def test_an_end_just_before_or_after_a_run_says_what_is_left_of_it(
    cli: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    Path("guestlist.toml").write_text(
        '[accounts.cloud]\nprovider = "vultr"\n'
        '[[people]]\nemail = "ada@example.com"\naccounts.cloud = true\n'
    )

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(moment, interrupt)
    done = cli("apply", "guestlist.toml")
    assert done.code == 130
    told = (
        "all changes were made"
        if sandbox.outbox.emails
        else "1 left; run `guestlist apply` to continue"
    )
    assert last_line(done.err) == f"interrupted: stopped: {told}\n"


def test_in_the_middle_of_looking(service: Silent) -> None:
    service.reads = False
    assert interrupted(["status", "ada@example.com"], service.asked) == (
        130,
        "interrupted: nothing was changed\n",
    )
    service.asked.clear()
    words = ["invite", "ada@example.com", "-a", "cloud"]
    assert interrupted(words, service.asked) == (130, "interrupted: nothing was changed\n")


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_roster_is_read_no_longer_than_it_may_take(service: Silent, command: str) -> None:
    service.reads = False
    with Path("guestlist.toml").open("a") as file:
        file.write('[[people]]\nemail = "ada@example.com"\naccounts.cloud = true\n')
    done = script(command, "--timeout", "0.2s")
    assert done.returncode == 1
    assert "error: cloud: " in done.stderr
    assert "could not be read" in done.stdout
