"""`settle`: gives people their deferred roles after they have accepted their invitation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.changes import Change
from guestlist.errors import ConfigError, GuestlistError, LedgerError, ServiceTrouble, WaitTimeout
from guestlist.exchange.clock import Stopped
from guestlist.ledger import runs
from guestlist.ledger.deferred_grants import all_deferred
from guestlist.ledger.lock import exclusive
from guestlist.models import OPEN_STATES, Guest, State
from guestlist.roster.deferred_grants import DeferredGrant, GrantReview, review_grants
from guestlist.roster.problems import EMPTY_HINT
from guestlist.runs.context import EVERYBODY, Context, RunInterrupted, Selection, open_context
from guestlist.runs.execution import carry_out, reconcile
from guestlist.runs.planning import deferred_grants
from guestlist.runs.progress import (
    AwaitingAcceptance,
    CheckingAcceptance,
    Progress,
    ReadingRoster,
)

if TYPE_CHECKING:
    from guestlist.client import Guestlist
    from guestlist.ledger.ledger import Ledger
    from guestlist.ledger.store import Store
    from guestlist.roster.file import Roster
    from guestlist.runs.stop import Stop

MAX_GRANTS_PER_CHECK = 10_000
"""Deferred grants of an account that share one reading of its lists. A higher number needs more
memory; a lower one reads the lists more often."""
SECONDS_BETWEEN_CHECKS = 15.0
"""Seconds between two checks for people who have accepted, while waiting for them."""


@dataclass
class SettleResult:
    """The result of `settle`.

    Attributes:
        runs: numbers of the runs that gave roles, as in the ledger.
        waiting: people with deferred roles who have not accepted yet.
        lost: people with deferred roles who can no longer accept, such as after an expiry.
        interrupted: whether the call was stopped early.
        errors: failures that did not end the call.
    """

    runs: list[int] = field(default_factory=list)
    waiting: list[Guest] = field(default_factory=list)
    lost: list[Guest] = field(default_factory=list)
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
    """Gives their deferred roles to people who have accepted, if the roster still wants the roles.

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
        others = _grant_until_done(context, wait, result, allow_empty)
    except (KeyboardInterrupt, Stopped, RunInterrupted):
        if not context.handles_stop:
            raise KeyboardInterrupt from None
        result.interrupted = True
        return result
    result.waiting = [guest for guest in others if guest.state in OPEN_STATES]
    result.lost = [guest for guest in others if guest.state not in OPEN_STATES]
    if result.waiting and wait is not None:
        context.report(
            WaitTimeout(
                f"not accepted within {wait:g} s by people with deferred roles:"
                f" {len(result.waiting)}",
                hint="Run `guestlist settle` later to give them their roles.",
            )
        )
    return result


def _grant_until_done(
    context: Context, wait: float | None, result: SettleResult, allow_empty: bool
) -> list[Guest]:
    """Gives deferred roles until the time is over or no person is left to wait for.

    Returns:
        The people who still have deferred roles.
    """
    clock = context.client.clock
    ends = clock.monotonic() + (wait or 0.0)
    judged, day = GrantReview(), None
    tried = set[DeferredGrant]()  # a failed grant is retried by the next call, not by this one
    while True:
        today = clock.now().astimezone(context.roster.zone).date()
        if today != day:
            judged, day = _compare_with_roster(context, allow_empty), today
        context.emit(CheckingAcceptance())
        held = {*judged.held, *map(DeferredGrant.of, judged.withdrawn), *tried}
        changes, others, errors = find_due_changes(
            context.client, context.store, held, context.selection
        )
        tried.update(map(DeferredGrant.of, changes))
        if changes or judged.withdrawn:
            both = partial(chain, judged.withdrawn, changes)
            run = context.runner.begin(both, "", "settle", replace=False)
            judged.withdrawn.clear()
            result.runs.append(run)
            carry_out(context, run)
        left = ends - clock.monotonic()
        waiting = [guest for guest in others if guest.state in OPEN_STATES]
        silent = tuple(name for name, why in errors.items() if isinstance(why, ServiceTrouble))
        if left <= 0 or not (waiting or silent):
            context.report(*errors.values())
            return others
        for name in silent:
            context.client.account(name).report_pause(errors[name])
        context.emit(AwaitingAcceptance(len(waiting), silent))
        clock.sleep(min(SECONDS_BETWEEN_CHECKS, left))


def _compare_with_roster(context: Context, allow_empty: bool) -> GrantReview:
    """Compares the deferred grants with today's roster."""
    grants = [debt for debt in deferred_grants(context) if debt.account in context.client.accounts]
    if not grants:
        return GrantReview()
    context.emit(ReadingRoster(context.roster.toml.path))
    wanted = context.roster.wanted()
    first = next(wanted, None)
    by_roster = any(
        not grant.single for grant in grants
    )  # an empty roster would withdraw these grants
    if first is None and by_roster and not allow_empty:
        raise ConfigError("the roster has no people", hint=EMPTY_HINT)
    everyone = chain(() if first is None else (first,), wanted)
    judged = review_grants(context.client, everyone, grants, zone=context.roster.zone)
    context.report(*judged.errors.values())
    return judged


def find_due_changes(
    client: Guestlist,
    store: Store,
    held: Collection[DeferredGrant] = (),
    selection: Selection = EVERYBODY,
) -> tuple[list[Change], list[Guest], dict[str, GuestlistError]]:
    """Finds the deferred grants of people who have accepted.

    Args:
        held: grants to skip.
        selection: the accounts and people to look for.

    Returns:
        The changes that give these roles, the other people with deferred grants, and the errors by
        account.

    Raises:
        LedgerError: the ledger fails.
    """
    now = client.clock.now().timestamp()
    store.make(lambda connection: runs.defer_again(connection, now))
    changes: list[Change] = []
    others: dict[tuple[str, str], Guest] = {}
    errors: dict[str, GuestlistError] = {}

    def look(account: str, some: list[Change]) -> None:
        if account in errors:
            return
        try:
            found = client.status_many({change.email for change in some}, account=account)
        except LedgerError:
            raise
        except GuestlistError as error:  # continue with the other accounts
            errors[account] = error.about(account=account)
            return
        for change in some:
            guest = found[change.key]
            if guest.state is State.ACCEPTED:
                facts = {"state": guest.state, "member": guest.member}
                changes.append(change.model_copy(update=facts))
            else:
                others[account, change.key] = _without_raw(guest)

    grants: dict[str, list[Change]] = defaultdict(list)
    for order in all_deferred(store):
        change = order.change
        account = change.account
        is_selected = selection.includes(account, change.key)
        if account in client.accounts and is_selected and DeferredGrant.of(change) not in held:
            grants[account].append(change)
            if len(grants[account]) >= MAX_GRANTS_PER_CHECK:
                look(account, grants.pop(account))
    for account, some in grants.items():
        look(account, some)
    return changes, list(others.values()), errors


def _without_raw(guest: Guest) -> Guest:
    """Returns the guest without the raw answers of the service, to save memory."""
    records = (guest.invitation, guest.member)
    invitation, member = (one and one.model_copy(update={"raw": None}) for one in records)
    return guest.model_copy(update={"invitation": invitation, "member": member})
