"""Records single calls in the ledger, and settles earlier calls whose outcome is not known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from guestlist.errors import Forbidden, GuestlistError, OutcomeUnknown
from guestlist.event import EventName
from guestlist.exchange.account import Call, Doubt
from guestlist.exchange.policy import block, sleep
from guestlist.exchange.step import Steps
from guestlist.models import OPEN_STATES, Guest, InviteResult, Role, State
from guestlist.verbs.find import look
from guestlist.verbs.unresolved import Unresolved, earlier_call, remembered

T = TypeVar("T")

PAUSE = 5.0
"""Seconds between two looks for what an earlier call did."""


def written(
    call: Call,
    known: Guest,
    action: str,
    steps: Steps[T],
    outcome: Callable[[T], str],
    *,
    roles: Sequence[Role] = (),
    deferred: Sequence[Role] = (),
    email_sent: Callable[[T], bool | None] = lambda _result: None,
) -> Steps[T]:
    """Carries out a change and records the result in the ledger, unless a run does that.

    Args:
        known: the guest before the change.
        outcome: returns the outcome of the result.
        roles: the roles that are given or taken away.
        deferred: the roles that are deferred once the change is made.
        email_sent: returns whether an email was sent; None if none was needed or it is unknown.

    Raises:
        LedgerError: the ledger fails. Nothing is sent then, or `happened` is True if it was.
    """
    if call.journal is None or call.entry is not None:
        return (yield from steps)
    lines = call.instead or call.journal
    entry = lines.entry(known, action, tuple(roles), tuple(deferred))
    call.entry = entry
    try:
        result = yield from steps
    except GuestlistError as error:
        try:
            yield from block(call, partial(entry.failed, error))
        except GuestlistError as unwritten:
            error.add_note(f"guestlist: that could not be written down: {unwritten.headline}")
        raise
    try:
        yield from block(call, partial(entry.ended, outcome(result), email_sent(result)))
    except GuestlistError as unwritten:
        if call.sent is not None:
            unwritten.happened = True
            unwritten.hint = "It was done, and the ledger does not know yet: ask again later."
        raise call.about(unwritten) from unwritten.__cause__
    return result


def written_result(
    call: Call,
    known: Guest | None,
    action: str,
    steps: Steps[InviteResult],
    roles: Sequence[Role] = (),
    deferred: Sequence[Role] = (),
) -> Steps[InviteResult]:
    """Carries out a change that creates or renews an invitation, and records it in the ledger.

    Without a ledger the client remembers the change if its outcome stays unknown.

    Args:
        known: the guest before the change. None if the records were not read.
    """
    if call.journal is None and call.known is None:
        return (yield from remembered(call, known, action, steps))
    if known is None:
        return (yield from steps)
    return (
        yield from written(
            call,
            known,
            action,
            steps,
            lambda result: result.outcome,
            roles=roles,
            deferred=deferred,
            email_sent=lambda result: result.email_sent,
        )
    )


def settle_earlier(call: Call, action: str) -> Steps[Guest | None]:
    """Finds out if an earlier call with an unknown outcome took effect, before a new email.

    Returns:
        The guest, if the earlier call was about the same action and took effect.

    Raises:
        OutcomeUnknown: a lookup gives no proof, or not yet, and the budget does not allow waiting.
    """
    if call.entry is not None or call.known is not None:
        return None
    while True:
        doubt = yield from _answered(call, partial(_earlier, call))
        if doubt is None:
            return None
        try:
            if action == "invite" and isinstance(doubt, Unresolved) and doubt.action != action:
                guest = yield from look(call, call.email or "")
                if guest.state in (*OPEN_STATES, State.ACCEPTED):
                    return None  # nothing will be sent
            guest, happened = yield from _find_out(call, doubt)
        except Forbidden:
            if call.journal is not None or not call.provider.refuses_duplicates:
                raise
            doubt.settle(None)  # the service itself refuses to invite twice
            return None
        if not (yield from _answered(call, partial(doubt.settle, happened))):
            continue  # who sent it is at work still, and has written since
        if happened is None:
            raise call.about(
                OutcomeUnknown(
                    "the outcome of an earlier call about the address is unknown, and no lookup"
                    " can tell whether it sent an email",
                    hint="Nothing was sent now. Ask the person; the next call will send.",
                )
            )
        if not happened and not isinstance(doubt, Unresolved):
            call.instead = doubt
        return guest if happened and doubt.action == action else None


def _earlier(call: Call) -> Doubt | Unresolved | None:
    return earlier_call(call) if call.journal is None else call.journal.doubt(call)


def _find_out(call: Call, doubt: Doubt | Unresolved) -> Steps[tuple[Guest, bool | None]]:
    """Looks until it is decided whether the earlier call has happened; None when it never will."""
    clock = call.account.clock
    final = clock.monotonic() + doubt.seconds
    while True:
        left = final - clock.monotonic()
        how_sure = "final" if left <= 0 else "early"
        call.account.tell(EventName.LOOK, email=call.email, detail=f"an earlier call; {how_sure}")
        guest = yield from look(call, call.email or "")
        happened = doubt.judge(guest, final=left <= 0)
        if happened is not None or left <= 0:
            return guest, happened
        left = max(0.0, final - clock.monotonic())
        exceeded = call.exceeded(left)
        if exceeded:
            unknown = OutcomeUnknown(
                "an earlier call about the address got no clear answer, and may take effect yet",
                hint="Nothing was sent now. Try again in a minute.",
            )
            unknown.budget = exceeded
            raise call.about(unknown)
        yield from sleep(call, min(PAUSE, left))


def _answered(call: Call, question: Callable[[], T]) -> Steps[T]:
    """Calls a function that reads or writes the ledger, which may block, or the client's memory."""
    if call.journal is None:
        return question()
    try:
        return (yield from block(call, question))
    except GuestlistError as error:
        raise call.about(error) from error.__cause__
