"""`Ledger`: the durable record of orders and their outcomes."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Self

from sqlalchemy import Connection

from guestlist.changes import Action, Change, label, reference, without_secrets
from guestlist.errors import GuestlistError, OutcomeUnknown
from guestlist.exchange.account import Call, grace
from guestlist.exchange.clock import Clock, SystemClock
from guestlist.exchange.rate_limiter import RateLimiter
from guestlist.ledger import answers, deferred_grants, orders
from guestlist.ledger.answers import Answer, Waiting
from guestlist.ledger.entry import OrderEntry, SingleEntry
from guestlist.ledger.order import Order, OrderOutcome
from guestlist.ledger.origin import Origin
from guestlist.ledger.perform import FOUND, found_outcome
from guestlist.ledger.schema import OrderState
from guestlist.ledger.shared_rate_limiter import rate_limiter_for
from guestlist.ledger.store import Store
from guestlist.location import url_of
from guestlist.models import Guest, Role, RoleOutcome
from guestlist.provider import Limit, Provider
from guestlist.verbs.evidence import may_undo, proves_absence
from guestlist.verbs.roles import holds

DAY = 86_400.0


class Ledger:
    """An open ledger. Any number of threads may share one, and several processes may open the same
    ledger.

    A client with a ledger records every change before its request leaves. After an interruption, it
    looks for the effect of the request before it sends anything again. Roles that a service accepts
    only after the invitation was accepted are deferred: `guestlist settle` grants them.

        with Ledger("guestlist.db") as ledger, Guestlist(ledger=ledger) as guests:
            guests.invite("ada@example.com", role="group:Engineering")

    Args:
        place: a file for SQLite, or the URL of a database: `postgresql://user@host/name`.
        clock: a clock to use instead of the machine's.
        read_only: write nothing.
        actor: the person or program that makes the calls; by default the user of the operating
            system. Stored with each call, beside the machine's name and the address of the CI job.
        note: the reason for the calls. `guestlist log` shows it.

    Raises:
        ConfigError: `place` is invalid, or the extra `guestlist[ledger]` is not installed.
        LedgerError: the ledger cannot be opened, or the file is not a ledger.
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
        deferred: tuple[Role, ...],
        *,
        began: float | None = None,
        instead: OrderEntry | None = None,
    ) -> SingleEntry:
        """Returns the record of a single call that begins. Writes nothing yet.

        Args:
            began: the time before the call read the guest's records, by `now`.
            instead: an order of a run that had no effect, and that the call replaces.
        """
        change = Change(
            action=Action(action),
            account=known.account,
            email=known.email or "",
            login=known.login,
            key=known.key,
            roles=tuple(map(reference, roles)),
            deferred=tuple(map(reference, deferred)),
            state=known.state,
            invitation=known.invitation and without_secrets(known.invitation),
            member=known.member,
            single=True,
        )
        return SingleEntry(self.store, change, self._clock, instead, self.origin, began)

    def now(self) -> float:
        """Returns the time that the ledger records, in seconds since 1970."""
        return self._clock.now().timestamp()

    def rate_limiter(
        self, provider: Provider, limits: tuple[Limit, ...] | None = None
    ) -> RateLimiter:
        """Returns the rate limiter of an account. All processes with the same ledger share it.

        Args:
            limits: the limits of all accounts that the service counts together; None for the
                provider's own.
        """
        limits = provider.limits if limits is None else limits
        return rate_limiter_for(self.store, provider, limits, self._clock)

    def last_unanswered(
        self, call: Call, role: Role | None = None, *, give: bool = True
    ) -> UnansweredCall | None:
        """Returns the last call that was to send the guest an email, if it got no answer or if its
        outcome stays unknown; else None.

        Args:
            role: instead, look for a change of the guest's roles that got no answer and may undo
                the change of this role. An identical change does not count.
            give: True if the role is given, False if it is taken away.
        """
        about = self.store, call.account.name, call.key
        if role is None:
            found = orders.last_unanswered(*about)
        else:
            unanswered = orders.unanswered_role_changes(*about)
            found = next((one for one in unanswered if _may_undo(call, one, role, give)), None)
        return None if found is None else UnansweredCall(self, found, call, self._clock)

    def deferred_roles(self, account: str, keys: Collection[str]) -> list[str]:
        """Returns the names of the deferred roles of a person in an account.

        Args:
            keys: the normalized addresses (`guestlist.email_key`) and logins of the person.
        """
        found = deferred_grants.of_person(self.store, account, keys)
        return [label(role) for order in found for role in order.change.roles]

    def cancel_deferred(self, account: str, keys: Collection[str]) -> None:
        """Cancels all deferred roles of a person in an account.

        Args:
            keys: the normalized addresses (`guestlist.email_key`) and logins of the person.
        """
        now = self._clock.now().timestamp()

        def cancel(connection: Connection) -> None:
            for key in keys:
                deferred_grants.cancel(connection, account, key, now, "offboarded")

        self.store.write(cancel)

    def waiting(self, *, days: float = 30.0) -> list[Waiting]:
        """Returns the people who were invited with this ledger in the last `days` and have no
        recorded answer. Read their status with `status_many`, and pass it to `answered`."""
        return answers.waiting(self.store, self._clock.now().timestamp() - days * DAY)

    def answered(self, one: Waiting, now: Guest) -> bool:
        """Records a person's status. Returns True if the status ends the invitation, no process has
        recorded that before, and the ledger still has the person."""
        return answers.record_answer(self.store, one, now, self._clock.now().timestamp())

    def answers(self, after: int = 0, *, limit: int = 1000) -> list[Answer]:
        """Returns recorded ends of invitations, in the order in which they were recorded.

        Args:
            after: the number of the last answer that the caller knows.
        """
        return answers.answers(self.store, after, limit)

    def last_answer(self) -> int:
        """Returns the number of the last answer; 0 if there is none. Later answers have higher
        numbers."""
        return answers.last_number(self.store)

    def close(self) -> None:
        """Waits until pending records are written, and closes the database."""
        self.store.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.store.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def role_of(order: Order) -> Role | None:
    """Returns the role that an order gives or takes. None if it is not about a role, and for an
    order of version 0.1, which stored no ids."""
    role = next(iter(order.change.roles), None)
    is_about_role = order.change.action in orders.ROLE_CHANGES
    return role if is_about_role and isinstance(role, Role) else None


def _may_undo(call: Call, order: Order, role: Role, give: bool) -> bool:
    """Returns whether an order may undo the change of a role if it takes effect late."""
    earlier, gives = role_of(order), order.change.action is not Action.UNASSIGN_ROLE
    if earlier is None or (holds([earlier], role) and gives is give):
        return False
    return may_undo(call.provider, earlier, role)


class UnansweredCall:
    """A call whose request got no answer.

    Attributes:
        action: the action of the call.
        role: the role that the call gives or takes; None for a call about an invitation.
        is_unknown: whether the last lookup has ended, and did not show if an email was sent.
        preparation: the progress of the call's invitation; None if it has prepared nothing.
        seconds: seconds until a lookup that finds nothing is conclusive; negative if it already is.
    """

    must_be_settled = True

    def __init__(self, ledger: Ledger, order: Order, call: Call, clock: Clock) -> None:
        self.action = order.change.action.value
        self.is_unknown = order.state is OrderState.UNKNOWN
        self.preparation = order.preparation
        self._ledger = ledger
        self._order = order
        self._entry = OrderEntry(ledger.store, order, clock)
        self._provider = call.provider
        self.role = role_of(order)
        self._done: OrderOutcome | None = None
        if self.role is not None:
            words = {Action.UNASSIGN_ROLE: RoleOutcome.UNASSIGNED}
            self._done = OrderOutcome(
                words.get(order.change.action, RoleOutcome.ASSIGNED), None, FOUND
            )
        now = clock.now().timestamp()
        left = min(
            order.over(call.budget.total, now), now
        )  # the latest time at which the call can have sent its request
        self.seconds = left + grace(call.provider, call.budget) - now

    def judge(self, now: Guest, *, final: bool) -> bool | None:
        """Returns whether a person's current status shows that the call took effect; None while
        that is unknown.

        Args:
            final: whether the grace period is over.
        """
        try:
            self._done = found_outcome(self._order, now)
        except GuestlistError:
            return None
        if self._done is not None:
            return True
        conclusive = final and proves_absence(self._provider, self._order.known, now)
        return False if conclusive and not self._order.answered else None

    def settle(self, happened: bool | None) -> bool:
        """Records the result of the last lookup.

        Returns False if the process that made the call has recorded a result since. Does not record
        that an order of a run had no effect: the run still has to send the order, unless a call
        that uses `entry` replaces it.
        """
        if happened and self._done is not None:
            return self._entry.done(self._done)
        if happened is None:
            return self._entry.unknown(OutcomeUnknown("no lookup shows the outcome"))
        return self._is_settled or self._is_of_a_run or self._entry.not_happened()

    def entry(
        self,
        known: Guest,
        action: str,
        roles: tuple[Role, ...],
        deferred: tuple[Role, ...],
        *,
        began: float | None = None,
    ) -> SingleEntry:
        """Returns the record of the call that follows an unanswered call without effect."""
        instead = self._entry if self._is_of_a_run and not self._is_settled else None
        return self._ledger.entry(known, action, roles, deferred, began=began, instead=instead)

    @property
    def _is_settled(self) -> bool:
        """Whether the order has ended. An order that was only prepared does not end before another
        order completes it."""
        return self._order.state > OrderState.DEFERRED

    @property
    def _is_of_a_run(self) -> bool:
        return self._order.run is not None
