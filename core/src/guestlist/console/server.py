"""Serves the console on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from guestlist.console.app import Console
from guestlist.errors import ConfigError
from guestlist.signals import handle_signals

HOST = "127.0.0.1"
LAST_ANSWERS_SECONDS = 1
"""How long requests to the console may still take after Ctrl-C."""


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
    with _listening(port) as listening:
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        server = _Server(console, on_stop, lambda: on_ready(url))
        asyncio.run(server.serve(sockets=[listening]))


class _Server(uvicorn.Server):
    def __init__(
        self, console: Console, on_stop: Callable[[], None], on_ready: Callable[[], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                console,
                lifespan="off",
                ws="none",
                access_log=False,  # the log would contain the token of the one-time link
                log_config=None,
                proxy_headers=False,  # anybody on this machine could forge them
                server_header=False,
                timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
            )
        )
        self._console = console
        self._on_stop = on_stop
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends the server on a signal. Live streams end first: the server waits for them."""

        def stop(number: int, frame: FrameType | None) -> None:
            self._console.close()
            self._on_stop()
            self.handle_exit(number, frame)

        with handle_signals(stop):
            yield


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        taken = error.errno == errno.EADDRINUSE
        raise ConfigError(
            f"port {port} is in use" if taken else f"port {port} cannot be used: {error.strerror}",
            hint="Choose another port, or 0 for any free one.",
        ) from error
    with listening:
        yield listening
