"""Access tokens that the exchange fetches, caches and replaces."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
import httpx
import pytest
from pydantic import SecretStr

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import GuestlistError, MalformedResponse, NotFound, Unauthorized
from guestlist.event import Event
from guestlist.models import Invitation, Member, NewInvitation, State
from guestlist.provider import Flow, Page, Provider, Request, Token, operation, setting
from pytest_guestlist.accounts import stand_in
from pytest_guestlist.scrub import Scrubber


class Realm(Provider):
    """A service whose tokens are issued by a server of its own."""

    name = "realm"
    title = "Realm"
    base_url: str = setting("Where it is", default="https://api.realm.example")
    token_url: str = setting(
        "Where tokens are issued", default="https://login.realm.example/{tenant}", url=True
    )
    tenant: str = setting("The tenant", default="acme")
    client_id: str = setting("The client", default="guestlist")
    client_secret: str = setting("Its secret", default="hunter2-hunter2", secret=True)

    @operation
    def fetch_token(self) -> Flow[Token]:
        reply = yield Request.post(
            "token",
            form={
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                "client_secret": SecretStr(self.client_secret),
            },
            origin="token_url",
        )
        return Token.of(reply)

    @operation
    def organization(self) -> Flow[str]:
        reply = yield Request.get("me")
        return str(reply.mapping()["name"])

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        reply = yield Request.post("invitations", json={"email": new.email})
        return Invitation(id=reply.mapping()["id"], email=new.email, state=State.PENDING)

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        try:
            yield Request.get("members", email)
        except NotFound:
            return None
        raise AssertionError("unreachable")

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield Request.get("members")
        return Page([])


class Clock:
    passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        self.passed += seconds

    async def asleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()
        self.passed += seconds


class Server:
    """The API and its token server. `valid` is the only token that the API takes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.issued: list[str] = []
        self.came: list[httpx.Request] = []
        self.valid: str | None = None
        self.expires_in: Any = 300
        self.token_answers: list[httpx.Response] = []
        self.while_fetching: Callable[[], None] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.came.append(request)
        if request.url.host == "login.realm.example":
            return self.token(request)
        if request.headers.get("authorization") != f"Bearer {self.valid}":
            told = f"not {request.headers.get('authorization')}"
            return httpx.Response(401, json={"message": told})
        if request.method == "GET" and request.url.path.startswith("/members/"):
            return httpx.Response(404, json={})
        return httpx.Response(200, json={"name": "Acme", "id": len(self.came)})

    def token(self, request: httpx.Request) -> httpx.Response:
        self.while_fetching()
        if self.token_answers:
            return self.token_answers.pop(0)
        self.issued.append(f"tok-{len(self.issued) + 1}-9f8e7d6c")
        self.valid = self.issued[-1]
        body = {"access_token": self.valid, "expires_in": self.expires_in}
        return httpx.Response(200, json=body)

    def client(self, **more: Any) -> Guestlist:
        transport = httpx.MockTransport(self)
        return Guestlist({"r": Realm()}, transport=transport, clock=self.clock, **more)


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_token_is_fetched_from_its_own_origin_and_reused(server: Server) -> None:
    with server.client() as guests:
        assert [guests.check(), guests.check()] == ["Acme", "Acme"]
    fetch, *calls = server.came
    assert str(fetch.url) == "https://login.realm.example/acme/token"
    assert parse_qs(fetch.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["guestlist"],
        "client_secret": ["hunter2-hunter2"],
    }
    assert "authorization" not in fetch.headers
    assert [call.headers["authorization"] for call in calls] == ["Bearer tok-1-9f8e7d6c"] * 2


@pytest.mark.parametrize(("lifetime", "kept"), [(300, 269.0), ("60", 53.0), (None, 1e6)])
def test_a_token_is_replaced_shortly_before_it_expires(
    server: Server, lifetime: Any, kept: float
) -> None:
    server.expires_in = lifetime
    with server.client() as guests:
        guests.check()
        server.clock.passed = kept
        guests.check()
        assert len(server.issued) == 1
        if lifetime is not None:
            server.clock.passed = kept + 2
            guests.check()
            assert len(server.issued) == 2


def test_a_refused_token_is_replaced_once(server: Server) -> None:
    with server.client() as guests:
        guests.check()
        server.valid = "revoked"  # the next one is good
        assert guests.invite("ada@example.com").guest.state is State.PENDING
        assert len(server.issued) == 2
        server.while_fetching = lambda: None
        server.token_answers = [httpx.Response(200, json={"access_token": "bad-token"})] * 9
        server.valid = "revoked"
        with pytest.raises(Unauthorized, match=r"not \*\*\*\*"):
            guests.check()
    assert len(server.token_answers) == 8


def test_threads_share_one_fetch(server: Server) -> None:
    waiting = threading.Event()

    def wait() -> None:
        waiting.wait(2.0)

    server.while_fetching = wait
    with server.client() as guests, ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(guests.check) for _ in range(8)]
        waiting.set()
        assert {call.result() for call in calls} == {"Acme"}
    assert len(server.issued) == 1


def test_tasks_share_one_fetch(server: Server) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        return server(request)

    async def main() -> None:
        async with (
            AsyncGuestlist(
                {"r": Realm()}, transport=httpx.MockTransport(answer), clock=server.clock
            ) as guests,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(8):
                tasks.start_soon(guests.check)

    anyio.run(main)
    assert len(server.issued) == 1
    assert len(server.came) == 9


def test_a_lost_answer_of_the_token_server_is_asked_again(server: Server) -> None:
    server.token_answers = [httpx.Response(503), httpx.Response(429, headers={"retry-after": "1"})]
    with server.client() as guests:
        assert guests.check() == "Acme"
    assert len(server.issued) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"error": "invalid_client"}),
        httpx.Response(401, json={"error": "invalid_client"}),
        httpx.Response(404, json={"error": "no such realm"}),
        httpx.Response(409, json={"error": "busy"}),
    ],
    ids=lambda answer: str(answer.status_code),
)
def test_a_refusal_to_issue_a_token_never_looks_like_an_absent_person(
    server: Server, answer: httpx.Response
) -> None:
    server.token_answers = [answer] * 9
    with server.client() as guests, pytest.raises(Unauthorized) as caught:
        guests.status("ada@example.com")
    assert caught.value.happened is False
    assert caught.value.request == "POST /token"
    assert caught.value.account == "r"


@pytest.mark.parametrize("body", [{}, {"access_token": ""}, {"access_token": 7}, []])
def test_an_answer_without_a_token_is_malformed(server: Server, body: Any) -> None:
    server.token_answers = [httpx.Response(200, json=body)]
    with server.client() as guests, pytest.raises(MalformedResponse):
        guests.invite("ada@example.com")
    assert [request.url.path for request in server.came] == ["/acme/token"]


def test_tokens_do_not_show(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []
    told = ""
    with (
        caplog.at_level(logging.DEBUG, logger="guestlist"),
        server.client(watch=events.append) as guests,
    ):
        guests.check()
        server.token_answers = [
            httpx.Response(200, json={"access_token": f"late-{number}-token"}) for number in (1, 2)
        ]
        for _ in range(2):
            server.valid = "another"
            with pytest.raises(GuestlistError) as caught:
                guests.check()
            told += "".join(traceback.format_exception(caught.value))
            told += f"{caught.value!r} {caught.value.to_dict()}"
    told += f"{events} {caplog.text} {Token('tok-1')!r}"
    assert "Bearer" in told
    for secret in ("tok-1", "late-1", "late-2", "hunter2"):
        assert secret not in told


def test_a_rotated_secret_is_used_for_the_next_token(server: Server, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("first-secret-1")
    provider = Realm(client_secret="first-secret-1")
    provider._secret_files["client_secret"] = key
    with Guestlist(
        {"r": provider}, transport=httpx.MockTransport(server), clock=server.clock
    ) as guests:
        guests.check()
        key.write_text("second-secret-2")
        server.valid = "revoked"
        guests.check()
    fetches = [r.content.decode() for r in server.came if r.url.host == "login.realm.example"]
    assert ["first-secret-1" in fetches[0], "second-secret-2" in fetches[-1]] == [True, True]


def test_neither_token_nor_secret_is_in_a_cassette() -> None:
    """The request of a replay, with the stand-in's secret, looks like the recorded one."""
    form = "application/x-www-form-urlencoded"
    recorded, replayed = (
        Scrubber([Realm(client_secret="real-secret-77")]),
        Scrubber([stand_in(Realm)]),
    )
    body = b"client_id=guestlist&client_secret=real-secret-77"
    shown = recorded.body(body, form)
    assert b"real-secret-77" not in shown
    again = f"client_id=guestlist&client_secret={stand_in(Realm).secrets()[0]}"
    assert replayed.body(again.encode(), form) == shown
    assert recorded.url("https://login.realm.example/acme/token") is not None
    assert recorded.request_headers({"Authorization": "Bearer tok-1"}) == {}
    answer = recorded.body(b'{"access_token": "tok-1-9f8e7d6c", "expires_in": 300}')
    assert b"tok-1" not in answer


def test_a_declared_url_follows_the_rules_of_base_url() -> None:
    assert Realm(tenant="eu").token_url == "https://login.realm.example/eu"
    with pytest.raises(GuestlistError, match="token_url: plain http"):
        Realm(token_url="http://login.realm.example")
