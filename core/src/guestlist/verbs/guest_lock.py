"""A lock per guest, so that changes by one client to one guest are made one after another."""

from __future__ import annotations

from guestlist.address import email_key
from guestlist.errors import ServiceUnavailable
from guestlist.exchange.account import Call
from guestlist.exchange.step import Acquire, Release, Steps


def lock_guest(call: Call) -> Steps[None]:
    """Locks a guest, so that other calls of the client that change the guest wait until this call
    ends or unlocks it.

    Raises:
        ServiceUnavailable: another call has the lock for longer than the budget allows to wait.
            Nothing was sent.
    """
    free = yield Acquire(_guest(call), call.remaining)
    if not free:
        raise call.about(
            ServiceUnavailable(
                "another call about the same address is still under way",
                hint="Nothing was sent. Try again later.",
            )
        )


def unlock_guest(call: Call) -> Steps[None]:
    """Unlocks a guest before the call ends, so that other calls can change the guest."""
    yield Release(_guest(call))


def _guest(call: Call) -> tuple[str, ...]:
    return (call.account.name, email_key(call.who))
