"""A lock per guest, so that changes by one client to one guest are made one after another."""

from __future__ import annotations

from guestlist.address import email_key
from guestlist.errors import ServiceUnavailable
from guestlist.exchange.account import Call
from guestlist.exchange.step import Hold, Release, Steps


def lock_guest(call: Call, email: str) -> Steps[None]:
    """Waits until no other call of the client changes the guest, and keeps others from it until the
    call ends, or lets go.

    Raises:
        ServiceUnavailable: that takes longer than the call may; nothing was sent.
    """
    free = yield Hold(_guest(call, email), call.remaining)
    if not free:
        raise call.about(
            ServiceUnavailable(
                "another call about the same address is still under way",
                hint="Nothing was sent. Try again later.",
            )
        )


def unlock_guest(call: Call, email: str) -> Steps[None]:
    """Lets other calls change the guest while this one goes on."""
    yield Release(_guest(call, email))


def _guest(call: Call, email: str) -> tuple[str, ...]:
    return (call.account.name, email_key(email))
