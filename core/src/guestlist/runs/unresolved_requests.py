"""Looks up the outcome of requests that got no answer, including those that a crash has left
behind.

All of them are looked up together, so that each list of the service is read once. An effect that is
found counts at once. An absence counts only if the lookup began after the grace period.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

from guestlist.address import check_email
from guestlist.client import Guestlist
from guestlist.errors import (
    GuestlistError,
    InvalidArgument,
    OutcomeUnknown,
    Rejected,
    ServiceTrouble,
    ServiceUnavailable,
    Unsupported,
)
from guestlist.exchange.account import grace
from guestlist.exchange.policy import PREPARED_HINT
from guestlist.ledger.entry import OrderEntry
from guestlist.ledger.order import SKEW, Order
from guestlist.ledger.orders import ASK, mark_all_unanswered, mark_unanswered
from guestlist.ledger.perform import REPEATABLE, found_outcome
from guestlist.ledger.store import Store
from guestlist.models import Guest
from guestlist.provider import Provider
from guestlist.runs.tally import Tally
from guestlist.verbs.evidence import proves_absence
from guestlist.verbs.many import MAX_LOOKUPS_BY_ADDRESS

FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 1.0, 10.0
"""Seconds between two lookups. The time doubles from the first value to the maximum."""
MAX_ATTEMPTS = 5
"""Maximum number of times that an order is sent, if each lookup proves that it had no effect."""
INTERRUPTED = "the run was interrupted"
MAY_HAVE_HAPPENED = "it may have happened: "
NOT_SHOWN = "the service answered with a success status, and its lists do not show the change"


@dataclass(frozen=True, slots=True)
class UnresolvedRequest:
    """An order whose request got no answer.

    Attributes:
        since: monotonic time in seconds from which no request of the order is in flight.
        error: the error that came instead of an answer; None if the process that waited for the
            answer is gone.
        counts: whether the request counts as an attempt. It does not if this machine caused the
            failure.
    """

    entry: OrderEntry
    since: float
    error: GuestlistError | None
    counts: bool

    @property
    def why(self) -> str:
        """The reason why no answer came, as a message."""
        why = self.error.message if self.error is not None else INTERRUPTED
        return why.removeprefix(MAY_HAVE_HAPPENED)


class UnresolvedRequests:
    """The unresolved requests of one account. Any number of threads may add requests. One thread
    looks them up.

    Args:
        guests: the client, bound to the account.
    """

    def __init__(self, guests: Guestlist, account: str, tally: Tally) -> None:
        self._guests = guests
        self._provider = guests.accounts[account]
        self._clock = guests.clock
        self._tally = tally
        self._grace = grace(self._provider, guests.budget)
        self._open: dict[int, UnresolvedRequest] = {}
        self._guard = threading.Lock()
        self._pause = FIRST_LOOK_SECONDS
        self.next_look = math.inf

    def __len__(self) -> int:
        return len(self._open)

    def add(
        self,
        entry: OrderEntry,
        error: GuestlistError | None,
        since: float | None = None,
        *,
        counts: bool = True,
    ) -> None:
        """Adds a request whose outcome must be looked up.

        Args:
            error: the error that came instead of an answer; None if the process that waited for the
                answer is gone.
            since: monotonic time in seconds from which no request of the order is in flight; None
                for now.
            counts: whether the request counts as one of `MAX_ATTEMPTS` attempts.
        """
        now = self._clock.monotonic()
        with self._guard:
            if not self._open:
                self._pause = FIRST_LOOK_SECONDS
                self.next_look = now + self._pause
            self._open[entry.order.id] = UnresolvedRequest(
                entry, now if since is None else since, error, counts
            )
        self._tally.is_unresolved(1)

    def recover(self, store: Store, orders: list[Order], *, alone: bool) -> None:
        """Takes over the unanswered requests of other processes. Requests that are safe to repeat
        go back to the queue once no process waits for their answers any more.

        Args:
            alone: whether no other process works on a run of this ledger.
        """
        wall, monotonic = self._clock.now().timestamp(), self._clock.monotonic()
        total = self._guests.budget.total
        ended: list[Order] = []
        for sent in orders:
            is_over = alone and sent.run is not None
            order = self._rewound(store, sent, wall if is_over else wall + total + SKEW)
            entry = OrderEntry(store, order, self._clock)
            if order.is_prepared and order.run is None:
                if order.gave_up_at is not None or order.over(total, wall) <= wall:
                    self._incomplete(entry)
                continue
            if order.change.action in REPEATABLE and order.run is None:
                # No run repeats a single call. Its request may still be in flight.
                if order.over(total, wall) <= wall:
                    entry.unknown(ServiceUnavailable("the call was interrupted; make it again"))
                continue
            if order.change.action in REPEATABLE or order.is_prepared:
                # Another machine may still wait for the answer. If so, a later call of this method
                # puts the order back into the queue.
                over = order.over(total, wall) <= wall
                if alone or over or order.gave_up_at is not None:
                    entry.ask_again(order.change, INTERRUPTED, prepared=order.is_prepared)
                continue
            since = order.gave_up_at
            if since is None:
                since = order.over(total, wall)
                if alone and order.run is not None and wall < since:
                    since = wall
                    ended.append(order)
            # It counts as an attempt only if a process has recorded that no answer came.
            self.add(entry, None, monotonic + since - wall, counts=order.gave_up_at is not None)
        if ended:
            store.write(lambda c: mark_all_unanswered(c, ended, wall, INTERRUPTED))

    def _rewound(self, store: Store, order: Order, latest: float) -> Order:
        """Returns an order as it would be if the clock had not been set back since it was sent.
        Without that, the order would stay unresolved for as long as the clock was set back.

        Args:
            latest: the time when no request of the order can be in flight any more, by the present
                clock.
        """
        mark = order.intended
        moment = mark if order.gave_up_at is None else order.gave_up_at
        if mark is None or moment is None or moment <= latest:
            return order
        store.write(lambda c: mark_unanswered(c, order.id, latest, mark, "the clock was set back"))
        return replace(order, gave_up_at=latest)

    def look(self) -> ServiceTrouble | None:
        """Looks up the effects of all requests, and stores the outcomes that are certain.

        Returns:
            The error if the service did not answer; None if it did.

        Raises:
            GuestlistError: the service refuses to return its records, or the ledger fails. All
                requests stay unresolved, because a later lookup may succeed.
        """
        began = self._clock.monotonic()
        with self._guard:
            requests = list(self._open.values())
        trouble = None
        try:
            check_can_look(self._provider)
            guests = fetch_statuses(self._guests, [request.entry.order for request in requests])
        except ServiceTrouble as error:
            trouble = error
        except Unsupported as never:  # no lookup will ever be possible
            for request in requests:
                self._unknown(request, never.message)
        else:
            for request in requests:
                self._decide(request, guests[request.entry.order.change.key], began)
        self._pause = min(2 * self._pause, LONGEST_LOOK_SECONDS)
        with self._guard:
            self.next_look = self._clock.monotonic() + self._pause if self._open else math.inf
        return trouble

    def _decide(self, request: UnresolvedRequest, now: Guest | None, began: float) -> None:
        entry = request.entry
        order = entry.order
        if order.is_prepared:  # the email was not sent, even if the service shows a record
            entry.ask_again(order.change, request.why, counts=request.counts, prepared=True)
            self._forget(request)
            return
        if now is None:
            self._unknown(request, "the service cannot be asked about the address")
            return
        try:
            done = found_outcome(order, now)
        except GuestlistError as error:
            self._unknown(request, error.message)
            return
        if done is not None:
            entry.done(done)
            self._tally.was_done(done.outcome, done.email_sent)
            self._forget(request)
        elif began >= request.since + self._grace:
            self._absent(request, now)

    def _absent(self, request: UnresolvedRequest, now: Guest) -> None:
        """Settles a request whose effect the last lookup has not found, or leaves it unresolved."""
        entry = request.entry
        order = entry.order
        change = order.change
        if not proves_absence(self._provider, order.known, now):
            self._unknown(request, request.why)
        elif entry.order.answered:
            self._unknown(request, request.why if request.error is not None else NOT_SHOWN)
        elif order.run is None or entry.attempts >= MAX_ATTEMPTS:
            error = ServiceUnavailable(
                f"the request had no effect: {request.why}", hint="Run the command again."
            )
            error.about(account=change.account, email=change.email)
            entry.refused(error)
            self._tally.was_refused(error)
            self._forget(request)
        else:
            fresh = {"state": now.state, "invitation": now.invitation, "member": now.member}
            change = change.model_copy(update=fresh)
            entry.ask_again(change, request.why, counts=request.counts)
            self._forget(request)

    def _incomplete(self, entry: OrderEntry) -> None:
        """Records that a single call has ended before the request that sends the email."""
        change = entry.order.change
        error = ServiceUnavailable(
            f"the call was interrupted, and no email was sent ({change.action})",
            hint=PREPARED_HINT,
        )
        error.prepared = True
        error.about(account=change.account, email=change.email)
        if entry.refused(error):
            self._tally.was_refused(error)

    def _unknown(self, request: UnresolvedRequest, why: str) -> None:
        change = request.entry.order.change
        error = OutcomeUnknown(MAY_HAVE_HAPPENED + why, hint=ASK)
        error.about(account=change.account, email=change.email)
        request.entry.unknown(error)
        self._tally.stays_unknown(error)
        self._forget(request)

    def _forget(self, request: UnresolvedRequest) -> None:
        with self._guard:
            del self._open[request.entry.order.id]
        self._tally.is_unresolved(-1)


def check_can_look(provider: Provider) -> None:
    """Checks that the service's lists can prove that an invitation does not exist.

    Raises:
        Unsupported: the service does not show who was invited.
    """
    if not any(map(provider.supports, ("find_invitation", "invitations"))):
        raise provider.unsupported("invitations")


def fetch_statuses(guests: Guestlist, orders: Iterable[Order]) -> dict[str, Guest | None]:
    """Returns the status of the people of some orders, by key.

    An address that only the service considers valid is looked up separately, so that it does not
    break the lookup of the others. The value is None for an address that the service rejects as
    well.

    If so many people are looked up that their lists are read, the details of an invitation, which
    may cost a request for each, are read only for people who were already invited when the order
    was made: only its id or expiry shows whether the order was carried out.

    Args:
        guests: the client, bound to the account.
    """
    alone: dict[str, Guest | None] = {}
    together: dict[str, str] = {}
    invited_before: dict[str, str] = {}
    for order in orders:
        change = order.change
        try:
            name = change.who if change.who.startswith("@") else check_email(change.who)
        except InvalidArgument:
            try:
                alone[change.key] = guests.status(order.known)
            except (InvalidArgument, Rejected):
                alone[change.key] = None
            continue
        together[name] = change.login or ""
        if change.invitation is not None:
            invited_before[change.key] = name
    are_many = len(together) > MAX_LOOKUPS_BY_ADDRESS
    found = guests.status_many(together, logins=together, summaries=are_many)
    if are_many:
        names = [name for key, name in invited_before.items() if found[key].invitation is not None]
        found |= guests.status_many(names, logins={name: together[name] for name in names})
    return found | alone
