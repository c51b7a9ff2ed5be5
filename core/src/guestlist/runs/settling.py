"""`settle`: gives people their deferred roles after they have accepted their invitation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.changes import Change
from guestlist.errors import ConfigError, GuestlistError, LedgerError, ServiceTrouble, WaitTimeout
from guestlist.exchange.clock import Stopped
from guestlist.ledger import runs
from guestlist.ledger.deferred_grants import deferred_by_person
from guestlist.ledger.lock import exclusive
from guestlist.ledger.order import Order
from guestlist.models import OPEN_STATES, Guest, State
from guestlist.roster.deferred_grants import GrantReviewer, withdrawal
from guestlist.roster.problems import EMPTY_HINT
from guestlist.roster.wanted import Wanted
from guestlist.runs.context import Context, RunInterrupted, open_context
from guestlist.runs.execution import carry_out, reconcile
from guestlist.runs.progress import (
    AwaitingAcceptance,
    CheckingAcceptance,
    Progress,
    ReadingRoster,
)

if TYPE_CHECKING:
    from guestlist.client import Guestlist
    from guestlist.ledger.ledger import Ledger
    from guestlist.roster.file import Roster
    from guestlist.runs.stop import Stop

MAX_GRANTS_PER_CHECK = 10_000
"""Deferred grants of an account that share one reading of its lists. A higher number needs more
memory; a lower one reads the lists more often."""
MAX_LOST_PEOPLE = 100
"""Maximum number of people in `SettleResult.lost_people`."""
SECONDS_BETWEEN_CHECKS = 15.0
"""Seconds between two checks for people who have accepted, while waiting for them."""


@dataclass
class SettleResult:
    """The result of `settle`.

    Attributes:
        runs: numbers of the runs that gave roles, as in the ledger.
        waiting: number of people with deferred roles who have not accepted yet.
        lost: number of people with deferred roles who can no longer accept, such as after an
            expiry.
        lost_people: the first 100 of them.
        interrupted: whether the call was stopped early.
        errors: failures that did not end the call.
    """

    runs: list[int] = field(default_factory=list)
    waiting: int = 0
    lost: int = 0
    lost_people: list[Guest] = field(default_factory=list)
    interrupted: bool = False
    errors: list[GuestlistError] = field(default_factory=list)


def settle(
    roster: Roster | str | Path,
    *,
    ledger: Ledger | str | Path | None = None,
    client: Guestlist | None = None,
    on_progress: Progress | None = None,
    wait: float | None = None,
    stop: Stop | None = None,
    allow_empty: bool = False,
    actor: str | None = None,
    note: str | None = None,
) -> SettleResult:
    """Gives deferred roles to people who have accepted, if the roster still wants these roles.

    Some services accept no roles with an invitation. The ledger then records these roles as
    deferred grants. Grants that the roster no longer wants are withdrawn.

    Args:
        roster: the roster, or the path of its file.
        ledger: an open ledger, a file or a URL. By default the one that the roster names.
        client: the client to send with. By default one for the roster's accounts.
        on_progress: called with each event.
        wait: seconds to wait for people to accept.
        stop: ends the work early when called; see `apply`.
        allow_empty: accept a roster that names no people. By default that is an error.
        actor: who starts the runs, for the ledger; see `apply`.
        note: the reason, for the ledger.

    Raises:
        ConfigError: the roster, its accounts or the ledger's location are invalid.
        LedgerError: the ledger fails, or another process works with it.
    """
    with (
        open_context(
            roster,
            ledger,
            client,
            on_progress,
            stop,
            allow_empty=allow_empty,
            actor=actor,
            note=note,
        ) as context,
        exclusive(context.store),
    ):
        try:
            reconcile(context)
            result = grant_roles(context, wait, allow_empty=allow_empty)
        except (RunInterrupted, Stopped):
            if not context.handles_stop:
                raise KeyboardInterrupt from None
            return SettleResult(interrupted=True, errors=context.errors)
        return result


def grant_roles(context: Context, wait: float | None, *, allow_empty: bool = False) -> SettleResult:
    """Gives the deferred roles that can be given now, and waits for more people to accept if asked
    to.

    Raises:
        ConfigError: the roster names no people, and `allow_empty` is not set.
    """
    result = SettleResult(errors=context.errors)
    try:
        _grant_until_done(context, wait, result, allow_empty)
    except (KeyboardInterrupt, Stopped, RunInterrupted):
        if not context.handles_stop:
            raise KeyboardInterrupt from None
        result.interrupted = True
        return result
    if result.waiting and wait is not None:
        context.report(
            WaitTimeout(
                f"not accepted within {wait:g} s by people with deferred roles: {result.waiting}",
                hint="Run `guestlist settle` later to give them their roles.",
            )
        )
    return result


def _grant_until_done(
    context: Context, wait: float | None, result: SettleResult, allow_empty: bool
) -> None:
    """Gives deferred roles until the time is over or no person is left to wait for."""
    clock = context.client.clock
    ends = clock.monotonic() + (wait or 0.0)
    # Only one attempt: if a grant fails now, the next `settle` retries it.
    context.store.make(lambda c: runs.defer_again(c, clock.now().timestamp()))
    review = _RosterReview(context, allow_empty)
    while True:
        if _today(context) != review.day:
            review = _RosterReview(context, allow_empty)
        context.emit(CheckingAcceptance())
        errors = _grant_to_accepted(context, review, result)
        left = ends - clock.monotonic()
        silent = tuple(name for name, why in errors.items() if isinstance(why, ServiceTrouble))
        if left <= 0 or not (result.waiting or silent):
            context.report(*errors.values())
            return
        for name in silent:
            context.client.account(name).report_pause(errors[name])
        context.emit(AwaitingAcceptance(result.waiting, silent))
        clock.sleep(min(SECONDS_BETWEEN_CHECKS, left))


def _today(context: Context) -> date:
    return context.client.clock.now().astimezone(context.roster.zone).date()


class _RosterReview:
    """Compares deferred grants with the roster of one day, once.

    Attributes:
        errors: the accounts whose grants cannot be compared. They stay deferred.
        is_done: whether all grants have been compared.
        day: the day of the roster.
    """

    def __init__(self, context: Context, allow_empty: bool) -> None:
        self.errors: dict[str, GuestlistError] = {}
        self.is_done = False
        self.day = _today(context)
        self._context = context
        self._allow_empty = allow_empty
        self._undecided: set[int] = set()
        self._reviewers: dict[str, GrantReviewer] = {}

    def split(self, account: str, batch: list[Order]) -> tuple[list[Change], list[Order]]:
        """Returns the changes that withdraw grants which the roster does not want, and the grants
        that may be given.

        Raises:
            ConfigError: the roster names no people, and would withdraw all grants.
        """
        if self.is_done:
            return [], [order for order in batch if order.id not in self._undecided]
        grants = [order.change for order in batch]
        wanted = self._wanted(account, grants)
        try:
            reasons = self._reviewer(account).review(wanted, grants)
        except LedgerError:
            raise
        except GuestlistError as error:  # continue with the other accounts
            self.errors[account] = error.about(account=account)
            self._context.report(error)
            return [], []
        reviewed = list(zip(batch, reasons, strict=True))
        self._undecided.update(order.id for order, why in reviewed if why is None)
        withdrawn = [withdrawal(order.change, why) for order, why in reviewed if why]
        return withdrawn, [order for order, why in reviewed if why == ""]

    def _wanted(self, account: str, grants: Collection[Change]) -> list[Wanted]:
        """Returns the entries of the roster about the people of some grants."""
        if not self._reviewers:
            self._context.emit(ReadingRoster(self._context.roster.toml.path))
        keys = {grant.key for grant in grants}
        is_empty = True
        found: list[Wanted] = []
        for one in self._context.roster.wanted():
            is_empty = False
            if one.account == account and one.key in keys:
                found.append(one)
        by_roster = not all(grant.single for grant in grants)
        if is_empty and by_roster and not self._allow_empty:
            raise ConfigError("the roster has no people", hint=EMPTY_HINT)
        return found

    def _reviewer(self, account: str) -> GrantReviewer:
        if account not in self._reviewers:
            context = self._context
            reviewer = GrantReviewer(context.client, account, zone=context.roster.zone)
            self._reviewers[account] = reviewer
        return self._reviewers[account]


def _grant_to_accepted(
    context: Context, review: _RosterReview, result: SettleResult
) -> dict[str, GuestlistError]:
    """Gives their deferred roles to all people who have accepted, and counts the others.

    Each run has at most `MAX_GRANTS_PER_CHECK` grants of an account, so that memory stays small.

    Returns:
        Errors by account.
    """
    result.waiting = result.lost = 0
    result.lost_people = []
    errors: dict[str, GuestlistError] = {}
    closed = set[str]()  # accounts in which nothing more can be changed now
    batches = {
        name: _batches(context, name)
        for name in context.client.accounts
        if name not in review.errors
    }
    while batches:
        changes: list[Change] = []
        for name, mine in [*batches.items()]:
            batch = next(mine, None)
            if batch is None:
                del batches[name]
                continue
            withdrawn, grants = review.split(name, batch)
            changes += withdrawn
            if name in review.errors:
                del batches[name]
            elif name not in closed:
                try:
                    due, others = due_changes(context.client.account(name), grants)
                except LedgerError:
                    raise
                except GuestlistError as error:  # continue with the other accounts
                    errors[name] = error.about(account=name)
                    closed.add(name)
                else:
                    changes += due
                    _count(result, others)
        if changes:
            made = tuple(changes)
            run = context.runner.begin(partial(iter, made), "", "settle", replace=False)
            result.runs.append(run)
            summary = carry_out(context, run)
            closed.update(name for name, tally in summary.tallies.items() if tally.halted)
    review.is_done = True
    return errors


def _batches(context: Context, account: str) -> Iterator[list[Order]]:
    """Yields the deferred grants of an account in parts, each with all grants of its people."""
    batch: list[Order] = []
    for order in deferred_by_person(context.store, account):
        if not context.selection.includes(account, order.change.key):
            continue
        if len(batch) >= MAX_GRANTS_PER_CHECK and order.change.key != batch[-1].change.key:
            yield batch
            batch = []
        batch.append(order)
    if batch:
        yield batch


def due_changes(guests: Guestlist, grants: Collection[Order]) -> tuple[list[Change], list[Guest]]:
    """Finds the deferred grants of people who have accepted.

    Args:
        guests: the client, bound to the account.
        grants: deferred grants of the account.

    Returns:
        The changes that give these roles, and the other people.
    """
    people = {order.change.who: order.change.login or "" for order in grants}
    found = guests.status_many(people, logins=people, summaries=True)
    changes: list[Change] = []
    others: dict[str, Guest] = {}
    for change in (order.change for order in grants):
        guest = _without_raw(found[change.key])
        if guest.state is State.ACCEPTED:
            facts = {"state": guest.state, "member": guest.member}
            changes.append(change.model_copy(update=facts))
        else:
            others[change.key] = guest
    return changes, list(others.values())


def _count(result: SettleResult, others: Iterable[Guest]) -> None:
    for guest in others:
        if guest.state in OPEN_STATES:
            result.waiting += 1
        else:
            result.lost += 1
            if len(result.lost_people) < MAX_LOST_PEOPLE:
                result.lost_people.append(guest)


def _without_raw(guest: Guest) -> Guest:
    """Returns the guest without the raw answers of the service, to save memory."""
    records = (guest.invitation, guest.member)
    invitation, member = (one and one.model_copy(update={"raw": None}) for one in records)
    return guest.model_copy(update={"invitation": invitation, "member": member})
