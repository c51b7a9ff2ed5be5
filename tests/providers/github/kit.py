"""The GitHub sandbox with a tape of its requests and answers, and an account on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.responses import Response

from guestlist import Guestlist
from guestlist.sandbox import IncomingRequest, Sandbox
from guestlist_github import GitHub
from guestlist_github.sandbox import GitHubService


@dataclass(frozen=True)
class Exchange:
    """A request to the sandbox, and its answer."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    status: int
    answer: bytes

    @property
    def line(self) -> tuple[str, str, tuple[tuple[str, str], ...], str]:
        """The method, path, query and body, for comparing."""
        return (
            self.method,
            self.path,
            tuple(sorted(self.query.items())),
            json.dumps(self.body, sort_keys=True),
        )


class Taped(GitHubService):
    """The sandbox. `tape` has every exchange."""

    tape: ClassVar[list[Exchange]] = []

    def answer(self, request: IncomingRequest) -> Response:
        response = super().answer(request)
        http = request.http
        self.tape.append(
            Exchange(
                http.method,
                http.url.path,
                dict(http.query_params),
                json.loads(request.content) if request.content else None,
                dict(http.headers),
                response.status_code,
                bytes(response.body),
            )
        )
        return response

    @classmethod
    @contextmanager
    def recording(cls) -> Iterator[list[Exchange]]:
        """Records the exchanges of a block."""
        cls.tape.clear()
        recorded: list[Exchange] = []
        yield recorded
        recorded += cls.tape


@contextmanager
def sandbox(**switches: str) -> Iterator[tuple[Taped, str]]:
    """Runs the sandbox on a loopback port."""
    with Sandbox([Taped], switches={"github": switches}) as running:
        hosted = running.services["github"]
        service = hosted.service
        assert isinstance(service, Taped)
        yield service, hosted.base_url


def client(service: GitHubService, url: str, **more: str) -> Guestlist:
    """A client for the owner's account on a sandbox, or with other settings."""
    settings: dict[str, Any] = {**service.settings(url), **more}
    return Guestlist({"github": GitHub(**settings)})
