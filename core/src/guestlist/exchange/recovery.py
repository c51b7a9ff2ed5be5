"""Looks up the outcome of a request that got no answer. Sends it again only if it had no effect.

A lookup that finds the effect is conclusive at once. A lookup that finds nothing is conclusive only
after the grace period: until then the request may still take effect, or the service's lists may not
show the effect yet. Trusting an early lookup would invite people twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from guestlist import errors
from guestlist.errors import GuestlistError, OutcomeUnknown, ServiceTrouble
from guestlist.event import EventName
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run, sleep
from guestlist.exchange.step import Steps
from guestlist.provider import Flow

T = TypeVar("T")

Look = Callable[[bool], Steps[T | None]]
"""A lookup of the record that a flow creates. Returns None if it is not there."""

FIRST_LOOK_SECONDS = 1.0
MAX_LOOK_SECONDS = 10.0
"""Seconds between two lookups within the grace period. The time doubles from the first value to the
maximum."""


@dataclass(frozen=True, slots=True)
class Creation(Generic[T]):
    """The result of a flow that creates something.

    Attributes:
        value: the record that was created.
        answered: False if no readable answer came, and a lookup has found the record.
    """

    value: T
    answered: bool


def once(
    call: Call,
    create: Callable[[], Flow[T]],
    look: Look[T] | None,
    *,
    conclusive: bool = True,
) -> Steps[Creation[T]]:
    """Runs a flow that creates something, and makes sure that it takes effect at most once.

    Args:
        create: starts the flow. It is called again only if a lookup has proven that there was no
            effect.
        look: looks up the new record, and ignores earlier records. None if the service offers no
            lookup. Its argument is whether the flow certainly took effect. If so, it may return a
            record that looks like the earlier one.
        conclusive: False if a lookup that finds nothing never proves that there was no effect.

    Raises:
        OutcomeUnknown: the flow may have taken effect, and no lookup gave proof within the budget.
        GuestlistError: the flow certainly had no effect (`happened` is False), or it had one and
            the record is not found (`happened` is True).
    """
    for attempt in count(1):
        try:
            return Creation((yield from run(call, create())), answered=True)
        except GuestlistError as error:
            if error.happened is False:
                raise
            failure = error
        if failure.reports_success:
            yield from _record_answer(call, failure)
        call.account.emit(
            EventName.UNKNOWN, email=call.email, attempt=attempt, detail=failure.message
        )
        found = yield from _search(call, failure, look, conclusive)
        if found is not None:
            return Creation(found, answered=False)
        if attempt >= call.budget.attempts:
            gave_up = errors.ServiceUnavailable(
                f"the request had no effect in {attempt} attempts: {failure.message}",
                status=failure.status,
                hint="Nothing was created. Try again later.",
            )
            gave_up.request = failure.request
            gave_up.attempts = attempt
            gave_up.budget = call.exceeded(0.0, attempt)
            raise call.about(gave_up) from failure
        call.account.emit(
            EventName.RETRY, email=call.email, attempt=attempt, detail="nothing happened"
        )
    raise AssertionError("unreachable")


def _record_answer(call: Call, error: GuestlistError) -> Steps[None]:
    """Records that the service reported success, before the lookup begins. If this call or its
    process ends during the lookup, the next call does not take an absence for proof."""
    call.answered = True
    try:
        yield from call.strategy.answered(call, error.message)
    except GuestlistError as unwritten:
        error.add_note(f"guestlist: this could not be recorded: {unwritten.headline}")


def _search(
    call: Call,
    failure: GuestlistError,
    look: Look[T] | None,
    conclusive: bool,
) -> Steps[T | None]:
    """Returns the record that the flow has created. None if it is proven that there is none.

    Inside a run nothing is looked up here: the run looks for the effects of all its requests
    together.

    Args:
        failure: the error that came instead of a readable answer.

    Raises:
        OutcomeUnknown: no lookup can be conclusive within the budget, or there is no way to look.
        GuestlistError: the given error, if the effect is certain and the record is not found.
    """
    clock = call.account.clock
    final = clock.monotonic() + call.grace
    pause = FIRST_LOOK_SECONDS
    while look is not None and call.strategy.looks_up_outcome:
        is_final = clock.monotonic() >= final
        call.account.emit(EventName.LOOK, email=call.email, detail="final" if is_final else "early")
        try:
            found = yield from look(failure.happened is True)
        except ServiceTrouble as trouble:
            found, is_final = None, False
            failure.add_note(f"guestlist: looking failed too: {trouble.headline}")
        except GuestlistError as refusal:
            failure.add_note(f"guestlist: looking was refused: {refusal.headline}")
            break
        if found is not None:
            return found
        if is_final and conclusive and not failure.reports_success:
            return None
        if is_final:
            break
        failure.budget = call.exceeded(max(0.0, final - clock.monotonic()))
        if failure.budget:
            break
        wait = min(pause, max(0.0, final - clock.monotonic()) or FIRST_LOOK_SECONDS, call.remaining)
        pause = min(2 * pause, MAX_LOOK_SECONDS)
        yield from sleep(call, wait)
    if failure.happened:
        failure.hint = "It happened; ask again with `status` in a minute, when the lists show it."
        raise failure
    raise call.about(_unknown(failure, can_look=look is not None)) from failure


def _unknown(failure: GuestlistError, *, can_look: bool) -> OutcomeUnknown:
    hint = (
        "Make the same call again, with this client or with a ledger: it looks before it sends."
        " `status` shows where the person stands."
        if can_look
        else "The service cannot be asked whether it happened. Ask the person before you try again."
    )
    if failure.success_page and can_look:
        hint = f"{failure.hint} Ask the person before you try again.".strip()
    unknown = OutcomeUnknown(
        f"it may have happened: {failure.message}",
        status=failure.status,
        code=failure.code,
        request_id=failure.request_id,
        hint=hint,
    )
    unknown.request = failure.request
    unknown.retry_after = failure.retry_after
    unknown.budget = failure.budget
    unknown.success_page = failure.success_page
    return unknown
