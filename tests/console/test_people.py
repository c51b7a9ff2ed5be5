"""The page of people, and the accounts."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from starlette.testclient import TestClient
from tests.console.conftest import BASE, Visitor, field

from guestlist import Guestlist, Member
from guestlist.console import create_app
from guestlist.models import Guest, State
from guestlist.sandbox import Sandbox
from guestlist.sandbox.services import accounts_of


def rows(page: str) -> list[str]:
    """Returns the rows of the table of people."""
    return page.partition("<tbody>")[2].partition("</tbody>")[0].split("</tr>")[:-1]


def test_each_person_is_one_row(visitor: Visitor, guests: Guestlist) -> None:
    guests.invite("olga.owner@works.example", account="vultr")
    visitor.console.refresh()
    (row,) = rows(visitor.page("/people", q="olga"))
    assert row.count("<td") == 2
    assert "Member" in row
    assert "Invited" in row
    assert "expires in 3 days" in row


def test_filters(visitor: Visitor, guests: Guestlist) -> None:
    guests.invite("ada@example.com", account="vultr")
    visitor.console.refresh()
    everybody = len(rows(visitor.page("/people")))
    assert everybody == 7
    assert len(rows(visitor.page("/people", account="vultr"))) == 4
    assert len(rows(visitor.page("/people", state="invited"))) == 1
    assert len(rows(visitor.page("/people", role="Owner"))) == 1
    assert len(rows(visitor.page("/people", roster="no"))) == everybody - 1
    assert "Nobody matches" in visitor.page("/people", q="nobody@")
    assert len(rows(visitor.page("/people", q="%"))) == 0
    assert len(rows(visitor.page("/people", state="x", account="y", page="z"))) == everybody


def test_expired_invitations_come_first(
    visitor: Visitor, guests: Guestlist, sandbox: Sandbox
) -> None:
    guests.invite("zoe@example.com", account="vultr")
    sandbox.clock.advance(timedelta(days=4))
    visitor.console.refresh()
    assert "Expired" in rows(visitor.page("/people"))[0]
    assert "Expired" not in rows(visitor.page("/people", sort="name"))[0]


def test_names_are_text_and_cannot_change_direction(visitor: Visitor) -> None:
    name = "<script>alert(1)</script>\u202eevil\u0000"
    member = Member(id="a/b", email="eve@example.com", name=name)
    visitor.console._site.people.put(
        Guest(account="vultr", email="eve@example.com", state=State.ACCEPTED, member=member)
    )
    page = visitor.page("/people", q="eve")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\ufffdevil" in page


def test_an_account_that_cannot_be_read_is_named(sandbox: Sandbox) -> None:
    accounts = accounts_of(sandbox)
    accounts["closed"] = accounts["vultr"].model_copy(update={"api_key": "wrong"})
    with Guestlist(accounts) as guests:
        console = create_app(guests)
        visitor = Visitor(console, TestClient(console, base_url=BASE))
        console.refresh()
        visitor.sign_in()
        page = visitor.page("/people")
        console.finish()
    assert "closed: <strong>not read</strong>" in page
    assert all("Not read" in row for row in rows(page))
    assert "wrong" not in page


@pytest.mark.parametrize("path", ["/people", "/invitations"])
def test_a_page_whose_people_are_being_read_loads_again(visitor: Visitor, path: str) -> None:
    people, reload = visitor.console._site.people, '<meta http-equiv="refresh"'
    assert reload not in visitor.page(path)
    people.is_reading = True
    page = visitor.page(path)
    people.is_reading = False
    assert reload in page
    assert " data-busy" in page


def test_accounts_show_what_they_can_do(visitor: Visitor) -> None:
    page = visitor.page("/accounts")
    assert re.search(r"[1-9]\d* of 100 requests a minute", page)
    assert "all programs that share this ledger" in page
    assert "withdraw an invitation" in page
    visitor.post("/accounts/check", account="vultr", csrf=field(page, "csrf"))
    assert "The key can read" in visitor.page("/accounts")


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "people"])
def test_a_form_cannot_lead_away(visitor: Visitor, back: str) -> None:
    assert visitor.post("/refresh", at="/people", back=back).headers["Location"] == "/people"
