"""The HTTP API on two sandboxes, with a roster, and callers with tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

from guestlist import Guestlist
from guestlist.console.api import ApiMount, HttpApi, create_api
from guestlist.ledger import Ledger, tokens
from guestlist.ledger.tokens import Right
from guestlist.sandbox import Sandbox
from guestlist.sandbox.control import SandboxControl
from guestlist.sandbox.services import accounts_of
from guestlist_aitronos.sandbox import AitronosService
from guestlist_vultr.sandbox import VultrService

ROSTER = """
[accounts.vultr]
provider = "vultr"

[accounts.aitronos]
provider = "aitronos"

[[people]]
email = "ada@example.com"
accounts.vultr = ["group:Engineering"]

[[people]]
email = "grace@example.com"
accounts.vultr = []
accounts.aitronos = ["Member"]
"""

DAY = timedelta(days=1)
WAIT_SECONDS = 30.0


@dataclass
class Server:
    """The API of one test.

    Attributes:
        app: serves the API at `/api`.
    """

    api: HttpApi
    app: ApiMount
    ledger: Ledger
    sandbox: SandboxControl
    closing: ExitStack

    def caller(
        self, right: Right = Right.CHANGE, name: str = "deploy", lasts: timedelta = DAY
    ) -> Caller:
        now = datetime.now(UTC)
        token, secret = tokens.create(
            self.ledger.store, name, right, now=now, expires=now + lasts, by=None
        )
        return Caller(self.http({"authorization": f"Bearer {secret}"}), secret, token.id)

    def http(self, headers: dict[str, str] | None = None) -> TestClient:
        """Returns a client whose requests share one event loop, as they do on a server."""
        http = TestClient(self.app, base_url="http://127.0.0.1:8040", headers=headers)
        return self.closing.enter_context(http)


@dataclass
class Caller:
    """A program with a token."""

    http: TestClient
    secret: str
    id: str

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        return self._checked(self.http.get(f"/api/v1{path}", params=query), status)

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        return self._checked(self.http.post(f"/api/v1{path}", json=body), status)

    def ended(self, path: str, job: dict[str, Any]) -> Any:
        """Reads a plan or run until it has ended."""
        ends = time.monotonic() + WAIT_SECONDS
        while job["state"] == "working":
            assert time.monotonic() < ends, job
            time.sleep(0.02)
            job = self.get(f"{path}/{job['id']}")
        return job

    def plan(self, **body: Any) -> Any:
        return self.ended("/plans", self.post("/plans", 202, **body))

    def _checked(self, answer: Any, status: int) -> Any:
        assert answer.status_code == status, answer.text
        kind = "application/json" if status < 400 else "application/problem+json"
        assert answer.headers["content-type"] == kind
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()


class _Server(uvicorn.Server):
    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False)
        )
        self.up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @property
    def port(self) -> int:
        number: int = self.servers[0].sockets[0].getsockname()[1]
        return number


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serves an application in a thread. Yields its address."""
    server = _Server(app)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.up.wait(10)
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([VultrService, AitronosService]) as sandbox:
        yield sandbox


NewServer = Callable[..., Server]


@pytest.fixture
def new_server(sandbox: Sandbox, tmp_path: Path) -> Iterator[NewServer]:
    sandbox.reset()
    roster = tmp_path / "guestlist.toml"
    roster.write_text(ROSTER)
    with (
        SandboxControl(sandbox.url) as control,
        Ledger(tmp_path / "guestlist.db", actor="tests") as ledger,
        Guestlist(accounts_of(sandbox), ledger=ledger) as guests,
        ExitStack() as closing,
    ):

        def new(**options: Any) -> Server:
            api = create_api(guests, ledger=ledger, **{"roster": roster, **options})
            app = ApiMount(api, Starlette())
            closing.callback(api.close)
            return Server(api, app, ledger, control, closing)

        yield new


@pytest.fixture
def server(new_server: NewServer) -> Server:
    return new_server()


@pytest.fixture
def caller(server: Server) -> Caller:
    return server.caller()
