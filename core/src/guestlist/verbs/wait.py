"""`wait`: reads a person's state repeatedly until it is the expected one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from guestlist.errors import Conflict, InvalidArgument, ServiceTrouble, WaitTimeout
from guestlist.event import EventName
from guestlist.exchange.account import Call
from guestlist.exchange.policy import sleep
from guestlist.exchange.step import Steps
from guestlist.models import Guest, State
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.find import Who, begin, look
from guestlist.verbs.states import state_named, state_word

FIRST_PAUSE_SECONDS = 2.0
MAX_PAUSE_SECONDS = 60.0
"""Seconds between two lookups. A pause is half as long again as the one before, with jitter."""
MAX_LATE_PAUSE_SECONDS = 900.0
"""Seconds. After hours of waiting, a pause is a sixtieth of the time waited, up to this."""

NEEDS_NEW_INVITATION = frozenset({State.DECLINED, State.EXPIRED, State.REVOKED})
"""States that only a new invitation can change."""


def wait(
    accounts: Accounts,
    who: Who,
    *,
    until: State | str | Iterable[State | str] = State.ACCEPTED,
    timeout: float = 300.0,
    account: str | None = None,
) -> Steps[Guest]:
    """Reads the state of a person repeatedly until it is the expected one, and returns the guest.

    Args:
        who: an address, the id of an invitation or member, or a value that guestlist returned.
        until: the expected state, or several.
        timeout: seconds to wait. The last request may take its own timeout longer.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        WaitTimeout: the state was not reached in time. `guest` is the guest as last read.
        Conflict: the invitation ended in another state, so that waiting is useless.
    """
    wanted = _states(until)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout != timeout:
        raise InvalidArgument(f"timeout cannot be {timeout!r}", hint="Pass a number of seconds.")
    call = yield from begin(accounts, who, account)
    clock = call.account.clock
    began = clock.monotonic()
    ends = began + timeout
    pause, guest, trouble = FIRST_PAUSE_SECONDS, None, None
    while True:
        left = ends - clock.monotonic()
        try:
            guest = yield from look(_a_look(accounts, call, left))
        except ServiceTrouble as error:
            trouble = error  # Not raised yet: the next lookup may succeed.
        else:
            trouble = None
            if guest.state in wanted:
                return guest
            if guest.state in NEEDS_NEW_INVITATION:
                raise call.about(_in_vain(guest, wanted))
        jittered = pause * call.account.random.uniform(0.75, 1.25)
        left = ends - clock.monotonic()
        if left <= 0:
            raise call.about(_timeout(guest, call.who, wanted, timeout)) from trouble
        jittered = min(jittered, left)
        seen = guest.state if guest is not None else None
        call.account.emit(EventName.WAIT, email=call.who, seconds=jittered, detail=seen)
        yield from sleep(call, jittered)
        waited = clock.monotonic() - began
        pause = min(pause * 1.5, max(MAX_PAUSE_SECONDS, min(waited / 60, MAX_LATE_PAUSE_SECONDS)))


def _a_look(accounts: Accounts, call: Call, left: float) -> Call:
    """Returns a call for one lookup, with the time that is left or enough for one request."""
    budget = call.budget
    total = min(budget.total, max(left, budget.timeout))
    return accounts.budgeted(replace(budget, total=total)).call(
        call.account.name, call.email, call.login
    )


def _states(until: State | str | Iterable[State | str]) -> frozenset[State]:
    several = list(until) if isinstance(until, Iterable) and not isinstance(until, str) else [until]
    if not several:
        raise InvalidArgument("no state to wait for is given")
    return frozenset(map(state_named, several))


def _words(wanted: Iterable[State]) -> str:
    return " or ".join(sorted(wanted))


def _in_vain(guest: Guest, wanted: Iterable[State]) -> Conflict:
    return Conflict(
        f"{guest.label} is {state_word(guest.state)} and will not become {_words(wanted)}",
        hint="Invite or resend, then wait again.",
    )


def _timeout(guest: Guest | None, who: str, wanted: Iterable[State], timeout: float) -> WaitTimeout:
    seen = f"still {state_word(guest.state)}" if guest else "no look succeeded"
    return WaitTimeout(
        f"{who} did not become {_words(wanted)} in {timeout:g} s: {seen}",
        guest=guest,
        hint="Wait longer, or ask again later with `status`.",
    )
