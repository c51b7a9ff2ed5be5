"""`plan`: finds the changes that make the services match a roster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.changes import Action, Change
from guestlist.errors import (
    Conflict,
    GuestlistError,
    InvalidArgument,
    OutcomeUnknown,
    UnknownRole,
    Unsupported,
)
from guestlist.ledger.deferred_grants import all_deferred
from guestlist.ledger.emails import EmailsPerPerson, last_invited, prepared, unresolved
from guestlist.roster.plan import Plan, make_plan
from guestlist.roster.planfile import PlanFile
from guestlist.runs.context import Context, Selection, open_context
from guestlist.runs.progress import Progress, ReadingAccount, ReadingRoster

if TYPE_CHECKING:
    from guestlist.client import Guestlist
    from guestlist.ledger.ledger import Ledger
    from guestlist.roster.file import Roster
    from guestlist.runs.stop import Stop


@dataclass(frozen=True)
class PlanOptions:
    """The options of a plan. They have the names of the arguments of `plan` and `apply`."""

    prune: bool = False
    invite_declined: bool = False
    retry_unknown: bool = False
    allow_empty: bool = False


def plan(
    roster: Roster | str | Path,
    *,
    ledger: Ledger | str | Path | None = None,
    client: Guestlist | None = None,
    on_progress: Progress | None = None,
    prune: bool = False,
    invite_declined: bool = False,
    retry_unknown: bool = False,
    accounts: Iterable[str] = (),
    people: Iterable[str] = (),
    allow_empty: bool = False,
) -> Plan:
    """Compares a roster with the services, and returns the changes that are needed. Sends and
    records nothing.

        with guestlist.plan("guestlist.toml") as plan:
            for change in plan.changes():
                print(change.action, change.email, change.account, change.reason)

    Accounts that cannot be read are in `Plan.errors`; the others are planned.

    Args:
        roster: the roster, or the path of its file.
        ledger: an open ledger, a file or a URL. By default the one that the roster names.
        client: the client to read with. By default one for the roster's accounts.
        on_progress: called with an event for each part that is read.
        prune: also remove people whom the roster does not name.
        invite_declined: also invite people who have declined.
        retry_unknown: also send an email if it is unknown whether an earlier one was sent.
        accounts: plan only these accounts.
        people: plan only for the people with these addresses.
        allow_empty: accept a roster that names no people. By default that is an error.

    Returns:
        The plan. Close it or use it in a `with` block, because its changes are in a temporary file.

    Raises:
        ConfigError: the roster, its accounts or the ledger's location are invalid.
        LedgerError: the ledger cannot be opened or read.
    """
    options = PlanOptions(prune, invite_declined, retry_unknown, allow_empty)
    selection = Selection.of(accounts, people)
    return plan_roster(roster, ledger, client, on_progress, selection, options)


def plan_roster(
    roster: Roster | str | Path,
    ledger: Ledger | str | Path | None,
    client: Guestlist | None,
    on_progress: Progress | None,
    selection: Selection,
    options: PlanOptions,
    stop: Stop | None = None,
) -> Plan:
    """Opens a roster and makes its plan. Used by `plan` and `plan_async`.

    Args:
        stop: ends the reading early when called.
    """
    with open_context(
        roster,
        ledger,
        client,
        on_progress,
        stop,
        selection=selection,
        allow_empty=options.allow_empty,
    ) as context:
        return make_context_plan(context, options)


def make_context_plan(
    context: Context,
    options: PlanOptions,
    unclear: Mapping[str, GuestlistError] | None = None,
) -> Plan:
    """Makes the plan of an open roster. Reports accounts that cannot be read, and roles and options
    that no person can get.

    Args:
        unclear: accounts that must not be planned now, with the error that says why.
    """
    roster, client = context.roster, context.client
    context.emit(ReadingRoster(roster.toml.path))
    if context.selection.people and not options.prune:
        _check_named(context)
    made = make_plan(
        client,
        roster.wanted(),
        accounts=context.accounts(),
        people=context.selection.people,
        unclear=unclear,
        limits=roster.limits,
        prune=options.prune,
        invite_declined=options.invite_declined,
        allow_empty=options.allow_empty,
        retry_unknown=options.retry_unknown,
        deferred=deferred_grants(context),
        unresolved=unresolved(context.store),
        prepared=prepared(context.store),
        last_invited=partial(last_invited, context.store),
        emails_sent=EmailsPerPerson(context.store, client.clock.now() - roster.limits.period),
        place_of=roster.place_of,
        zone=roster.zone,
        progress=lambda *read: context.emit(ReadingAccount(*read)),
    )
    try:
        context.report(*made.errors.values(), *_impossible_for_all(made))
    except BaseException:
        made.close()
        raise
    return made


def _check_named(context: Context) -> None:
    """Raises an error if a selected person is not in the roster.

    Raises:
        InvalidArgument: a person is missing, for example because of a typing error.
    """
    missing = context.selection.people - {wanted.key for wanted in context.roster.wanted()}
    if missing:
        raise InvalidArgument(
            f"{context.roster.toml.path} does not name {', '.join(sorted(missing))}",
            hint="Check the address. People outside the roster are planned only with prune=True.",
        )


def report_unplanned(context: Context, plan: PlanFile) -> None:
    """Reports the accounts that a saved plan leaves out, and roles and options that no person can
    get."""
    context.report(
        *(
            Conflict(
                "the plan leaves this account out, because it could not be read when the plan was"
                f" made: {why}",
                hint="Make a new plan to include this account.",
                account=account,
            )
            for account, why in plan.summary.errors.items()
        ),
        *_impossible_for_all(plan),
    )


def unresolved_errors(plan: Plan | PlanFile) -> Iterator[GuestlistError]:
    """Yields an error for each person who gets no email because an earlier one may have been
    sent."""
    if plan.summary.total(frozenset({Action.UNRESOLVED})):
        for change in plan.changes():
            if change.action is Action.UNRESOLVED:
                error = OutcomeUnknown(change.reason, hint=UNRESOLVED_HINT)
                yield error.about(account=change.account, email=change.email)


UNRESOLVED_HINT = (
    "No email was sent now. Ask the person. If they got none, retry_unknown=True sends another one."
)


def impossible_changes(plan: Plan | PlanFile) -> Iterator[Change]:
    """Yields the changes that cannot be made. Reads the plan's file only if it has any."""
    if plan.summary.total(frozenset({Action.CANNOT})):
        yield from (change for change in plan.changes() if change.action is Action.CANNOT)


def _impossible_for_all(plan: Plan | PlanFile) -> Iterator[GuestlistError]:
    """Yields an error for each role or option that no person in an account can get."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for change in impossible_changes(plan):
        if not change.label:
            yield UnknownRole(change.reason.rstrip("."), account=change.account)
        elif change.roles:  # the service cannot assign or unassign this role
            reasons.setdefault((change.account, change.reason), []).append(change.label)
    for (account, reason), emails in reasons.items():
        whom = emails[0] if len(emails) == 1 else f"{len(emails)} people"
        yield Unsupported(
            reason.rstrip("."), hint=f"The roster wants it for {whom}.", account=account
        )


def deferred_grants(context: Context) -> list[Change]:
    """Returns the ledger's deferred grants for the selected people, as `settle` changes."""
    grants = (order.change for order in all_deferred(context.store))
    return [grant for grant in grants if context.selection.includes(grant.account, grant.key)]
