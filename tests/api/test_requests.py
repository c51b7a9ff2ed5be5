"""Requests that are not as described, and who may send them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.api.conftest import Caller, NewServer, Server

from guestlist import Guestlist
from guestlist.console.api.app import MAX_BODY_BYTES
from guestlist.console.api.operations import OPERATIONS, Operation
from guestlist.exchange.clock import Stopped
from guestlist.ledger import tokens
from guestlist.ledger.tokens import Right

ADA = "ada@example.com"
ID = "0123456789abcdef"
JSON = {"content-type": "application/json"}


def path_of(operation: Operation) -> str:
    return "/api/v1" + operation.path.replace("{id}", ID)


def checked(answer: Any, status: int) -> dict[str, Any]:
    """Returns the problem details of an answer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["happened"] is False
    return problem


# ---------------------------------------------------------------------------------------- tokens


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer gl_" + "x" * 49},
        {"authorization": "Bearer "},
        {"authorization": "Basic Z2w6Z2w="},
        {"cookie": "guestlist-8040=x"},
    ],
    ids=["none", "guess", "empty", "basic", "cookie"],
)
def test_every_operation_needs_a_token(server: Server, headers: dict[str, str]) -> None:
    http = server.http()
    for operation in OPERATIONS:
        answer = http.request(operation.method, path_of(operation), headers=headers)
        checked(answer, 401)
        assert answer.headers["www-authenticate"] == 'Bearer realm="guestlist"'


def test_a_token_in_the_query_or_a_cookie_is_ignored(server: Server, caller: Caller) -> None:
    http = server.http()
    checked(http.get("/api/v1/accounts", params={"access_token": caller.secret}), 401)
    http.cookies.set("guestlist-8040", caller.secret)
    http.cookies.set("token", caller.secret)
    checked(http.get("/api/v1/accounts"), 401)


def test_two_tokens_are_none(server: Server, caller: Caller) -> None:
    header = ("authorization", f"Bearer {caller.secret}")
    checked(server.http().get("/api/v1/accounts", headers=[header, header]), 401)


def test_guessing_is_answered_alike_and_changes_nothing(
    server: Server, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    answers = Counter[str]()
    near = caller.secret[:-1] + ("a" if caller.secret[-1] != "a" else "b")
    for guess in (near, caller.secret.upper(), caller.secret + "x", *map(str, range(200))):
        answer = server.http({"authorization": f"Bearer {guess}"}).get("/api/v1/accounts")
        answers[json.dumps(checked(answer, 401))] += 1
    assert len(answers) == 1
    assert caller.get("/accounts")["items"], "the true token still works"
    assert caller.secret[3:] not in caplog.text


def test_a_revoked_and_an_expired_token_end_at_once(server: Server) -> None:
    revoked, expired = server.caller(), server.caller(lasts=timedelta(seconds=-1))
    revoked.get("/accounts")
    tokens.revoke(server.ledger.store, revoked.id, datetime.now(UTC))
    answers = [one.http.get("/api/v1/accounts") for one in (revoked, expired)]
    assert checked(answers[0], 401) == checked(answers[1], 401)


def test_a_token_that_may_read_changes_nothing(server: Server) -> None:
    http = server.caller(Right.READ).http
    for operation in OPERATIONS:
        answer = http.request(operation.method, path_of(operation), headers=JSON, content="{}")
        if operation.right is Right.CHANGE:
            assert checked(answer, 403)["error"] == "NotPermitted"
        else:
            assert answer.status_code not in (401, 403), operation.name


def test_a_server_that_only_reads_changes_nothing(new_server: NewServer) -> None:
    caller = new_server(read_only=True).caller()
    changes = [one for one in OPERATIONS if one.right is Right.CHANGE]
    assert len(changes) > 8
    for one in changes:
        answer = caller.http.request(one.method, path_of(one), headers=JSON, content="{}")
        assert checked(answer, 403)["error"] == "ReadOnly"
    assert caller.plan()["state"] == "done"


def test_the_last_use_is_in_the_list_of_tokens(server: Server, caller: Caller) -> None:
    assert tokens.all_tokens(server.ledger.store)[0].used_at is None
    caller.get("/accounts")
    assert tokens.all_tokens(server.ledger.store)[0].used_at is not None


def test_the_description_needs_no_token_and_names_no_account(server: Server) -> None:
    answer = server.http().get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["openapi"] == "3.1.0"
    assert "Example Works" not in answer.text


# ---------------------------------------------------------------------------------------- requests


BODIES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"account": "vultr"}',
    b'{"account": "vultr", "email": 7}',
    b'{"account": "vultr", "email": "a b@example.com"}',
    b'{"account": "vultr", "email": "ada@example.com", "more": 1}',
    b'{"account": "vultr", "email": "ada@example.com", "send_email": "yes"}',
    b'{"account": "vultr", "email": "ada@example.com", "if_exists": "ask"}',
    b'{"account": "vultr", "email": "ada@example.com", "options": {"x": NaN}}',
    b'{"account": "vultr", "email": "ada@example.com", "options": {"x": "\\ud800"}}',
    b'{"account": "vultr\\u0000", "email": "ada@example.com"}',
    b'{"account": "\\ud800", "email": "ada@example.com"}',
    b'{"account": "vultr", "email": "\xff@example.com"}',
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b'{"account": "vultr", "email": "ada@example.com", "options": {"x": ' + b"9" * 9000 + b"}}",
)


def test_a_body_that_is_not_as_described(server: Server, caller: Caller) -> None:
    for body in BODIES:
        answer = caller.http.post("/api/v1/invite", content=body, headers=JSON)
        assert answer.status_code in (400, 422), (body[:80], answer.text)
        checked(answer, answer.status_code)
    assert server.sandbox.emails() == []


def test_the_answer_names_the_field_and_never_its_value(caller: Caller) -> None:
    body = {"account": "vultr", "email": f"{caller.secret} oops", "roles": ["x", 5]}
    answer = caller.http.post("/api/v1/invite", json=body)
    problem = checked(answer, 400)
    assert [one["pointer"] for one in problem["errors"]] == ["/email", "/roles/1"]
    assert caller.secret not in answer.text


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
    ],
)
def test_only_json_is_read(caller: Caller, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    body = json.dumps({"account": "vultr", "email": ADA})
    checked(caller.http.post("/api/v1/invite", content=body, headers=headers), 415)


def test_a_body_that_is_too_large(caller: Caller) -> None:
    body = b'{"account": "' + b"x" * MAX_BODY_BYTES + b'"}'
    checked(caller.http.post("/api/v1/invite", content=body, headers=JSON), 413)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "account=vultr",
        "account=vultr&who=",
        f"account=vultr&who={ADA}&more=1",
        f"account=vultr&account=vultr&who={ADA}",
        "account=vultr&who=%ff",
        "account=vultr&who=%ed%a0%80",
        "account=vultr&who=%00",
        "account=vultr&who=a%20b",
        "account=vultr&who=" + "x" * 300,
        "&".join(["a=1"] * 60),
    ],
)
def test_a_query_that_is_not_as_described(caller: Caller, query: str) -> None:
    checked(caller.http.get(f"/api/v1/status?{query}"), 400)


def test_a_change_has_no_query(caller: Caller) -> None:
    body = {"account": "vultr", "email": ADA}
    checked(caller.http.post("/api/v1/invite?note=x", json=body), 400)


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1e2", "9" * 30])
def test_the_limit_of_a_page(caller: Caller, limit: str) -> None:
    checked(caller.http.get(f"/api/v1/roles?account=vultr&limit={limit}"), 400)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nope",
        "/api/v1/",
        "/api/v1",
        "/api/v2/accounts",
        "/api/v1/accounts/",
        "/api/v1/plans/a%2Fb",
        "/api/v1//accounts",
        "/api/v1/plans/../accounts/x",
    ],
)
def test_paths_that_do_not_exist(caller: Caller, path: str) -> None:
    assert checked(caller.http.get(path), 404)["error"] == "UnknownPath"


def test_methods_that_a_path_does_not_have(caller: Caller) -> None:
    for method, path, allowed in (
        ("DELETE", "/api/v1/accounts", "GET, HEAD"),
        ("GET", "/api/v1/invite", "POST"),
        ("PUT", "/api/v1/runs", "GET, HEAD, POST"),
        ("TRACE", "/api/v1/roles", "GET, HEAD"),
        ("OPTIONS", "/api/v1/roles", "GET, HEAD"),
        ("POST", "/api/openapi.json", "GET, HEAD"),
    ):
        answer = caller.http.request(method, path)
        checked(answer, 405)
        assert set(answer.headers["allow"].split(", ")) == set(allowed.split(", "))


def test_head_is_get_without_a_body(caller: Caller) -> None:
    for path in ("/api/openapi.json", "/api/v1/accounts"):
        got, head = caller.http.get(path), caller.http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(got.content))


def test_a_bug_shows_no_text_of_the_exception(
    server: Server, caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(self: Guestlist, **_: Any) -> str:
        raise RuntimeError("the key is SECRET")

    monkeypatch.setattr(Guestlist, "check", broken)
    answer = caller.http.get("/api/v1/accounts/check?account=vultr")
    assert answer.status_code == 500
    problem = answer.json()
    assert (problem["error"], problem["happened"]) == ("Bug", None)
    logged = caplog.text
    assert "RuntimeError in" in logged
    assert "SECRET" not in answer.text + logged


def test_a_call_that_the_end_of_the_server_interrupts(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Guestlist, *_: Any, **__: Any) -> Any:
        raise Stopped

    monkeypatch.setattr(Guestlist, "invite", interrupted)
    problem = caller.post("/invite", 503, account="vultr", email=ADA)
    assert (problem["error"], problem["happened"]) == ("Stopping", None)


def test_no_answer_contains_a_secret(server: Server, caller: Caller) -> None:
    body = {"account": "aitronos", "email": ADA, "roles": ["Member"]}
    texts = [
        caller.http.post("/api/v1/invite", json=body).text,
        caller.http.get("/api/v1/invitations?account=aitronos").text,
        caller.http.get(f"/api/v1/status?account=aitronos&who={ADA}").text,
        caller.http.get("/api/v1/accounts").text,
        caller.http.get("/api/openapi.json").text,
    ]
    keys = [
        value
        for service in server.sandbox.services()
        for name, value in service.settings.items()
        if "key" in name or "token" in name
    ]
    assert keys
    for text in texts:
        assert '"link"' not in text
        assert '"raw"' not in text
        assert not any(key in text for key in (*keys, caller.secret))


# ------------------------------------------------------------------------------------ many at once


def test_two_callers_that_invite_the_same_person_send_one_email(server: Server) -> None:
    callers = [server.caller(name=f"caller {number}") for number in range(2)]
    together = threading.Barrier(len(callers))

    def invite(caller: Caller) -> str:
        together.wait()
        outcome: str = caller.post("/invite", account="vultr", email=ADA)["outcome"]
        return outcome

    with ThreadPoolExecutor() as pool:
        outcomes = sorted(pool.map(invite, callers))
    assert outcomes == ["already_invited", "invited"]
    assert len(server.sandbox.emails(to=ADA)) == 1


def test_two_hundred_requests_at_once_lose_nothing(server: Server) -> None:
    caller = server.caller()
    people = [f"p{number}@example.com" for number in range(10)]

    def ask(number: int) -> str:
        if number % 5:
            return str(len(caller.get("/accounts")["items"]))
        email = people[number // 5 % len(people)]
        return str(caller.post("/invite", account="vultr", email=email)["outcome"])

    with ThreadPoolExecutor(200) as pool:
        outcomes = Counter(pool.map(ask, range(200)))
    assert outcomes == {"2": 160, "invited": 10, "already_invited": 30}
    emails = Counter(one.to for one in server.sandbox.emails())
    assert emails == dict.fromkeys(people, 1)
