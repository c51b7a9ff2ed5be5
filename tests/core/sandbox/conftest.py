"""A made-up service, and a sandbox that runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, ClassVar

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from guestlist.sandbox import Sandbox, SandboxControl, SandboxRefusal, Service, Switch

LIFETIME = timedelta(days=3)


class Club(Service):
    """`POST /invitations?email=` invites; `GET /` tells the profile; `GET /dated` its own date."""

    name = "club"
    title = "The Club"
    profiles = ("plain", "fancy")
    switches: ClassVar = {"duplicates": Switch(("refuse", "allow"), "a second invitation")}

    def build(self) -> Starlette:
        self.invitations: dict[str, dict[str, str]] = {}
        return Starlette(
            routes=[
                Route("/", self.home),
                Route("/dated", self.dated),
                Route("/invitations", self.invite, methods=["POST"]),
            ]
        )

    async def home(self, request: Request) -> Response:
        return JSONResponse({"profile": self.profile})

    async def dated(self, request: Request) -> Response:
        return Response(headers={"Date": "its own"})

    async def invite(self, request: Request) -> Response:
        return JSONResponse({"id": self.put(request.query_params["email"])}, 201)

    def put(self, email: str) -> str:
        id = f"{self.random.getrandbits(32):08x}"
        self.invitations[id] = {"id": id, "email": email, "state": "pending"}
        link = f"https://club.example/join?key={id}-secret"
        self.outbox.send(
            self.name,
            invitation=id,
            to=email,
            sender="hello@club.example",
            organization="Chess & <Checkers>",
            subject="You are invited to Chess & <Checkers>",
            text=f"Welcome!\n\nOpen {link} within three days.\n\nThe Club",
            link=link,
            expires_at=self.clock.now() + LIFETIME,
            roles=("Player", "<Captain>"),
        )
        return id

    def settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "key": "owner"}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "key": "reader"}

    def accept(self, invitation: str) -> None:
        self.finish(invitation, "accepted")

    def finish(self, invitation: str, state: str) -> None:
        if invitation == "broken":
            raise RuntimeError("a bug in the club")
        record = self.invitations.get(invitation)
        if record is None or record["state"] != "pending":
            raise SandboxRefusal("this invitation is not open")
        record["state"] = state

    def snapshot(self) -> dict[str, Any]:
        records = list(self.invitations.values())
        members = [one for one in records if one["state"] == "accepted"]
        return {"invitations": records, "members": members}


class Choir(Club):
    """Like the club, and its invitees may decline."""

    name = "choir"
    title = "The Choir"

    def decline(self, invitation: str) -> None:
        self.finish(invitation, "declined")


@pytest.fixture
def kinds() -> list[type[Service]]:
    return [Club, Choir]


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    # Nothing here looks at the machine's clock.
    with Sandbox([Club, Choir], time_source=lambda: 1_800_000_000.0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """A fresh one, for the test alone."""
    running.reset()
    return running


@pytest.fixture(scope="module")
def client(running: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, trust_env=False) as client:
        yield client


@pytest.fixture
def page(sandbox: Sandbox, client: httpx.Client) -> httpx.Client:
    """A client of the fresh sandbox, without cookies."""
    client.cookies.clear()
    return client


@pytest.fixture
def control(sandbox: Sandbox) -> Iterator[SandboxControl]:
    with SandboxControl(sandbox.url) as client:
        yield client


@pytest.fixture
def invite(sandbox: Sandbox, client: httpx.Client) -> Callable[..., str]:
    """Invites someone over the imitated service's own HTTP API; the invitation's id."""

    def do(email: str, service: str = "club") -> str:
        base_url = sandbox.services[service].base_url
        answer = client.post(f"{base_url}/invitations", params={"email": email})
        return str(answer.raise_for_status().json()["id"])

    return do
