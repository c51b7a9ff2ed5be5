"""A service that refuses within a 2xx: what its answer counts as."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist, errors
from guestlist.errors import (
    Conflict,
    Forbidden,
    GuestlistError,
    MalformedResponse,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServiceUnavailable,
)
from guestlist.exchange.policy import run
from guestlist.exchange.step import SendFailure
from guestlist.models import Invitation, InviteResult, Member, NewInvitation, Outcome, State
from guestlist.provider import Flow, Page, Provider, Request, Response, explain, operation, setting
from pytest_guestlist.clock import VirtualClock

READ = Request.get("things")
REPEATABLE = Request.put("things", "1")
CREATE = Request.post("things")
Reply = Callable[..., Response]

KINDS: dict[str, type[GuestlistError]] = {
    "already_invited": Conflict,
    "already_in_team": Conflict,
    "not_allowed": Forbidden,
    "ratelimited": RateLimited,
    "fatal_error": ServiceUnavailable,
}


class Chatty(Provider):
    """A service that answers everything with 200, and says in the body how it went."""

    name = "chatty"
    title = "Chatty"
    base_url: str = setting("Where it is", default="https://chatty.example")
    duplicates: bool = setting("Whether it refuses duplicates", default=False)

    @property
    def refuses_duplicates(self) -> bool:
        return self.duplicates

    def refusal(self, response: Response) -> GuestlistError | None:
        told = response.mapping()
        if told.get("ok") is not False:
            return None
        error = explain(response, KINDS.get(told["error"], Rejected))
        if isinstance(error, RateLimited):
            error.retry_after = told.get("seconds")
        return error

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        reply = yield Request.post("invite", json={"email": new.email})
        return self.read(reply.mapping()["invitation"])

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        reply = yield Request.get("invitations")
        return Page([self.read(raw) for raw in reply.items("items")])

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        reply = yield Request.get("members")
        return Page([Member(id=raw["id"], email=raw["email"]) for raw in reply.items("items")])

    def read(self, raw: dict[str, Any]) -> Invitation:
        return Invitation(id=raw["id"], email=raw["email"], state=State.PENDING)


def refusal(reply: Reply, error: str, **more: Any) -> Response:
    return reply({"ok": False, "error": error, **more})


@pytest.mark.parametrize("request_", [READ, REPEATABLE, CREATE], ids=lambda one: one.effect.value)
def test_a_refusal_is_final(stage: Any, reply: Reply, request_: Request) -> None:
    chatty = stage(Chatty())
    with pytest.raises(Forbidden, match="not_allowed") as caught:
        chatty.send(request_, refusal(reply, "not_allowed"))
    assert caught.value.happened is False
    assert (caught.value.status, caught.value.account) == (200, "acme")
    assert chatty.slept == []
    assert chatty.call.sent is None
    assert [event.detail for event in chatty.told("answer")] == ["not_allowed"]


@pytest.mark.parametrize("request_", [READ, REPEATABLE, CREATE], ids=lambda one: one.effect.value)
def test_a_limit_is_waited_for(stage: Any, reply: Reply, request_: Request) -> None:
    chatty = stage(Chatty())
    limited = refusal(reply, "ratelimited", seconds=7)
    chatty.send(request_, limited, reply({"ok": True}))
    assert chatty.sent[1][0] == pytest.approx(7.0)
    again = stage(Chatty())
    again.send(
        request_,
        Response(200, {"retry-after": "9"}, b'{"ok": false, "error": "ratelimited"}'),
        reply({"ok": True}),
    )
    assert again.sent[1][0] == pytest.approx(9.0)


@pytest.mark.parametrize("seconds", [-1, float("inf"), "soon", [], None])
def test_an_invalid_retry_after_is_ignored(stage: Any, reply: Reply, seconds: Any) -> None:
    class Odd(Chatty):
        def refusal(self, response: Response) -> GuestlistError | None:
            error = super().refusal(response)
            if isinstance(error, RateLimited):
                error.retry_after = seconds
            return error

    odd = stage(Odd())
    odd.send(CREATE, refusal(reply, "ratelimited"), reply({}))
    assert 0.25 <= odd.slept[0] <= 0.5


def test_a_rate_limit_pauses_the_whole_account(stage: Any, reply: Reply) -> None:
    chatty = stage(Chatty(), total=5.0)
    with pytest.raises(RateLimited) as caught:
        chatty.send(CREATE, refusal(reply, "ratelimited", seconds=60))
    assert caught.value.happened is False
    assert caught.value.retry_after == 60
    assert chatty.account.rate_limiter.reserve(chatty.clock.monotonic(), 0).delay > 50


def test_a_limit_that_comes_with_another_status(stage: Any, reply: Reply) -> None:
    class Hub(Chatty):
        def explain(self, response: Response) -> GuestlistError:
            limited = response.status == 403 and "retry-after" in response.headers
            return explain(response, RateLimited) if limited else super().explain(response)

    hub = stage(Hub())
    hub.send(CREATE, reply(status=403, retry_after="6"), reply({}))
    assert hub.sent[1][0] == pytest.approx(6.0)
    with pytest.raises(Forbidden):
        hub.send(CREATE, reply(status=403))


def test_trouble_within_a_2xx_may_have_happened(stage: Any, reply: Reply) -> None:
    chatty = stage(Chatty())
    with pytest.raises(OutcomeUnknown, match="fatal_error"):
        chatty.send(CREATE, refusal(reply, "fatal_error"))
    chatty.send(REPEATABLE, refusal(reply, "fatal_error"), reply({}))
    assert len(chatty.sent) == 3


@pytest.mark.parametrize(
    ("content", "happened"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'{"ok": false}', None),
        (b'{"ok": null}', True),
        (b'{"ok": true}', True),
    ],
)
def test_what_cannot_be_read_may_be_a_refusal(stage: Any, content: bytes, happened: Any) -> None:
    chatty = stage(Chatty())
    flow = chatty.call.provider.invite(NewInvitation(email="ada@example.com"))
    with pytest.raises(MalformedResponse) as caught:
        chatty.run(run(chatty.call, flow), Response(200, {}, content))
    assert caught.value.happened is happened


@pytest.mark.parametrize("malformed", [False, True])
def test_a_2xx_of_which_only_the_status_came_may_be_a_refusal(stage: Any, malformed: bool) -> None:
    chatty, cut = stage(Chatty()), SendFailure("cut off", status=200, malformed=malformed)
    with pytest.raises(OutcomeUnknown):
        chatty.send(CREATE, cut)


def test_an_answer_without_a_body_reaches_the_flow(stage: Any) -> None:
    chatty = stage(Chatty())
    assert chatty.send(REPEATABLE, Response(204)).status == 204


def test_one_that_is_raised_instead_of_returned_is_believed(stage: Any, reply: Reply) -> None:
    class Raising(Chatty):
        def refusal(self, response: Response) -> GuestlistError | None:
            raise super().refusal(response) or errors.NotFound("no")

    raising = stage(Raising())
    with pytest.raises(Forbidden) as caught:
        raising.send(CREATE, refusal(reply, "not_allowed"))
    assert caught.value.happened is False


def test_what_was_done_before_stays_done(stage: Any, reply: Reply) -> None:
    def flow() -> Flow[None]:
        yield CREATE
        yield REPEATABLE

    chatty = stage(Chatty())
    with pytest.raises(Rejected) as caught:
        chatty.run(run(chatty.call, flow()), reply({"ok": True}), refusal(reply, "no_seats"))
    assert caught.value.happened is True


def test_a_flow_that_catches_a_refusal(stage: Any, reply: Reply) -> None:
    def flow() -> Flow[str]:
        try:
            yield READ
        except Forbidden:
            return "not allowed"
        return "allowed"

    chatty = stage(Chatty())
    assert chatty.run(run(chatty.call, flow()), refusal(reply, "not_allowed")) == "not allowed"


# ---------------------------------------------------------------------------- for callers


class Team:
    """The service: every order to it is refused with that error, and these are there."""

    def __init__(self, error: str, invited: str = "", member: str = "") -> None:
        self.error = error
        self.lists = {"/invitations": invited, "/members": member}
        self.sent: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(f"{request.method} {request.url.path}")
        if request.method == "POST":
            return httpx.Response(200, json={"ok": False, "error": self.error})
        email = self.lists[request.url.path]
        items = [{"id": "1", "email": email}] if email else []
        return httpx.Response(200, json={"ok": True, "items": items})


def invite(team: Team, chatty: Chatty, sync: bool) -> tuple[InviteResult, float]:
    clock = VirtualClock(datetime(2027, 1, 15, tzinfo=UTC))
    began, transport = clock.monotonic(), httpx.MockTransport(team)

    async def ask() -> InviteResult:
        async with AsyncGuestlist({"a": chatty}, transport=transport, clock=clock) as guests:
            return await guests.invite("ada@example.com")

    if not sync:
        return asyncio.run(ask()), clock.monotonic() - began
    with Guestlist({"a": chatty}, transport=transport, clock=clock) as guests:
        return guests.invite("ada@example.com"), clock.monotonic() - began


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
def test_a_refused_invitation_raises_at_once(sync: bool) -> None:
    team = Team("no_seats")
    with pytest.raises(Rejected, match="no_seats") as caught:
        invite(team, Chatty(), sync)
    assert caught.value.happened is False
    assert team.sent.count("POST /invite") == 1
    assert team.sent[-1] == "POST /invite"  # nobody looks whether it has happened


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("team", "outcome"),
    [
        (Team("already_invited", invited="ada@example.com"), Outcome.ALREADY_INVITED),
        (Team("already_in_team", member="ada@example.com"), Outcome.ALREADY_MEMBER),
    ],
    ids=["invited", "member"],
)
def test_a_duplicate_is_reported_as_a_conflict(team: Team, outcome: Outcome, sync: bool) -> None:
    result, seconds = invite(team, Chatty(duplicates=True), sync)
    assert result.outcome is outcome
    assert result.email_sent is False
    assert seconds < 5
