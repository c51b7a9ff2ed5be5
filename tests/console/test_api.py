"""The console serves the HTTP API below `/api`, beside its pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.console.conftest import BASE

from guestlist import Guestlist
from guestlist.console import create_app
from guestlist.ledger import Ledger, tokens
from guestlist.ledger.tokens import Right
from guestlist_vultr import Vultr


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "guestlist.db") as ledger:
        yield ledger


@pytest.fixture
def guests(ledger: Ledger) -> Iterator[Guestlist]:
    with Guestlist({"vultr": Vultr(api_key="key")}, ledger=ledger) as guests:
        yield guests


@pytest.fixture
def http(guests: Guestlist, ledger: Ledger) -> Iterator[TestClient]:
    now = datetime.now(UTC)
    _, secret = tokens.create(
        ledger.store, "deploy", Right.READ, now=now, expires=now + timedelta(days=1), by=None
    )
    console = create_app(guests, ledger=ledger)
    headers = {"authorization": f"Bearer {secret}"}
    with TestClient(console, base_url=BASE, headers=headers) as http:
        yield http
    console.finish()


def test_a_token_opens_the_api_and_no_page(http: TestClient) -> None:
    assert http.get("/api/v1/accounts").json()["items"][0]["account"] == "vultr"
    assert http.get("/people", follow_redirects=False).status_code == 303
    assert http.get("/api/openapi.json").json()["openapi"] == "3.1.0"


@pytest.mark.parametrize("path", ["/api/v1/accounts", "/%61pi/v1/accounts", "/api"])
def test_the_api_needs_a_token_however_its_path_is_written(http: TestClient, path: str) -> None:
    del http.headers["authorization"]
    answer = http.get(path)
    assert answer.status_code in (401, 404)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1:9"},
        {"origin": "http://127.0.0.1:8041"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
    ids=["name", "port", "origin", "site"],
)
def test_another_page_cannot_use_the_api(http: TestClient, headers: dict[str, str]) -> None:
    answer = http.get("/api/v1/accounts", headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["error"] == "ForeignRequest"


def test_without_a_ledger_there_is_no_api(guests: Guestlist) -> None:
    console = create_app(guests)
    with TestClient(console, base_url=BASE) as http:
        assert http.get("/api/v1/accounts").status_code == 404
    console.finish()
