"""A transport for clients of a sandbox that is not served: no socket, no thread, no event loop.

Connections and HTTP itself are tested in `tests/sockets` and by the conformance suite.
"""

from __future__ import annotations

import threading
from email.utils import format_datetime

import httpx

from guestlist.exchange.step import Outgoing
from guestlist.sandbox.world import World
from pytest_guestlist.calling import call_service


class InProcess(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Sends each request to the service of a world that has the URL's origin."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        [hosted] = [one for one in self._world.services.values() if url.startswith(one.base_url)]
        headers = {name.decode(): value.decode() for name, value in request.headers.raw}
        content = request.read()
        with self._lock:
            answer = call_service(
                hosted.service,
                Outgoing(request.method, url, headers, content, 0.0, 0.0, 0),
            )
            now = format_datetime(self._world.clock.now(), usegmt=True)
        return httpx.Response(
            answer.status, headers={"date": now, **answer.headers}, content=answer.content
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)
