"""A console on sandboxes, and a browser without a window."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from guestlist import Guestlist
from guestlist.console import create_app
from guestlist.console.app import Console
from guestlist.exchange.clock import SystemClock
from guestlist.ledger import Ledger
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import accounts_of
from guestlist_aitronos.sandbox import AitronosService
from guestlist_vultr.sandbox import VultrService

BASE = "http://127.0.0.1:8040"

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
"""


@dataclass
class Visitor:
    """A person with a browser at the console."""

    console: Console
    http: TestClient

    def sign_in(self) -> None:
        """Opens a one-time link, and presses the button of its page."""
        page = self.http.get(self.console.new_link())
        assert page.status_code == 200
        self.post("/login", token=field(page.text, "token"))

    def page(self, path: str, **query: str) -> str:
        """Returns the text of a page, after all accounts were read."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, status: int = 303, at: str = "", **values: Any) -> Any:
        """Posts a form as the page `at` contains it, and returns the answer."""
        data = dict(values)
        if at:
            data = {"csrf": field(self.page(at), "csrf"), **data}
        answer = self.http.post(
            path, data=data, headers={"Origin": str(self.http.base_url)}, follow_redirects=False
        )
        assert answer.status_code == status, answer.text
        return answer


def field(page: str, name: str) -> str:
    """Returns the value of a hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, f"no field {name} in {page}"
    return unescape(found[1])


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox([VultrService, AitronosService]) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "guestlist.db") as ledger:
        yield ledger


class ServiceTime(SystemClock):
    """The time of the sandbox, which tests move."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def now(self) -> datetime:
        return self._sandbox.clock.now()


@pytest.fixture
def guests(sandbox: Sandbox, ledger: Ledger) -> Iterator[Guestlist]:
    accounts, clock = accounts_of(sandbox), ServiceTime(sandbox)
    with Guestlist(accounts, ledger=ledger, clock=clock) as guests:
        yield guests


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "guestlist.toml"
    path.write_text(ROSTER, encoding="utf-8")
    return path


Open = Callable[..., Visitor]


@pytest.fixture
def open_console(guests: Guestlist, ledger: Ledger, roster: Path) -> Iterator[Open]:
    """Opens a console with other settings than the usual ones."""
    opened: list[Console] = []

    def open_(base: str = BASE, **settings: Any) -> Visitor:
        console = create_app(guests, **{"ledger": ledger, "roster": roster, **settings})
        opened.append(console)
        return Visitor(console, TestClient(console, base_url=base))

    yield open_
    for console in opened:
        console.finish()


@pytest.fixture
def visitor(open_console: Open) -> Visitor:
    """A visitor who is signed in, at a console that has read all accounts."""
    visitor = open_console(actor="ada")
    visitor.console.refresh()
    visitor.sign_in()
    return visitor
