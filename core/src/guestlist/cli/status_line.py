"""A status line on stderr that shows what the command waits for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from guestlist.cli.text import printable
from guestlist.event import Event, EventName

if TYPE_CHECKING:
    from rich.status import Status

    from guestlist.cli.screen import Screen

DELAY_SECONDS = 0.3
"""Seconds before the line appears on a terminal. Quicker work needs no status."""
LINE_INTERVAL_SECONDS = 10.0
"""Seconds between two lines if stderr is not a terminal, such as in a pipeline's log."""


class StatusLine:
    """Shows what the command is doing, from the first call of `show` on. Any thread may call it.

    Args:
        screen: where to show it; None to show nothing. Without a terminal, `show_wait` prints a
            line at once, and `show` one every `LINE_INTERVAL_SECONDS`.
    """

    def __init__(self, screen: Screen | None) -> None:
        terminal = screen is not None and screen.err.is_terminal
        self._console = screen.err if screen is not None and terminal else None
        self._elsewhere = screen.err if screen is not None and not terminal else None
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._timer: threading.Timer | None = None
        self._what = self._how = ""
        self._line_at = time.monotonic() + LINE_INTERVAL_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.pause()

    def show(self, what: str) -> None:
        """Shows what the command is doing as a whole."""
        self._what = what
        with self._lock:
            if self._console is not None and self._status is None and self._timer is None:
                self._timer = threading.Timer(DELAY_SECONDS, self._show)
                self._timer.daemon = True
                self._timer.start()
            if self._elsewhere is not None and time.monotonic() >= self._line_at:
                self._elsewhere.print(printable(what), soft_wrap=True)
                self._line_at = time.monotonic() + LINE_INTERVAL_SECONDS
        self._update()

    def show_wait(self, what: str) -> None:
        """Shows what the command waits for. Without a terminal, prints it as a line at once."""
        if self._elsewhere is not None and what != self._what:
            self._elsewhere.print(printable(what), soft_wrap=True)
        self.show(what)

    def pause(self) -> None:
        """Shows nothing until the next `show`, because something else writes to the terminal."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._status is not None:
                self._status.stop()
                self._status = None
        self._what = self._how = ""

    def watch(self, event: Event) -> None:
        """Shows what the client is doing at the moment."""
        self._how = _in_words(event)
        self._update()

    def _show(self) -> None:
        with self._lock:
            if self._console is not None and self._what and self._timer is not None:
                self._timer = None
                self._status = self._console.status(self._text(), spinner="dots")
                self._status.start()

    def _update(self) -> None:
        with self._lock:
            if self._status is not None:
                self._status.update(self._text())

    def _text(self) -> str:
        return printable(self._what + (f" · {self._how}" if self._how else ""))


def _in_words(event: Event) -> str:
    pause = f"waiting {event.seconds:.0f} s" if event.seconds and event.seconds >= 1 else ""
    again = f"trying again (attempt {(event.attempt or 1) + 1})"
    texts = {
        EventName.RETRY: f"{pause}, then {again}" if pause else again,
        EventName.PACE: f"{pause or 'waiting'} to stay below the service's limit",
        EventName.UNKNOWN: "no answer; the request may have taken effect",
        EventName.LOOK: "checking whether it took effect",
        EventName.WAIT: (
            f"{event.email} is {event.detail or 'not found'}; {pause} until the next check"
        ),
        EventName.PAUSE: event.detail,
        EventName.FAILURE: f"no answer ({event.detail})",
    }
    text = texts.get(event.name)
    return f"{event.account}: {text}" if text else ""
