"""Serves the console on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from guestlist.console.app import Console
from guestlist.errors import ConfigError
from guestlist.signals import handle_signals
from guestlist.web import LocalServer, listen, port_problem

HOST = "127.0.0.1"


def serve(
    console: Console,
    port: int,
    *,
    on_ready: Callable[[str], None],
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serves a console on a loopback port, until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        port: the port; 0 for any free one.
        on_ready: called with the console's address once it answers.
        on_stop: called as soon as the server is to end, in the main thread.

    Raises:
        ConfigError: the port cannot be used.
    """
    with _listen(port) as listening:
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        server = _Server(console, on_stop, lambda: on_ready(url))
        asyncio.run(server.serve(sockets=[listening]))


class _Server(LocalServer):
    """Ends on a signal. Live streams end first: the server waits for them."""

    def __init__(
        self, console: Console, on_stop: Callable[[], None], on_ready: Callable[[], None]
    ) -> None:
        # Proxy headers are ignored, because anybody on this machine could forge them.
        super().__init__(console, on_ready, proxy_headers=False)
        self._console = console
        self._on_stop = on_stop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        def stop(number: int, frame: FrameType | None) -> None:
            self._console.close()
            self._on_stop()
            self.handle_exit(number, frame)

        with handle_signals(stop):
            yield


def _listen(port: int) -> socket.socket:
    try:
        return listen(HOST, port, socket.AF_INET)
    except OSError as error:
        raise ConfigError(
            f"port {port} {port_problem(error)}",
            hint="Choose another port, or 0 for any free one.",
        ) from error
