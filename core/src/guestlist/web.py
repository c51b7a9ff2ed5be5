"""The parts that the pages of the sandbox and of the console share: ports, servers, templates.

It needs the extra `guestlist[sandbox]` or `guestlist[console]`.
"""

from __future__ import annotations

import errno
import os
import socket
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import jinja2
import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp

from guestlist import humanize

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # With `no-referrer`, browsers send `Origin: null` with the pages' own forms.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

LAST_ANSWERS_SECONDS = 1
"""How long requests in progress may still take after a server is stopped."""


def listen(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Returns a socket that listens on a port. Clients wait until a server accepts them.

    Raises:
        OSError: the port cannot be used; see `port_problem`.
    """
    # asyncio disables Nagle's algorithm only for sockets whose protocol is TCP. Otherwise every
    # second answer would be 40 ms late.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # On Windows, the option would let two processes share a port.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def port_problem(error: OSError) -> str:
    """Returns why a port cannot be used."""
    taken = error.errno == errno.EADDRINUSE
    return "is in use" if taken else f"cannot be used: {error.strerror}"


class LocalServer(uvicorn.Server):
    """A server on this machine that leaves the handling of signals to its caller.

    Args:
        on_ready: called once the server answers.
        options: further settings of uvicorn.
    """

    def __init__(self, app: ASGIApp, on_ready: Callable[[], None], **options: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                ws="none",
                access_log=False,  # The log would contain the token of a one-time link.
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
                **options,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def page_templates(package: str, **filters: Callable[..., Any]) -> jinja2.Environment:
    """Returns the templates of a package. Their pages get the present time as `now`."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    templates.filters.update(absolute=humanize.absolute_time, relative=_relative, **filters)
    return templates


@jinja2.pass_context
def _relative(context: jinja2.runtime.Context, moment: datetime) -> str:
    """Returns a time relative to that of the page."""
    return humanize.relative_time(moment, context["now"])


def _visible(value: Any) -> Any:
    """Returns a text without control characters and without those that change the direction of
    writing: they could make a name look like another one."""
    if not isinstance(value, str) or value.isprintable():
        return value
    shown = "".join(
        one if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf", "Cs") else "\ufffd"
        for one in value
    )
    return type(value)(shown)


def page_numbers(request: Request, items: int, size: int) -> tuple[int, int]:
    """Returns the number of the page that the query asks for, and that of the last page. Both count
    from 1.

    Args:
        items: the number of items in the list.
        size: the number of items on a page.
    """
    last = max(1, -(-items // size))
    text = request.query_params.get("page", "")
    asked = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    return min(max(1, asked), last), last
