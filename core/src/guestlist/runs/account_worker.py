"""One account's part of a run: its orders, as many at a time as the account's pace needs.

What is in doubt is not waited for: the lane goes on, and looks for all of it together from time to
time and at the end.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from guestlist.client import Guestlist
from guestlist.errors import (
    ConfigError,
    GuestlistError,
    LedgerError,
    RateLimited,
    ServiceRefusal,
    ServiceTrouble,
    Unauthorized,
)
from guestlist.exchange.account import LONGEST_REST
from guestlist.exchange.clock import Stopped
from guestlist.ledger.entry import OrderEntry
from guestlist.ledger.order import Order
from guestlist.ledger.orders import Taken
from guestlist.ledger.perform import REPEATABLE, perform
from guestlist.ledger.store import Store
from guestlist.provider import Provider
from guestlist.runs.resume import record_what_is_there
from guestlist.runs.stop import Stop
from guestlist.runs.tally import Tally
from guestlist.runs.unresolved_requests import INTERRUPTED, MAX_ATTEMPTS, UnresolvedRequests

MAX_THREADS = 32
"""Requests of one account that are under way at a time. More threads make each of them slower."""
SLOW_REQUEST_SECONDS = 2.0
"""Seconds that requests may take without the account's pace being missed."""
MAX_UNANSWERED = 256
"""Requests without an answer at which no new request is sent: the service does not answer, and each
request may have sent an email."""
MAX_SILENCE_SECONDS = 300.0
"""Seconds without any answer after which the lane leaves the rest to a later run."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0


class Work(Protocol):
    """Where a lane's orders come from."""

    def next(self) -> list[Order]:
        """Some more orders that nothing was sent for, of one action; none at the end of a pass.
        The next pass begins with what was put back meanwhile."""


class AccountWorker:
    """Carries out the orders of one account.

    Args:
        threads: requests under way at a time; None for as many as the account's pace needs.
        reconciles: whether it looks for what got no answer. Somebody else has to, otherwise.
        longest_pause: seconds. If the service asks for a longer one, the lane leaves the rest to a
            later run.
    """

    def __init__(
        self,
        guests: Guestlist,
        store: Store,
        stop: Stop,
        tally: Tally,
        *,
        threads: int | None = None,
        reconciles: bool = True,
        longest_pause: float = math.inf,
    ) -> None:
        self._guests = guests.account(tally.account)
        self._store = store
        self._stop = stop
        self._clock = guests.clock
        self._tally = tally
        self._unresolved = UnresolvedRequests(self._guests, tally.account, tally)
        self._reconciles = reconciles
        self._workers = threads or threads_needed(guests.accounts[tally.account])
        self._slots = threading.BoundedSemaphore(self._workers)
        self._guard = threading.Lock()
        self._heard = self._clock.monotonic()
        self._longest_pause = longest_pause
        self._rest = FIRST_PAUSE_SECONDS
        self._rest_until = -math.inf

    def recover(self, orders: list[Order], *, alone: bool) -> None:
        """Takes up what others have left in doubt: see `UnresolvedRequests.recover`."""
        self._unresolved.recover(self._store, orders, alone=alone)

    def resume(self, run: int) -> None:
        """Records which orders of a run have been carried out already. Ends the lane if the service
        cannot be asked.

        Raises:
            LedgerError: the ledger fails.
        """
        while not self._ended:
            try:
                record_what_is_there(
                    self._store, self._guests, run, self._tally.account, self._tally
                )
            except LedgerError:
                raise
            except Stopped:
                return
            except ServiceTrouble as trouble:
                self._is_in_trouble(trouble)
                with suppress(Stopped):
                    self._wait_until_calm()
            except GuestlistError as refusal:
                self._halt(refusal)
            else:
                self._has_answered()
                return

    def run(self, work: Work) -> None:
        """Works until nothing is left, or until the lane is to end. What is left then stays in the
        ledger.

        Raises:
            LedgerError: something could not be written down. Everybody else is stopped too.
        """
        try:
            with ThreadPoolExecutor(self._workers, f"guestlist-{self._tally.account}") as pool:
                self._feed(pool, work)
        except Stopped:
            pass
        except LedgerError as error:
            self._stop(error)
            raise

    # ------------------------------------------------------------------ feeding

    def _feed(self, pool: ThreadPoolExecutor, work: Work) -> None:
        came = False  # whether this pass has brought anything
        while not self._ended:
            orders = work.next()
            for order in orders:
                self._wait_until_calm()
                self._look_when_due()
                self._slots.acquire()
                if self._ended:
                    self._slots.release()
                    return
                pool.submit(self._one, order)
            if orders:
                came = True
                continue
            self._drain()
            came = came or bool(self._unresolved)
            self._reconcile_all()
            if not came:
                return
            came = False

    @property
    def _ended(self) -> bool:
        return bool(self._stop) or self._tally.halted is not None

    def _drain(self) -> None:
        """Waits for everything that is under way."""
        for _ in range(self._workers):
            self._slots.acquire()
        for _ in range(self._workers):
            self._slots.release()

    def _wait_until_calm(self) -> None:
        while not self._ended and (rest := self._rest_until - self._clock.monotonic()) > 0:
            self._clock.sleep(rest)

    def _look_when_due(self) -> None:
        if self._clock.monotonic() >= self._unresolved.next_look:
            self._look()
        while len(self._unresolved) >= MAX_UNANSWERED and not self._ended:
            self._drain()
            self._sleep_until_look()
            self._look()

    def _reconcile_all(self) -> None:
        while self._unresolved and not self._ended:
            self._sleep_until_look()
            self._look()

    def _sleep_until_look(self) -> None:
        wait = self._unresolved.next_look - self._clock.monotonic()
        if 0 < wait < math.inf:
            self._clock.sleep(wait)

    def _look(self) -> None:
        try:
            trouble = self._unresolved.look()
        except LedgerError:
            raise
        except GuestlistError as refusal:
            self._halt(refusal)
            return
        if trouble is None:
            self._has_answered()
        else:
            self._is_in_trouble(trouble)

    # ------------------------------------------------------------------ one order

    def _one(self, order: Order) -> None:
        try:
            self._carry_out(order)
        except Exception as error:  # a ledger that fails ends everything; so does a bug of ours
            self._stop(error)
        finally:
            self._slots.release()

    def _carry_out(self, order: Order) -> None:
        entry = OrderEntry(self._store, order, self._clock)
        try:
            done = perform(self._guests, order, entry)
        except Taken:
            return  # it is somebody else's
        except Stopped as stopped:  # what was sent stays in doubt
            if not stopped.sent:
                entry.ask_again(order.change, INTERRUPTED, counts=False)
        except LedgerError:
            raise
        except GuestlistError as error:
            self._went_wrong(entry, error)
        except Exception as error:  # a bug in a plugin must not end the others' orders
            self._went_wrong(entry, _bug(entry, error))
        else:
            entry.done(done)
            self._tally.was_done(done.outcome, done.mail)
            self._has_answered()

    def _went_wrong(self, entry: OrderEntry, error: GuestlistError) -> None:
        change = entry.order.change
        may_have_happened = error.happened is not False and not error.half_done
        if may_have_happened and change.action not in REPEATABLE:
            entry.doubted(error.message)
            if self._reconciles:
                self._unresolved.add(entry, error)
        elif (
            may_have_happened
            and isinstance(error, ServiceRefusal)
            and entry.attempts >= MAX_ATTEMPTS
        ):  # it answers, and each time as if it had done what it does not show
            entry.unknown(error)
            self._tally.stays_unknown(error)
            self._has_answered()
        elif may_have_happened or isinstance(error, ServiceTrouble):
            entry.ask_again(change, error.message)
            self._is_in_trouble(error)
        elif isinstance(error, Unauthorized | ConfigError):
            entry.ask_again(change, error.message, counts=False)  # nobody was let in
            self._halt(error)
        else:
            entry.refused(error)
            self._tally.was_refused(error)
            self._has_answered()

    # ------------------------------------------------------------------ how the service does

    def _has_answered(self) -> None:
        with self._guard:
            self._heard = self._clock.monotonic()
            self._rest = FIRST_PAUSE_SECONDS

    def _is_in_trouble(self, error: GuestlistError) -> None:
        """Lets nothing new begin for a while; for good, when that has gone on for long."""
        with self._guard:
            now = self._clock.monotonic()
            if isinstance(error, RateLimited):
                self._heard = now  # it does answer
                if (error.retry_after or 0.0) > self._longest_pause:
                    self._tally.halted = self._tally.halted or error
            if now - self._heard > MAX_SILENCE_SECONDS:
                self._tally.halted = self._tally.halted or error
            elif now >= self._rest_until:  # those of one wave count once
                asked = min(getattr(error, "retry_after", None) or 0.0, LONGEST_REST)
                self._rest_until = now + max(self._rest, asked)
                self._rest = min(2 * self._rest, LONGEST_PAUSE_SECONDS)

    def _halt(self, error: GuestlistError) -> None:
        with self._guard:
            self._tally.halted = self._tally.halted or error


def threads_needed(provider: Provider) -> int:
    """How many requests have to be under way to keep an account's pace."""
    rates = [limit.count / limit.per for limit in provider.limits]
    if not rates:
        return MAX_THREADS
    return max(2, min(MAX_THREADS, math.ceil(SLOW_REQUEST_SECONDS * min(rates))))


def _bug(entry: OrderEntry, error: Exception) -> GuestlistError:
    bug = GuestlistError(
        f"the provider failed ({type(error).__name__})", hint="Report it to its authors."
    )
    bug.happened = None if entry.mark is not None else False
    bug.about(account=entry.order.change.account, email=entry.order.change.email)
    return bug
