"""What somebody has typed outlives the session, a new session and a new process."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from starlette.testclient import TestClient
from tests.console.conftest import BASE, Open, Visitor, field
from tests.console.test_changes import carry_out, emails, review_of, roles

from guestlist.sandbox import Sandbox

TYPED = 'Ada <ada@example.com>\n"nobody" & <script>\ngrace@example.com'


def given_back(page: str) -> dict[str, Any]:
    """Returns the fields of the form that gives back what was typed."""
    form = page.partition('action="/add"')[2].partition("</form>")[0]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form):
        found.setdefault(name, []).append(unescape(value))
    for name, value in re.findall(r'<textarea name="(\w+)"[^>]*>([^<]*)<', form):
        found[name] = [unescape(value)]
    return found


def go_on(visitor: Visitor, page: str) -> str:
    """Presses the button of that form, and returns the form that adds people."""
    answer = visitor.post("/add", 200, **given_back(page))
    form: str = answer.text
    return form


def assert_as_typed(form: str) -> None:
    assert unescape(form.partition("<textarea")[2].partition(">")[2]).startswith(TYPED)
    assert 'value="aitronos" checked' in form
    assert 'value="vultr" checked' not in form
    (member,) = re.findall(r'name="role" value="[^"]*" checked>\s*([^<]*)<', form)
    assert member == "Member"


def typed_form(visitor: Visitor) -> dict[str, Any]:
    member = dict(roles(visitor.page("/add")))["Member"]
    return {"people": TYPED, "account": "aitronos", "role": member}


def test_the_session_ends_before_the_form_is_sent(visitor: Visitor, sandbox: Sandbox) -> None:
    form, token = typed_form(visitor), field(visitor.page("/add"), "csrf")
    visitor.post("/logout", at="/people")
    page = visitor.post("/add/review", 401, csrf=token, **form).text
    assert "what you typed is kept on this page" in page
    assert "<script>\n" not in page
    assert token not in page
    # the button does nothing yet
    page = visitor.post("/add", 401, **given_back(page)).text
    visitor.sign_in()
    assert_as_typed(go_on(visitor, page))
    assert emails(sandbox) == []


def test_a_new_session_before_the_form_is_sent(visitor: Visitor) -> None:
    form, token = typed_form(visitor), field(visitor.page("/add"), "csrf")
    visitor.sign_in()
    page = visitor.post("/add/review", 403, csrf=token, **form).text
    assert "This page is out of date" in page
    assert_as_typed(go_on(visitor, page))


def test_the_process_ends_before_a_review_is_started(
    visitor: Visitor, open_console: Open, sandbox: Sandbox
) -> None:
    review, page = review_of(visitor, "/add/review", "/add", **typed_form(visitor))
    form = {name: field(page, name) for name in ("csrf", "review", "people", "account", "role")}
    after = open_console(actor="ada")
    after.console.refresh()
    after.http.cookies = visitor.http.cookies
    page = after.post(f"{review}/start", 401, **form).text
    after.sign_in()
    assert_as_typed(go_on(after, page))
    assert emails(sandbox) == []


def test_a_session_that_ends_before_a_review_is_started_loses_no_review(
    visitor: Visitor, sandbox: Sandbox
) -> None:
    review, page = review_of(visitor, "/add/review", "/add", **typed_form(visitor))
    form = {name: field(page, name) for name in ("csrf", "review", "people")}
    visitor.post("/logout", at="/people")
    page = visitor.post(f"{review}/start", 401, **form).text
    visitor.sign_in()
    answer = visitor.post("/add", **given_back(page))
    assert answer.headers["Location"] == review
    carry_out(visitor, review)
    assert sorted(emails(sandbox)) == ["ada@example.com", "grace@example.com"]


def test_an_identity_provider_that_refuses_gives_it_back_too(open_console: Open) -> None:
    visitor = open_console(identify=lambda request: request.headers.get("x-user"))
    page = visitor.post("/add/review", 401, people=TYPED).text
    assert given_back(page) == {"people": [TYPED]}


def test_another_page_cannot_fill_in_the_form(visitor: Visitor) -> None:
    answer = visitor.http.post(
        "/add", data={"people": "x"}, headers={"Origin": "http://127.0.0.1:9"}
    )
    assert answer.status_code == 403
    signed_out = TestClient(visitor.console, base_url=BASE)
    answer = signed_out.post("/add", data={"people": "x"}, headers={"Sec-Fetch-Site": "same-site"})
    assert answer.status_code == 403


def test_a_long_text_makes_no_heavy_page(visitor: Visitor) -> None:
    many = "\n".join(f"person{number:04}@example.com" for number in range(900))
    _, page = review_of(visitor, "/add/review", "/add", people=many, account="vultr")
    assert 'name="people"' not in page
    assert len(page.encode()) < 100_000
