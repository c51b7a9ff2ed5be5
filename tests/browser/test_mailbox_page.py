"""The mailbox page, used by a person in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from guestlist import Guestlist, State
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import accounts_of
from guestlist_aitronos.sandbox import AitronosService
from guestlist_vultr.sandbox import VultrService

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium here: apt-get install chromium"
)

QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *root])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert not complaints


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([VultrService, AitronosService], port=0) as sandbox:
        yield sandbox


@pytest.fixture
def guests(sandbox: Sandbox) -> Iterator[Guestlist]:
    with Guestlist(accounts_of(sandbox)) as guests:
        yield guests


def test_an_email_is_opened_and_accepted_with_its_button(
    sandbox: Sandbox, guests: Guestlist, page: Page
) -> None:
    guests.invite("ada@example.com", account="vultr")
    guests.invite("grace@example.com", role="Member", account="aitronos")

    page.goto(sandbox.url)
    expect(page.get_by_role("listitem")).to_have_count(2)
    page.get_by_role("link", name="grace@example.com").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Aitronos")
    page.get_by_role("button", name="Accept").click()

    expect(page.get_by_role("status")).to_contain_text("grace@example.com")
    assert guests.status("grace@example.com", account="aitronos").state is State.ACCEPTED
    assert guests.status("ada@example.com", account="vultr").state is State.PENDING


def test_the_link_is_hidden_until_it_is_asked_for(
    sandbox: Sandbox, guests: Guestlist, page: Page
) -> None:
    link = guests.invite("grace@example.com", role="Member", account="aitronos")
    assert link.guest.invitation is not None
    assert link.guest.invitation.link is not None
    secret = link.guest.invitation.link.get_secret_value()

    page.goto(sandbox.url)
    page.get_by_role("link", name="grace@example.com").click()
    expect(page.get_by_text(secret)).to_be_hidden()
    page.get_by_text("show", exact=True).click()
    expect(page.get_by_text(secret)).to_be_visible()


def test_what_a_service_does_not_offer_cannot_be_clicked(
    sandbox: Sandbox, guests: Guestlist, page: Page
) -> None:
    guests.invite("ada@example.com", account="vultr")
    page.goto(sandbox.url)
    page.get_by_role("link", name="ada@example.com").click()
    expect(page.get_by_role("button", name="Decline")).to_be_disabled()
    expect(page.get_by_text("no way to decline")).to_be_visible()


def test_moving_the_clock_makes_an_invitation_expire(
    sandbox: Sandbox, guests: Guestlist, page: Page
) -> None:
    guests.invite("ada@example.com", account="vultr")
    page.goto(sandbox.url)
    page.get_by_role("button", name="+3 days").click()
    page.get_by_role("link", name="ada@example.com").click()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("status")).to_contain_text("expired")
    members = {member.email for member in guests.members(account="vultr")}
    assert "ada@example.com" not in members
