"""A rate limiter that several processes share through a row of the ledger."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import replace

from sqlalchemy import Connection, select, update

from guestlist.exchange.clock import Clock
from guestlist.exchange.rate_limiter import RateLimiter, Reservation, Usage
from guestlist.ledger.schema import paces
from guestlist.ledger.store import Store, insert_absent
from guestlist.provider import Limit, Provider

SKEW = 1.0
"""Seconds. A row that another machine wrote further in the future than this shows that a clock was
set. On one machine, any row from the future shows it."""


class SharedRateLimiter(RateLimiter):
    """Reserves requests in the ledger, so that all processes together stay below a service's
    limits.

    The row holds times of the wall clock: machines that share a ledger in PostgreSQL need clocks
    that agree to some hundredths of a second, as NTP keeps them. If the clock is set back, the row
    is treated as written just now. If it is set forward, the row is treated as old. Either costs at
    most one window of the limit.

    Args:
        name: the name of the row.
    """

    shared = True

    def __init__(self, store: Store, name: str, limits: tuple[Limit, ...], clock: Clock) -> None:
        self._store = store
        self._name = name
        self._written = select(paces.c.state).where(paces.c.name == name)
        self._clock = clock
        super().__init__(*limits)

    def _part(self, number: int, *limits: Limit) -> RateLimiter:
        name = f"{self._name}, kind {number + 1}"
        general = tuple(replace(limit, applies_to=None) for limit in limits)
        return SharedRateLimiter(self._store, name, general, self._clock)

    def reserve(self, now: float, patience: float = float("inf")) -> Reservation:
        """Reserves the next moment that is free for all processes. Blocks on the ledger."""
        with self._store.pacing() as connection:
            limiter = self._locked(connection)
            waited = self._since(now)
            left = patience - waited
            delay, pauses = limiter.reserve(self._wall(), left)
            if delay <= left:
                self._write(connection, limiter)
        return Reservation(waited + delay, pauses)

    def push_back(
        self,
        now: float,
        seconds: float,
        *,
        refused: bool = False,
        pause: float = 0.0,
        reason: str = "",
    ) -> None:
        """Delays the requests of all processes. Blocks while it uses the ledger."""
        with self._store.pacing() as connection:
            limiter = self._locked(connection)
            # Waiting for the row's lock took time. The pause began at `now`, so the waited seconds
            # are subtracted.
            waited = self._since(now)
            limiter.push_back(
                self._wall(),
                max(0.0, seconds - waited),
                refused=refused,
                pause=max(0.0, pause - waited),
                reason=reason,
            )
            self._write(connection, limiter)
            self._learn(limiter)

    def look(self) -> None:
        """Reads the pause of the service again. Does not wait for other processes, because a
        request is about to leave."""
        with self._store.reading() as connection:
            self._restored(connection.scalar(self._written))

    def usage(self, now: float) -> list[Usage]:
        """Returns how much of each limit all processes have used. Blocks on the ledger."""
        with self._store.reading() as connection:
            return self._restored(connection.scalar(self._written)).usage(self._wall())

    def _locked(self, connection: Connection) -> RateLimiter:
        """Returns the stored rate limiter, and locks its row until the end of the transaction."""
        written = self._written.with_for_update()
        state = connection.scalar(written)
        if state is None:
            fresh = {"name": self._name, "state": "{}"}
            insert_absent(connection, paces, fresh)
            state = connection.scalar(written)
        return self._restored(state)

    def _restored(self, state: str | None) -> RateLimiter:
        limiter = RateLimiter(*self._limits)
        known = json.loads(state or "{}")
        # an older version of the plugin may have declared other limits
        if known.get("written") and len(known["gauges"]) == len(self._limits):
            limiter.restore(known)
            ahead = known["written"] - self._wall()
            if ahead > (0.0 if self._store.is_sqlite else SKEW):  # the clock was set back
                limiter.shift(-ahead)
        self._learn(limiter)
        return limiter

    def _learn(self, limiter: RateLimiter) -> None:
        self.pauses = limiter.pauses
        ahead = self._clock.monotonic() - self._wall()
        self.pause_ends = limiter.pause_ends + ahead
        self._paused_until = limiter._paused_until + ahead
        self.pause_reason = limiter.pause_reason

    def _wall(self) -> float:
        return self._clock.now().timestamp()

    def _since(self, moment: float) -> float:
        return self._clock.monotonic() - moment

    def _write(self, connection: Connection, limiter: RateLimiter) -> None:
        state = json.dumps({"written": self._wall(), **limiter.state()})
        connection.execute(update(paces).where(paces.c.name == self._name).values(state=state))


def rate_limiter_for(
    store: Store, provider: Provider, limits: tuple[Limit, ...], clock: Clock
) -> RateLimiter:
    """Returns the rate limiter of an account. It is shared if the provider declares limits."""
    if not limits:
        return RateLimiter()
    return SharedRateLimiter(store, _name_of(provider), limits, clock)


def _name_of(provider: Provider) -> str:
    """Returns the name of the row for accounts that share limits at the service: by network
    address, or by credentials."""
    if provider.limits_count_addresses:
        return f"{provider.base_url} from {socket.gethostname()}"
    known = [provider.base_url, sorted(provider.authorize().items())]
    if provider.supports("fetch_token"):
        known += provider.secrets()
    credentials = json.dumps(known)
    return f"{provider.base_url} {hashlib.sha256(credentials.encode()).hexdigest()[:16]}"
