"""Runs a provider's flow. Sends each request within the rate limits, decides what its answer
proves, and repeats it if that is certain to be safe."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from itertools import count
from typing import TypeVar, cast

from guestlist import errors
from guestlist.errors import (
    GuestlistError,
    MalformedResponse,
    OutcomeUnknown,
    in_time_units,
)
from guestlist.event import EventName
from guestlist.exchange.account import (
    MAX_BACK_OFF_SECONDS,
    PAUSE_END,
    PAUSE_REPORT_SECONDS,
    Account,
    Call,
    reason_of_pause,
)
from guestlist.exchange.clock import Stopped
from guestlist.exchange.rate_limiter import RateLimiter
from guestlist.exchange.recording import Preparation
from guestlist.exchange.retry_after import plain_retry_after, retry_after, used_up
from guestlist.exchange.step import (
    Acquire,
    Block,
    Outgoing,
    Release,
    Send,
    SendFailure,
    Sleep,
    Steps,
)
from guestlist.provider import Effect, Flow, Provider, Request, Response, Token, explain
from guestlist.provider.explanations import request_id
from guestlist.provider.shapes import CHANGED, READING_ERRORS, shape_problem, shorten

T = TypeVar("T")

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 8.0

NONE_REMAIN = "the service allows no request before"
"""Reason of a pause if the headers of an answer report that no requests remain."""

PREPARED_HINT = (
    "The service has a record of the person by now, and no email was sent: make the same call"
    " again, with this client or with a ledger."
)
"""Hint for a call that ended between the two requests of an invitation."""

MAX_CONNECTIONS = 100
"""Largest number of requests of one account in flight at the same time."""

UNSEEN_PAUSE_SECONDS = 1.0
"""A process reads the ledger again after a wait of more than this many seconds, because the service
may have asked another process to pause meanwhile."""

INTENT_MAX_AGE_SECONDS = 1.0
"""Seconds after which a stored intent is stale and must be written again before the request."""


def run(call: Call, flow: Flow[T]) -> Steps[T]:
    """Runs a flow to its end and returns its value.

    Raises:
        GuestlistError: an error that the flow did not catch. Its `happened` states whether an
            earlier request of the flow took effect.
    """
    resume: Callable[[], Request] = partial(next, flow)
    acted: bool | None = False
    try:
        while True:
            try:
                request = resume()
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            except GuestlistError:
                raise
            except READING_ERRORS as error:
                raise _misread(error) from error
            try:
                response = yield from exchange(call, request)
            except GuestlistError as error:
                # The traceback is dropped, so that the new one ends at the provider's line.
                resume = partial(flow.throw, error.with_traceback(None))
            else:
                if request.effect not in (Effect.READ, Effect.PREPARE) and not acted:
                    acted = True if call.sure else None
                resume = partial(flow.send, response)
    except GuestlistError as error:
        if acted or (acted is None and error.happened is False):
            error.happened = acted
        if call.preparation is Preparation.PREPARED and not error.prepared:
            error.prepared = True
            error.hint = f"{error.hint} {PREPARED_HINT}".lstrip()
        raise call.about(error) from error.__cause__
    # The text of the error may quote a caught error that contains a secret.
    except Exception as bug:
        call.account.redact.mask(bug)
        raise
    finally:
        flow.close()


def _misread(error: Exception) -> MalformedResponse:
    return MalformedResponse(
        f"the answer does not have the expected form ({shape_problem(error)})",
        hint=CHANGED,
    )


class Verdict(Enum):
    """The proof that an answer or a failure gives about a request.

    DONE: it took effect, or the service returned what was read.
    FINAL: it was refused and had no effect.
    NOT_SENT: it never left this machine.
    LIMITED: it was refused because of a rate limit.
    UNKNOWN: it may have taken effect.
    """

    DONE = auto()
    FINAL = auto()
    NOT_SENT = auto()
    LIMITED = auto()
    UNKNOWN = auto()


def judge(answer: Response | SendFailure) -> Verdict:
    """Returns what the status of an answer proves about the request."""
    status = answer.status
    if isinstance(answer, SendFailure) and not answer.sent:
        return Verdict.NOT_SENT
    if status is None:
        return Verdict.UNKNOWN
    if status == 429:
        return Verdict.LIMITED
    if 200 <= status < 300:
        return Verdict.DONE  # even if the body is incomplete
    if status in (301, 307, 308):
        return Verdict.FINAL  # the service does nothing at this address
    if status == 501 or (400 <= status < 500 and status != 408):
        return Verdict.FINAL  # 501: the service cannot do it, now or later
    return Verdict.UNKNOWN


def exchange(call: Call, request: Request) -> Steps[Response]:
    """Sends one request, repeats it if that is safe, and returns the answer.

    Raises:
        OutcomeUnknown: no answer shows whether the request took effect, and repeating it could do
            harm.
        GuestlistError: the service refused the request, or it could not be sent.
    """
    account = call.account
    if call.fetches_token:  # fetching a token twice does no harm
        request = replace(request, effect=Effect.READ)
    reads = request.effect is Effect.READ
    reaches_nobody = request.effect in (Effect.READ, Effect.PREPARE)
    happened: bool | None = False  # whether an earlier attempt took effect
    is_token_replaced = False
    connection = ("connections", account.name)
    account.get_ready()
    for attempt in count(1):
        secrets_version = account.secrets_version
        try:
            token = yield from _access_token(call, request)
            yield from _connection(call, connection)
            outgoing = yield from _prepare(call, request)
        except GuestlistError as unsent:
            yield Release(connection)
            unsent.happened = happened
            raise
        call.attempts = attempt
        began = account.clock.monotonic()
        try:
            answer = yield Send(outgoing)
        except BaseException as interruption:
            if not reads:
                call.was_sent(request)
            _note(call, interruption)
            raise
        yield Release(connection)
        if isinstance(answer, Response):
            account.note_time(answer.headers)
        verdict, error = _read(call, answer)
        if error is not None:
            error.request = account.describe(request)
        if not reads and verdict in (Verdict.DONE, Verdict.UNKNOWN):
            call.was_sent(request)
        _emit_answer(call, request, answer, error, attempt, account.clock.monotonic() - began)
        if isinstance(answer, Response) and (left := used_up(answer.headers, account.now)):
            yield from _back_off(call, left)
        if error is None:
            return cast(Response, answer)
        is_page = judge(answer) is Verdict.DONE and is_foreign(call.provider, answer)
        if verdict is Verdict.FINAL:
            if answer.status == 401 and attempt < call.budget.attempts:
                account.read_secrets(again=True)
                if account.secrets_version != secrets_version:
                    continue  # the secret was rotated while the request was in flight
                if not is_token_replaced and account.forget_token(token):
                    is_token_replaced = True
                    continue
            error.happened = happened
            raise error
        if request.effect is Effect.CREATE and verdict in (Verdict.DONE, Verdict.UNKNOWN):
            undecided = _undecided(request, verdict, error)
            undecided.success_page = is_page
            raise undecided from error.__cause__
        if not reaches_nobody and verdict is Verdict.DONE:
            happened = True
        elif not reaches_nobody and verdict is Verdict.UNKNOWN and happened is False:
            happened = None
        error.happened = happened
        wait = _wait(call, error, attempt)
        lasts = is_page if isinstance(answer, Response) else answer.malformed or not answer.retry
        if lasts and verdict is not Verdict.LIMITED:
            raise error from error.__cause__  # the next attempt would most likely fail, too
        if verdict is Verdict.LIMITED:
            # the first limiter has the limit that was most likely exceeded
            yield from _back_off(call, wait, error, account.rate_limiter.parts(request)[0])
        error.budget = call.exceeded(wait, attempt)
        if error.budget:
            raise error from error.__cause__
        account.emit(EventName.RETRY, request, email=call.email, seconds=wait, attempt=attempt)
        yield from sleep(call, wait, error)
    raise AssertionError("unreachable")


def _back_off(
    call: Call,
    seconds: float,
    refusal: GuestlistError | None = None,
    limiter: RateLimiter | None = None,
) -> Steps[None]:
    """Delays the next requests of the account. If the ledger cannot store the pause, emits an event
    and goes on, because the service's answer is more important.

    Args:
        refusal: the error that the pause is for; None if the service said that no requests remain.
    """
    account = call.account
    back_off = partial(
        account.back_off,
        seconds,
        refused=refusal is not None,
        pause=(refusal.retry_after or 0.0) if refusal else seconds,
        reason=account.redact(reason_of_pause(refusal)) if refusal else NONE_REMAIN,
        limiter=limiter,
    )
    if not account.rate_limiter.shared:
        back_off()
    else:
        try:
            yield from block(call, back_off)
        except GuestlistError as error:
            unwritten = f"the pause could not be stored: {error.headline}"
            account.emit(EventName.PACE, email=call.email, detail=unwritten)


def sleep(call: Call, seconds: float, asked: GuestlistError | None = None) -> Steps[None]:
    """Waits, and adds the time to `call.waited`. Reports a pause that the service asked for every
    minute.

    Args:
        asked: the error whose `retry_after` the wait is for.
    """
    call.waited += seconds
    asked_left = (asked.retry_after if asked is not None else None) or 0.0
    while True:
        call.account.report_pause(asked, asked_left)
        piece = min(seconds, PAUSE_REPORT_SECONDS)
        try:
            yield Sleep(piece)
        except BaseException as interruption:
            _note(call, interruption)
            raise
        seconds -= piece
        asked_left -= piece
        if seconds <= 0:
            return


def block(call: Call, function: Callable[[], T]) -> Steps[T]:
    """Calls a function that may block, such as one of the ledger, and returns its result."""
    try:
        return cast(T, (yield Block(function)))
    except GuestlistError:  # A LedgerError is not an interruption: it already names the outcome.
        raise
    except BaseException as interruption:
        _note(call, interruption)
        raise


def _note(call: Call, interruption: BaseException) -> None:
    """Adds a note to an interruption if a request was sent before it, and emits an event."""
    if isinstance(interruption, Stopped):
        interruption.sent = call.sent is not None
    if call.sent is None:
        return
    call.account.emit(EventName.UNKNOWN, call.sent, email=call.email, detail="interrupted")
    about = f" for {call.email}" if call.email else ""
    what = (
        "no email was sent. Make the call again."
        if call.preparation is Preparation.PREPARED
        else "it may have happened. Run `status` to find out."
    )
    interruption.add_note(
        f"guestlist: interrupted when {call.sent} on {call.account.name}{about} was sent; {what}"
    )


def _access_token(call: Call, request: Request) -> Steps[Token | None]:
    """Returns the access token for a request, or None if the request needs no token.

    Fetches the token if there is none. Meanwhile, other calls that need it wait.

    Raises:
        Unauthorized: the service refused to issue a token.
        ServiceTrouble: no token could be fetched.
    """
    account = call.account
    fetched = account.provider.supports("fetch_token")
    if not fetched or call.fetches_token or request.public or request.origin != "base_url":
        return None
    if (known := account.token) is not None:
        return known
    key = ("token", account.name)
    began = account.clock.monotonic()
    if (yield Acquire(key, call.patience)) is False:
        raise errors.ServiceUnavailable(
            "another call is still fetching the access token", hint="Try again later."
        )
    call.waited += account.clock.monotonic() - began
    try:
        known = account.token or (yield from _fetched_token(call))
    except GuestlistError:
        yield Release(key)
        raise
    yield Release(key)
    return known


def _fetched_token(call: Call) -> Steps[Token]:
    account = call.account
    budget = replace(call.budget, total=call.remaining, waiting=call.patience)
    fetching = Call(account, budget, fetches_token=True)
    asked = account.clock.monotonic()
    try:
        token = yield from run(fetching, account.fetch_token())
    # Replaced by another error, because a NotFound would mean that the person is absent.
    except errors.ServiceRefusal as refusal:
        if isinstance(refusal, errors.Unauthorized):
            raise
        refused = errors.Unauthorized(
            f"no access token was issued: {refusal.message}",
            status=refusal.status,
            code=refusal.code,
            request_id=refusal.request_id,
            hint=refusal.hint
            or "Check the account's credentials and the URL that issues its tokens.",
        )
        refused.request = refusal.request
        raise refused from refusal
    finally:
        call.waited += fetching.waited
    account.keep_token(token, asked)
    return token


def _connection(call: Call, key: tuple[str, ...]) -> Steps[None]:
    """Waits until the account has fewer than `MAX_CONNECTIONS` requests in flight.

    This comes before the rate limiter. If requests waited for a connection after it, they would all
    leave at once when a service that hung answers again.

    Raises:
        ServiceUnavailable: the call's budget does not allow such a long wait.
    """
    began = call.account.clock.monotonic()
    free = yield Acquire(key, call.patience, MAX_CONNECTIONS)
    call.waited += call.account.clock.monotonic() - began
    if free is False:
        error = errors.ServiceUnavailable(
            f"{MAX_CONNECTIONS} requests of this account are in flight, and none ended in time",
            hint="Nothing was sent. Try again later, or make fewer calls at a time.",
        )
        error.budget = call.exceeded(call.patience) or call.exceeded(0.0)
        raise error


def _prepare(call: Call, request: Request) -> Steps[Outgoing]:
    """Waits for the rate limit, stores the intent, and returns the request to send."""
    account = call.account
    outgoing = account.outgoing(request, call.budget)
    waited = call.waited
    limiters = account.rate_limiter.parts(request)
    turns = yield from _wait_for_limits(call, request, limiters)
    if call.waited > waited:
        account.renew_credentials(outgoing, request)
    yield from _intend(call, request)
    written = account.clock.monotonic()
    missed = [turn.limiter for turn in turns if turn.limiter.missed(written - turn.moment)]
    if missed:
        # Waits again only once, because a slow machine might miss every moment and never send
        # anything. Waits only for the limits whose moment was missed: under a daily limit, the next
        # moment could be minutes away.
        yield from _wait_for_limits(call, request, missed)
        if account.clock.monotonic() - written > INTENT_MAX_AGE_SECONDS:
            # Another process may have treated the first intent as stale.
            yield from _intend(call, request)
    if exceeded := call.exceeded(0.0):  # the ledger was slow, or the machine was asleep
        raise _out_of_budget(account, exceeded, 0.0)
    outgoing.guest = (account.name, call.email.casefold()) if call.email else None
    outgoing.total = call.remaining
    outgoing.timeout = min(outgoing.timeout, outgoing.total)
    return outgoing


def _intend(call: Call, request: Request) -> Steps[None]:
    if request.effect is not Effect.READ:
        yield from call.strategy.intend(call, request)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A moment at which one rate limiter allows a request to leave.

    Attributes:
        moment: monotonic time in seconds.
        pauses: `RateLimiter.pauses` when the moment was reserved.
    """

    limiter: RateLimiter
    moment: float
    pauses: int


def _wait_for_limits(
    call: Call, request: Request, limiters: Sequence[RateLimiter]
) -> Steps[list[_Turn]]:
    """Waits until all limits that count the request allow it to leave."""
    while True:
        turns: list[_Turn] = []
        for limiter in limiters:
            turns += ((yield from _reserve_turn(call, request, limiter)),)
        # The moments reserved before the last wait are invalid if another request was refused
        # during that wait.
        earlier = turns[:-1]
        for turn in earlier:
            if turn.limiter.shared:
                yield from block(call, turn.limiter.look)
        if all(turn.pauses == turn.limiter.pauses for turn in earlier):
            return turns


def _reserve_turn(call: Call, request: Request, limiter: RateLimiter) -> Steps[_Turn]:
    """Reserves a moment in one rate limiter, waits until it comes, and returns it."""
    account = call.account
    while True:
        now = account.clock.monotonic()
        reserve = partial(limiter.reserve, now, call.patience)
        reserved = (yield from block(call, reserve)) if limiter.shared else reserve()
        delay = reserved.delay - (account.clock.monotonic() - now)
        if exceeded := call.exceeded(delay):
            raise _out_of_budget(account, exceeded, delay, limiter)
        moment = account.clock.monotonic() + delay
        if delay <= 0:
            return _Turn(limiter, moment, reserved.pauses)
        pause = _pause(account, limiter)
        account.emit(EventName.PACE, request, email=call.email, seconds=delay, detail=pause)
        yield from sleep(call, delay)
        if limiter.shared and delay > UNSEEN_PAUSE_SECONDS:
            yield from block(call, limiter.look)
        if reserved.pauses == limiter.pauses:
            return _Turn(limiter, moment, reserved.pauses)


def _pause(account: Account, limiter: RateLimiter) -> str | None:
    """Returns a phrase about the pause that the service asked for, with its end, or None."""
    left = account.pause_left(limiter)
    if not left:
        return None
    ends = account.clock.now() + timedelta(seconds=left)
    reason = _reason_in_parentheses(limiter)
    return f"the service asked for a pause until {ends:{PAUSE_END}}{reason}"


def _reason_in_parentheses(limiter: RateLimiter) -> str:
    return f" ({limiter.pause_reason})" if limiter.pause_reason else ""


def _out_of_budget(
    account: Account, exceeded: str, delay: float, limiter: RateLimiter | None = None
) -> GuestlistError:
    """Returns the error for a call whose budget does not allow another request.

    Args:
        exceeded: the part of the budget that is used up.
        delay: seconds until the rate limit would allow the request.
        limiter: the rate limiter that delays the request; None if none does.
    """
    left = account.pause_left(limiter) if limiter is not None else 0.0
    pause = max(delay, left)
    if limiter is None or delay <= 0:
        error: GuestlistError = errors.ServiceUnavailable(
            f"the time budget of the call is used up ({exceeded})",
            hint="Try again later, or give the call a larger budget.",
        )
    elif left > 0:
        ends = account.clock.now() + timedelta(seconds=pause)
        error = errors.RateLimited(
            f"the service asked for a pause of {in_time_units(pause)}, until {ends:{PAUSE_END}}"
            f"{_reason_in_parentheses(limiter)}",
            hint="Try again then.",
            retry_after=pause,
        )
    else:
        error = errors.RateLimited(
            f"the rate limit allows the next request in {in_time_units(delay)}, and the call"
            " ends earlier",
            hint="Give the call a larger budget, or make fewer calls at a time.",
            retry_after=delay,
        )
    error.budget = exceeded
    return error


def _wait(call: Call, error: GuestlistError, attempt: int) -> float:
    """Returns the seconds to wait before the next attempt: as many as the service asks for, up to
    `MAX_BACK_OFF_SECONDS`, and at least an exponential backoff with jitter."""
    asked = error.retry_after
    longest = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** (attempt - 1))
    if asked is not None and asked >= longest:
        return min(asked, MAX_BACK_OFF_SECONDS)
    return max(asked or 0.0, longest * call.account.random.uniform(0.5, 1.0))


def _read(call: Call, answer: Response | SendFailure) -> tuple[Verdict, GuestlistError | None]:
    """Returns what the answer proves, and the error to raise or None.

    If the provider finds an error inside a 2xx response, the error counts like the status that
    usually means it. A 2xx response of a foreign media type proves nothing, because a proxy may
    have sent it.
    """
    verdict = judge(answer)
    call.sure = True
    if verdict is Verdict.DONE and is_foreign(call.provider, answer):
        return Verdict.UNKNOWN, _foreign(answer)
    if isinstance(answer, SendFailure):
        if verdict is Verdict.DONE and may_refuse(call.provider):
            verdict = Verdict.UNKNOWN
        return verdict, _error(call, answer)
    if verdict is Verdict.DONE:
        call.sure, error = refusal(call.provider, answer)
    else:
        error = _error(call, answer)
    if error is not None:
        error.retry_after = _seconds(error.retry_after)
        if error.retry_after is None:
            read = retry_after if isinstance(error, errors.RateLimited) else plain_retry_after
            error.retry_after = read(answer.headers, call.account.now())
    if isinstance(error, errors.ServiceRefusal) and answer.status >= 500:
        return Verdict.FINAL, error  # the provider knows that nothing has happened
    if error is None or verdict not in (Verdict.DONE, Verdict.FINAL):
        return verdict, error
    if isinstance(error, errors.RateLimited):
        return Verdict.LIMITED, error
    if verdict is Verdict.DONE and isinstance(error, errors.ServiceTrouble | OutcomeUnknown):
        return Verdict.UNKNOWN, error
    return Verdict.FINAL, error


def is_foreign(provider: Provider, answer: Response | SendFailure) -> bool:
    """Returns whether an answer is not from the service's API, judged by its media type.

    A captive portal, a sign-in page or a maintenance page answers 200 to everything. If an answer
    names no media type, it is foreign if its body starts like HTML.
    """
    content = b""
    if isinstance(answer, Response):
        content = answer.content.lstrip()[:1]
        if not content:
            return False
    kind = _media_type(answer).lower()
    if not kind:
        return content == b"<"
    is_json = kind.endswith("+json") or kind.partition("/")[2] == "json"
    return not is_json and kind not in provider.media_types


def _foreign(answer: Response | SendFailure) -> MalformedResponse:
    kind = shorten(_media_type(answer), 60) or "a page without a media type"
    return MalformedResponse(
        f"the answer is not from the service's API: it is {kind}, not JSON",
        status=answer.status,
        hint="A proxy, a sign-in page or a maintenance page may have answered: open base_url in a"
        " browser on this machine.",
    )


def _media_type(answer: Response | SendFailure) -> str:
    """Returns the media type of an answer, without parameters; empty if it names none."""
    if isinstance(answer, SendFailure):
        named = answer.media_type
    else:
        named = answer.headers.get("content-type", "")
    return named.partition(";")[0].strip()


def may_refuse(provider: Provider) -> bool:
    """Returns whether the service may report errors inside 2xx responses. If so, the status alone
    proves nothing."""
    return type(provider).refusal is not Provider.refusal


def refusal(provider: Provider, answer: Response) -> tuple[bool, GuestlistError | None]:
    """Returns the error that the provider finds inside a 2xx response, if any.

    Returns:
        Whether the provider could parse the response, and the error or None. If it could not, the
        flow decides what the response means.
    """
    try:
        return True, provider.refusal(answer)
    except errors.ServiceRefusal as raised:
        return True, raised
    except (GuestlistError, *READING_ERRORS):
        return False, None


def _seconds(value: object) -> float | None:
    """Returns a provider's `retry_after` if it is a valid number of seconds; otherwise None."""
    return value if isinstance(value, int | float) and 0 <= value < math.inf else None


def _error(call: Call, answer: Response | SendFailure) -> GuestlistError:
    if isinstance(answer, SendFailure) and (answer.status is None or 200 <= answer.status < 300):
        kind = answer.error if answer.status is None else MalformedResponse
        setting = f"base_url of [accounts.{call.account.name}]"
        hint = answer.hint.replace("{base_url}", setting) or "Try again later."
        trouble = kind(answer.reason, status=answer.status, hint=hint)
        trouble.__cause__ = answer.cause
        return trouble
    if isinstance(answer, SendFailure):  # only the status of the refusal arrived, which is enough
        refused = _error(call, Response(answer.status or 0))
        refused.__cause__ = answer.cause
        return refused
    if 300 <= answer.status < 400:
        return errors.Rejected(
            "the service redirects to another address, and guestlist does not follow redirects",
            status=answer.status,
            request_id=request_id(answer),
            hint="Check the account's base_url.",
        )
    try:
        error = call.provider.explain(answer)
    except (GuestlistError, *READING_ERRORS):
        error = explain(answer)  # the provider could not parse the body: use the status
    return error


def _undecided(request: Request, verdict: Verdict, error: GuestlistError) -> GuestlistError:
    """Returns the error for a request that creates something and got no readable answer.

    It took effect if the status was 2xx. Otherwise its outcome is unknown.
    """
    if verdict is Verdict.DONE:
        malformed = MalformedResponse(error.message, status=error.status)
        malformed.happened = True
        malformed.request = error.request
        malformed.__cause__ = error.__cause__
        return malformed
    unknown = OutcomeUnknown(
        f"no answer shows whether {request} took effect: {error.message}",
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        hint=error.hint
        if isinstance(error, MalformedResponse)
        else "Check the `status` before you try again.",
    )
    unknown.request = error.request
    unknown.retry_after = error.retry_after
    unknown.__cause__ = error.__cause__
    return unknown


def _emit_answer(
    call: Call,
    request: Request,
    answer: Response | SendFailure,
    error: GuestlistError | None,
    attempt: int,
    seconds: float,
) -> None:
    name = EventName.FAILURE if isinstance(answer, SendFailure) else EventName.ANSWER
    if not call.account.is_watched(name):
        return
    identifier: str | None = None
    if isinstance(answer, SendFailure):
        detail: str | None = answer.reason
    else:
        identifier = request_id(answer)
        detail = error.message if error is not None and answer.status < 300 else None
    call.account.emit(
        name,
        request,
        email=call.email,
        status=answer.status,
        attempt=attempt,
        seconds=seconds,
        request_id=identifier,
        detail=detail,
        retry_after=error.retry_after if error is not None else None,
    )
