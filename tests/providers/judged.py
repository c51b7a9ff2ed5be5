"""What the tests with official clients share: a sandbox over loopback that notes every request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from guestlist.sandbox import IncomingRequest, OrganizationService, Sandbox


@dataclass(frozen=True)
class Seen:
    """A request as the service saw it. Two requests are equal if they ask for the same."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: Any
    content_type: str | None
    headers: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, request: IncomingRequest, names: Sequence[str]) -> Seen:
        """Returns a request with those of its headers that are named."""
        scope, headers = request.http.scope, request.http.headers
        return cls(
            method=request.http.method,
            path=scope["raw_path"].decode(),
            query=tuple(sorted(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))),
            body=json.loads(request.content) if request.content else None,
            # Some clients also name the media type of a body that they do not send.
            content_type=headers.get("content-type") if request.content else None,
            headers=tuple((name, headers[name]) for name in names if name in headers),
        )


@dataclass
class Judged:
    """A running sandbox, and the requests that it has seen."""

    service: Any
    base_url: str
    seen: list[Seen]
    answers: list[Response]
    """The answer to each request."""
    closing: ExitStack
    """Closes the clients that a test opens."""


@contextmanager
def judged(kind: type[OrganizationService], *headers: str, **switches: str) -> Iterator[Judged]:
    """Runs the sandbox of a service. Equal calls on two of them have equal ids."""
    seen: list[Seen] = []
    answers: list[Response] = []

    class Noting(kind):  # type: ignore[misc, valid-type]
        def answer(self, request: IncomingRequest) -> Response:
            seen.append(Seen.of(request, headers))
            answer: Response = super().answer(request)
            answers.append(answer)
            return answer

    with ExitStack() as closing, Sandbox([Noting], switches={kind.name: switches}) as sandbox:
        hosted = sandbox.services[kind.name]
        with closing:
            yield Judged(hosted.service, hosted.base_url, seen, answers, closing)
