"""Carries out the orders of one account, with as many requests in parallel as its rate limit needs.

A request without an answer does not stop the work: the account worker continues, and looks for the
effects of all such requests together, from time to time and at the end.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from guestlist.changes import Action, label
from guestlist.client import Guestlist
from guestlist.errors import (
    ConfigError,
    Conflict,
    GuestlistError,
    LedgerError,
    RateLimited,
    ServiceRefusal,
    ServiceTrouble,
    Unauthorized,
)
from guestlist.exchange.account import MAX_BACK_OFF_SECONDS, PAUSE_REPORT_SECONDS
from guestlist.exchange.clock import Stopped
from guestlist.ledger.entry import OrderEntry
from guestlist.ledger.order import Order
from guestlist.ledger.orders import OrderTaken, replacement_failed
from guestlist.ledger.perform import REPEATABLE, perform
from guestlist.ledger.store import Store
from guestlist.provider import Provider
from guestlist.runs.resume import record_completed_orders
from guestlist.runs.stop import Stop
from guestlist.runs.tally import Tally
from guestlist.runs.unresolved_requests import INTERRUPTED, MAX_ATTEMPTS, UnresolvedRequests
from guestlist.runs.work import Orders

MAX_THREADS = 32
"""Requests of one account in flight at a time. More threads make each request slower."""
SLOW_REQUEST_SECONDS = 2.0
"""Duration of a slow request. With requests up to this slow, the account still uses its full rate.
"""
MAX_UNANSWERED = 256
"""Number of unanswered requests at which no new request is sent: the service does not answer, and
each request may have sent an email."""
MAX_SILENCE_SECONDS = 300.0
"""Seconds without any answer after which the remaining orders are left to a later run."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0


class AccountWorker:
    """Carries out the orders of one account.

    Args:
        threads: number of requests in flight; None for as many as the account's rate limit allows.
        reconciles: whether this worker looks up the outcome of unanswered requests. If not, another
            worker must.
        longest_pause: seconds. After a longer pause, a later run carries out the remaining orders.
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
        self._last_answer = self._clock.monotonic()
        self._longest_pause = longest_pause
        self._pause = FIRST_PAUSE_SECONDS
        self._pause_ends = -math.inf
        self._asked: GuestlistError | None = None
        self._asked_until = -math.inf

    def recover(self, orders: list[Order], *, alone: bool) -> None:
        """Takes over unanswered requests of other processes; see `UnresolvedRequests.recover`."""
        self._unresolved.recover(self._store, orders, alone=alone)

    def resume(self, run: int) -> None:
        """Records which orders of a run have been carried out already. Stops the account if the
        service refuses to return its records.

        Raises:
            LedgerError: the ledger fails.
        """
        while not self._ended:
            try:
                record_completed_orders(
                    self._store, self._guests, run, self._tally.account, self._tally
                )
            except LedgerError:
                raise
            except Stopped:
                return
            except ServiceTrouble as trouble:
                self._back_off(trouble)
                with suppress(Stopped):
                    self._wait_for_pause()
            except GuestlistError as refusal:
                self._halt(refusal)
            else:
                self._got_answer()
                return

    def run(self, work: Orders) -> None:
        """Works until no order is left or the run is stopped. Remaining orders stay in the ledger.

        Raises:
            LedgerError: the ledger fails. All other account workers are stopped too.
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

    def _feed(self, pool: ThreadPoolExecutor, work: Orders) -> None:
        came = False  # whether this pass has returned an order
        while not self._ended:
            orders = next(work)
            for order in orders:
                self._wait_for_pause()
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
        """Waits until no request is in flight."""
        for _ in range(self._workers):
            self._slots.acquire()
        for _ in range(self._workers):
            self._slots.release()

    def _wait_for_pause(self) -> None:
        while not self._ended and (pause := self._pause_ends - self._clock.monotonic()) > 0:
            self._report_pause()
            self._clock.sleep(min(pause, PAUSE_REPORT_SECONDS))

    def _report_pause(self) -> None:
        """Reports the pause that the service asked for, if there is one."""
        self._guests.report_pause(self._asked, self._asked_until - self._clock.monotonic())

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
            self._report_pause()
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
            self._got_answer()
        else:
            self._back_off(trouble)

    # ------------------------------------------------------------------ one order

    def _one(self, order: Order) -> None:
        try:
            self._carry_out(order)
        except Exception as error:  # a ledger that fails, or a bug, stops the whole run
            self._stop(error)
        finally:
            self._slots.release()

    def _carry_out(self, order: Order) -> None:
        entry = OrderEntry(self._store, order, self._clock)
        try:
            if self._must_keep_role(order):
                raise _role_kept_error(order)
            done = perform(self._guests, order, entry)
        except OrderTaken:
            return  # another worker carries it out
        except Stopped as stopped:  # a sent request stays unresolved
            if not stopped.sent:
                entry.ask_again(order.change, INTERRUPTED, counts=False)
        except LedgerError:
            raise
        except GuestlistError as error:
            self._went_wrong(entry, error)
        except Exception as error:  # a bug in a plugin must not stop other orders
            self._went_wrong(entry, _bug_error(entry, error))
        else:
            entry.done(done)
            self._tally.was_done(done.outcome, done.email_sent)
            self._got_answer()

    def _must_keep_role(self, order: Order) -> bool:
        """Returns whether an order takes a role from a person who was refused another one in the
        same run: they would have neither. Roles are given before any is taken."""
        return (
            order.change.action is Action.UNASSIGN_ROLE
            and order.run is not None
            and replacement_failed(self._store, order)
        )

    def _went_wrong(self, entry: OrderEntry, error: GuestlistError) -> None:
        change = entry.order.change
        may_have_happened = error.happened is not False and not error.half_done
        if may_have_happened and change.action not in REPEATABLE:
            entry.unanswered(error.message)
            if self._reconciles:
                self._unresolved.add(entry, error)
        elif (
            may_have_happened
            and isinstance(error, ServiceRefusal)
            and entry.attempts >= MAX_ATTEMPTS
        ):  # the service reports success each time, but does not show the effect
            entry.unknown(error)
            self._tally.stays_unknown(error)
            self._got_answer()
        elif may_have_happened or isinstance(error, ServiceTrouble):
            entry.ask_again(change, error.message, prepared=error.prepared)
            self._back_off(error)
        elif isinstance(error, Unauthorized | ConfigError):
            entry.ask_again(
                change, error.message, counts=False, prepared=error.prepared
            )  # does not count as an attempt, because the key was refused
            self._halt(error)
        else:
            entry.refused(error)
            self._tally.was_refused(error)
            self._got_answer()

    # ------------------------------------------------------------------ state of the service

    def _got_answer(self) -> None:
        with self._guard:
            self._last_answer = self._clock.monotonic()
            self._pause = FIRST_PAUSE_SECONDS

    def _back_off(self, error: GuestlistError) -> None:
        """Starts no new request for a while. Stops the account if the trouble lasts too long."""
        with self._guard:
            now = self._clock.monotonic()
            if error.retry_after:
                self._asked, self._asked_until = error, now + error.retry_after
            if isinstance(error, RateLimited):
                self._last_answer = now  # the service does answer
                if (error.retry_after or 0.0) > self._longest_pause:
                    self._tally.halted = self._tally.halted or error
            if now - self._last_answer > MAX_SILENCE_SECONDS:
                self._tally.halted = self._tally.halted or error
            elif now >= self._pause_ends:  # parallel failures count once
                asked = min(error.retry_after or 0.0, MAX_BACK_OFF_SECONDS)
                self._pause_ends = now + max(self._pause, asked)
                self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _halt(self, error: GuestlistError) -> None:
        with self._guard:
            self._tally.halted = self._tally.halted or error


def _role_kept_error(order: Order) -> Conflict:
    """Returns the error for a role that is not taken away, because the person could not be given
    another one."""
    return Conflict(
        f"the role {label(order.change.roles[0])!r} was not taken away, because a role that this"
        " run was to give the same person was refused",
        hint="Nothing was sent for it. Correct the refused change and apply again.",
        account=order.change.account,
        email=order.change.email,
    )


def threads_needed(provider: Provider) -> int:
    """Returns the number of requests in flight that an account needs to use its full rate."""
    rates = [limit.count / limit.per for limit in provider.limits]
    if not rates:
        return MAX_THREADS
    return max(2, min(MAX_THREADS, math.ceil(SLOW_REQUEST_SECONDS * min(rates))))


def _bug_error(entry: OrderEntry, error: Exception) -> GuestlistError:
    bug = GuestlistError(
        f"the provider failed ({type(error).__name__})", hint="Report it to its authors."
    )
    bug.happened = None if entry.mark is not None else False
    bug.about(account=entry.order.change.account, email=entry.order.change.email)
    return bug
