"""Inviting, resending, withdrawing, removing and roles: always reviewed, never sent twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.console.conftest import BASE, Open, Visitor, field

from guestlist import Guestlist, Rejected, State
from guestlist.console.page_invite import read_pasted
from guestlist.console.people import token_of
from guestlist.ledger import Ledger, history
from guestlist.sandbox import Sandbox

ADA, GRACE = "ada@example.com", "grace@example.com"


def emails(sandbox: Sandbox) -> list[str]:
    """Returns the addresses that emails were sent to, oldest first."""
    return [one.email.to for one in sandbox.world.delivered()]


def review_of(visitor: Visitor, path: str, at: str, **values: Any) -> tuple[str, str]:
    """Posts a form that leads to a review. Returns the path of the review, and its page."""
    where = visitor.post(path, at=at, **values).headers["Location"]
    assert where.startswith("/reviews/")
    return where, visitor.page(where)


def carry_out(visitor: Visitor, review: str) -> str:
    """Presses the button of a review, and returns the page of the result once it is complete."""
    work = visitor.post(f"{review}/start", at=review).headers["Location"]
    return result(visitor, work)


def result(visitor: Visitor, work: str) -> str:
    """Returns the page of a result once it is complete."""
    while " data-busy" in (page := visitor.page(work)):
        time.sleep(0.02)
    return page


def person(email: str) -> str:
    """Returns the path of a person's page."""
    return f"/people/{token_of(email)}"


def test_the_review_sends_nothing_and_the_button_sends_once(
    visitor: Visitor, sandbox: Sandbox, ledger: Ledger
) -> None:
    review, page = review_of(visitor, "/add/review", "/add", people=ADA, account="vultr")
    assert "Invite 1 person?" in page
    assert "Send 1 Invitation" in page
    assert emails(sandbox) == []
    done = carry_out(visitor, review)
    assert "Invited." in done
    assert "No service shows whether it arrived." in done
    assert emails(sandbox) == [ADA]
    (line,) = history.log_lines(ledger.store)
    assert (line.actor, line.account, line.email) == ("ada", "vultr", ADA)
    # a second press, a second tab
    token = field(visitor.page("/people"), "csrf")
    again = visitor.post(f"{review}/start", csrf=token).headers["Location"]
    assert again == visitor.http.get(review, follow_redirects=False).headers["Location"]
    assert emails(sandbox) == [ADA]


def test_two_reviews_of_one_person_send_one_email(visitor: Visitor, sandbox: Sandbox) -> None:
    form = {"people": ADA, "account": "vultr"}
    first, _ = review_of(visitor, "/add/review", "/add", **form)
    second, _ = review_of(visitor, "/add/review", "/add", **form)
    carry_out(visitor, first)
    assert "Was invited already: nothing was sent." in carry_out(visitor, second)
    assert emails(sandbox) == [ADA]


def test_two_people_press_send_at_the_same_time(visitor: Visitor, sandbox: Sandbox) -> None:
    other = Visitor(visitor.console, TestClient(visitor.console, base_url=BASE))
    other.sign_in()
    form = {"people": f"{ADA} {GRACE}", "account": "vultr"}
    pairs = [(one, review_of(one, "/add/review", "/add", **form)[0]) for one in (visitor, other)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: carry_out(*pair), pairs))
    assert sorted(emails(sandbox)) == [ADA, GRACE]


def test_two_hundred_requests_at_once(visitor: Visitor) -> None:
    paths = ["/people", "/invitations", "/log", "/audit", "/accounts"] * 40
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda path: visitor.http.get(path).status_code, paths))
    assert set(answers) == {200}


def test_the_review_groups_people_by_what_will_happen(
    visitor: Visitor, guests: Guestlist, sandbox: Sandbox
) -> None:
    guests.invite(GRACE, account="vultr")
    pasted = f"email\n{ADA}\n{GRACE}; ines@example.org\nnobody\n{ADA.upper()}"
    _, page = review_of(visitor, "/add/review", "/add", people=pasted, account="vultr")
    assert "Invite 1 person?" in page
    assert "Has an open invitation, which expires in 3 days." in page
    assert "Is a member." in page
    assert "1 line could not be read" in page
    assert emails(sandbox) == [GRACE]


def test_roles_are_sent_now_or_after_acceptance(
    visitor: Visitor, guests: Guestlist, sandbox: Sandbox
) -> None:
    page = visitor.page("/add")
    names = [name for name, _ in roles(page)]
    assert {"group:Engineering", "Member"} <= set(names)
    values = dict(roles(page))
    form = {"people": ADA, "account": ["vultr", "aitronos"]}
    chosen = [values["group:Engineering"], values["Member"]]
    review, page = review_of(visitor, "/add/review", "/add", role=chosen, **form)
    assert "with Member" in page
    assert "after acceptance: group:Engineering" in page or "with group:Engineering" in page
    carry_out(visitor, review)
    assert sorted(emails(sandbox)) == [ADA, ADA]
    visitor.console.refresh()
    assert "group:Engineering" in visitor.page(person(ADA))


def roles(page: str) -> Iterator[tuple[str, str]]:
    """Yields the label and the value of each role on the form."""
    for part in page.split('name="role" value="')[1:]:
        value, _, rest = part.partition('"')
        yield rest.partition(">")[2].partition("<")[0].strip(), value


def test_a_missing_role_keeps_the_form(visitor: Visitor, sandbox: Sandbox) -> None:
    answer = visitor.post("/add/review", 422, at="/add", people=f"{ADA} <b>", account="aitronos")
    assert "needs a role" in answer.text
    assert f"{ADA} &lt;b&gt;</textarea>" in answer.text
    assert 'value="aitronos" checked' in answer.text
    answer = visitor.post("/add/review", 422, at="/add", people="nobody")
    assert "Line 1: nobody" in answer.text
    assert "No account is selected" in answer.text
    assert emails(sandbox) == []


def test_failures_stay_for_correction(
    visitor: Visitor, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    review, _ = review_of(
        visitor, "/add/review", "/add", people=f"{ADA}\n???\n{GRACE}", account="vultr"
    )
    invite: Any = Guestlist.invite

    def refuse(self: Guestlist, email: str, **arguments: Any) -> Any:
        if email == GRACE:
            raise Rejected("Grace is on a list", hint="Ask her.", account="vultr")
        return invite(self, email, **arguments)

    monkeypatch.setattr(Guestlist, "invite", refuse)
    page = carry_out(visitor, review)
    assert "2 of 2 done" in page
    assert "Grace is on a list" in page
    assert "Nothing was changed. Ask her." in page
    assert "Correct the 2 that failed" in page
    again = page.partition("/add?again=")[2].partition('"')[0]
    form = visitor.page("/add", again=again)
    assert f">{GRACE}\n???</textarea>" in form
    assert 'value="vultr" checked' in form
    monkeypatch.undo()
    work = page.partition('action="/work/')[2].partition("/again")[0]
    token = field(form, "csrf")
    review = visitor.post(f"/work/{work}/again", csrf=token).headers["Location"]
    assert "Invited." in carry_out(visitor, review)
    assert emails(sandbox) == [ADA, GRACE]


def test_resend_and_revoke_on_the_page_of_invitations(
    visitor: Visitor, guests: Guestlist, sandbox: Sandbox
) -> None:
    guests.invite(ADA, account="vultr")
    guests.invite(GRACE, role="Member", account="aitronos")
    visitor.console.refresh()
    page = visitor.page("/invitations")
    assert page.index(ADA) < page.index(GRACE)  # three days before seven
    assert "it says “Pending”" in page
    one = f"resend {token_of(ADA)} vultr"
    review, text = review_of(visitor, "/invitations/review", "/invitations", one=one)
    assert "Send 1 invitation again?" in text
    assert "The last email was sent just now" in text
    assert "The invitation was sent again." in carry_out(visitor, review)
    assert emails(sandbox) == [ADA, GRACE, ADA]
    rows = [f"{token_of(GRACE)} aitronos", f"{token_of(ADA)} vultr"]
    review, text = review_of(
        visitor, "/invitations/review", "/invitations", row=rows, action="revoke"
    )
    assert "offers no way to" in text  # Vultr cannot withdraw invitations
    assert "Withdraw 1 invitation" in text
    assert "The invitation was withdrawn." in carry_out(visitor, review)
    assert guests.status(GRACE, account="aitronos").state is not State.PENDING
    assert GRACE not in visitor.page("/invitations")


def test_an_old_review_cannot_be_started(visitor: Visitor, sandbox: Sandbox) -> None:
    review, _ = review_of(visitor, "/add/review", "/add", people=ADA, account="vultr")
    (made,) = visitor.console._site.reviews
    made.made -= 3601
    answer = visitor.post(f"{review}/start", 409, at=review)
    assert "more than an hour old" in answer.text
    assert emails(sandbox) == []
    new, _ = review_of(visitor, "/add/review", "/add", people=ADA, account="vultr")
    work = visitor.post(f"{new}/start", at=new).headers["Location"]
    next(iter(visitor.console._site.reviews)).made -= 3601
    token = field(visitor.page("/people"), "csrf")
    assert visitor.post(f"{new}/start", csrf=token).headers["Location"] == work
    assert "Invited." in result(visitor, work)


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\0"])
def test_hidden_characters_in_a_pasted_address_change_nobody_else(
    visitor: Visitor, sandbox: Sandbox, hidden: str
) -> None:
    form = {"at": "/add", "account": "vultr"}
    page = visitor.post("/add/review", 422, people=f"ada{hidden}@example.com", **form).text
    assert hidden not in page
    shown = unescape(page.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0])
    # the button of the page that was returned, without a correction
    assert "Nothing was sent" in visitor.post("/add/review", 422, people=shown, **form).text


def test_two_people_resend_the_same_invitation(
    visitor: Visitor, guests: Guestlist, sandbox: Sandbox
) -> None:
    guests.invite(ADA, account="vultr")
    visitor.console.refresh()
    one = f"resend {token_of(ADA)} vultr"
    form = {"at": "/invitations", "one": one}
    reviews = [review_of(visitor, "/invitations/review", **form)[0] for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda review: carry_out(visitor, review), reviews))
    assert sum("Nothing more was sent." in page for page in results) == 2
    assert emails(sandbox) == [ADA, ADA]
    later, _ = review_of(visitor, "/invitations/review", **form)
    assert "The invitation was sent again." in carry_out(visitor, later)
    assert emails(sandbox) == [ADA, ADA, ADA]


def test_expired_invitations_stay_and_can_be_sent_again(
    visitor: Visitor, guests: Guestlist, sandbox: Sandbox
) -> None:
    guests.invite(ADA, account="vultr")
    visitor.console.refresh()
    sandbox.clock.advance(timedelta(days=4))
    assert ADA not in visitor.page("/invitations")  # nothing was read since
    assert ADA in visitor.page("/invitations", tab="expired")
    review, _ = review_of(
        visitor, "/invitations/review", "/invitations", tab="expired", action="resend-all"
    )
    carry_out(visitor, review)
    assert ADA in visitor.page("/invitations")
    assert "expires in 3 days" in visitor.page("/invitations")


def test_no_active_organization_is_explained_and_fixed(
    visitor: Visitor, guests: Guestlist, sandbox: Sandbox
) -> None:
    guests.invite(ADA, account="vultr")
    accept(sandbox)
    visitor.console.refresh()
    page = visitor.page(person(ADA))
    assert "data-auto" in page  # a script reads the access once the page is open
    visitor.post(f"{person(ADA)}/check", at=person(ADA))
    page = visitor.page(person(ADA))
    assert "No access" in page
    assert "No Active Organization" in page
    assert "data-auto" not in page
    assert "No access" in visitor.page("/people", q="ada")
    role = page.partition('<option value="group:')[2].partition('"')[0]
    review, text = review_of(
        visitor,
        f"{person(ADA)}/review",
        person(ADA),
        account="vultr",
        action="assign_role",
        role=f"group:{role}",
    )
    assert "Give group:Engineering to ada@example.com?" in text
    assert "The role group:Engineering was given." in carry_out(visitor, review)
    visitor.post(f"{person(ADA)}/check", at=person(ADA))
    page = visitor.page(person(ADA))
    assert "No Active Organization" not in page
    assert "Take role" in page
    assert "ada: Give role group:Engineering" in page


def accept(sandbox: Sandbox) -> None:
    """Accepts every invitation, as the invitees."""
    for delivered in sandbox.world.delivered():
        hosted = sandbox.services[delivered.email.service]
        hosted.service.accept(delivered.email.invitation)


def test_remove_everywhere(visitor: Visitor, guests: Guestlist, sandbox: Sandbox) -> None:
    guests.invite(ADA, account="vultr")
    accept(sandbox)
    guests.invite(ADA, role="Member", account="aitronos")
    visitor.console.refresh()
    review, page = review_of(visitor, f"{person(ADA)}/review", person(ADA), action="offboard")
    assert "Remove ada@example.com everywhere?" in page
    assert "Remove from 2 accounts" in page
    done = carry_out(visitor, review)
    assert "Was taken out." in done
    assert "1 invitation was withdrawn." in done
    assert guests.status(ADA, account="vultr").state is State.GONE
    assert guests.status(ADA, account="aitronos").state is not State.PENDING


def test_reviews_and_people_that_do_not_exist(visitor: Visitor) -> None:
    for path in ("/reviews/x", "/work/x", "/people/a%2Fb", "/people/x", "/people/x/y"):
        assert visitor.http.get(path).status_code == 404
    token = field(visitor.page("/people"), "csrf")
    for path in ("/reviews/x/start", "/work/x/stop", "/people/x/review"):
        visitor.post(path, 404, csrf=token)
    page = "/invitations"
    visitor.post("/invitations/review", 400, at=page, action="resend")
    visitor.post("/invitations/review", 400, at=page, action="remove", row="x")


def test_work_is_shown_live_and_can_be_stopped(visitor: Visitor, sandbox: Sandbox) -> None:
    many = "\n".join(f"person{number}@example.com" for number in range(24))
    review, _ = review_of(visitor, "/add/review", "/add", people=many, account="vultr")
    work = visitor.post(f"{review}/start", at=review).headers["Location"]
    token = field(visitor.page("/people"), "csrf")
    visitor.post(f"{work}/stop", csrf=token)
    page = result(visitor, work)
    assert "Not begun" in page
    events = visitor.http.get(f"{work}/events").text
    assert events.startswith("retry: 2000\n\nid: ")
    visitor.post(f"{work}/resume", csrf=token)
    page = result(visitor, work)
    assert "24 of 24 done" in page
    assert len(emails(sandbox)) == len(set(emails(sandbox))) == 24


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@x.example", ["a@x.example"]),
        ("a@x.example, b@x.example;c@x.example\td@x.example e@x.example", 5),
        ("Ada Lovelace <a@x.example>", ["a@x.example"]),
        ('"Lovelace, Ada" <a@x.example>,', ["a@x.example"]),
        ("Name,Email\nAda,a@x.example\n", ["a@x.example"]),
        ("a@x.example\nA@X.example", ["a@x.example"]),
        ("mailto:a@x.example", ["a@x.example"]),
    ],
)
def test_pasted_columns(text: str, expected: Any) -> None:
    found = read_pasted(text)
    assert not found.unreadable
    if isinstance(expected, int):
        assert len(found.addresses) == expected
    else:
        assert list(found.addresses) == expected


def test_lines_without_an_address_are_named() -> None:
    found = read_pasted("a@x.example\nnobody\n\nb@@x\nc@x.example")
    assert found.addresses == ("a@x.example", "c@x.example")
    assert [number for number, _, _ in found.unreadable] == [2, 4]


def test_a_broken_address_beside_good_ones_is_named() -> None:
    found = read_pasted("Ada <a@x.example>, bad address@, b@x.example; @x")
    assert found.addresses == ("a@x.example", "b@x.example")
    assert [word for _, word, _ in found.unreadable] == ["address@", "@x"]


def test_a_pasted_column_of_50_000_people() -> None:
    column = "\n".join(f"person{number}@example.com" for number in range(50_000))
    assert len(column) < 4 * 1024 * 1024
    assert len(read_pasted(column).addresses) == 50_000


def test_without_a_ledger_it_still_works(open_console: Open, guests: Guestlist) -> None:
    visitor = open_console(ledger=None)
    visitor.console.refresh()
    visitor.sign_in()
    visitor.page("/people")
    assert "History" not in visitor.page(person("ines@example.org"))
    assert TestClient(visitor.console, base_url=BASE).get("/people").status_code == 200
