"""`SandboxControl` and the JSON calls that it is made of."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from guestlist.sandbox import Sandbox, SandboxControl, SandboxError

Invite = Callable[..., str]
START = datetime(2027, 1, 15, 8, tzinfo=UTC)


def test_services(control: SandboxControl, sandbox: Sandbox, invite: Invite) -> None:
    invite("ada@example.com")
    club, choir = control.services()
    assert (club.name, club.title, club.profile) == ("club", "The Club", "plain")
    assert club.base_url == sandbox.services["club"].base_url
    assert club.settings == {"base_url": club.base_url, "key": "owner"}
    assert club.read_only_settings["key"] == "reader"
    assert club.profiles == ("plain", "fancy")
    assert club.switches["duplicates"].value == "refuse"
    assert club.switches["duplicates"].values == ("refuse", "allow")
    assert (club.invitations, club.members) == (1, 0)
    assert (club.can_decline, choir.can_decline) == (False, True)


def test_mails(control: SandboxControl, invite: Invite) -> None:
    id = invite("Ada@example.com")
    invite("grace@example.com")
    assert [mail.to for mail in control.emails()] == ["Ada@example.com", "grace@example.com"]
    (mail,) = control.emails(to="ada@EXAMPLE.com")
    assert (mail.invitation, mail.state) == (id, "pending")
    assert (mail.sent_at, mail.expires_at) == (START, START + timedelta(days=3))
    assert mail.link == "https://club.example/••••••"
    assert "secret" not in mail.text
    (mail,) = control.emails(to="ada@example.com", show_links=True)
    assert mail.link == f"https://club.example/join?key={id}-secret"
    assert mail.link in mail.text


def test_emails_are_filtered(control: SandboxControl, invite: Invite) -> None:
    invite("ada@example.com", "club")
    invite("ada@example.com", "choir")
    control.accept("mail-2")
    assert [mail.id for mail in control.emails(service="club")] == ["mail-1"]
    assert [mail.id for mail in control.emails(state="accepted")] == ["mail-2"]
    assert [mail.roles for mail in control.emails(service="club")] == [("Player", "<Captain>")]
    assert control.emails(to="ada@example.com", service="choir", state="pending") == []


def test_emails_are_paged(page: httpx.Client, invite: Invite) -> None:
    for number in range(5):
        invite(f"guest{number}@example.com", "choir" if number % 2 else "club")
    first = page.get("/api/emails?service=club&limit=2").json()
    assert [mail["id"] for mail in first["emails"]] == ["mail-1", "mail-3"]
    assert first["next"] == "mail-3"
    rest = page.get("/api/emails?service=club&limit=2&after=mail-3").json()
    assert [mail["id"] for mail in rest["emails"]] == ["mail-5"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 400),
        ("limit=x", 400),
        ("limit=1001", 400),
        ("after=mail-9", 404),
        ("adress=a", 400),
        ("service=nope", 404),
        ("service=", 404),
    ],
)
def test_wrong_queries_are_refused(page: httpx.Client, query: str, status: int) -> None:
    answer = page.get(f"/api/emails?{query}")
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_wrong_service_is_answered_with_the_names(page: httpx.Client) -> None:
    answer = page.get("/api/emails?service=nope")
    assert answer.json()["error"] == "There is no service 'nope'; known: club, choir"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b"\xff\xfe", b'{"advance_seconds": NaN}', b"[" * 100_000, b'{"a": 1}'],
    ids=["empty", "cut off", "list", "not UTF-8", "NaN", "deep", "unknown"],
)
@pytest.mark.parametrize("path", ["/api/clock", "/api/services/club/configure"])
def test_bad_json_is_a_400(page: httpx.Client, path: str, body: bytes) -> None:
    answer = page.post(path, content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_one_email(page: httpx.Client, invite: Invite) -> None:
    invite("ada@example.com")
    assert "••••••" in page.get("/api/emails/mail-1").json()["link"]
    assert "secret" in page.get("/api/emails/mail-1?links=show").json()["link"]


def test_accept_and_decline(control: SandboxControl, invite: Invite) -> None:
    first, second = invite("ada@example.com"), invite("ada@example.com", "choir")
    assert control.accept(control.emails()[0]) == "accepted"
    with pytest.raises(SandboxError, match="is not open") as caught:
        control.accept("mail-1")
    assert caught.value.status == 409
    with pytest.raises(SandboxError, match="no way to decline"):
        control.decline(first, service="club")
    assert control.decline(second, service="choir") == "declined"
    assert control.snapshot("club")["members"][0]["email"] == "ada@example.com"


def test_clock(control: SandboxControl, sandbox: Sandbox) -> None:
    assert control.now() == START
    assert control.advance(timedelta(hours=1, microseconds=5)) == START + timedelta(
        hours=1, microseconds=5
    )
    assert sandbox.clock.now() == control.now()
    with pytest.raises(SandboxError, match="only moves forward"):
        control.advance(timedelta(seconds=-1))
    with pytest.raises(SandboxError, match="cannot move"):
        control.advance(timedelta(days=9_999_999))


def test_configure(control: SandboxControl, sandbox: Sandbox) -> None:
    after = control.configure("club", profile="fancy", duplicates="allow")
    assert (after.profile, after.switches["duplicates"].value) == ("fancy", "allow")
    answer = httpx.get(after.base_url, trust_env=False)
    assert answer.json() == {"profile": "fancy"}
    assert control.configure("club").profile == "fancy"
    for wrong in ({"profile": "grand"}, {"duplicates": "perhaps"}, {"manners": "good"}):
        with pytest.raises(SandboxError, match=r"has|can be") as caught:
            control.configure("club", **wrong)
        assert caught.value.status == 400


def test_reset(control: SandboxControl, invite: Invite) -> None:
    before = control.services()
    first = invite("ada@example.com")
    control.configure("club", profile="fancy")
    control.advance(timedelta(days=1))
    assert control.reset() == before
    assert control.emails() == []
    assert control.now() == START
    assert invite("ada@example.com") == first


def test_ids_are_taken_as_they_are(control: SandboxControl) -> None:
    for call in (
        lambda: control.accept("../../reset"),
        lambda: control.accept("no/such?one", service="club"),
        lambda: control.snapshot("strangers"),
    ):
        with pytest.raises(SandboxError) as caught:
            call()
        assert caught.value.status in (404, 409)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", "soon"),
        ("clock", "[]"),
        ("clock", "{}"),
        ("clock", '{"advance_seconds": true}'),
        ("clock", '{"advance_seconds": NaN}'),
        ("clock", '{"advance_seconds": 1e999}'),
        ("clock", '{"advance_seconds": 1, "back": 1}'),
        ("services/club/configure", '{"switches": []}'),
        ("services/club/configure", '{"switches": ["x"]}'),
        ("services/club/configure", '{"profile": ["plain"]}'),
        ("services/club/configure", '{"switches": {"profile": "plain"}}'),
        ("services/club/configure", '{"switches": {"duplicates": []}}'),
    ],
)
def test_an_invalid_request_is_answered_in_json(page: httpx.Client, path: str, body: str) -> None:
    answer = page.post(f"/api/{path}", content=body)
    assert answer.status_code == 400, answer.text
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/emails/mail-9"])
def test_unknown_paths_are_reported_in_json(page: httpx.Client, path: str) -> None:
    answer = page.get(path)
    assert answer.status_code == 404
    assert isinstance(answer.json()["error"], str)


def test_a_bug_in_a_service_is_reported(
    control: SandboxControl, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SandboxError, match="RuntimeError: a bug in the club") as caught:
        control.accept("broken", service="club")
    assert caught.value.status == 500
    assert control.services()  # it goes on
    assert "Traceback" in caplog.text


def test_nothing_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with (
            SandboxControl(url) as control,
            pytest.raises(SandboxError, match=f"no sandbox answers at {url}") as caught,
        ):
            control.services()
    assert "\n" not in str(caught.value)


def test_something_else_listens(sandbox: Sandbox) -> None:
    with (
        SandboxControl(sandbox.services["club"].base_url) as control,
        pytest.raises(SandboxError, match="is not a sandbox"),
    ):
        control.services()
