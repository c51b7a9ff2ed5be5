"""What a lane does not know: requests that got no answer, and what a crash has left behind.

All of them are looked for together, each list of the service read once. A look that finds something
is believed at once; one that finds nothing only when the grace period was over as it began.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from guestlist.client import Guestlist
from guestlist.errors import (
    GuestlistError,
    MalformedResponse,
    OutcomeUnknown,
    ServiceTrouble,
    ServiceUnavailable,
)
from guestlist.exchange.account import grace
from guestlist.ledger.entry import OrderEntry
from guestlist.ledger.perform import found, is_final
from guestlist.ledger.tally import Tally
from guestlist.models import Guest

LOOK_FIRST, LOOK_LONGEST = 1.0, 10.0
"""Seconds between two looks: doubling from the first to the longest."""
ATTEMPTS = 5
"""Times that an order is sent at most, when each look shows that nothing happened."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One order of which nobody knows whether it happened.

    Attributes:
        since: the monotonic clock when the request can have left at the latest.
        error: what came instead of an answer.
    """

    entry: OrderEntry
    since: float
    error: GuestlistError


class Doubts:
    """The doubts of one account. Any number of threads may add to them; one looks.

    Args:
        guests: the client, bound to the account.
    """

    def __init__(self, guests: Guestlist, account: str, tally: Tally) -> None:
        self._guests = guests
        self._provider = guests.accounts[account]
        self._clock = guests.clock
        self._tally = tally
        self._grace = grace(self._provider, guests.budget)
        self._open: dict[int, Doubt] = {}
        self._guard = threading.Lock()
        self._pause = LOOK_FIRST
        self.next_look = math.inf

    def __len__(self) -> int:
        return len(self._open)

    def add(self, entry: OrderEntry, error: GuestlistError, since: float | None = None) -> None:
        """Takes up a doubt.

        Args:
            since: the monotonic clock when the request can have left at the latest; None for now.
        """
        now = self._clock.monotonic()
        with self._guard:
            if not self._open:
                self._pause = LOOK_FIRST
                self.next_look = now + self._pause
            self._open[entry.order.id] = Doubt(entry, now if since is None else since, error)
        self._tally.is_in_doubt(1)

    def look(self) -> ServiceTrouble | None:
        """Looks for all of them, and settles what the look decides.

        Returns:
            What kept the service from answering, if it did not.
        """
        began = self._clock.monotonic()
        with self._guard:
            doubts = list(self._open.values())
        trouble = None
        try:
            emails = {doubt.entry.order.change.email for doubt in doubts}
            guests = self._guests.standing(emails)
        except ServiceTrouble as error:
            trouble = error
        except GuestlistError as refusal:  # nobody will ever be able to look
            for doubt in doubts:
                self._unknown(doubt, refusal)
        else:
            for doubt in doubts:
                self._decide(doubt, guests[doubt.entry.order.change.key], began)
        self._pause = min(2 * self._pause, LOOK_LONGEST)
        with self._guard:
            self.next_look = self._clock.monotonic() + self._pause if self._open else math.inf
        return trouble

    def _decide(self, doubt: Doubt, now: Guest, began: float) -> None:
        entry = doubt.entry
        order = entry.order
        try:
            done = found(order, now)
        except GuestlistError as error:
            self._unknown(doubt, error)
            return
        if done is not None:
            entry.done(done)
            self._tally.was_done(done.outcome, done.mail)
            self._forget(doubt)
        elif began >= doubt.since + self._grace:
            self._absent(doubt, now)

    def _absent(self, doubt: Doubt, now: Guest) -> None:
        """The last look has found nothing."""
        entry = doubt.entry
        order = entry.order
        change = order.change
        if not is_final(self._provider, order, now):
            self._unknown(doubt, doubt.error)
        elif doubt.error.happened:
            self._unknown(doubt, MalformedResponse("it happened, and the service does not show it"))
        elif order.run is None or order.attempts + 1 >= ATTEMPTS:
            error = ServiceUnavailable(
                f"it did not happen: {doubt.error.message}", hint="Ask for it once more."
            )
            error.about(account=change.account, email=change.email)
            entry.refused(error)
            self._tally.was_refused(error)
            self._forget(doubt)
        else:
            fresh = {"state": now.state, "invitation": now.invitation, "member": now.member}
            entry.ask_again(change.model_copy(update=fresh), doubt.error.message)
            self._forget(doubt)

    def _unknown(self, doubt: Doubt, why: GuestlistError) -> None:
        change = doubt.entry.order.change
        error = OutcomeUnknown(
            f"it may have happened: {why.message}",
            hint="It is not sent again by itself. Ask the person, or `guestlist status`.",
        )
        error.about(account=change.account, email=change.email)
        doubt.entry.unknown(error)
        self._tally.stays_unknown(error)
        self._forget(doubt)

    def _forget(self, doubt: Doubt) -> None:
        with self._guard:
            del self._open[doubt.entry.order.id]
        self._tally.is_in_doubt(-1)
