"""An account that records its requests."""

from __future__ import annotations

from guestlist.exchange.account import Account, Budget
from guestlist.exchange.rate_limiter import RateLimiter
from guestlist.exchange.step import Outgoing
from guestlist.provider import Request


class Spy(Account):
    """An account that records the requests of its provider, each with the message to send."""

    def __post_init__(self, sharing: RateLimiter | None) -> None:
        super().__post_init__(sharing)
        self.requests: list[tuple[Request, Outgoing]] = []

    def outgoing(self, request: Request, budget: Budget) -> Outgoing:
        outgoing = super().outgoing(request, budget)
        self.requests.append((request, outgoing))
        return outgoing

    def request_of(self, outgoing: Outgoing) -> Request:
        """Returns the request from which a message was made."""
        return next(request for request, one in reversed(self.requests) if one is outgoing)
