"""The application's tests: no network, no waiting, nothing to set up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest

from guestlist import AsyncGuestlist
from guestlist.provider import Provider
from guestlist.sandbox import Sandbox
from pytest_guestlist.clock import VirtualClock

from .app import create_app

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def guestlist_accounts(guestlist_accounts: dict[str, Provider]) -> dict[str, Provider]:
    """The accounts have the names that the application knows them by."""
    return {"cloud": guestlist_accounts["vultr"], "assistant": guestlist_accounts["aitronos"]}


@pytest.fixture
async def browser(guestlist_async_client: AsyncGuestlist) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(guestlist_async_client))
    async with httpx.AsyncClient(transport=transport, base_url="http://team") as browser:
        yield browser


async def states(browser: httpx.AsyncClient, email: str) -> dict[str, str]:
    guests = (await browser.get("/guests")).json()["guests"]
    return {guest["account"]: guest["state"] for guest in guests if guest["email"] == email}


async def test_a_colleague_is_invited_and_accepts(
    browser: httpx.AsyncClient, guestlist_accept: Callable[..., None], guestlist_sandbox: Sandbox
) -> None:
    for account in ("cloud", "assistant"):
        order = {"email": "ada@example.com", "account": account}
        answer = await browser.post("/guests", json=order)
        assert (answer.status_code, answer.json()["outcome"]) == (201, "invited")

    assert [email.to for email in guestlist_sandbox.outbox.emails] == ["ada@example.com"] * 2
    assert await states(browser, "ada@example.com") == {"cloud": "pending", "assistant": "pending"}

    guestlist_accept("ada@example.com", service="vultr")
    assert await states(browser, "ada@example.com") == {"cloud": "accepted", "assistant": "pending"}


async def test_invitations_lapse(browser: httpx.AsyncClient, guestlist_clock: VirtualClock) -> None:
    await browser.post("/guests", json={"email": "ada@example.com", "account": "cloud"})

    guestlist_clock.advance(timedelta(days=4))

    assert await states(browser, "ada@example.com") == {"cloud": "expired"}


async def test_the_page(browser: httpx.AsyncClient) -> None:
    async def submit(email: str) -> str:
        form = {"email": email, "account": "cloud"}
        return (await browser.post("/", data=form, follow_redirects=True)).text

    assert "ada@example.com: invited" in await submit("ada@example.com")
    page = await submit("ada@example.com")
    assert "ada@example.com: already invited" in page
    assert page.count("<td>ada@example.com</td>") == 1

    page = await submit("<ada>")
    assert "is not an email address" in page
    assert "<ada>" not in page


@pytest.mark.parametrize(
    ("order", "status", "error"),
    [
        ({"email": "ada", "account": "cloud"}, 422, "InvalidArgument"),
        ({"email": "ada@example.com", "account": "clowd"}, 422, "UnknownAccount"),
    ],
)
async def test_mistakes_are_explained(
    browser: httpx.AsyncClient, order: dict[str, str], status: int, error: str
) -> None:
    answer = await browser.post("/guests", json=order)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.guestlist_cassette("invite")
async def test_on_a_cassette(browser: httpx.AsyncClient) -> None:
    order = {"email": "ada@example.com", "account": "cloud"}

    assert (await browser.post("/guests", json=order)).status_code == 201
    assert (await browser.post("/guests", json=order)).json()["outcome"] == "already_invited"
