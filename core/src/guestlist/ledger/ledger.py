"""`Ledger`: the durable record of what was asked for and what became of it."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Self

from guestlist.address import email_key
from guestlist.changes import Action, Change, reference, without_secrets
from guestlist.errors import GuestlistError, OutcomeUnknown
from guestlist.exchange.account import Call, grace
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.exchange.pace import Pace
from guestlist.ledger import answers, orders
from guestlist.ledger.answers import Answer, Waiting
from guestlist.ledger.entry import OrderEntry, SingleEntry
from guestlist.ledger.order import Order
from guestlist.ledger.origin import Origin
from guestlist.ledger.outcome import Done
from guestlist.ledger.perform import found
from guestlist.ledger.shared_rate_limiter import rate_limiter_for
from guestlist.ledger.store import Store
from guestlist.location import url_of
from guestlist.models import Guest, Role
from guestlist.provider import Limit, Provider
from guestlist.verbs.signs import proves_absence

DAY = 86_400.0


class Ledger:
    """A ledger that is open. Any number of threads may use one, and several processes at a time.

    Given to a client, it remembers every change before its request leaves, so that a call which
    was interrupted is looked for before anything is sent again; and roles that a service takes
    only after acceptance can be given with the invitation: they are owed, until `guestlist settle`
    gives them.

        with Ledger("guestlist.db") as ledger, Guestlist(ledger=ledger) as guests:
            guests.invite("ada@example.com", role="group:Engineering")

    Args:
        place: a file for SQLite, or the URL of a database: `postgresql://user@host/name`.
        clock: another clock than the machine's.
        read_only: nothing is ever written to it.
        actor: who makes the calls; by default the user of the operating system. Stored with each
            call, beside the machine's name and the address of the CI job.
        note: why the calls are made, for whoever reads the log.

    Raises:
        ConfigError: the place is invalid, or the extra `guestlist[ledger]` is not installed.
        LedgerError: it cannot be opened, or is not a ledger.
    """

    def __init__(
        self,
        place: str | Path,
        *,
        clock: Clock | None = None,
        read_only: bool = False,
        actor: str | None = None,
        note: str | None = None,
    ) -> None:
        self.store = Store(url_of(str(place)), read_only=read_only)
        self.origin = Origin.here(actor, note)
        self._clock = clock or SystemClock()

    def acting_as(self, actor: str | None, note: str | None = None) -> Ledger:
        """Returns the same open ledger, which stores another actor and note with its calls."""
        other = copy(self)
        other.origin = replace(self.origin, actor=actor or self.origin.actor, note=note)
        return other

    def entry(
        self,
        known: Guest,
        action: str,
        roles: tuple[Role, ...],
        owed: tuple[Role, ...],
        *,
        instead: OrderEntry | None = None,
    ) -> SingleEntry:
        """The line of a single call that begins. Nothing is written yet.

        Args:
            instead: an order of a run that did not happen, and whose place the call takes.
        """
        change = Change(
            action=Action(action),
            account=known.account,
            email=known.email,
            key=known.key,
            roles=tuple(map(reference, roles)),
            owed=tuple(map(reference, owed)),
            state=known.state,
            invitation=known.invitation and without_secrets(known.invitation),
            member=known.member,
            single=True,
        )
        return SingleEntry(self.store, change, self._clock, instead, self.origin)

    def pace(self, provider: Provider, limits: tuple[Limit, ...] | None = None) -> Pace:
        """The pace of an account, shared by all processes that have the same ledger.

        Args:
            limits: of all accounts that the service counts together with it; None for its own.
        """
        limits = provider.limits if limits is None else limits
        return rate_limiter_for(self.store, provider, limits, self._clock)

    def doubt(self, call: Call) -> UnansweredCall | None:
        """The last call that was to send the guest a mail, if it came to no end."""
        order = orders.last_unanswered(self.store, call.account.name, email_key(call.email or ""))
        return None if order is None else UnansweredCall(self, order, call, self._clock)

    def waiting(self, *, days: float = 30.0) -> list[Waiting]:
        """Those who were invited with this ledger in the last days, and are not known to have
        answered. `standing` tells where they are, and `answered` takes that."""
        return answers.waiting(self.store, self._clock.now().timestamp() - days * DAY)

    def answered(self, one: Waiting, now: Guest) -> bool:
        """Writes down where somebody stands. True when that ends the invitation, nobody has written
        so before, and the ledger still knows of it."""
        return answers.note(self.store, one, now, self._clock.now().timestamp())

    def answers(self, after: int = 0, *, limit: int = 1000) -> list[Answer]:
        """What has become of invitations, in the order in which it was written down, whoever did.

        Args:
            after: the number of the last answer that is known already.
        """
        return answers.answers(self.store, after, limit)

    def last_answer(self) -> int:
        """The number of the last answer; 0 for none. What comes after it is new."""
        return answers.last(self.store)

    def close(self) -> None:
        """Waits for what is being written, and closes the database."""
        self.store.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.store.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class UnansweredCall:
    """A call that came to no end.

    Attributes:
        action: what it was to do.
        seconds: until a look that finds nothing is final; negative when it would be now.
    """

    def __init__(self, ledger: Ledger, order: Order, call: Call, clock: Clock) -> None:
        self.action = order.change.action.value
        self._ledger = ledger
        self._order = order
        self._entry = OrderEntry(ledger.store, order, clock)
        self._provider = call.provider
        self._done: Done | None = None
        now = clock.now().timestamp()
        left = min(order.over(call.budget.total, now), now)  # when its request had left
        self.seconds = left + grace(call.provider, call.budget) - now

    def judge(self, now: Guest, *, final: bool) -> bool | None:
        """What a look shows: whether it happened; None while that cannot be said."""
        try:
            self._done = found(self._order, now)
        except GuestlistError:
            return None
        if self._done is not None:
            return True
        return False if final and proves_absence(self._provider, self._order.known, now) else None

    def settle(self, happened: bool | None) -> bool:
        """Writes down what the last look has shown. False when whoever made the call has written
        something since.

        That a run's order did not happen is written by `entry` alone: until another request takes
        its place, the run has to send it still.
        """
        if happened and self._done is not None:
            return self._entry.done(self._done)
        if happened is None:
            return self._entry.unknown(OutcomeUnknown("no look can tell"))
        return self._is_of_a_run or self._entry.not_happened()

    def entry(
        self, known: Guest, action: str, roles: tuple[Role, ...], owed: tuple[Role, ...]
    ) -> SingleEntry:
        """The line of the call that was to come after the one in doubt, which did not happen."""
        instead = self._entry if self._is_of_a_run else None
        return self._ledger.entry(known, action, roles, owed, instead=instead)

    @property
    def _is_of_a_run(self) -> bool:
        return self._order.run is not None
