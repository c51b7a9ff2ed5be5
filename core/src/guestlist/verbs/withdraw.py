"""Revokes invitations and removes members; the client knows afterwards if it took effect."""

from __future__ import annotations

from guestlist.errors import GuestlistError, NotFound
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run
from guestlist.exchange.step import Steps
from guestlist.provider import Flow


def withdraw(call: Call, email: str, flow: Flow[None]) -> Steps[None]:
    """Runs a flow that revokes or removes. What the client has made itself is forgotten before, and
    remembered again where the service refuses, or nothing was sent before an interruption: it is
    there still, whatever the lists show yet."""
    recent, sent = call.account.recent, call.sent
    made = recent.forget(email)
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
