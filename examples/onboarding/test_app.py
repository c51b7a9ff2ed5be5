"""The application's tests: on the sandbox, through ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from guestlist.provider import Provider
from guestlist.sandbox import Sandbox
from pytest_guestlist.clock import VirtualClock

from .app import create_app

pytestmark = pytest.mark.anyio
Start = Callable[..., Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def start(
    guestlist_accounts: dict[str, Provider], guestlist_clock: VirtualClock, tmp_path: Path
) -> AsyncIterator[Start]:
    """Starts the application on a machine; all machines have the same ledger."""
    async with AsyncExitStack() as running:

        async def start(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
            app = create_app(
                str(tmp_path / "guestlist.db"),
                every=0.01,
                accounts={"cloud": guestlist_accounts["vultr"]},
                clock=guestlist_clock,
                transport=transport,
            )
            await running.enter_async_context(app.router.lifespan_context(app))
            browser = httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://onboarding"
            )
            return await running.enter_async_context(browser)

        yield start


ADA = {"email": "ada@example.com", "role": "group:Engineering"}


def events(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]


async def test_every_machine_reports_an_acceptance(
    start: Start, guestlist_accept: Callable[..., None], guestlist_sandbox: Sandbox
) -> None:
    one, other = await start(), await start()
    answer = await one.post("/invitations", json=ADA)
    assert (answer.status_code, answer.json()) == (201, {"outcome": "invited", "state": "pending"})
    answer = await other.post("/invitations", json=ADA)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "already_invited")
    assert len(guestlist_sandbox.outbox.emails) == 1
    waiting = [{"account": "cloud", "email": "ada@example.com"}]
    assert (await other.get("/invitations")).json() == waiting

    guestlist_accept("ada@example.com")
    for machine in (one, other):
        assert events(await machine.get("/events", params={"after": 0})) == ["accepted"]
    assert (await one.get("/invitations")).json() == []


async def test_a_browser_goes_on_where_it_was(
    start: Start, guestlist_accept: Callable[..., None]
) -> None:
    browser = await start()
    await browser.post("/invitations", json=ADA)
    guestlist_accept("ada@example.com")
    first = await browser.get("/events", params={"after": 0})
    seen = [line[4:] for line in first.text.splitlines() if line.startswith("id: ")][-1]

    await browser.post("/invitations", json={"email": "grace@example.com"})
    guestlist_accept("grace@example.com")
    second = await browser.get("/events", headers={"last-event-id": seen})
    assert events(second) == ["accepted"]
    assert "grace@example.com" in second.text
    assert "ada@example.com" not in second.text


async def test_acceptances_are_reported_after_a_restart(
    start: Start, guestlist_accept: Callable[..., None]
) -> None:
    await (await start()).post("/invitations", json=ADA)
    guestlist_accept("ada@example.com")
    assert events(await (await start()).get("/events", params={"after": 0})) == ["accepted"]


class Dead(httpx.AsyncBaseTransport):
    """A network without the service."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody is there")


async def test_the_status_says_what_may_have_happened(start: Start) -> None:
    browser = await start()
    answer = await browser.post("/invitations", json={"email": "ada"})
    assert (answer.status_code, answer.json()["error"]) == (422, "InvalidArgument")
    answer = await browser.post(
        "/invitations", json={"email": "lena@example.org", "role": "Wizard"}
    )
    assert (answer.status_code, answer.json()["error"]) == (422, "UnknownRole")

    answer = await (await start(Dead())).post("/invitations", json={"email": "ada@example.com"})
    assert answer.json()["happened"] is False
    assert answer.status_code == 503
