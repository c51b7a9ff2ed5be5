"""The console, used by people in a real browser: the steps of the services' guides, many people,
stopping and going on, keyboard only, a phone, and accessibility."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.browser.test_mailbox_page import CHROMIUM, QUIET
from tests.console.conftest import ServiceTime

from guestlist import Guestlist, State
from guestlist.console import create_app
from guestlist.console.app import Console
from guestlist.ledger import Ledger
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import accounts_of
from guestlist_aitronos.sandbox import AitronosService
from guestlist_vultr.sandbox import VultrService

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here"),
    pytest.mark.long,
]

ADA = "ada@example.com"
AXE = "axe-core@4.14.1"


@dataclass
class Site:
    """A console that a browser can open."""

    url: str
    console: Console
    sandbox: Sandbox
    guests: Guestlist
    roster: Path

    def emails(self) -> list[str]:
        """Returns the addresses that emails were sent to, oldest first."""
        return [one.email.to for one in self.sandbox.world.delivered()]

    def sign_in(self, page: Page) -> None:
        """Opens a one-time link and presses its button, after all accounts were read."""
        self.console.refresh()
        page.goto(self.url + self.console.new_link())
        page.get_by_role("button", name="Open the console").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("People")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *root])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox([VultrService, AitronosService]) as sandbox:
        yield sandbox


@pytest.fixture
def site(running: Sandbox, tmp_path: Path) -> Iterator[Site]:
    running.reset()
    roster = tmp_path / "guestlist.toml"
    roster.write_text('[accounts.vultr]\nprovider = "vultr"\n', encoding="utf-8")
    with (
        Ledger(tmp_path / "guestlist.db") as ledger,
        Guestlist(accounts_of(running), ledger=ledger, clock=ServiceTime(running)) as guests,
    ):
        console = create_app(guests, ledger=ledger, roster=roster, mailbox=running.url)
        config = uvicorn.Config(console, port=0, lifespan="off", log_config=None, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Site(f"http://127.0.0.1:{port}", console, running, guests, roster)
        console.close()
        server.should_exit = True
        thread.join()
        console.finish()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    yield page
    context.close()
    assert not [one for one in complaints if "status of 4" not in one]


def invite(page: Page, people: str, account: str, *roles: str) -> None:
    """Follows the guides: Add User, Email Address, Review and Invite, Send Invitation."""
    page.get_by_role("link", name="Add people").first.click()
    page.get_by_label("Email addresses").fill(people)
    page.get_by_role("checkbox", name=re.compile(f"^{account} ")).check()
    for role in roles:
        details = page.locator("details", has_text=f"Roles and options in {account}").or_(
            page.locator("details", has_text=f"Roles in {account}")
        )
        if not details.first.evaluate("one => one.open"):
            details.first.locator("summary").click()
        details.first.get_by_role("checkbox", name=role, exact=True).check()
    page.get_by_role("button", name="Review and Invite").click()


def test_vultr_guide_invite_a_user(site: Site, page: Page) -> None:
    site.sign_in(page)
    invite(page, ADA, "vultr")
    expect(page.get_by_role("heading", level=1)).to_have_text("Invite 1 person?")
    expect(page.get_by_role("row", name=ADA)).to_contain_text("emails an invitation")
    assert site.emails() == []
    page.get_by_role("button", name="Send 1 Invitation").click()
    expect(page.get_by_role("status")).to_contain_text("1 of 1 done")
    assert site.emails() == [ADA]
    page.get_by_role("link", name="Invitations", exact=False).first.click()
    row = page.get_by_role("row", name=ADA)
    expect(row).to_contain_text("Invited")
    expect(row).to_contain_text("Pending")
    expect(row).to_contain_text("expires in 3 days")


def test_vultr_guide_resend_an_invitation(site: Site, page: Page) -> None:
    site.guests.invite(ADA, account="vultr")
    site.sandbox.clock.advance(timedelta(days=2))
    site.sign_in(page)
    page.get_by_role("link", name="Invitations", exact=False).first.click()
    expect(page.get_by_role("row", name=ADA)).to_contain_text("expires in 1 day")
    page.get_by_role("button", name=f"Resend the invitation of {ADA} in vultr").click()
    page.get_by_role("button", name="Send 1 invitation again").click()
    expect(page.get_by_role("row", name=ADA)).to_contain_text("was sent again")
    assert site.emails() == [ADA, ADA]
    page.get_by_role("link", name="Invitations", exact=False).first.click()
    expect(page.get_by_role("row", name=ADA)).to_contain_text("expires in 3 days")


def test_vultr_guide_invite_and_grant_access(site: Site, page: Page) -> None:
    site.sign_in(page)
    invite(page, ADA, "vultr")
    page.get_by_role("button", name="Send 1 Invitation").click()
    expect(page.get_by_role("status")).to_contain_text("1 of 1 done")
    # the invitee accepts by the link in the email
    mailbox = page.context.new_page()
    mailbox.goto(site.sandbox.url)
    mailbox.get_by_role("link", name=ADA).click()
    mailbox.get_by_role("button", name="Accept").click()
    expect(mailbox.get_by_role("status")).to_contain_text(ADA)
    mailbox.close()  # a page that still loads may never close
    site.console.refresh()
    page.get_by_role("link", name="People", exact=True).click()
    expect(page.get_by_role("row", name=ADA)).to_contain_text("Member")
    page.get_by_role("row", name=ADA).get_by_role("link").first.click()
    expect(page.get_by_text("No Active Organization")).to_be_visible()
    page.get_by_label("Role to give in vultr").select_option(label="group:Engineering")
    page.get_by_role("button", name="Give role").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Give group:Engineering")
    page.get_by_role("button", name="Give group:Engineering").click()
    expect(page.get_by_role("row", name=ADA)).to_contain_text("was given")
    page.get_by_role("link", name="← Back").click()
    expect(page.get_by_text("No Active Organization")).to_have_count(0)
    vultr = page.get_by_role("region", name="vultr Vultr IAM")
    expect(vultr).to_contain_text("group:Engineering")
    assert site.guests.access(ADA, account="vultr").effective


def test_aitronos_guide_invite_with_a_role_and_send_again(site: Site, page: Page) -> None:
    site.sign_in(page)
    invite(page, "grace@example.com", "aitronos")
    expect(page.get_by_role("alert")).to_contain_text("needs a role")
    page.get_by_role("checkbox", name="Member", exact=True).check()
    page.get_by_role("button", name="Review and Invite").click()
    expect(page.get_by_role("row", name="grace")).to_contain_text("with Member")
    page.get_by_role("button", name="Send 1 Invitation").click()
    expect(page.get_by_role("status")).to_contain_text("1 of 1 done")
    page.get_by_role("link", name="Invitations", exact=False).first.click()
    page.get_by_role("button", name="Resend the invitation of grace").click()
    page.get_by_role("button", name="Send 1 invitation again").click()
    expect(page.get_by_role("row", name="grace")).to_contain_text("was sent again")
    assert site.emails() == ["grace@example.com"] * 2
    page.get_by_role("link", name="Invitations", exact=False).first.click()
    page.get_by_role("button", name="Revoke the invitation of grace").click()
    page.get_by_role("button", name="Withdraw 1 invitation").click()
    expect(page.get_by_role("row", name="grace")).to_contain_text("was withdrawn")


@pytest.mark.proof  # tests/console shows the same without a browser
def test_200_people_from_a_pasted_column(site: Site, page: Page) -> None:
    site.guests.invite("person7@example.com", account="vultr")
    site.sign_in(page)
    column = "Email\n" + "\n".join(f"person{number}@example.com" for number in range(200))
    invite(page, column + "\nnot an address", "vultr")
    expect(page.get_by_role("heading", level=1)).to_have_text("Invite 199 people?")
    expect(page.get_by_text("1 line could not be read")).to_be_visible()
    page.get_by_role("button", name="Send 199 Invitations").first.click()
    expect(page.get_by_role("status")).to_contain_text("199 of 199 done", timeout=60_000)
    assert len(site.emails()) == len(set(site.emails())) == 200
    page.get_by_role("link", name="Correct the 1 that could not be read").click()
    expect(page.get_by_label("Email addresses")).to_have_value("not an address")


@pytest.mark.proof  # tests/console shows the same without a browser
def test_an_apply_is_stopped_and_goes_on(site: Site, page: Page) -> None:
    people = "".join(
        f'[[people]]\nemail = "person{number}@example.com"\naccounts.vultr = []\n'
        for number in range(250)
    )
    accounts = '[accounts.vultr]\nprovider = "vultr"\n\n[limits]\ninvitations = 1000\n\n'
    site.roster.write_text(accounts + people, encoding="utf-8")
    site.sign_in(page)
    page.get_by_role("link", name="Plan", exact=True).click()
    page.get_by_role("button", name="Make a plan").click()
    page.get_by_role("button", name="Apply 250 changes").first.click(timeout=60_000)
    expect(page.get_by_role("status")).to_contain_text("Making the changes", timeout=30_000)
    page.get_by_role("button", name="Stop after the current ones").click()
    expect(page.get_by_role("link", name="Go on")).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Go on").click()
    sent = len(site.emails())
    assert sent < 250
    expect(page.get_by_text("An interrupted run has")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("status")).to_contain_text("Made", timeout=90_000)
    assert len(site.emails()) == len(set(site.emails())) == 250


def test_with_the_keyboard_only(site: Site, page: Page) -> None:
    site.guests.invite(ADA, account="vultr")
    site.console.refresh()
    page.goto(site.url + site.console.new_link())
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    press_until(page, "Open the console")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("People")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the page"
    page.keyboard.press("/")
    page.keyboard.type("ada")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 person of 7")).to_be_visible()
    press_until(page, ADA)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(ADA)
    press_until(page, "Send again")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Send the invitation")
    press_until(page, "Send 1 invitation again")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("1 of 1 done")
    assert site.emails() == [ADA, ADA]


def focused(page: Page) -> str:
    """Returns the text of the element that has the focus."""
    found: str = page.evaluate("document.activeElement.textContent.trim()")
    return found


def press_until(page: Page, text: str) -> None:
    """Presses Tab until the element with this text has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if focused(page) == text:
            return
    raise AssertionError(f"Tab does not reach {text}")


PAGES = ("/people", "/add", "/invitations", "/plan", "/audit", "/log", "/accounts", "/nowhere")


def visit_every_page(site: Site, page: Page) -> Iterator[str]:
    """Opens every page, and yields its name."""
    site.guests.invite(ADA, account="vultr")
    site.guests.invite("grace@example.com", role="Member", account="aitronos")
    site.sandbox.services["vultr"].service.accept(
        next(one.email.invitation for one in site.sandbox.world.delivered() if one.email.to == ADA)
    )
    site.roster.write_text(
        '[accounts.vultr]\nprovider = "vultr"\n\n[[people]]\nemail = "zoe@example.com"\n'
        "accounts.vultr = []\n",
        encoding="utf-8",
    )
    site.console.refresh()
    page.goto(site.url + site.console.new_link())
    yield "/login"
    site.sign_in(page)
    for path in PAGES:
        page.goto(site.url + path)
        yield path
    page.goto(site.url + "/people?q=ada")
    page.get_by_role("row", name=ADA).get_by_role("link").first.click()
    expect(page.get_by_text("No Active Organization")).to_be_visible()
    yield "person"
    invite(page, f"zoe@example.com\n{ADA}\n?", "vultr")
    expect(page.get_by_role("heading", level=1)).to_have_text("Invite 1 person?")
    yield "review"
    page.get_by_role("button", name="Send 1 Invitation").click()
    expect(page.get_by_role("status")).to_contain_text("1 of 1 done")
    yield "result"
    page.goto(site.url + "/plan")
    page.get_by_role("button", name="Make a plan").click()
    expect(page.get_by_text("Made by")).to_be_visible()
    yield "plan"
    page.goto(site.url + "/audit")
    page.get_by_role("button", name="Make an audit").click()
    expect(page.get_by_text("Made by")).to_be_visible()
    yield "audit"


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, from npm; empty if it cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        return ""
    folder = tmp_path_factory.mktemp("axe")
    try:
        subprocess.run(
            [npm, "pack", AXE, "--silent"],
            cwd=folder,
            check=True,
            timeout=60,
            capture_output=True,
        )
    except (subprocess.SubprocessError, OSError):
        return ""
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extract("package/axe.min.js", folder, filter="data")
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_fits_and_axe_finds_no_violation(
    site: Site, browser: Browser, axe: str, scheme: Any, width: int
) -> None:
    context = browser.new_context(
        color_scheme=scheme,
        bypass_csp=True,
        viewport={"width": width, "height": 844},
        is_mobile=width < 500,
    )
    page = context.new_page()
    found: list[str] = []
    for name in visit_every_page(site, page):
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        if not axe:
            continue
        page.evaluate(axe)
        violations = page.evaluate("axe.run().then(result => result.violations)")
        found += [
            f"{name}: {one['id']}: {node['html'][:150]} {node['failureSummary'][:250]}"
            for one in violations
            for node in one["nodes"][:2]
        ]
    context.close()
    if found:
        pytest.fail("\n".join(found))
    if not axe:
        pytest.skip("axe-core comes from npm, which is missing or cannot be reached")


class OtherSite(http.server.BaseHTTPRequestHandler):
    """A web server on another port of the same machine, with a page that attacks the console."""

    html = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.html.encode())

    def log_message(self, *_: Any) -> None:
        """Prints nothing."""


@pytest.fixture
def other_site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OtherSite)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_on_another_port_cannot_act(site: Site, browser: Browser, other_site: str) -> None:
    site.guests.invite(ADA, account="vultr")
    page = browser.new_page()
    site.sign_in(page)
    OtherSite.html = (
        f'<form method="post" action="{site.url}/refresh"><button>Win a prize</button></form>'
    )
    page.goto(other_site)
    page.get_by_role("button").click()
    expect(page.get_by_text("Another web page may not")).to_be_visible()
    page.close()


def test_a_link_that_is_clicked_on_another_site_signs_in(
    site: Site, browser: Browser, other_site: str
) -> None:
    page = browser.new_page()
    OtherSite.html = f'<a href="{site.url}{site.console.new_link()}">Open the console</a>'
    page.goto(other_site)
    page.get_by_role("link").click()
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("People")
    page.close()


def test_signing_out_ends_the_session(site: Site, page: Page) -> None:
    site.sign_in(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto(site.url + "/people")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert site.guests.status(ADA, account="vultr").state is State.GONE
