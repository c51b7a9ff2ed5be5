"""Settles earlier calls whose outcome is unknown, before another request is sent."""

from __future__ import annotations

from guestlist.errors import Forbidden, GuestlistError, OutcomeUnknown
from guestlist.event import EventName
from guestlist.exchange.account import Call
from guestlist.exchange.policy import sleep
from guestlist.exchange.recording import EarlierCall, Preparation
from guestlist.exchange.step import Steps
from guestlist.models import OPEN_STATES, Guest, State
from guestlist.verbs.find import look

CONFIRM = "if they got none, retry_unknown=True sends another one"
PAUSE_SECONDS = 5.0
"""Seconds between two lookups of what an earlier call did."""


def settle_earlier(call: Call, action: str, *, retry_unknown: bool = False) -> Steps[Guest | None]:
    """Before a new email, finds out whether an earlier call with an unknown outcome took effect.

    Args:
        action: `invite`, or `resend` or `replace`, with which the caller asks for another email.
        retry_unknown: whether to send even if it is unknown whether an earlier email was sent.

    Returns:
        The guest, if the earlier call was about the same action and took effect.

    Raises:
        OutcomeUnknown: a lookup gives no proof, or not yet, and the budget does not allow waiting.
    """
    strategy = call.strategy
    while (earlier := (yield from strategy.unresolved(call))) is not None:
        if earlier.preparation is Preparation.PREPARED:
            if not (yield from strategy.settle(call, earlier, False)):
                continue
            call.prepared = True
            return None
        if earlier.is_unknown:
            if action == "invite" and not retry_unknown:
                yield from _check_confirmed(call, earlier)
            call.prepared = earlier.preparation is not None
            return None
        try:
            if action == "invite" and earlier.action != action and not earlier.must_be_settled:
                guest = yield from look(call)
                if guest.state in (*OPEN_STATES, State.ACCEPTED):
                    return None  # nothing will be sent
            guest, happened = yield from _find_out(call, earlier)
        except Forbidden:
            if earlier.must_be_settled or not call.provider.refuses_duplicates:
                raise
            yield from strategy.settle(call, earlier, None)
            return None  # the service itself refuses to invite twice
        if not (yield from strategy.settle(call, earlier, happened)):
            # The process of the earlier call is alive and has recorded a result: start again.
            continue
        if happened is None and not retry_unknown:
            raise _cannot_tell(call, action)
        call.prepared = happened is None and earlier.preparation is not None
        return guest if happened and earlier.action == action else None
    return None


def _check_confirmed(call: Call, earlier: EarlierCall) -> Steps[None]:
    """Raises OutcomeUnknown unless the records now show an open invitation or a membership. If the
    earlier call has prepared the invitation, only a membership counts."""
    guest = yield from look(call)
    is_invited = guest.state in OPEN_STATES and earlier.preparation is None
    if not is_invited and guest.state is not State.ACCEPTED:
        raise _cannot_tell(call, "invite")


def _cannot_tell(call: Call, action: str) -> GuestlistError:
    again = "the next call will send" if action != "invite" else CONFIRM
    return call.about(
        OutcomeUnknown(
            "the outcome of an earlier call about the address is unknown, and no lookup shows"
            " whether it sent an email",
            hint=f"Nothing was sent now. Ask the person; {again}.",
        )
    )


def _find_out(call: Call, earlier: EarlierCall) -> Steps[tuple[Guest, bool | None]]:
    """Looks until it is certain whether an earlier call took effect; None if that stays unknown."""
    clock = call.account.clock
    final = clock.monotonic() + earlier.seconds
    while True:
        left = final - clock.monotonic()
        how_sure = "final" if left <= 0 else "early"
        call.account.emit(EventName.LOOK, email=call.email, detail=f"an earlier call; {how_sure}")
        guest = yield from look(call)
        happened = earlier.judge(guest, final=left <= 0)
        if happened is not None or left <= 0:
            return guest, happened
        left = max(0.0, final - clock.monotonic())
        yield from wait_for_effect(call, left, "an earlier call about the address")


def wait_for_effect(call: Call, seconds: float, what: str) -> Steps[None]:
    """Waits before the next lookup of the effect of an earlier call.

    Args:
        seconds: the time until a lookup is conclusive.
        what: the earlier call, for the message.

    Raises:
        OutcomeUnknown: the budget does not allow waiting until a lookup is conclusive.
    """
    exceeded = call.exceeded(seconds)
    if exceeded:
        unknown = OutcomeUnknown(
            f"{what} got no conclusive answer, and may still take effect",
            hint="Nothing was sent now. Try again in a minute.",
        )
        unknown.budget = exceeded
        raise call.about(unknown)
    yield from sleep(call, min(PAUSE_SECONDS, seconds))
