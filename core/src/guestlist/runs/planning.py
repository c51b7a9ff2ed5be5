"""`plan`: what would have to change so that the services are as the roster says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.changes import Action, Change
from guestlist.errors import (
    Conflict,
    GuestlistError,
    InvalidOrder,
    OutcomeUnknown,
    UnknownRole,
    Unsupported,
)
from guestlist.ledger.deferred_grants import all_deferred
from guestlist.ledger.emails_sent import EmailsPerPerson
from guestlist.ledger.unresolved import unresolved
from guestlist.roster import Plan, PlanFile, make_plan
from guestlist.roster.deferred_grants import DeferredGrant
from guestlist.runs.context import Context, Selection, open_context
from guestlist.runs.progress import Progress, ReadingAccount, ReadingRoster

if TYPE_CHECKING:
    from guestlist.client import Guestlist
    from guestlist.ledger.ledger import Ledger
    from guestlist.roster.file import Roster


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
    """Compare a roster with what the services hold. Nothing is sent or recorded.

        with guestlist.plan("guestlist.toml") as plan:
            for change in plan.changes():
                print(change.action, change.email, change.account, change.reason)

    Accounts that cannot be read are in `Plan.errors`; the others are planned.

    Args:
        roster: the roster, or the path of its file.
        ledger: an open ledger, a file or a URL. By default the one that the roster names.
        client: the client to read with. By default one for the roster's accounts.
        on_progress: called with events while the roster and the accounts are read.
        prune: also take out people whom the roster does not name.
        invite_declined: also invite people who have declined.
        retry_unknown: also send an email where nobody knows whether an earlier one went out.
        accounts: plan only these accounts.
        people: plan only for the people with these addresses.
        allow_empty: accept a roster that names no one. Otherwise that is an error.

    Returns:
        The plan. Close it, or use it in a `with` block: its changes are in a temporary file.

    Raises:
        ConfigError: the roster, its accounts or the ledger's location are invalid.
        LedgerError: the ledger cannot be opened or read.
    """
    selection = Selection.of(accounts, people)
    with open_context(
        roster, ledger, client, on_progress, selection=selection, allow_empty=allow_empty
    ) as context:
        return make_context_plan(
            context,
            prune=prune,
            invite_declined=invite_declined,
            retry_unknown=retry_unknown,
            allow_empty=allow_empty,
        )


def make_context_plan(
    context: Context,
    *,
    prune: bool,
    invite_declined: bool,
    retry_unknown: bool = False,
    allow_empty: bool = False,
    unclear: Mapping[str, GuestlistError] | None = None,
) -> Plan:
    """Make the plan of an open roster, and report what cannot be read or done for anybody.

    Args:
        unclear: accounts for which nothing may be planned now, and why.
    """
    roster, client = context.roster, context.client
    context.emit(ReadingRoster(roster.toml.path))
    if context.selection.people and not prune:
        _check_named(context)
    made = make_plan(
        client,
        roster.wanted(),
        accounts=context.accounts(),
        people=context.selection.people,
        unclear=unclear,
        limits=roster.limits,
        prune=prune,
        invite_declined=invite_declined,
        allow_empty=allow_empty,
        retry_unknown=retry_unknown,
        owed=deferred_grants(context),
        unresolved=unresolved(context.store),
        mails=EmailsPerPerson(context.store, client.clock.now() - roster.limits.period),
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
    """Raise an error if the roster does not name everybody who is selected.

    Raises:
        InvalidOrder: somebody is missing, such as after a typing error.
    """
    missing = context.selection.people - {wanted.key for wanted in context.roster.wanted()}
    if missing:
        raise InvalidOrder(
            f"{context.roster.toml.path} does not name {', '.join(sorted(missing))}",
            hint="Check the address. People outside the roster are planned only with --prune.",
        )


def report_unplanned(context: Context, plan: PlanFile) -> None:
    """Report the accounts that a saved plan leaves out, and what nobody in an account can have."""
    context.report(
        *(
            Conflict(
                "there is nothing about this account in the plan, because it could not be read"
                f" then: {why}",
                hint="For this account, plan again.",
                account=account,
            )
            for account, why in plan.summary.errors.items()
        ),
        *_impossible_for_all(plan),
    )


def unresolved_errors(plan: Plan | PlanFile) -> Iterator[GuestlistError]:
    """Yield an error for each person who gets no email, because an earlier one may have gone
    out."""
    if plan.summary.total(frozenset({Action.UNRESOLVED})):
        for change in plan.changes():
            if change.action is Action.UNRESOLVED:
                error = OutcomeUnknown(change.reason, hint=UNRESOLVED_HINT)
                yield error.about(account=change.account, email=change.email)


UNRESOLVED_HINT = (
    "Nothing was sent now. Ask the person. If they have no email, --retry-unknown sends another one"
    " (in Python: retry_unknown=True)."
)


def impossible_changes(plan: Plan | PlanFile) -> Iterator[Change]:
    """Yield the changes that cannot be made. The file is read only if there are any."""
    if plan.summary.total(frozenset({Action.CANNOT})):
        yield from (change for change in plan.changes() if change.action is Action.CANNOT)


def _impossible_for_all(plan: Plan | PlanFile) -> Iterator[GuestlistError]:
    """Yield an error for each role or option that nobody in an account can have."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for change in impossible_changes(plan):
        if not change.email:
            yield UnknownRole(change.reason.rstrip("."), account=change.account)
        elif change.roles:  # the service has no way to give or take a role
            reasons.setdefault((change.account, change.reason), []).append(change.email)
    for (account, reason), emails in reasons.items():
        whom = emails[0] if len(emails) == 1 else f"{len(emails)} people"
        yield Unsupported(reason.rstrip("."), hint=f"It is wanted for {whom}.", account=account)


def deferred_grants(context: Context) -> list[DeferredGrant]:
    """Return the deferred grants of the selected people that the ledger holds."""
    debts = (DeferredGrant.of(order.change) for order in all_deferred(context.store))
    return [debt for debt in debts if context.selection.includes(debt.account, debt.key)]
