"""Calls of a client without a ledger that ended before their outcome was known.

A call that was canceled, or ran out of its budget, may take effect later. The client remembers it,
and the next call about the same person looks, until the grace period is over, before it sends.
A ledger does the same beyond the end of the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from guestlist.address import email_key
from guestlist.errors import GuestlistError
from guestlist.exchange.account import Account, Call
from guestlist.exchange.step import Steps
from guestlist.models import Guest
from guestlist.provider import Effect
from guestlist.verbs.signs import proves_absence, took_effect

T = TypeVar("T")

KEPT_SECONDS = 3600.0
"""How long an unresolved call is remembered after a look would be conclusive."""


@dataclass(frozen=True)
class Unresolved:
    """A call that ended before its outcome was known.

    Attributes:
        account: the account of the call.
        key: the person, and for a role the role.
        action: the action of the call.
        known: the guest before the call. None if the records were not read.
        final: the monotonic time in seconds after which a lookup that finds nothing is conclusive.
        answered: whether the service answered with a success status.
    """

    account: Account
    key: tuple[str, ...]
    action: str
    known: Guest | None
    final: float
    answered: bool

    @property
    def seconds(self) -> float:
        """Seconds until a look that finds nothing is conclusive; negative if it would be now."""
        return self.final - self.account.clock.monotonic()

    def judge(self, now: Guest, *, final: bool) -> bool | None:
        """Returns whether a lookup proves that the call took effect; None if it proves nothing."""
        try:
            if took_effect(self.action, self.known, now):
                return True
        except GuestlistError:
            return None
        conclusive = final and proves_absence(self.account.provider, self.known, now)
        return False if conclusive and not self.answered else None

    def settle(self, _happened: bool | None) -> bool:
        """Forgets the call. True: no other process writes to the memory of a client."""
        self.account.unresolved.pop(self.key, None)
        return True


def earlier_call(call: Call, *what: str) -> Unresolved | None:
    """Returns an earlier call about the same person whose outcome is unknown.

    Args:
        what: the subject of the call besides the person, such as a role.
    """
    return call.account.unresolved.get(_key(call, *what))


def remembered(
    call: Call, known: Guest | None, action: str, steps: Steps[T], *what: str
) -> Steps[T]:
    """Runs the steps of a call, and remembers the call if its outcome is not known in the end."""
    try:
        result = yield from steps
    except GuestlistError as error:
        if error.happened is not False and not error.half_done:
            _remember(call, known, action, what, call.answered or error.reports_success)
        raise
    except BaseException:  # canceled, or Ctrl-C
        _remember(call, known, action, what, call.answered)
        raise
    return result


def _remember(
    call: Call, known: Guest | None, action: str, what: tuple[str, ...], answered: bool
) -> None:
    if call.sent is None or call.sent.effect is not Effect.CREATE:
        return
    account, key = call.account, _key(call, *what)
    now = account.clock.monotonic()
    for other, old in list(account.unresolved.items()):
        if now - old.final > KEPT_SECONDS:
            account.unresolved.pop(other, None)
    account.unresolved[key] = Unresolved(account, key, action, known, now + call.grace, answered)


def _key(call: Call, *what: str) -> tuple[str, ...]:
    return (email_key(call.email or ""), *what)
