"""What is shown while something takes long."""

from __future__ import annotations

import argparse
import io
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from guestlist.cli.run_display import ProgressBars
from guestlist.cli.run_reporter import reading_callback
from guestlist.cli.screen import Screen, _Console
from guestlist.cli.session import Session
from guestlist.cli.status_line import LINE_INTERVAL_SECONDS, StatusLine
from guestlist.event import Event, EventName
from guestlist.runs.tally import Tally
from guestlist_aitronos import Aitronos
from guestlist_betterauth import BetterAuth


class Timer:
    """A timer whose time comes when a test says so."""

    started: list[Timer]

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        self.function, self.seconds, self.canceled = function, seconds, False

    def start(self) -> None:
        self.started.append(self)

    def cancel(self) -> None:
        self.canceled = True


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Timer]:
    Timer.started = []
    monkeypatch.setattr(threading, "Timer", Timer)
    return Timer.started


def screen(*, terminal: bool) -> tuple[Screen, io.StringIO]:
    made, text = Screen(everything=False), io.StringIO()
    environment = {"TERM": "xterm"}
    made.err = _Console(file=text, force_terminal=terminal, _environ=environment, width=80)
    return made, text


def test_a_terminal_shows_what_takes_longer_than_a_moment(timers: list[Timer]) -> None:
    shown, text = screen(terminal=True)
    progress = StatusLine(shown)
    progress.show("reading cloud")
    progress.show("reading cloud: 8 roles")
    [timer] = timers
    assert timer.seconds < 1
    assert text.getvalue() == ""
    timer.function()
    progress.pause()
    assert "reading cloud: 8 roles" in text.getvalue()
    progress.show("sending")
    assert len(timers) == 2
    progress.pause()
    assert timers[1].canceled
    timers[1].function()  # it had begun when it was canceled
    assert "sending" not in text.getvalue()


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    shown, text = screen(terminal=False)
    progress = StatusLine(shown)
    for number in range(4):
        progress.show(f"reading {number}")
        now[0] += LINE_INTERVAL_SECONDS / 2
    assert text.getvalue() == "reading 2\n"


def test_reading_names_account_count_and_rate_limit() -> None:
    told: list[str] = []

    class Told(StatusLine):
        def __init__(self) -> None:
            super().__init__(None)

        def show(self, what: str) -> None:
            told.append(what)

    accounts: dict[str, Any] = {
        "office": Aitronos(organization_id="o", api_key="k"),
        "home": BetterAuth(base_url="http://127.0.0.1:1", organization_id="o", token="s"),
    }
    show = reading_callback(Told(), accounts)
    show("office", "invitations", 0)
    show("office", "invitations", 1059)
    show("home", "members", 1)
    rate = " (limit 100 requests a minute)"
    assert told[0] == f"reading office: invitations{rate}"
    assert told[1] == f"reading office: 1,059 invitations{rate}"
    assert told[2].startswith("reading home: 1 member")
    assert told[2].endswith(f", office: 1,059 invitations{rate}")


PAUSE = Event(
    EventName.PAUSE,
    "cloud",
    "vultr",
    datetime(2026, 12, 1, 9, 5, tzinfo=UTC),
    retry_after=600.0,
    detail="HTTP 429: slow down [1/3], waiting until 2026-12-01 09:15 UTC",
)


def session(**given: Any) -> Session:
    options = {"command": "apply", "sandbox": None, "json": False, "verbose": False, "quiet": False}
    return Session(argparse.Namespace(**{**options, **given}), ExitStack())


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize("command", ["apply", "settle", "worker", "invite"])
def test_a_pause_is_printed_with_account_reason_and_end(
    capsys: pytest.CaptureFixture[str], command: str, json: bool
) -> None:
    session(command=command, json=json).watch(PAUSE)
    captured = capsys.readouterr()
    line = "cloud: HTTP 429: slow down [1/3], waiting until 2026-12-01 09:15 UTC\n"
    assert (captured.out, captured.err) == ("", line)


@pytest.mark.parametrize("json", [False, True])
def test_verbose_output_contains_a_pause_once(
    capsys: pytest.CaptureFixture[str], json: bool
) -> None:
    session(verbose=True, json=json).watch(PAUSE)
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        "  09:05:00 cloud: pause retry after 10 min,"
        " HTTP 429: slow down [1/3], waiting until 2026-12-01 09:15 UTC"
    )


def test_quiet_output_contains_no_pause(capsys: pytest.CaptureFixture[str]) -> None:
    session(quiet=True).watch(PAUSE)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_pause_above_the_status(timers: list[Timer]) -> None:
    shown, text = screen(terminal=True)
    made = session()
    vars(made)["screen"] = shown
    made.status.show("invite on cloud")
    timers[0].function()
    made.watch(PAUSE)
    made.status.pause()
    assert "cloud: HTTP 429: slow down [1/3], waiting until" in text.getvalue()


def test_progress_bars_show_how_many_orders_failed() -> None:
    shown, text = screen(terminal=True)
    tally = Tally("cloud", left=2)
    with ProgressBars(shown) as bars:
        bars.show({"cloud": tally})
        tally.unknown = 1
        bars.show({"cloud": tally})
    assert "1 unknown" in text.getvalue()
