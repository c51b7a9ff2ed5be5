"""What is sent, sent again, waited for and concluded: the rules of the policy, one by one.

The steps are driven by hand, with made-up answers on a virtual clock.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable
from typing import Any, ClassVar, cast
from urllib.parse import unquote

import httpx
import pytest
from pydantic import SecretStr

from guestlist import errors
from guestlist.errors import (
    Forbidden,
    GuestlistError,
    MalformedResponse,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    ServiceTrouble,
    ServiceUnavailable,
    Unauthorized,
)
from guestlist.exchange.account import MAX_BACK_OFF_SECONDS, Budget, Call
from guestlist.exchange.drive import AsyncDriver
from guestlist.exchange.policy import Verdict, judge, run
from guestlist.exchange.rate_limiter import RateLimiter, Reservation
from guestlist.exchange.recording import Intent, Journal, Preparation
from guestlist.exchange.step import Acquire, Release, Send, SendFailure
from guestlist.exchange.wire import HttpxWire
from guestlist.models import Guest, Member, NewInvitation, State
from guestlist.provider import Flow, Provider, Request, Response, explain, operation
from guestlist.verbs.strategies import InRun, WithLedger

READ = Request.get("things")
REPEATABLE = Request.put("things", "1")
CREATE = Request.post("things", json={"name": "x"})
EFFECTS = [READ, REPEATABLE, CREATE]
NOBODY = Guest(account="acme", email="ada@example.com", state=State.GONE)

REFUSED = SendFailure("no connection", sent=False)
RESET = SendFailure("the connection broke", cause=ConnectionResetError("reset"))
CUT_OFF = SendFailure("the connection broke", status=200)
HUGE = SendFailure("the answer is larger than the limit", status=200, malformed=True)
ENCODED = SendFailure("the answer is encoded", status=200, malformed=True)

UNDECIDED = [RESET, *map(Response, (408, 500, 502, 503, 504, 599, 100, 302, 303))]
FINAL = {
    400: Rejected,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: errors.Conflict,
    410: NotFound,
    422: Rejected,
    301: Rejected,
    307: Rejected,
    308: Rejected,
    501: Rejected,
}
Reply = Callable[..., Response]


def one(request: Request) -> Flow[Response]:
    """A flow of one request."""
    return (yield request)


def by_effect(request: Request) -> str:
    return request.effect.value


def by_status(answer: Response | SendFailure) -> str:
    return str(answer.status) if isinstance(answer, Response) else answer.reason


# ---------------------------------------------------------------------------- judging


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (REFUSED, Verdict.NOT_SENT),
        (CUT_OFF, Verdict.DONE),
        (HUGE, Verdict.DONE),
        (SendFailure("cut off", status=404), Verdict.FINAL),
        (SendFailure("cut off", status=500), Verdict.UNKNOWN),
        (SendFailure("cut off", status=429), Verdict.LIMITED),
        *((Response(status), Verdict.DONE) for status in (200, 201, 202, 204, 299)),
        *((Response(status), Verdict.FINAL) for status in (*FINAL, 402, 405, 418, 499)),
        (Response(429), Verdict.LIMITED),
        *((answer, Verdict.UNKNOWN) for answer in UNDECIDED),
    ],
    ids=str,
)
def test_verdicts(answer: Response | SendFailure, verdict: Verdict) -> None:
    assert judge(answer) is verdict


# ---------------------------------------------------------------------------- rule 1: not sent


@pytest.mark.parametrize("request_", EFFECTS, ids=by_effect)
def test_what_was_never_sent_is_sent_again(stage: Any, reply: Reply, request_: Request) -> None:
    acme = stage()
    response = acme.send(request_, REFUSED, REFUSED, reply({"id": 1}))
    assert response.json() == {"id": 1}
    assert len(acme.sent) == 3
    assert 0.25 <= acme.slept[0] <= 0.5  # backing off, with jitter
    assert 0.5 <= acme.slept[1] <= 1.0


@pytest.mark.parametrize("request_", EFFECTS, ids=by_effect)
def test_giving_up_on_what_was_never_sent_is_certain(stage: Any, request_: Request) -> None:
    acme = stage(attempts=3)
    with pytest.raises(ServiceUnavailable, match="no connection") as caught:
        acme.send(request_, REFUSED, REFUSED, REFUSED)
    assert caught.value.happened is False
    assert caught.value.attempts == 3
    assert caught.value.waited == pytest.approx(sum(acme.slept))
    assert "3 attempts" in str(caught.value)
    assert caught.value.account == "acme"
    assert caught.value.email == "ada@example.com"


# ---------------------------------------------------------------------------- rule 2: refused


@pytest.mark.parametrize("request_", EFFECTS, ids=by_effect)
def test_a_limit_is_waited_for_as_long_as_is_asked(
    stage: Any, reply: Reply, request_: Request
) -> None:
    acme = stage()
    acme.send(request_, reply(status=429, retry_after="7"), reply())
    assert acme.sent[1][0] == pytest.approx(7.0)
    assert sum(acme.slept) == pytest.approx(7.0)


def test_every_form_of_asking_is_heard(stage: Any, reply: Reply) -> None:
    for headers, seconds in (
        ({"x_retry_after": "11"}, 11.0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"x_ratelimit_reset": "13"}, 13.0),
        ({"retry_after": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30.0),
    ):
        acme = stage()
        acme.send(CREATE, reply(status=429, **headers), reply())
        assert acme.sent[1][0] == pytest.approx(seconds)


def test_a_limit_that_would_take_too_long(stage: Any, reply: Reply) -> None:
    acme = stage(total=60)
    with pytest.raises(RateLimited) as caught:
        acme.send(CREATE, reply(status=429, retry_after="61"))
    assert caught.value.retry_after == 61.0
    assert caught.value.happened is False
    assert acme.slept == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_of_years_is_never_waited_for(stage: Any, reply: Reply, status: int) -> None:
    acme = stage(total=float("inf"))
    acme.send(READ, reply(status=status, retry_after="99999999"), reply())
    assert acme.sent[1][0] == pytest.approx(MAX_BACK_OFF_SECONDS)


def test_a_limit_holds_for_every_call_of_the_account(stage: Any, reply: Reply) -> None:
    acme = stage(attempts=1)
    with pytest.raises(RateLimited):
        acme.send(READ, reply(status=429, retry_after="20"))
    acme.run(run(Call(acme.account), one(READ)), reply())
    assert acme.sent[1][0] == pytest.approx(20.0)


def test_a_limit_without_a_time_is_waited_for_a_little(stage: Any, reply: Reply) -> None:
    acme = stage()
    acme.send(CREATE, *[reply(status=429)] * 3, reply())
    assert len(acme.sent) == 4
    assert sum(acme.slept) < 5


def test_the_last_one_for_now_makes_the_next_one_wait(stage: Any, reply: Reply) -> None:
    acme = stage()
    headers = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "9"}
    acme.send(READ, reply(**headers))
    acme.send(READ, reply())
    assert [at for at, _ in acme.sent] == pytest.approx([0.0, 9.0])
    assert acme.told("pace")[0].seconds == pytest.approx(9.0)


class Kept(RateLimiter):
    """A rate limiter in a ledger that cannot store a pause."""

    shared = True

    def __init__(self, trouble: BaseException) -> None:
        super().__init__()
        self.trouble = trouble
        self.threads: list[str] = []

    def push_back(self, now: float, seconds: float, **_why: Any) -> None:
        self.threads.append(threading.current_thread().name)
        raise self.trouble


LAST_ONE = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "9"}


@pytest.mark.parametrize("request_", EFFECTS, ids=by_effect)
def test_a_pause_that_cannot_be_stored_does_not_replace_the_answer(
    stage: Any, reply: Reply, request_: Request
) -> None:
    acme = stage()
    acme.account.rate_limiter = Kept(errors.LedgerError("the ledger is locked"))
    answer = acme.send(request_, reply({"id": 1}, status=201, **LAST_ONE))
    assert answer.status == 201
    assert [event.detail for event in acme.told("pace")] == [
        "the pause could not be stored: the ledger is locked"
    ]


def test_a_pause_that_cannot_be_stored_leaves_the_request_unresolved(
    stage: Any, reply: Reply
) -> None:
    acme = stage(attempts=2)
    acme.account.rate_limiter = Kept(errors.LedgerError("the ledger is locked"))
    with pytest.raises(RateLimited) as caught:
        acme.send(REPEATABLE, Response(503), reply(status=429, retry_after="7"))
    assert caught.value.happened is None


def test_a_pause_is_stored_without_blocking_the_event_loop(stage: Any, reply: Reply) -> None:
    class Wire:
        async def send(self, _: object) -> Response:
            return answers.pop(0)

    acme = stage()
    acme.account.rate_limiter = limiter = Kept(errors.LedgerError("the ledger is locked"))
    answers = [reply(status=429, retry_after="7"), reply(**LAST_ONE)]
    driver = AsyncDriver(Wire(), acme.clock)
    asyncio.run(driver.run(run(acme.call, one(READ))))
    assert len(limiter.threads) == 2
    assert threading.current_thread().name not in limiter.threads


# ---------------------------------------------------------------------------- rule 3: decided


@pytest.mark.parametrize("request_", EFFECTS, ids=by_effect)
@pytest.mark.parametrize("status", FINAL)
def test_what_is_final_is_never_sent_again(stage: Any, request_: Request, status: int) -> None:
    acme = stage()
    with pytest.raises(FINAL[status]) as caught:
        acme.send(request_, Response(status))
    assert type(caught.value) is FINAL[status]
    assert caught.value.happened is False
    assert caught.value.status == status
    assert acme.slept == []


@pytest.mark.parametrize("status", [401, 404, 409, 422])
def test_a_refusal_whose_body_is_cut_off_is_that_refusal(stage: Any, status: int) -> None:
    acme = stage()
    with pytest.raises(FINAL[status]) as caught:
        acme.send(CREATE, SendFailure("the connection broke", status=status))
    assert caught.value.happened is False


def test_a_redirect_raises_an_error(stage: Any, reply: Reply) -> None:
    acme = stage()
    elsewhere = reply(status=307, location="https://evil.example/")
    with pytest.raises(Rejected, match="does not follow redirects") as caught:
        acme.send(CREATE, elsewhere)
    assert "base_url" in caught.value.hint
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("answer", [CUT_OFF, HUGE, ENCODED], ids=by_status)
def test_a_create_that_was_answered_yes_has_happened(stage: Any, answer: SendFailure) -> None:
    acme = stage()
    with pytest.raises(MalformedResponse) as caught:
        acme.send(CREATE, answer)
    assert caught.value.happened is True
    assert len(acme.sent) == 1


def test_a_repeatable_that_was_answered_yes_has_happened(stage: Any) -> None:
    acme = stage(attempts=2)
    with pytest.raises(NotFound) as caught:  # it is gone since the first
        acme.send(REPEATABLE, CUT_OFF, Response(404))
    assert caught.value.happened is True
    with pytest.raises(MalformedResponse) as huge:
        acme.send(REPEATABLE, HUGE)
    assert huge.value.happened is True


def test_an_answer_that_is_no_use_is_not_asked_for_again(stage: Any) -> None:
    acme = stage()
    with pytest.raises(MalformedResponse, match="larger than the limit") as caught:
        acme.send(READ, HUGE)
    assert caught.value.happened is False
    assert acme.slept == []


def test_an_answer_that_is_always_cut_off_is_malformed(stage: Any) -> None:
    acme = stage(attempts=2)
    with pytest.raises(MalformedResponse) as caught:
        acme.send(READ, CUT_OFF, CUT_OFF)
    assert caught.value.happened is False
    assert caught.value.attempts == 2


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 503])
def test_an_error_names_its_request_with_secrets_masked(
    stage: Any, reply: Reply, status: int
) -> None:
    acme = stage(attempts=1)
    request = Request.get("lists", "members", SecretStr("k3y-of-a-door"))
    with pytest.raises(GuestlistError) as caught:
        acme.send(request, reply(status=status))
    assert caught.value.to_dict()["request"] == "GET /lists/members/********"
    assert ("GET /lists/members/********" in str(caught.value)) is (status == 403)


@pytest.mark.parametrize("status", [429, 503])
def test_an_error_carries_the_pause_that_the_service_asked_for(
    stage: Any, reply: Reply, status: int
) -> None:
    acme = stage()
    with pytest.raises(ServiceTrouble) as caught:
        acme.send(READ, reply(status=status, retry_after="86400"))
    assert caught.value.to_dict()["retry_after"] == 86_400
    assert ("retry after 24 h" in str(caught.value)) is (status == 429)
    assert [event.retry_after for event in acme.events if event.name == "answer"] == [86_400]


def test_a_call_during_a_pause_says_until_when(stage: Any, reply: Reply) -> None:
    acme = stage()
    with pytest.raises(RateLimited):
        acme.send(READ, reply(status=429, retry_after="86400"))
    with pytest.raises(RateLimited, match=r"a pause of 24 h, until 2027-01-16 08:00 UTC") as caught:
        acme.send(READ)
    assert caught.value.retry_after == 86_400


# ---------------------------------------------------------------------------- foreign answers

PAGES = {
    "html": Response(200, {"content-type": "text/html; charset=utf-8"}, b"<html>Sign in</html>"),
    "no type": Response(200, {}, b"\n <html>Sign in</html>"),
    "text": Response(201, {"content-type": "text/plain"}, b"OK"),
    "cut off": SendFailure("the connection broke", status=200, media_type="text/html"),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_instead_of_an_answer_does_not_prove_that_a_create_happened(
    stage: Any, page: Response | SendFailure
) -> None:
    acme = stage()
    with pytest.raises(OutcomeUnknown, match="not from the service's API") as caught:
        acme.send(CREATE, page)
    assert caught.value.happened is None
    assert "base_url" in caught.value.hint


@pytest.mark.parametrize("page", [PAGES["html"], PAGES["text"]], ids=by_status)
@pytest.mark.parametrize(("request_", "happened"), [(READ, False), (REPEATABLE, None)])
def test_a_page_instead_of_an_answer_is_malformed(
    stage: Any, page: Response, request_: Request, happened: bool | None
) -> None:
    acme = stage()
    with pytest.raises(MalformedResponse, match="not from the service's API") as caught:
        acme.send(request_, page)
    assert caught.value.happened is happened


@pytest.mark.parametrize(
    "answer",
    [
        Response(204, {"content-type": "text/html"}),
        Response(202, {"content-type": "text/html; charset=utf-8"}, b" "),
        Response(200, {}, b"OK"),
        Response(200, {"content-type": "application/vnd.api+json"}, b"{}"),
        Response(200, {"content-type": "APPLICATION/JSON;charset=UTF-8"}, b"{}"),
        Response(200, {"content-type": "text/json"}, b"{}"),
        Response(200, {"content-type": "text/x-acme"}, b"OK"),
    ],
    ids=str,
)
def test_an_answer_of_the_api_is_one(stage: Any, answer: Response) -> None:
    class Terse(Provider):
        name = "terse"
        title = "Terse"
        base_url: str = "https://terse.example"
        media_types: ClassVar[frozenset[str]] = frozenset({"text/x-acme"})

    assert stage(Terse()).send(CREATE, answer) is answer


# ---------------------------------------------------------------------------- rule 4: unknown


@pytest.mark.parametrize("answer", UNDECIDED, ids=by_status)
def test_a_create_is_never_sent_again_blindly(stage: Any, answer: Response | SendFailure) -> None:
    acme = stage()
    with pytest.raises(OutcomeUnknown, match="no answer shows whether POST /things") as caught:
        acme.send(CREATE, answer)
    assert caught.value.happened is None
    assert len(acme.sent) == 1
    assert acme.slept == []
    assert caught.value.hint


@pytest.mark.parametrize("request_", [READ, REPEATABLE], ids=by_effect)
@pytest.mark.parametrize("answer", UNDECIDED, ids=by_status)
def test_what_may_be_repeated_is(
    stage: Any, reply: Reply, request_: Request, answer: Response | SendFailure
) -> None:
    acme = stage()
    assert acme.send(request_, answer, answer, reply({})).status == 200
    assert len(acme.sent) == 3


@pytest.mark.parametrize(("request_", "happened"), [(READ, False), (REPEATABLE, None)])
def test_whether_it_happened_after_all_attempts(
    stage: Any, request_: Request, happened: bool | None
) -> None:
    acme = stage(attempts=3)
    with pytest.raises(ServiceUnavailable) as caught:
        acme.send(request_, RESET, Response(503), REFUSED)
    assert caught.value.happened is happened


@pytest.mark.parametrize(("request_", "happened"), [(READ, False), (REPEATABLE, None)])
def test_a_refusal_after_an_unresolved_request_stays_unresolved(
    stage: Any, request_: Request, happened: bool | None
) -> None:
    acme = stage()
    with pytest.raises(NotFound) as caught:
        acme.send(request_, Response(503), Response(404))
    assert caught.value.happened is happened


def test_a_create_that_is_refused_after_a_limit_is_certain(stage: Any, reply: Reply) -> None:
    acme = stage()
    with pytest.raises(Rejected) as caught:
        acme.send(CREATE, REFUSED, reply(status=429), Response(422))
    assert caught.value.happened is False


def test_an_unresolved_request_stays_unresolved_after_the_budget(stage: Any, limited: Any) -> None:
    acme = stage(limited(), total=50)

    def meanwhile_another_call_is_refused(_: object) -> Response:
        acme.account.back_off(1000.0)
        return Response(503)

    with pytest.raises(RateLimited) as caught:
        acme.send(REPEATABLE, meanwhile_another_call_is_refused)
    assert caught.value.happened is None


def test_503_is_asked_again_when_it_says(stage: Any, reply: Reply) -> None:
    acme = stage()
    acme.send(READ, reply(status=503, retry_after="9"), reply())
    assert acme.sent[1][0] == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (503, {"x_ratelimit_retry_after": "0"}),
        (503, {"x_ratelimit_remaining": "10", "x_ratelimit_retry_after": "3000"}),
        (502, {"x_ratelimit_remaining": "10", "x_ratelimit_reset": "3000"}),
        (503, {"retry_after": "0"}),
    ],
)
def test_what_a_limit_says_with_every_answer_does_not_replace_the_pause(
    stage: Any, reply: Reply, status: int, headers: dict[str, str]
) -> None:
    acme = stage()
    acme.send(READ, *[reply(status=status, **headers)] * 2, reply())
    assert 0.25 <= acme.slept[0] <= 0.5
    assert 0.5 <= acme.slept[1] <= 1.0


@pytest.mark.parametrize(
    "headers",
    [{"retry_after": "0"}, {"x_ratelimit_reset": "1800000000"}],  # the present moment
    ids=str,
)
def test_a_limit_whose_time_is_over_is_given_a_pause_all_the_same(
    stage: Any, reply: Reply, headers: dict[str, str]
) -> None:
    acme = stage()
    steps = run(acme.call, one(READ))
    assert isinstance(next(steps), Acquire)
    assert isinstance(steps.send(True), Send)
    assert isinstance(steps.send(reply(status=429, **headers)), Release)
    waiting: Any = steps.send(None)
    assert 0.25 <= waiting.seconds <= 0.5
    acme.run(run(Call(acme.account), one(READ)), reply())
    assert acme.sent[0][0] == waiting.seconds  # another call rests as well
    steps.close()


# ---------------------------------------------------------------------------- budgets


def test_no_more_attempts_than_allowed(stage: Any) -> None:
    for attempts in (1, 2, 7):
        acme = stage(attempts=attempts)
        with pytest.raises(ServiceUnavailable) as caught:
            acme.send(READ, *[Response(500)] * attempts)
        assert caught.value.attempts == attempts


def test_the_total_ends_it(stage: Any) -> None:
    acme = stage(total=30, attempts=1000)
    slow = acme.later(8.0, Response(500))
    with pytest.raises(ServiceUnavailable):
        acme.send(READ, *[slow] * 4)
    assert acme.clock.elapsed <= 30 + 8


def test_a_request_gets_no_more_time_than_is_left(stage: Any, reply: Reply) -> None:
    acme = stage(total=20, timeout=15)
    acme.send(READ, acme.later(12.0, Response(500)), reply())
    first, second = (outgoing for _, outgoing in acme.sent)
    assert (first.timeout, first.total) == (15, 20)
    assert second.timeout == second.total < 8


def test_nothing_is_sent_when_the_time_is_over(stage: Any) -> None:
    acme = stage(total=5)
    acme.clock.sleep(5)
    with pytest.raises(ServiceUnavailable, match=r"\b5 s\b") as caught:
        acme.send(CREATE)
    assert caught.value.happened is False
    assert acme.sent == []


def test_pacing_counts_against_the_total_and_takes_no_turn_in_vain(
    stage: Any, limited: Any, reply: Reply
) -> None:
    acme = stage(limited(), total=60)
    for _ in range(2):
        acme.send(READ, reply())
    before = acme.clock.elapsed
    for _ in range(50):
        impatient = Call(acme.account, Budget(total=1))
        with pytest.raises(RateLimited) as caught:
            acme.run(run(impatient, one(READ)))
        assert 6 < (caught.value.retry_after or 0) < 8
    acme.send(READ, reply())  # nobody took the turns that were not used
    assert acme.clock.elapsed - before < 8


@pytest.mark.parametrize("id", ["\ud800", ".."])
def test_what_cannot_be_sent_waits_for_no_turn(stage: Any, id: str) -> None:
    acme = stage()
    acme.account.back_off(5.0)
    with pytest.raises(errors.InvalidArgument):
        acme.send(Request.delete("things", id))
    assert (acme.slept, acme.events) == ([], [])


def test_credentials_are_those_of_the_moment_at_which_a_request_leaves(
    stage: Any, acme: Any, reply: Reply
) -> None:
    class Dated(acme):  # type: ignore[misc]
        def authorize(self) -> dict[str, str]:
            return {"Authorization": f"at {scene.clock.elapsed}"}

    scene = stage(Dated())
    scene.account.back_off(5.0)
    scene.send(READ, reply())
    assert scene.sent[0][1].headers["Authorization"] == "at 5.0"


def test_a_waiting_call_also_waits_for_a_pause(stage: Any, limited: Any, reply: Reply) -> None:
    acme = stage(limited())
    for _ in range(2):
        acme.send(READ, reply())
    steps = run(acme.call, one(READ))
    assert isinstance(next(steps), Acquire)
    waiting: Any = steps.send(True)
    assert 0 < waiting.seconds < 10
    acme.account.back_off(30.0)  # another call was refused meanwhile
    acme.clock.sleep(waiting.seconds)
    more: Any = steps.send(None)
    assert acme.clock.elapsed + more.seconds >= 30.0
    steps.close()


# ---------------------------------------------------------------------------- interruptions


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), TimeoutError("mine")], ids=repr)
@pytest.mark.parametrize("request_", [REPEATABLE, CREATE], ids=by_effect)
def test_an_interruption_says_what_may_have_happened(
    stage: Any, interruption: BaseException, request_: Request
) -> None:
    acme = stage()
    with pytest.raises(type(interruption)) as caught:
        acme.send(request_, interruption)
    (note,) = caught.value.__notes__
    assert str(request_) in note
    assert "acme for ada@example.com" in note
    assert "it may have happened" in note
    assert acme.told("unknown")[0].detail == "interrupted"
    del interruption.__notes__


def test_an_interrupted_read_needs_no_note(stage: Any) -> None:
    acme = stage()
    with pytest.raises(KeyboardInterrupt) as caught:
        acme.send(READ, KeyboardInterrupt())
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("at", ["reserve", "push_back", "look", "intend"])
def test_an_interruption_while_the_ledger_writes_says_what_may_have_happened(
    stage: Any, reply: Reply, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    class Line:
        def intend(self, request: str, preparation: Preparation | None) -> None:
            pass

        def answered(self, why: str) -> None:
            raise AssertionError(why)

    def flow() -> Flow[Response]:
        yield CREATE
        monkeypatch.setattr(Line if at == "intend" else Kept, at, interrupted)
        if at == "look":  # the ledger is read again only after a longer wait
            monkeypatch.setattr(Kept, "reserve", lambda *_: Reservation(2.0, 0))
        return (yield REPEATABLE)

    acme = stage()
    acme.account.rate_limiter = Kept(KeyboardInterrupt())
    acme.call.strategy = InRun(NOBODY, Line())
    answers = [reply()] if at != "push_back" else [reply(), reply(**LAST_ONE)]
    with pytest.raises(KeyboardInterrupt) as caught:
        acme.run(run(acme.call, flow()), *answers)
    (note,) = caught.value.__notes__
    assert str(REPEATABLE if at == "push_back" else CREATE) in note
    assert "it may have happened" in note


@pytest.mark.parametrize("answer", [Response(200), RESET], ids=by_status)
def test_an_interruption_while_the_end_is_written_says_what_may_have_happened(
    stage: Any, answer: Response | SendFailure
) -> None:
    class Line:
        def intend(self, request: str, preparation: Preparation | None) -> None:
            pass

        def interrupted(self, *_: object) -> None:
            raise KeyboardInterrupt

        ended = failed = interrupted

    class Lines:
        def entry(self, *_: object, **more: object) -> Line:
            return Line()

    acme = stage()
    acme.call.strategy = WithLedger(cast(Journal, Lines()))
    create = run(acme.call, one(CREATE))
    recorded = acme.call.strategy.record(
        acme.call, Intent("invite", NOBODY), create, lambda answer: (repr(answer), True)
    )
    with pytest.raises(KeyboardInterrupt) as caught:
        acme.run(recorded, answer)
    (note,) = caught.value.__notes__
    assert str(CREATE) in note


def test_what_the_ledger_says_is_no_interruption(stage: Any, reply: Reply) -> None:
    class Line:
        def intend(self, request: str, preparation: Preparation | None) -> None:
            if request == str(REPEATABLE):
                raise errors.LedgerError("the disk is full")

        def answered(self, why: str) -> None:
            raise AssertionError(why)

    def flow() -> Flow[Response]:
        yield CREATE
        return (yield REPEATABLE)

    acme = stage()
    acme.call.strategy = InRun(NOBODY, Line())
    with pytest.raises(errors.LedgerError) as caught:
        acme.run(run(acme.call, flow()), reply())
    assert caught.value.happened is True
    assert not hasattr(caught.value, "__notes__")
    assert acme.told("unknown") == []


# ---------------------------------------------------------------------------- flows


class Several(Provider):
    """Operations of several requests."""

    name = "steps"
    title = "Steps"
    base_url: str = "https://steps.example"

    @operation
    def look_then_create(self) -> Flow[Any]:
        try:
            yield Request.get("one")
        except NotFound:
            return "absent"
        reply = yield Request.post("two")
        return reply.json()["id"]

    @operation
    def create_then_read(self) -> Flow[Any]:
        yield Request.post("one")
        reply = yield Request.get("two")
        return reply.json()["id"]

    @operation
    def reads(self, reading: Callable[[Response], Any]) -> Flow[Any]:
        return reading((yield Request.get("one")))


@pytest.fixture
def steps() -> Provider:
    return Several()


def test_a_refusal_arrives_where_it_was_asked_for(stage: Any, steps: Any) -> None:
    acme = stage(steps)
    assert acme.run(run(acme.call, steps.look_then_create()), Response(404)) == "absent"


def test_what_the_flow_does_not_catch_says_where_it_happened(stage: Any, steps: Any) -> None:
    acme = stage(steps)
    with pytest.raises(Forbidden) as caught:
        acme.run(run(acme.call, steps.look_then_create()), Response(403))
    assert (caught.value.account, caught.value.email) == ("acme", "ada@example.com")
    assert caught.traceback[-1].name == "look_then_create"


@pytest.mark.parametrize(
    "second",
    [Response(403), Response(200, {}, b"{}"), Response(200, {}, b"<html>"), HUGE],
    ids=str,
)
def test_once_something_was_done_every_failure_says_so(
    stage: Any, steps: Any, second: Response | SendFailure
) -> None:
    acme = stage(steps)
    with pytest.raises(GuestlistError) as caught:
        acme.run(run(acme.call, steps.create_then_read()), Response(201), second)
    assert caught.value.happened is True


@pytest.mark.parametrize("second", [Response(400), REFUSED])
def test_as_long_as_nothing_was_done_every_failure_says_so(
    stage: Any, steps: Any, second: Response | SendFailure
) -> None:
    acme = stage(steps, attempts=1)
    with pytest.raises(GuestlistError) as caught:
        acme.run(run(acme.call, steps.look_then_create()), Response(200), second)
    assert caught.value.happened is False


READERS: dict[str, Callable[[Response], Any]] = {
    "KeyError": lambda reply: reply.json()["missing"],
    "TypeError": lambda reply: reply.json() + 1,
    "ValueError": lambda reply: int("seven"),
    "AttributeError": lambda reply: reply.json().nothing,
    "IndexError": lambda reply: [][0],
    "ZeroDivisionError": lambda reply: 1 // 0,
    "ValidationError": lambda reply: NewInvitation.model_validate(reply.json()),
}


@pytest.mark.parametrize("kind", READERS)
def test_reading_that_fails_is_a_malformed_response(stage: Any, steps: Any, kind: str) -> None:
    acme = stage(steps)
    body = Response(200, {}, b'{"token": "s3cr3t"}')
    with pytest.raises(MalformedResponse, match=f"not have the expected form \\({kind}") as caught:
        acme.run(run(acme.call, steps.reads(READERS[kind])), body)
    assert "s3cr3t" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_bug_is_not_dressed_up(stage: Any, steps: Any) -> None:
    def reading(reply: Response) -> None:
        raise RuntimeError("a bug")

    acme = stage(steps)
    with pytest.raises(RuntimeError, match="a bug"):
        acme.run(run(acme.call, steps.reads(reading)), Response(200))


def test_a_bug_shows_no_secret_of_what_the_flow_had_caught(stage: Any) -> None:
    def flow() -> Flow[None]:
        try:
            yield READ
        except NotFound as error:
            raise RuntimeError(f"a bug: {error}")  # noqa: B904

    acme = stage()
    absent = Response(404, {}, b'{"error": "hunter2-hunter2"}')
    with pytest.raises(RuntimeError, match="a bug") as caught:
        acme.run(run(acme.call, flow()), absent)
    shown = "".join(traceback.format_exception(caught.value))
    assert "NotFound" in shown
    assert "hunter2" not in shown


class Clumsy(Several):
    """Its explanations fail on bodies it did not expect."""

    name = "clumsy"

    def explain(self, response: Response) -> GuestlistError:
        return Rejected(response.mapping()["error"]["message"])


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b'{"error": "text"}'])
def test_an_explanation_that_fails_leaves_the_status(stage: Any, content: bytes) -> None:
    acme = stage(Clumsy())
    with pytest.raises(OutcomeUnknown) as caught:
        acme.send(CREATE, Response(500, {}, content))
    assert caught.value.status == 500
    with pytest.raises(NotFound):
        acme.send(CREATE, Response(404, {}, content))


class Candid(Several):
    """Its service answers 500 and states that it has done nothing."""

    name = "candid"

    def explain(self, response: Response) -> GuestlistError:
        error = super().explain(response)
        return explain(response, Rejected) if error.message == "no email was sent" else error


@pytest.mark.parametrize("request_", EFFECTS, ids=by_effect)
def test_a_500_that_the_provider_calls_a_refusal_is_final(
    stage: Any, reply: Reply, request_: Request
) -> None:
    acme = stage(Candid())
    with pytest.raises(Rejected, match="no email was sent") as caught:
        acme.send(request_, reply({"message": "no email was sent"}, status=500))
    assert caught.value.happened is False
    assert len(acme.sent) == 1

    with pytest.raises(OutcomeUnknown):
        acme.send(CREATE, reply({"message": "no idea"}, status=500))
    with pytest.raises(OutcomeUnknown):  # the body, which states it, did not arrive
        acme.send(CREATE, SendFailure("cut off", status=500))


# ---------------------------------------------------------------------------- telling


def test_each_attempt_is_an_event(stage: Any, reply: Reply) -> None:
    acme = stage()
    acme.send(
        READ,
        acme.later(0.25, RESET),
        reply(status=429, retry_after="2", x_request_id="r-1"),
        reply({}),
    )
    told = [(event.name, event.status, event.attempt, event.detail) for event in acme.events]
    assert told == [
        ("failure", None, 1, "the connection broke"),
        ("retry", None, 1, None),
        ("answer", 429, 2, None),
        ("retry", None, 2, None),
        ("pause", None, None, "HTTP 429: the service answered 429, waiting 2.0 s"),
        ("answer", 200, 3, None),
    ]
    first, _, limited, wait, _, _ = acme.events
    assert first.seconds == 0.25
    assert (first.method, first.path, first.account, first.provider) == (
        "GET",
        "/things",
        "acme",
        "acme",
    )
    assert limited.request_id == "r-1"
    assert wait.seconds == 2.0
    assert "acme: answer ada@example.com, GET /things, 429, attempt 2" in str(limited)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "key hunter2-hunter2 is bad", "code": "hunter2-hunter2"}',
        b'{"error": "door_code=s3cr3t"}',
        b"Bearer hunter2-hunter2",
        b'{"detail": [{"loc": ["hunter2-hunter2"], "msg": "x"}]}',
    ],
)
def test_what_a_service_echoes_is_masked(stage: Any, body: bytes) -> None:
    acme = stage()
    headers = {"x-request-id": "hunter2-hunter2"}
    with pytest.raises(GuestlistError) as caught:
        acme.send(CREATE, Response(400, headers, body))
    error = caught.value
    shown = (
        f"{error} {error!r} {error.to_dict()} {error.args} {acme.events} {[*map(str, acme.events)]}"
    )
    assert "hunter2" not in shown
    assert "s3cr3t" not in shown
    assert "********" in shown


@pytest.mark.parametrize("end", [b"", b" is bad", b"\n" * 100])
def test_a_key_at_the_end_of_what_is_read_is_not_cut_in_two(stage: Any, end: bytes) -> None:
    acme = stage()
    for before in range(1970, 2001):
        body = b"no:" + b"\n" * (before - 3) + b"hunter2-hunter2" + end
        with pytest.raises(Rejected) as caught:
            acme.send(CREATE, Response(400, {}, body))
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("how", ["echo", "hook"])
@pytest.mark.parametrize("place", ["path", "query"])
def test_what_is_secret_in_a_url_shows_nowhere(stage: Any, how: str, place: str) -> None:
    def service(request: httpx.Request) -> httpx.Response:
        url = unquote(str(request.url)) if how == "echo" else ""
        return httpx.Response(404, json={"error": f"nothing at {url}, alas"})

    key = SecretStr("k3y/of the+door")
    request = Request.get("invites", key if place == "path" else "1", query={"key": key})
    hooks = {"response": [httpx.Response.raise_for_status]} if how == "hook" else {}
    acme = stage()
    with (
        httpx.Client(transport=httpx.MockTransport(service), event_hooks=hooks) as client,
        pytest.raises(NotFound) as caught,
    ):
        acme.send(request, HttpxWire(client).send)
    shown = "".join(traceback.format_exception(caught.value))
    shown += f"{caught.value.to_dict()} {acme.events} {[*map(str, acme.events)]}"
    assert "k3y" not in shown
    assert "********" in shown


def test_a_watcher_that_fails_stops_nothing(
    stage: Any, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    acme = stage()

    def watch(event: object) -> None:
        raise RuntimeError("the disk of the audit is full: hunter2-hunter2")

    acme.account.watch = watch
    assert acme.send(CREATE, reply({"id": 1})).json() == {"id": 1}
    assert "the disk of the audit is full" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_record_of_another_shape_is_described_by_its_fields(stage: Any, reply: Reply) -> None:
    def flow() -> Flow[Member]:
        raw = (yield READ).mapping()
        return Member(id=raw["id"], email=raw["email"], joined_at=raw["since"])

    acme = stage()
    answer = reply({"id": None, "email": "x@example.com", "since": "s3cr3t"})
    with pytest.raises(MalformedResponse) as caught:
        acme.run(run(acme.call, flow()), answer)
    told = str(caught.value)
    assert "(ValidationError: Member.id: it has to be a valid string; Member.joined_at: " in told
    assert "s3cr3t" not in told
    assert "\n" not in told
