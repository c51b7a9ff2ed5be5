"""A pace that several processes share, through a row of the ledger."""

from __future__ import annotations

import hashlib
import json
import socket

from sqlalchemy import Connection, select, update

from guestlist.exchange.clock import Clock
from guestlist.exchange.pace import Pace
from guestlist.ledger.schema import paces
from guestlist.ledger.store import Store, insert_absent
from guestlist.provider import Limit, Provider

AHEAD = 3600.0
"""Seconds. A row that speaks of later moments than that was written under a wrong clock."""


class SharedPace(Pace):
    """Reserves in the ledger, so that all processes together stay below a service's limits.

    The row holds moments of the wall clock: machines that share a PostgreSQL ledger need clocks
    that agree to some hundredths of a second, as NTP keeps them.

    Args:
        name: of the row.
    """

    shared = True

    def __init__(self, store: Store, name: str, limits: tuple[Limit, ...], clock: Clock) -> None:
        super().__init__(*limits)
        self._limits = limits
        self._store = store
        self._name = name
        self._written = select(paces.c.state).where(paces.c.name == name)
        self._clock = clock

    def reserve(self, now: float, patience: float = float("inf")) -> float:
        """Takes the next moment that is free for any process. Blocks for the ledger."""
        with self._store.pacing() as connection:
            pace = self._locked(connection)
            waited = self._since(now)
            left = patience - waited
            delay = pace.reserve(self._wall(), left)
            if delay <= left:
                self._write(connection, pace)
        return waited + delay

    def push_back(self, now: float, seconds: float, *, refused: bool = False) -> None:
        """Lets no process go for so long. Blocks for the ledger."""
        with self._store.pacing() as connection:
            pace = self._locked(connection)
            # not `now`: what has gone since then, while the ledger was somebody else's, counts
            pace.push_back(self._wall(), max(0.0, seconds - self._since(now)), refused=refused)
            self._write(connection, pace)
            self.rests = pace.rests

    def look(self) -> None:
        """Brings `rests` up to date. Waits for nobody: a request is about to leave."""
        with self._store.reading() as connection:
            self._restored(connection.scalar(self._written))

    def _locked(self, connection: Connection) -> Pace:
        """What is written, which no other process changes before the end of the transaction."""
        written = self._written.with_for_update()
        state = connection.scalar(written)
        if state is None:
            fresh = {"name": self._name, "state": json.dumps(Pace(*self._limits).state())}
            insert_absent(connection, paces, fresh)
            state = connection.scalar(written)
        return self._restored(state)

    def _restored(self, state: str | None) -> Pace:
        pace = Pace(*self._limits)
        known = json.loads(state or "{}")
        # of as many limits: an older version of the plugin may have known of others
        if (
            known
            and len(known["gauges"]) == len(self._limits)
            and known["last"] <= self._wall() + AHEAD
        ):
            pace.restore(known)
        self.rests = pace.rests
        return pace

    def _wall(self) -> float:
        return self._clock.now().timestamp()

    def _since(self, moment: float) -> float:
        return self._clock.monotonic() - moment

    def _write(self, connection: Connection, pace: Pace) -> None:
        connection.execute(
            update(paces).where(paces.c.name == self._name).values(state=json.dumps(pace.state()))
        )


def pace_for(store: Store, provider: Provider, limits: tuple[Limit, ...], clock: Clock) -> Pace:
    """The pace of an account: shared, where the service is known to limit anything."""
    if not limits:
        return Pace()
    return SharedPace(store, _name_of(provider), limits, clock)


def _name_of(provider: Provider) -> str:
    """What the service counts together: a network address, or whoever has the same credentials."""
    if provider.limits_count_addresses:
        return f"{provider.base_url} from {socket.gethostname()}"
    told = json.dumps([provider.base_url, sorted(provider.authorize().items())])
    return f"{provider.base_url} {hashlib.sha256(told.encode()).hexdigest()[:16]}"
