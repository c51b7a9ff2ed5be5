"""Sends a withdrawal, and keeps the client's memory of recent writes correct."""

from __future__ import annotations

from guestlist.errors import GuestlistError, NotFound
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run
from guestlist.exchange.step import Steps
from guestlist.provider import Flow


def withdraw(call: Call, flow: Flow[None]) -> Steps[None]:
    """Runs a flow that revokes an invitation or removes a member.

    The client first forgets what it has recently created for the guest. It remembers it again if
    the service refuses or nothing was sent, because the record then still exists, even if the
    service's lists do not show it yet.
    """
    recent, sent = call.account.recent_writes, call.sent
    made = recent.forget(call.who)
    try:
        yield from run(call, flow)
    except GuestlistError as error:
        if made is not None and error.happened is False and not isinstance(error, NotFound):
            recent.add(*made)
        raise
    except BaseException:
        if made is not None and call.sent is sent:
            recent.add(*made)
        raise
