"""Rules about errors: requests that a service refuses, and requests that get no answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import product
from typing import Any, NoReturn

from guestlist import errors
from guestlist.errors import GuestlistError
from guestlist.exchange.account import Budget
from guestlist.exchange.step import SendFailure
from guestlist.provider import Effect, Response
from pytest_guestlist.conformance import mutations
from pytest_guestlist.conformance.base import (
    ProviderRules,
    one_of_each_effect,
    samples_with_requests,
)
from pytest_guestlist.conformance.clients import PATIENT
from pytest_guestlist.conformance.finding import location_of, report_finding
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.walkthrough import Replay, Sample, Walkthrough

REFUSED: dict[int, tuple[type[GuestlistError], ...]] = {
    400: (errors.Rejected,),
    401: (errors.Unauthorized,),
    402: (errors.Rejected,),
    403: (errors.Forbidden,),
    404: (errors.NotFound,),
    409: (errors.Conflict,),
    410: (errors.NotFound,),
    413: (errors.Rejected,),
    422: (errors.Rejected,),
}
TROUBLE = (500, 502, 503, 504)
BODIES = (
    b"",
    b"null",
    b"7",
    b"[]",
    b'"text"',
    b"{}",
    b'{"error": null}',
    b'{"error": []}',
    b'{"error": {"message": 7, "code": {}}}',
    b'{"errors": [7]}',
    b'{"detail": [{"loc": ["body", "email"], "msg": "bad"}]}',
    b'{"detail": [7]}',
    b"<html><title>Bad gateway</title>",
    b"\xff\xfe",
    b'{"message": "two\\nlines"}',
    b"x" * 100_000,
)
"""Possible error bodies."""

ONCE = Budget(total=3600.0, attempts=1)


class RefusalRules(ProviderRules):
    """Rules about 401, 403, 404, 409, 422, 429, 5xx and missing answers."""

    def test_refusal(self, walkthrough: Walkthrough, operation: str) -> None:
        """A refusal becomes the error that the status stands for, with the status, the service's
        words, its code and its request id. There are two exceptions: 404 where absence is an
        answer, and 409 for a record that was prepared before (`Effect.PREPARE`).

        Likely cause: `explain` decides by something else than the status where it should not, drops
        the service's text or request id, or the flow catches an error that is no answer.
        """
        refusal = {"error": {"message": mutations.ERROR_TEXT, "code": mutations.ERROR_CODE}}
        for sample in samples_with_requests(walkthrough, operation):
            for nth in range(len(sample.played)):
                for status, kinds in REFUSED.items():
                    mutation = mutations.respond_with(status, refusal, {"x-request-id": "req-7"})
                    replay = sample.replay(nth, mutation)
                    if kinds == (errors.NotFound,) and _absence_is_an_answer(sample, nth):
                        _no_crash(sample, replay, f"{status} as absence")
                        continue
                    if status == 409 and sample.requests[nth].effect is Effect.PREPARE:
                        _no_crash(sample, replay, "409: the record is there")
                        continue
                    error = replay.error
                    if not isinstance(error, kinds):
                        _misjudged(sample, nth, replay, str(status), _names(kinds))
                    reported = (error.status, error.request_id, mutations.ERROR_TEXT in str(error))
                    if reported != (status, "req-7", True):
                        wanted = "an error with status, request id and words"
                        _misjudged(sample, nth, replay, str(status), wanted)

    def test_words_of_the_service_are_passed_on(self, walkthrough: Walkthrough) -> None:
        """An error contains the service's own text, in any of the usual forms of bodies.

        Likely cause: `explain` replaces the service's text. Call `super().explain(response)`, and
        pass `kind` and `hint` only.
        """
        for sample in one_of_each_effect(walkthrough):
            for shape, body in mutations.ERROR_BODIES.items():
                replay = sample.replay(0, mutations.respond_with(422, body))
                if mutations.ERROR_TEXT not in str(replay.error):
                    wanted = f"an error with {mutations.ERROR_TEXT!r}"
                    _misjudged(sample, 0, replay, f"422 with {shape}", wanted)

    def test_trouble_of_the_service(self, walkthrough: Walkthrough, operation: str) -> None:
        """Repeated 5xx raises ServiceUnavailable after some attempts. A request that creates
        something raises OutcomeUnknown after one attempt, because it is unknown whether it took
        effect.

        Likely cause: The flow catches the error, or `explain` returns another class for 5xx.
        """
        for sample in samples_with_requests(walkthrough, operation):
            for nth, request in enumerate(sample.requests):
                for status in TROUBLE:
                    replay = sample.replay(nth, mutations.respond_with(status, b"<html>"))
                    creates = request.effect is Effect.CREATE
                    wanted = errors.OutcomeUnknown if creates else errors.ServiceUnavailable
                    if not isinstance(replay.error, wanted):
                        _misjudged(sample, nth, replay, f"{status} for ever", wanted.__name__)

    def test_trouble_that_passes(self, walkthrough: Walkthrough) -> None:
        """One 503 in answer to a request that can be repeated is waited out, and the result is the
        same.

        Likely cause: `explain` returns another class than ServiceUnavailable for 503, or the flow
        keeps something between attempts.
        """
        for sample in one_of_each_effect(walkthrough):
            for nth, request in enumerate(sample.requests):
                if request.effect is Effect.CREATE:
                    continue
                replay = sample.replay(
                    nth, mutations.respond_with(503, {"error": "later"}), times=1
                )
                if replay.error is not None or replay.value != sample.value:
                    _misjudged(sample, nth, replay, "503 once", repr(sample.value))

    def test_no_answer(self, walkthrough: Walkthrough) -> None:
        """A request that gets no answer is tried again, unless it creates: then it is sent once,
        and the outcome is unknown.

        Likely cause: The flow catches the error of the `yield`.
        """
        failure = SendFailure("no answer in time", sent=True)
        for sample in one_of_each_effect(walkthrough):
            for nth, request in enumerate(sample.requests):
                replay = sample.replay(nth, mutations.fail_with(failure))
                creates = request.effect is Effect.CREATE
                wanted = errors.OutcomeUnknown if creates else errors.ServiceUnavailable
                if not isinstance(replay.error, wanted):
                    _misjudged(sample, nth, replay, "no answer", wanted.__name__)

    def test_never_sent(self, walkthrough: Walkthrough) -> None:
        """A request that certainly never left is tried again, even if it creates something.

        Likely cause: The flow catches the error of the `yield`.
        """
        failure = SendFailure("no connection", sent=False)
        for sample in one_of_each_effect(walkthrough):
            for nth in range(len(sample.requests)):
                replay = sample.replay(nth, mutations.fail_with(failure), times=1)
                if replay.error is not None or replay.value != sample.value:
                    _misjudged(sample, nth, replay, "not sent, once", repr(sample.value))

    def test_too_many_requests(self, walkthrough: Walkthrough) -> None:
        """After 429 guestlist waits for as long as the service asks, in every way of asking, and
        goes on.

        Likely cause: `explain` returns another class than RateLimited for 429, or a wrong
        `retry_after`.
        """
        for sample in one_of_each_effect(walkthrough):
            for how, asked in _ways_to_say(sample.clock.now() + timedelta(seconds=7)).items():
                replay = sample.replay(
                    0, mutations.respond_with(429, {"error": "slowly"}, asked), times=1
                )
                if replay.error is not None or replay.value != sample.value:
                    _misjudged(sample, 0, replay, f"429 with {how}", repr(sample.value))
                if not 6.0 <= replay.waited <= 60.0:
                    wanted = f"a pause of 7 s, not of {replay.waited:.1f} s"
                    _misjudged(sample, 0, replay, f"429 with {how}", wanted)

    def test_too_many_requests_for_ever(self, walkthrough: Walkthrough) -> None:
        """Repeated 429 raises RateLimited with `retry_after`.

        Likely cause: `explain` returns another class than RateLimited for 429, or drops
        `retry_after`.
        """
        for sample in one_of_each_effect(walkthrough):
            mutation = mutations.respond_with(429, {"error": "slowly"}, {"retry-after": "7"})
            replay = sample.replay(0, mutation, budget=ONCE)
            error = replay.error
            if not isinstance(error, errors.RateLimited) or error.retry_after != 7.0:
                _misjudged(sample, 0, replay, "429 for ever", "RateLimited with retry_after 7.0")

    def test_redirects_are_not_followed(self, walkthrough: Walkthrough) -> None:
        """A redirect is an error: credentials go nowhere else, and nothing is sent twice.

        Likely cause: The flow catches the error of the `yield`.
        """
        for sample in one_of_each_effect(walkthrough):
            mutation = mutations.respond_with(308, b"", {"location": "https://elsewhere.example/"})
            replay = sample.replay(0, mutation, budget=PATIENT)
            if not isinstance(replay.error, GuestlistError):
                _misjudged(sample, 0, replay, "308", "an error")

    def test_explain_is_total(self, harness: Harness) -> None:
        """`explain` makes an error of every answer outside 2xx, with one line of text for people,
        even for an unusual body.

        Likely cause: `explain` reads the body with `mapping()` or `[...]`, which fails if the body
        is not an object. Read it with `super().explain`, and decide by its `code`.
        """
        statuses = (*range(300, 309), *range(400, 452), 499, *range(500, 512), 520, 599)
        for status, content in product(statuses, BODIES):
            answer = Response(status, {"content-type": "application/json"}, content)
            try:
                error: Any = harness.provider.explain(answer)
            except Exception as crash:
                error = crash
            if (
                not isinstance(error, GuestlistError)
                or error.status != status
                or "\n" in str(error)
                or len(str(error)) > 2000
            ):
                report_finding(
                    expected="one of guestlist's errors, with the status, on one line",
                    got=f"{type(error).__name__}: {str(error)[:300]}",
                    look_at=location_of(harness.provider, "explain"),
                )


def _ways_to_say(moment: datetime) -> dict[str, dict[str, str]]:
    """The ways in which services ask to be left alone until a moment, seven seconds from now."""
    return {
        "retry-after": {"retry-after": "7"},
        "retry-after with fractions": {"retry-after": "7.0"},
        "retry-after as a date": {"retry-after": format_datetime(moment, usegmt=True)},
        "retry-after-ms": {"retry-after-ms": "7000"},
        "x-retry-after": {"x-retry-after": "7"},
        "x-ratelimit-retry-after": {"x-ratelimit-retry-after": "7"},
        "ratelimit-reset": {"ratelimit-reset": "7"},
        "x-ratelimit-reset": {"x-ratelimit-reset": str(int(moment.timestamp()))},
    }


def _no_crash(sample: Sample, replay: Replay, what: str) -> None:
    if replay.error is not None and not isinstance(replay.error, GuestlistError):
        if type(replay.error).__name__ != "UnrecordedRequest":
            _misjudged(sample, 0, replay, what, "None, or one of guestlist's errors")
    elif sample.name.startswith("find_") and replay.error is None and replay.value is not None:
        _misjudged(sample, 0, replay, what, "None")


def _misjudged(sample: Sample, nth: int, replay: Replay, what: str, expected: str) -> NoReturn:
    report_finding(
        rule=f"{what} in answer to {sample.requests[nth]} becomes the right error",
        expected=expected,
        got=replay.summary,
        look_at=location_of(sample.provider, f"{sample.name} explain"),
    )


def _absence_is_an_answer(sample: Sample, nth: int) -> bool:
    return sample.name.startswith("find_") or nth > 0


def _names(kinds: tuple[type[GuestlistError], ...]) -> str:
    return " or ".join(kind.__name__ for kind in kinds)
