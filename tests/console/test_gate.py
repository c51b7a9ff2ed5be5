"""Who gets in: foreign addresses, other pages in the same browser, stolen cookies, large forms."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount
from starlette.testclient import TestClient
from tests.console.conftest import BASE, Open, Visitor, field

from guestlist import Guestlist
from guestlist.console import create_app
from guestlist.console.people import token_of
from guestlist.console.sessions import Sessions, form_token, is_form_token
from guestlist.errors import ConfigError
from guestlist.exchange.clock import Stopped, SystemClock
from guestlist.ledger import Ledger, tokens
from guestlist.ledger.tokens import Right


@pytest.fixture
def visitor(open_console: Open) -> Visitor:
    """A visitor who is signed in, at a console that has not read the accounts."""
    visitor = open_console(actor="ada")
    visitor.sign_in()
    return visitor


PAGES = ("/people", "/accounts", "/nowhere", "/console.css")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8040",
        "127.0.0.1:9",
        "localhost",
        "127.0.0.1.evil.example:8040",
        "localhost.:8040",
        "user@127.0.0.1:8040",
        "127.0.0.1:8040/x",
        "127.0.0.1\t:8040",
        "127.0.0.1:8040, evil.example",
        "",
    ],
)
@pytest.mark.parametrize("path", PAGES)
def test_foreign_addresses_are_refused(visitor: Visitor, host: str, path: str) -> None:
    answer = visitor.http.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert "example.org" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8040", "localhost:8040", "[::1]:8040"])
def test_the_names_of_this_machine_are_accepted(open_console: Open, host: str) -> None:
    assert open_console().http.get("/login", headers={"Host": host}).status_code == 200


def test_two_host_headers_are_refused(visitor: Visitor) -> None:
    headers = [("Host", "127.0.0.1:8040"), ("Host", "evil.example")]
    assert visitor.http.get("/people", headers=headers).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:8041"},  # the cookie would be sent from there
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://["},
        {"Origin": "http://user@127.0.0.1:8040"},
        {"Origin": BASE, "Sec-Fetch-Site": "same-site"},
        {"Origin": BASE, "Sec-Fetch-Site": "cross-site"},
        {},
    ],
)
def test_forms_of_other_pages_are_refused(visitor: Visitor, headers: dict[str, str]) -> None:
    token = field(visitor.page("/people"), "csrf")
    answer = visitor.http.post("/refresh", data={"csrf": token}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("token", ["", "x", "x.y", "nonce." + "0" * 64])
def test_a_form_needs_the_token_of_its_session(visitor: Visitor, token: str) -> None:
    assert "out of date" in visitor.post("/refresh", 403, csrf=token).text


def test_a_token_of_another_session_does_not_work(visitor: Visitor) -> None:
    other = Visitor(visitor.console, TestClient(visitor.console, base_url=BASE))
    other.sign_in()
    visitor.post("/refresh", 403, csrf=field(other.page("/people"), "csrf"))


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_other_pages_may_lead_here_and_may_not_read(visitor: Visitor, site: str) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert visitor.http.get("/people", headers=headers).status_code == 403
    clicked = headers | {"Sec-Fetch-Mode": "navigate"}
    assert visitor.http.get("/people", headers=clicked).status_code == 200


def test_a_stolen_cookie_ends_with_the_session(visitor: Visitor) -> None:
    stolen = dict(visitor.http.cookies)
    assert stolen
    visitor.post("/logout", at="/people")
    thief = TestClient(visitor.console, base_url=BASE, cookies=stolen, follow_redirects=False)
    assert thief.get("/people").headers["Location"] == "/login"
    assert "example.org" not in thief.get("/people").text


@pytest.mark.parametrize("foreign", ['prefs={"a": 1}', "x=a b", "x", "\u00fc=1"])
def test_cookies_of_other_ports_sign_nobody_out(visitor: Visitor, foreign: str) -> None:
    ((name, value),) = visitor.http.cookies.items()
    http = TestClient(visitor.console, base_url=BASE, follow_redirects=False)
    header = f"{foreign}; {name}={value}; {foreign}".encode("latin-1")
    assert http.get("/people", headers={b"Cookie": header}).status_code == 200


def test_nothing_is_shown_before_signing_in(open_console: Open) -> None:
    http = open_console().http
    for path in ("/", "/people", "/people/x", "/accounts", "/nowhere", "//people", "/%70eople"):
        answer = http.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = http.request(method, "/people", headers={"Origin": BASE})
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET, HEAD, POST"


def test_a_link_signs_in_once(visitor: Visitor) -> None:
    link = visitor.console.new_link()
    other = TestClient(visitor.console, base_url=BASE)
    token = field(other.get(link).text, "token")
    assert other.get(link).status_code == 200  # looking does not use it up
    for status in (303, 403):
        answer = other.post(
            "/login", data={"token": token}, headers={"Origin": BASE}, follow_redirects=False
        )
        assert answer.status_code == status
    assert token not in other.get("/people").text


def test_the_cookie_is_strict_and_named_after_the_port(visitor: Visitor) -> None:
    token = field(visitor.http.get(visitor.console.new_link()).text, "token")
    cookie = visitor.post("/login", token=token).headers["Set-Cookie"]
    assert cookie.startswith("guestlist-8040=")
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_guessing_tokens_is_stopped() -> None:
    seconds = Seconds()
    sessions = Sessions("ada", seconds)
    token = sessions.new_link_token()
    assert [sessions.sign_in(f"guess {number}") for number in range(10)] == [None] * 10
    assert sessions.sign_in(token) is None
    seconds.now += 61
    assert sessions.sign_in(token) is not None
    assert sessions.sign_in(token) is None


def test_links_and_sessions_end_with_time() -> None:
    seconds = Seconds()
    sessions = Sessions("ada", seconds)
    old = sessions.new_link_token()
    seconds.now += 601
    assert sessions.sign_in(old) is None
    id = sessions.sign_in(sessions.new_link_token())
    assert id is not None
    for _ in range(11):
        seconds.now += 3600
        assert sessions.find(id) is not None
    seconds.now += 3601
    assert sessions.find(id) is None
    idle = sessions.sign_in(sessions.new_link_token())
    assert idle is not None
    seconds.now += 7000
    assert sessions.find(idle, prolong=False) is not None
    seconds.now += 300
    assert sessions.find(idle) is None


def test_form_tokens_differ_and_belong_to_their_session() -> None:
    first, second = form_token(b"a"), form_token(b"a")
    assert first != second
    assert is_form_token(b"a", first)
    assert is_form_token(b"a", second)
    assert not is_form_token(b"b", first)
    assert not is_form_token(b"a", "\udcff.\udcff")


def test_large_forms_are_refused(visitor: Visitor) -> None:
    token = field(visitor.page("/people"), "csrf")
    fields = {f"f{number}": "x" for number in range(1_001)}
    assert "too many" in visitor.post("/refresh", 413, csrf=token, **fields).text
    assert "larger than" in visitor.post("/refresh", 413, csrf=token, x="x" * 4_200_000).text
    assert "larger than" in visitor.post("/login", 413, token="x" * 5_000).text


def test_other_kinds_of_forms_are_refused(visitor: Visitor) -> None:
    answer = visitor.http.post("/refresh", json={"csrf": "x"}, headers={"Origin": BASE})
    assert answer.status_code == 415


def test_every_answer_has_the_security_headers(visitor: Visitor) -> None:
    for path in (*PAGES, "/login", "/console.js"):
        headers = visitor.http.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
    refused = visitor.http.get("/people", headers={"Host": "evil.example"})
    assert "default-src 'none'" in refused.headers["Content-Security-Policy"]


def test_pages_have_no_inline_style_and_no_inline_script(visitor: Visitor) -> None:
    for path in ("/people", "/accounts", "/login"):
        page = visitor.page(path)
        assert "style=" not in page
        assert "<style" not in page
        assert " onclick" not in page
        assert page.count("<script") == page.count("<script src=")


def test_websockets_are_refused(visitor: Visitor) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    import anyio

    scope = {"type": "websocket", "path": "/people", "headers": []}
    anyio.run(visitor.console, scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_read_only_refuses_changes_and_reads_again(open_console: Open) -> None:
    visitor = open_console(read_only=True)
    visitor.sign_in()
    visitor.console.refresh()
    assert "Read-only" in visitor.page("/people")
    visitor.post("/refresh", at="/people")
    token = field(visitor.page("/people"), "csrf")
    assert "read-only" in visitor.post("/add/review", 403, csrf=token).text
    assert "read-only" in visitor.post("/add", 403, csrf=token).text
    page = visitor.page("/add")
    assert "Nobody can be invited here: this console is read-only." in page
    assert "<textarea" not in page
    assert "Nothing can be changed here" in visitor.page(f"/people/{token_of('ines@example.org')}")


def test_an_identity_provider_replaces_links(open_console: Open) -> None:
    def identify(request: Request) -> str | None:
        return request.headers.get("x-user")

    visitor = open_console(base="https://site.example", identify=identify)
    visitor.console.refresh()
    answer = visitor.http.get("/people")
    assert answer.status_code == 401
    assert "example.org" not in answer.text
    visitor.http.headers["x-user"] = "grace"
    page = visitor.page("/people")
    assert "grace" in page
    assert "Sign out" not in page
    visitor.post("/refresh", at="/people")
    token = field(page, "csrf")
    visitor.http.headers["x-user"] = "mallory"
    visitor.post("/refresh", 403, csrf=token)


def test_an_identity_provider_may_be_a_coroutine(open_console: Open) -> None:
    async def identify(_: Request) -> str:
        return "grace"

    assert "grace" in open_console(base="https://site.example", identify=identify).page("/people")


def test_mounted_below_a_path(guests: Guestlist, visitor: Visitor) -> None:
    console = create_app(guests, identify=lambda _: "grace")
    site = Starlette(routes=[Mount("/tools/guestlist", console)])
    http = TestClient(site, base_url="https://site.example")
    page = http.get("/tools/guestlist/")
    assert page.url.path == "/tools/guestlist/people"
    assert 'href="/tools/guestlist/accounts"' in page.text
    assert 'href="/accounts"' not in page.text
    answer = http.post(
        "/tools/guestlist/refresh",
        data={"csrf": field(page.text, "csrf")},
        headers={"Origin": "https://site.example"},
        follow_redirects=False,
    )
    assert answer.headers["Location"] == "/tools/guestlist/people"
    console.finish()


def test_a_bug_shows_and_logs_no_secret(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the key is hunter2")

    monkeypatch.setattr(visitor.console._site.people, "count", fail)
    with caplog.at_level(logging.ERROR):
        answer = visitor.http.get("/people")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text
    assert answer.text.split()[-1] in caplog.text  # the reference
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_pages_answer_while_a_service_does_not(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, ended = field(visitor.page("/accounts"), "csrf"), threading.Event()
    cookies = dict(visitor.http.cookies)
    monkeypatch.setattr(Guestlist, "check", lambda *_, **__: ended.wait(30) and "")

    async def visit() -> None:
        transport = httpx.ASGITransport(visitor.console)
        headers = {"Origin": BASE}
        async with httpx.AsyncClient(
            transport=transport, base_url=BASE, headers=headers, cookies=cookies
        ) as http:
            form = {"csrf": token, "account": "vultr"}
            waiting = [
                asyncio.create_task(http.post("/accounts/check", data=form)) for _ in range(60)
            ]
            try:
                for path in ("/people", "/accounts", "/log"):
                    answer = await asyncio.wait_for(http.get(path), 10)
                    assert answer.status_code == 200
                assert not any(one.done() for one in waiting)
            finally:
                ended.set()
            assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {303}

    asyncio.run(visit())


@pytest.mark.parametrize("path", ["/accounts/check", "/api/v1/accounts/check?account=vultr"])
def test_a_request_that_the_end_interrupts_gets_an_answer(
    visitor: Visitor, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    token, ended = field(visitor.page("/accounts"), "csrf"), threading.Event()
    cookies = dict(visitor.http.cookies)
    now = SystemClock().now()
    _, secret = tokens.create(
        ledger.store, "payroll", Right.READ, now=now, expires=now + timedelta(days=1), by=None
    )
    headers = {"Origin": BASE, "Authorization": f"Bearer {secret}"}

    async def visit() -> httpx.Response:
        begun, loop = asyncio.Event(), asyncio.get_running_loop()

        def check(*_: object, **__: object) -> str:
            loop.call_soon_threadsafe(begun.set)
            ended.wait(30)
            return ""

        monkeypatch.setattr(Guestlist, "check", check)
        transport = httpx.ASGITransport(visitor.console)
        async with httpx.AsyncClient(
            transport=transport, base_url=BASE, headers=headers, cookies=cookies
        ) as http:
            form = {"csrf": token, "account": "vultr"}
            sent = http.get(path) if "api" in path else http.post(path, data=form)
            waiting = asyncio.create_task(sent)
            await begun.wait()
            visitor.console.close()
            waiting.cancel()
            try:
                return await waiting
            finally:
                ended.set()

    answer = asyncio.run(visit())
    assert answer.status_code == 503
    if "api" in path:
        assert answer.json()["happened"] is None
    else:
        assert "look at the log" in answer.text


def test_a_call_that_the_end_of_the_console_stops_gets_an_answer(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_: object, **__: object) -> str:
        raise Stopped

    monkeypatch.setattr(Guestlist, "check", check)
    answer = visitor.post("/accounts/check", 503, at="/accounts", account="vultr")
    assert "The console has ended meanwhile" in answer.text


def test_the_client_must_be_a_client() -> None:
    with pytest.raises(ConfigError, match="cannot be a dict"):
        create_app({})  # type: ignore[arg-type]
