"""One server on the loopback interface for the tests with the official client."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send

from guestlist_gitlab.sandbox import GitLabService


@dataclass(frozen=True)
class Sent:
    """What a request consists of."""

    method: str
    path: str
    query: str
    media_type: str
    body: Any


@dataclass
class Recorder:
    """Serves a sandbox, and notes the requests."""

    service: GitLabService = field(default_factory=GitLabService)
    sent: list[Sent] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        message: Message = await receive()
        body = message.get("body", b"")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.sent.append(
            Sent(
                scope["method"],
                scope["raw_path"].decode(),
                scope["query_string"].decode(),
                headers.get("content-type", "") if body else "",
                json.loads(body) if body else None,
            )
        )

        async def again() -> Message:
            return message

        await self.service.app(scope, again, send)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    found = Recorder()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        found.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(found, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield found
        server.should_exit = True
        thread.join()


@pytest.fixture
def server(recorder: Recorder) -> Recorder:
    """The server with a new sandbox."""
    recorder.service = GitLabService()
    recorder.sent.clear()
    return recorder
