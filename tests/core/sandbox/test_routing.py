"""A service as a table: which check refuses a request, and how the answer looks."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import httpx
import pytest
from starlette.responses import PlainTextResponse, Response

from guestlist.sandbox import (
    AdjustableClock,
    AllOf,
    IncomingRequest,
    InvitationRecord,
    OrganizationService,
    RateLimit,
    RateLimitResult,
    Routes,
    SandboxRefusal,
    SlidingWindow,
    Switch,
)
from guestlist.sandbox.envelopes import nested
from guestlist.sandbox.organization import SWITCHES
from guestlist.sandbox.refusals import DuplicateInvitation, HttpRefusal

START = 1_800_000_000.0
OWNER, READER = {"Authorization": "Bearer OWNER"}, {"Authorization": "Bearer READER"}


class ChoirService(OrganizationService):
    """A few endpoints of each kind."""

    name = "choir"
    title = "The Choir"
    invitees_can_decline = True
    errors: ClassVar = {DuplicateInvitation: (400, "taken")}
    behavior: ClassVar = {"accepted": "vanish"}
    switches: ClassVar = {
        "duplicates": SWITCHES["duplicates"],
        "tempo": Switch(("slow", "fast"), "how many requests are allowed"),
    }
    routes = Routes()

    def seed(self) -> None:
        singer = self.organization.add_member("lena@example.org", "Lena")
        self.organization.add_key(singer.person, "OWNER")
        self.organization.add_key(singer.person, "READER", read_only=True)
        self.minute, self.day = SlidingWindow(3, 60.0), SlidingWindow(4, 86_400.0)
        self.invitations = SlidingWindow(1, 3_600.0)

    def settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "token": "OWNER"}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "token": "READER"}

    def limit(self, request: IncomingRequest) -> RateLimit | None:
        if self.chosen["tempo"] == "fast":
            return None
        creates = request.http.method == "POST"
        return self.invitations if creates else AllOf(self.minute, self.day)

    def finish(
        self, response: Response, request: IncomingRequest, limit_result: RateLimitResult | None
    ) -> None:
        if limit_result is not None:
            response.headers["X-Remaining"] = str(limit_result.remaining)

    def error(self, status: int, code: str, refusal: SandboxRefusal) -> Any:
        return nested(str(refusal), code)

    @routes.get("/voices/me", needs_key=False)
    def me(self, request: IncomingRequest) -> Any:
        return PlainTextResponse("me")

    @routes.get("/voices/{id}")
    def voice(self, request: IncomingRequest) -> Any:
        return {"id": request.path["id"], "caller": request.caller.name}

    @routes.delete("/voices/{id}")
    def silence(self, request: IncomingRequest) -> Any:
        return None

    @routes.post("/invitations", status=201)
    def invite(self, request: IncomingRequest) -> Any:
        invitation = self.organization.invite(request.text("email"), inviter=request.caller)
        return {"id": invitation.id, "note": request.text("note", "none")}

    @routes.patch("/invitations")
    def own_refusal(self, request: IncomingRequest) -> Any:
        raise HttpRefusal(418, "a teapot", "teapot", {"X-Tea": "green"})


class LinkedService(ChoirService):
    def link(self, invitation: InvitationRecord) -> str:
        return f"https://choir.test/{invitation.secret}"


class Sender:
    def __init__(self, **switches: str) -> None:
        self.now = START
        self.service = ChoirService(clock=AdjustableClock(lambda: self.now))
        self.service.configure(**switches)

    def __call__(self, method: str, path: str, **how: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.service.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://choir") as client:
                return await client.request(method, path, **how)

        return asyncio.run(send())


@pytest.fixture
def send() -> Sender:
    return Sender(tempo="fast")


def test_the_first_path_that_fits_answers(send: Sender) -> None:
    assert send("GET", "/voices/me").text == "me"
    assert send("GET", "/voices/a%20b", headers=OWNER).json() == {"id": "a b", "caller": "Lena"}
    assert send("HEAD", "/voices/7", headers=READER).status_code == 200
    assert send("DELETE", "/voices/7", headers=OWNER).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/voices/7/8", {}, 404),
        ("PUT", "/voices/7", {}, 405),
        ("GET", "/voices/7", {}, 401),
        ("GET", "/voices/7", {"Authorization": "Basic OWNER"}, 401),
        ("GET", "/voices/7", {"Authorization": "bearer OWNER"}, 200),
        ("DELETE", "/voices/7", READER, 403),
    ],
)
def test_checks(send: Sender, method: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = send(method, path, headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("allow") == ("GET, DELETE, HEAD" if status == 405 else None)
    assert status == 200 or answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", ["", "[]", "{", "5", '{"email": 5}', '{"email": " "}', "{}", '{"email": "x", "n": NaN}']
)
def test_a_body_that_cannot_be_used(send: Sender, body: str) -> None:
    assert send("POST", "/invitations", headers=OWNER, content=body).status_code == 422


def test_a_refusal_has_the_status_and_the_code_of_the_table(send: Sender) -> None:
    body = {"email": "ada@example.com"}
    assert send("POST", "/invitations", headers=OWNER, json=body).json()["note"] == "none"
    again = send("POST", "/invitations", headers=OWNER, json=body)
    assert (again.status_code, again.json()["error"]["code"]) == (400, "taken")
    member = send("POST", "/invitations", headers=OWNER, json={"email": "lena@example.org"})
    assert (member.status_code, "code" in member.json()["error"]) == (409, False)
    own = send("PATCH", "/invitations", headers=OWNER)
    assert (own.status_code, own.headers["x-tea"]) == (418, "green")
    assert own.json()["error"] == {"code": "teapot", "message": "a teapot"}


def test_each_kind_of_request_has_its_limit() -> None:
    send = Sender()
    read = [send("GET", "/voices/me") for _ in range(4)]
    assert [one.status_code for one in read] == [200, 200, 200, 429]
    assert (read[3].headers["retry-after"], read[0].headers["x-remaining"]) == ("60", "2")
    body = {"email": "ada@example.com"}
    created = [send("POST", "/invitations", headers=OWNER, json=body) for _ in range(2)]
    assert [one.status_code for one in created] == [201, 429]
    assert created[1].headers["retry-after"] == "3600"
    send.now += 60
    again = [send("GET", "/voices/me") for _ in range(2)]
    assert [one.status_code for one in again] == [200, 429]
    assert int(again[1].headers["retry-after"]) == 86_400 - 60


def test_a_switch_takes_effect_at_once(send: Sender) -> None:
    body = {"email": "ada@example.com"}
    send.service.configure(duplicates="allow")
    answers = [send("POST", "/invitations", headers=OWNER, json=body) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]


def test_the_invitee_and_the_snapshot(send: Sender) -> None:
    service = send.service
    first, second = (service.organization.invite(f"{one}@example.com") for one in "ab")
    email = service.outbox.emails[0]
    assert (email.invitation, email.to) == (first.id, "a@example.com")
    assert email.link is not None
    assert email.link.endswith(first.secret)
    service.accept(first.id)
    with pytest.raises(SandboxRefusal, match="the invitation is accepted"):
        service.accept(first.id)
    with pytest.raises(SandboxRefusal, match="another address"):
        service.accept(second.id, email="c@example.com")
    service.decline(second.id)
    assert service.can_decline
    with service.hide([second.id]):
        assert [one["state"] for one in service.snapshot()["invitations"]] == ["accepted"]
    snapshot = service.snapshot()
    assert [one["state"] for one in snapshot["invitations"]] == ["accepted", "declined"]
    assert [one["email"] for one in snapshot["members"]] == ["lena@example.org", "a@example.com"]


@pytest.mark.parametrize(
    ("kind", "start"),
    [(ChoirService, "https://choir.example/join/"), (LinkedService, "https://choir.test/")],
)
def test_the_email_contains_the_link_of_the_service(
    kind: type[OrganizationService], start: str
) -> None:
    service = kind(clock=AdjustableClock(lambda: START))
    invitation = service.organization.invite("ada@example.com")
    [email] = service.outbox.emails
    assert email.link == service.link(invitation) == start + invitation.secret
    assert email.link in email.text
