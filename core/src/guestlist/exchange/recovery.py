"""Settling what got no answer: look whether it happened, and send again only when it did not.

A look that finds the effect decides at once, however early it comes. A look that finds nothing
decides only when the grace period is over: until then the effect may still land, or the service's
lists may not show it yet. Believing an early look is how people are invited twice.
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
"""A look for what a flow creates."""

LOOK_FIRST = 1.0
LOOK_LONGEST = 10.0
"""Seconds between two looks within the grace period: doubling from the first to the longest."""


@dataclass(frozen=True, slots=True)
class Settled(Generic[T]):
    """What a create came to.

    Attributes:
        value: the record that it made.
        answered: False when no readable answer came and the record was found by looking.
    """

    value: T
    answered: bool


def once(
    call: Call,
    create: Callable[[], Flow[T]],
    look: Look[T] | None,
    *,
    conclusive: bool = True,
) -> Steps[Settled[T]]:
    """Runs a flow that creates something, so that it happens once.

    Args:
        call: the call that it is part of.
        create: starts the flow; called again only when the look showed that nothing happened.
        look: finds what the flow creates, and nothing that was there before; None where the
            service offers no way to look. It is told whether it surely happened: then it may
            return what it cannot tell from what was there before.
        conclusive: False where finding nothing, however late, would prove nothing.

    Raises:
        OutcomeUnknown: it may have happened, and looking could not decide within the budget.
        GuestlistError: it certainly did not happen (`happened` is False), or it did and cannot be
            found (`happened` is True).
    """
    for attempt in count(1):
        try:
            return Settled((yield from run(call, create())), answered=True)
        except GuestlistError as error:
            if error.happened is False:
                raise
            doubt = error
        if doubt.reports_success:
            yield from _record_answer(call, doubt)
        call.account.tell(
            EventName.UNKNOWN, email=call.email, attempt=attempt, detail=doubt.message
        )
        found = yield from _search(call, doubt, look, conclusive)
        if found is not None:
            return Settled(found, answered=False)
        if attempt >= call.budget.attempts:
            gave_up = errors.ServiceUnavailable(
                f"it did not happen in {attempt} attempts: {doubt.message}",
                status=doubt.status,
                hint="Nothing was created. Try again later.",
            )
            gave_up.request = doubt.request
            gave_up.attempts = attempt
            gave_up.budget = call.exceeded(0.0, attempt)
            raise call.about(gave_up) from doubt
        call.account.tell(
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
    doubt: GuestlistError,
    look: Look[T] | None,
    conclusive: bool,
) -> Steps[T | None]:
    """What the look finds; None only when that is final, and proves that nothing happened. In a run
    over many, the run looks for all of them together.

    Raises:
        OutcomeUnknown: the look cannot be final within the budget, or there is no way to look.
        GuestlistError: the doubt itself, when it certainly happened and is not to be found.
    """
    clock = call.account.clock
    final = clock.monotonic() + call.grace
    pause = LOOK_FIRST
    while look is not None and call.strategy.looks_up_outcome:
        is_final = clock.monotonic() >= final
        call.account.tell(EventName.LOOK, email=call.email, detail="final" if is_final else "early")
        try:
            found = yield from look(doubt.happened is True)
        except ServiceTrouble as trouble:
            found, is_final = None, False
            doubt.add_note(f"guestlist: looking failed too: {trouble.headline}")
        except GuestlistError as refusal:
            doubt.add_note(f"guestlist: looking was refused: {refusal.headline}")
            break
        if found is not None:
            return found
        if is_final and conclusive and not doubt.reports_success:
            return None
        if is_final:
            break
        doubt.budget = call.exceeded(max(0.0, final - clock.monotonic()))
        if doubt.budget:
            break
        wait = min(pause, max(0.0, final - clock.monotonic()) or LOOK_FIRST, call.remaining)
        pause = min(2 * pause, LOOK_LONGEST)
        yield from sleep(call, wait)
    if doubt.happened:
        doubt.hint = "It happened; ask again with `status` in a minute, when the lists show it."
        raise doubt
    raise call.about(_unknown(doubt, can_look=look is not None)) from doubt


def _unknown(doubt: GuestlistError, *, can_look: bool) -> OutcomeUnknown:
    hint = (
        "Make the same call again, with this client or with a ledger: it looks before it sends."
        " `status` shows where the person stands."
        if can_look
        else "The service cannot be asked whether it happened. Ask the person before you try again."
    )
    if doubt.success_page and can_look:
        hint = f"{doubt.hint} Ask the person before you try again.".strip()
    unknown = OutcomeUnknown(
        f"it may have happened: {doubt.message}",
        status=doubt.status,
        code=doubt.code,
        request_id=doubt.request_id,
        hint=hint,
    )
    unknown.request = doubt.request
    unknown.retry_after = doubt.retry_after
    unknown.budget = doubt.budget
    unknown.success_page = doubt.success_page
    return unknown
