"""The page, over real HTTP, as a person with a browser meets it."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from guestlist.sandbox import Sandbox

Invite = Callable[..., str]


def follow(page: httpx.Client, path: str) -> str:
    answer = page.post(path)
    assert answer.status_code == 303
    return page.get(answer.headers["Location"]).text


def test_empty(page: httpx.Client) -> None:
    text = page.get("/").text
    assert "No email yet" in text
    assert "The Club" in text
    assert "15 Jan 2027, 08:00:00 UTC" in text


def test_the_list_shows_the_newest_first_and_filters(page: httpx.Client, invite: Invite) -> None:
    invite("ada@example.com")
    invite("Grace@example.com", "choir")
    text = page.get("/").text
    assert text.index("Grace@example.com") < text.index("ada@example.com")
    assert text.count(">pending</span>") == 2
    only = page.get("/", params={"to": "GRACE"}).text
    assert "Grace@example.com" in only
    assert "ada@example.com" not in only
    assert "None of the 2 emails" in page.get("/", params={"to": "<b>"}).text


def test_everything_is_escaped(page: httpx.Client, invite: Invite) -> None:
    invite("<script>alert(1)</script>@example.com")
    for path in ("/", "/emails/mail-1", "/?to=<script>alert(1)", "/emails/<script>alert(1)"):
        text = page.get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)" in text
    assert "Chess &amp; &lt;Checkers&gt;" in page.get("/emails/mail-1").text


def test_link_is_masked_until_shown(page: httpx.Client, invite: Invite) -> None:
    id = invite("ada@example.com")
    before, _, inside = page.get("/emails/mail-1").text.partition('<details class="link">')
    assert "https://club.example/••••••" in before
    assert f"{id}-secret" not in before
    assert inside.count(f"{id}-secret") == 1


def test_accept_shows_the_outcome_once(page: httpx.Client, invite: Invite) -> None:
    invite("ada@example.com")
    answer = page.post("/emails/mail-1/accept")
    shown = answer.headers["Location"]
    assert "Accepted on behalf of ada@example.com" in page.get(shown).text
    assert "on behalf of" not in page.get(shown).text
    assert "accepted" in page.get("/").text
    assert "1 member\n" in page.get("/").text
    again = follow(page, "/emails/mail-1/accept")
    assert "Not accepted: this invitation is not open" in again


def test_decline_only_where_it_is_offered(page: httpx.Client, invite: Invite) -> None:
    invite("ada@example.com", "club")
    invite("ada@example.com", "choir")
    club, choir = (page.get(f"/emails/mail-{number}").text for number in (1, 2))
    assert "<button disabled>Decline</button>" in club
    assert "The sandbox of The Club offers invitees no way to decline" in club
    assert "disabled" not in choir
    assert "Not declined: The sandbox of The Club offers invitees no way" in follow(
        page, "/emails/mail-1/decline"
    )
    assert "Declined on behalf of" in follow(page, "/emails/mail-2/decline")


def test_clock_and_words_for_time(page: httpx.Client, invite: Invite) -> None:
    invite("ada@example.com")
    assert "just now" in page.get("/").text
    text = follow(page, "/clock?advance_seconds=86400")
    assert "16 Jan 2027, 08:00:00 UTC" in text
    assert "1 day ago" in text
    mail = page.get("/emails/mail-1").text
    assert "Expires" in mail
    assert "in 2 days" in mail
    follow(page, "/clock?advance_seconds=259200")
    assert "Expired" in page.get("/emails/mail-1").text
    assert page.post("/clock?advance_seconds=-5").status_code == 400


def test_start_over(page: httpx.Client, invite: Invite) -> None:
    invite("ada@example.com")
    follow(page, "/clock?advance_seconds=86400")
    text = follow(page, "/reset")
    assert "No email yet" in text
    assert "15 Jan 2027, 08:00:00 UTC" in text


@pytest.mark.parametrize("path", ["/emails/mail-9", "/emails/mail-9/accept", "/nowhere"])
def test_what_does_not_exist_is_a_friendly_page(page: httpx.Client, path: str) -> None:
    answer = page.post(path) if path.endswith("accept") else page.get(path)
    assert answer.status_code == 404
    assert "Not here" in answer.text
    assert "All invitations" in answer.text


@pytest.mark.parametrize("path", ["/emails/mail-1/accept", "/clock", "/reset", "/api/reset"])
def test_looking_changes_nothing(page: httpx.Client, invite: Invite, path: str) -> None:
    invite("ada@example.com")
    answer = page.get(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "pending" in page.get("/").text


@pytest.mark.parametrize("path", ["/emails/mail-1/accept", "/reset", "/api/reset"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
    ids=str,
)
def test_foreign_page_cannot_act(
    page: httpx.Client, invite: Invite, path: str, headers: dict[str, str]
) -> None:
    invite("ada@example.com")
    answer = page.post(path, headers=headers)
    assert answer.status_code == 403
    if path.startswith("/api"):
        assert answer.json()["error"]
    assert "pending" in page.get("/").text


def test_foreign_name_cannot_even_look(page: httpx.Client) -> None:
    assert page.get("/api/emails", headers={"Host": "evil.example"}).status_code == 403
    for host in ("evil.example", "[evil"):
        answer = page.get("/", headers={"Host": host})
        assert answer.status_code == 403
        assert "Club" not in answer.text


def test_own_page_may_act(page: httpx.Client, sandbox: Sandbox) -> None:
    headers = {"Origin": sandbox.url, "Sec-Fetch-Site": "same-origin"}
    assert page.post("/reset", headers=headers).status_code == 303


def test_nothing_foreign_is_loaded(page: httpx.Client) -> None:
    answer = page.get("/")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for path, kind in {"/mailbox.css": "text/css", "/mailbox.js": "text/javascript"}.items():
        assert f'"{path}"' in answer.text
        assert page.get(path).headers["Content-Type"].startswith(kind)


def test_long_list_is_paged(page: httpx.Client, sandbox: Sandbox) -> None:
    club = sandbox.services["club"].service
    for number in range(120):
        club.put(f"guest{number:03}@example.com")  # type: ignore[attr-defined]
    first = page.get("/").text
    assert first.count("<li>") == 50
    assert "1 to 50 of 120" in first
    assert "guest119@" in first
    last = page.get("/", params={"page": "3"}).text
    assert last.count("<li>") == 20
    assert "101 to 120 of 120" in last
    assert "guest000@" in last
    assert "Newer" in last
    assert "Older" not in last
    for odd in ("0", "-1", "x", "99", "9" * 400):
        assert page.get("/", params={"page": odd}).status_code == 200


def test_filters_by_service_and_state(page: httpx.Client, invite: Invite) -> None:
    invite("ada@example.com", "club")
    invite("grace@example.com", "choir")
    page.post("/emails/mail-1/accept")
    assert "ada@" not in page.get("/", params={"service": "choir"}).text
    accepted = page.get("/", params={"state": "accepted"}).text
    assert "ada@" in accepted
    assert "grace@" not in accepted


def test_links_between_pages_keep_the_filters(page: httpx.Client, sandbox: Sandbox) -> None:
    club = sandbox.services["club"].service
    for number in range(60):
        club.put(f"guest{number}@example.com")  # type: ignore[attr-defined]
    text = page.get("/", params={"to": "guest", "service": "club"}).text
    assert 'href="/?to=guest&amp;service=club&amp;page=2"' in text


def test_moving_the_clock_stays_on_the_email(page: httpx.Client, invite: Invite) -> None:
    invite("ada@example.com")
    form = '<form method="post" action="/clock?advance_seconds=3600&amp;back=/emails/mail-1">'
    assert form in page.get("/emails/mail-1").text
    answer = page.post("/clock?advance_seconds=3600&back=/emails/mail-1")
    assert answer.headers["Location"].startswith("/emails/mail-1?flash=")
    filtered = page.post("/clock?advance_seconds=3600&back=/%3Fto=ada%26page=2")
    assert filtered.headers["Location"].startswith("/?to=ada&page=2&flash=")


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
def test_moving_the_clock_never_leads_elsewhere(page: httpx.Client, back: str) -> None:
    assert page.post("/clock", params={"advance_seconds": 3600, "back": back}).status_code == 400


def test_offered_roles_are_shown(page: httpx.Client, invite: Invite) -> None:
    invite("ada@example.com")
    assert "<dt>Roles</dt><dd>Player, &lt;Captain&gt;</dd>" in page.get("/emails/mail-1").text
    assert "Player, &lt;Captain&gt;" in page.get("/").text
