"""The real Keycloak, started for the tests: it has to confirm what `guestlist_keycloak` claims.

Needs Java 17 or newer, and Maven the first time: it downloads the server (160 MB), which is then
kept in the user's cache folder. `KEYCLOAK_VERSION` chooses another version. `KEYCLOAK_URL` is the
URL of a server of that version that runs on this machine already, with an administrator `admin`
whose password is `admin`.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any, cast
from zipfile import ZipFile

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from guestlist_keycloak import Keycloak

VERSION = os.environ.get("KEYCLOAK_VERSION", "26.5.0")
OLDEST_JAVA = 17
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
MAVEN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
START_SECONDS = 400
"""The first start takes a minute or more of processor time: the server is built then."""
SECRET = "s3cret-of-the-client"
ADMIN = "admin"
ROLES = {"viewer": "May read", "editor": "May edit"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives the tests here the time that the server takes to start."""
    limit = pytest.mark.timeout(START_SECONDS + 240)
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(limit)


def find_java() -> str | None:
    """Returns the command of a Java that is new enough, or None."""
    java = shutil.which("java")
    if java is None:
        return None
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', printed)
    return java if version and int(version[1]) >= OLDEST_JAVA else None


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "guestlist-tests"


def install() -> Path:
    """Returns the server's folder. Maven downloads it unless that was done before."""
    ready = cache_folder() / f"keycloak-{VERSION}"
    if ready.exists():
        return ready
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip("there is no Maven here, which downloads Keycloak")
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as made:
        folder = Path(made)
        command = [maven, "-q", "-B", MAVEN, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={made}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        archive = folder / f"keycloak-quarkus-dist-{VERSION}.zip"
        if done.returncode or not archive.exists():
            lines = done.stdout.strip().splitlines() or ["no reason given"]
            pytest.skip(f"Maven cannot download Keycloak {VERSION}: {lines[0]}")
        with ZipFile(archive) as packed:
            packed.extractall(folder)
        with suppress(OSError):  # another worker was faster
            (folder / f"keycloak-{VERSION}").rename(ready)
    return ready


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Waits until no other process is in this block: the first start changes the server's files."""
    import fcntl

    with (cache_folder() / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Mailbox(Controller):
    """Catches emails on a free port."""

    def __init__(self) -> None:
        self.emails: list[Message] = []
        super().__init__(self, hostname="127.0.0.1", port=0)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.emails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    emails = Mailbox()
    emails.start()
    try:
        yield emails
    finally:
        emails.stop()


def links_in(emails: list[Message]) -> list[str]:
    """Returns the links of invitations in emails."""
    texts = [one.get_body(("plain",)).get_content() for one in emails]  # type: ignore[attr-defined]
    return [html.unescape(link) for text in texts for link in re.findall(r"https?://\S+", text)]


class RealServer:
    """A running Keycloak. One for the whole session; every test has its own realm."""

    def __init__(self, url: str, mailbox: Mailbox) -> None:
        self.url = url
        self.mailbox = mailbox
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=60)
        self._token, self._ends = "", 0.0

    def admin(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Sends one request as the server's administrator."""
        if time.monotonic() > self._ends:
            form = {"grant_type": "password", "client_id": "admin-cli"}
            form |= {"username": ADMIN, "password": ADMIN}
            path_of_tokens = "/realms/master/protocol/openid-connect/token"
            body = self.client.post(path_of_tokens, data=form).raise_for_status().json()
            self._token = body["access_token"]
            self._ends = time.monotonic() + body["expires_in"] - 20
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self.client.request(method, f"/admin/realms{path}", headers=headers, **more)
        self.client.cookies.clear()
        return answer

    def browse(self, method: str, url: str, cookies: dict[str, str], **more: Any) -> httpx.Response:
        """Opens a page. Keycloak's cookies are `Secure`, so httpx does not send them over http."""
        for _ in range(10):
            self.client.cookies.clear()
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
            page = self.client.request(method, url, headers=headers, **more)
            for cookie in page.headers.get_list("set-cookie"):
                name, _, value = cookie.partition(";")[0].partition("=")
                cookies[name] = value
            if not page.is_redirect:
                return page
            method, url, more = "GET", str(page.url.join(page.headers["location"])), {}
        raise AssertionError("the server redirects for ever")


class Realm:
    """A realm on the real server with one organization, and what invitees do."""

    def __init__(self, server: RealServer) -> None:
        self.server = server
        self.name = f"realm-{secrets.token_hex(4)}"
        smtp = {"host": "127.0.0.1", "port": str(server.mailbox.port), "from": "kc@example.com"}
        self.smtp = smtp
        realm = {"realm": self.name, "enabled": True, "organizationsEnabled": True}
        server.admin("POST", "", json={**realm, "smtpServer": smtp}).raise_for_status()
        organization = {"name": "Example Works", "alias": "example-works", "enabled": True}
        made = self.admin("POST", "/organizations", json=organization).raise_for_status()
        self.id = made.headers["location"].rpartition("/")[2]
        for name, description in ROLES.items():
            self.admin("POST", "/roles", json={"name": name, "description": description})
        self.client = self.add_client("guestlist", "manage-realm", "manage-users")

    def admin(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.server.admin(method, f"/{self.name}{path}", **more)

    def organization(self, method: str, path: str = "", **more: Any) -> httpx.Response:
        return self.admin(method, f"/organizations/{self.id}{path}", **more)

    def configure(self, **settings: Any) -> None:
        self.server.admin("PUT", f"/{self.name}", json=settings).raise_for_status()

    def add_client(self, name: str, *roles: str, **settings: Any) -> str:
        """Creates a client whose service account has these roles of realm-management."""
        client = {"clientId": name, "publicClient": False, "serviceAccountsEnabled": True}
        client |= {"secret": SECRET, "enabled": True, **settings}
        made = self.admin("POST", "/clients", json=client).raise_for_status()
        id = made.headers["location"].rpartition("/")[2]
        if roles:
            account = self.admin("GET", f"/clients/{id}/service-account-user").json()["id"]
            [manager] = self.admin("GET", "/clients?clientId=realm-management").json()
            all_of_them = self.admin("GET", f"/clients/{manager['id']}/roles").json()
            given = [one for one in all_of_them if one["name"] in roles]
            path = f"/users/{account}/role-mappings/clients/{manager['id']}"
            self.admin("POST", path, json=given).raise_for_status()
        return id

    def provider(self, **settings: Any) -> Keycloak:
        defaults = {
            "base_url": self.server.url,
            "realm": self.name,
            "organization_id": self.id,
            "client_id": "guestlist",
            "client_secret": SECRET,
        }
        return Keycloak(**{**defaults, **settings})

    def records(self, email: str) -> list[dict[str, Any]]:
        """Returns the server's invitations of an address, oldest first."""
        listed = self.organization("GET", "/invitations").json()
        return [one for one in listed if one["email"] == email.lower()]

    def add_user(self, email: str, **more: Any) -> str:
        """Creates an account in the realm, unless there is one, and returns its id."""
        username = re.sub(r"[^\w.@+-]", "-", email.lower())
        user = {"username": username, "email": email, "enabled": True, **more}
        self.admin("POST", "/users", json=user)
        found = self.admin("GET", "/users", params={"username": user["username"], "exact": True})
        return str(found.json()[0]["id"])

    def add_member(self, email: str, **more: Any) -> str:
        """Makes a person a member without an invitation."""
        id = self.add_user(email, **more)
        self.organization("POST", "/members", json=id).raise_for_status()
        return id

    def user(self, id: str) -> httpx.Response:
        return self.admin("GET", f"/users/{id}")

    def emails_to(self, email: str) -> list[Message]:
        here = f"/realms/{self.name}/"
        to_person = [
            one for one in self.server.mailbox.emails if one["To"].lower() == email.lower()
        ]
        return [one for one in to_person if any(here in link for link in links_in([one]))]

    def links_to(self, email: str) -> list[str]:
        """Returns the links in the emails to an address."""
        return links_in(self.emails_to(email))

    def accept(self, email: str) -> None:
        """Opens the link in the last email. A person without an account registers."""
        cookies: dict[str, str] = {}
        link = self.links_to(email)[-1]
        page = self.server.browse("GET", link, cookies)
        confirm = re.search(r'href="([^"]*action-token[^"]*)"', page.text)
        form = re.search(r'<form[^>]*action="([^"]+)"', page.text)
        if confirm:
            page = self.server.browse("GET", html.unescape(confirm[1]), cookies)
        elif form:
            password = "correct horse battery"
            person = {"username": email, "email": email, "firstName": "Ada", "lastName": "Byron"}
            person |= {"password": password, "password-confirm": password}
            page = self.server.browse("POST", html.unescape(form[1]), cookies, data=person)
        else:
            raise AssertionError(f"the link cannot be used: {page.status_code} {page.text[-500:]}")
        members = self.organization("GET", "/members", params={"search": email}).json()
        assert any(one["email"] == email.lower() for one in members), page.text[-500:]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return cast(int, one.getsockname()[1])


@contextmanager
def running(folder: Path, log: Path) -> Iterator[RealServer]:
    """Starts the server with an empty database in memory, on free ports."""
    port, other_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["sh", str(folder / "bin" / "kc.sh"), "start-dev", "--db=dev-mem", "--cache=local"]
    command += ["--http-host=127.0.0.1", f"--http-port={port}"]
    command += [f"--http-management-port={other_port}", "--log-level=warn"]
    environment = {
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN,
        "JAVA_OPTS_KC_HEAP": "-Xms128m -Xmx512m",
    }
    process = None
    try:
        with mailbox() as emails:
            server = RealServer(url, emails)
            with log.open("w") as output, alone(f"keycloak-{VERSION}.lock"):
                process = subprocess.Popen(
                    command,
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # the script starts Java as a child
                )
                end = time.monotonic() + START_SECONDS
                while not is_ready(server):
                    if process.poll() is not None or time.monotonic() > end:
                        pytest.fail(f"Keycloak did not start: {log.read_text()[-2000:]}")
                    time.sleep(0.5)
            yield server
            server.client.close()
    finally:
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_ready(server: RealServer) -> bool:
    try:
        return server.client.get("/realms/master").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """The real server, which ends with the session."""
    if url := os.environ.get("KEYCLOAK_URL"):
        with mailbox() as emails:
            server = RealServer(url, emails)
            yield server
            server.client.close()
        return
    if sys.platform == "win32":
        pytest.skip("the server is started with a shell script")
    if find_java() is None:
        pytest.skip(f"there is no Java {OLDEST_JAVA} or newer here")
    with running(install(), tmp_path_factory.mktemp("keycloak") / "log") as server:
        yield server


@pytest.fixture(scope="session")
def version() -> str:
    """The server's version."""
    return VERSION


@pytest.fixture
def realm(server: RealServer) -> Realm:
    """A realm of the test's own."""
    return Realm(server)


@pytest.fixture(scope="session")
def new_realm(server: RealServer) -> Callable[[], Realm]:
    """Makes realms, for tests that need several or take them at another time."""
    return lambda: Realm(server)
