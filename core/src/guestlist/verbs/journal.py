"""What the ledger is told of a single call, and what it tells of one that came to no end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from guestlist import errors
from guestlist.errors import GuestlistError
from guestlist.exchange.account import Call, Doubt
from guestlist.exchange.policy import sleep
from guestlist.exchange.step import Steps, Write
from guestlist.models import OPEN_STATES, InviteResult, State
from guestlist.verbs.find import look

T = TypeVar("T")

PAUSE = 5.0
"""Seconds between two looks for what an earlier call did."""


def written(
    call: Call, action: str, roles: Iterable[str], steps: Steps[T], outcome: Callable[[T], str]
) -> Steps[T]:
    """Carries out a change, and has the ledger write down what becomes of it. In a run, the run
    does that.

    Args:
        outcome: the result, in a word.
    """
    if call.journal is None or call.entry is not None:
        return (yield from steps)
    entry = call.journal.entry(call.account.name, call.email or "", action, tuple(roles))
    call.entry = entry
    try:
        result = yield from steps
    except GuestlistError as error:
        yield Write(partial(entry.failed, error))
        raise
    mail: bool | None = None
    owed: tuple[str, ...] = ()
    if isinstance(result, InviteResult):
        mail, owed = result.mail_sent, tuple(role.label for role in result.owed)
    yield Write(partial(entry.ended, outcome(result), mail, owed))
    return result


def settle_earlier(call: Call) -> Steps[None]:
    """Finds out what an earlier call did that came to no end, before another mail may go out.

    Raises:
        OutcomeUnknown: nobody can tell yet, and the budget does not allow to wait.
    """
    if call.journal is None or call.entry is not None:
        return
    earlier: list[Doubt | None] = []
    yield Write(lambda journal=call.journal: earlier.append(journal.doubt(call)))  # type: ignore[misc]
    doubt = earlier[0]
    if doubt is None:
        return
    final = call.account.clock.monotonic() + doubt.seconds
    while True:
        is_final = call.account.clock.monotonic() >= final
        guest = yield from look(call, call.email or "")
        if is_final or guest.state in (*OPEN_STATES, State.ACCEPTED):
            yield Write(partial(doubt.settle, guest.state in (*OPEN_STATES, State.ACCEPTED)))
            return
        wait = min(PAUSE, max(0.0, final - call.account.clock.monotonic()))
        if call.exceeded(max(0.0, final - call.account.clock.monotonic())):
            raise call.about(
                errors.OutcomeUnknown(
                    "an earlier call about the address was interrupted, and may take effect yet",
                    hint="Nothing was sent. Try again in a minute.",
                )
            )
        yield from sleep(call, wait)
