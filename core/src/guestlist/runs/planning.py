"""`plan`: what would have to change so that the services are as the roster says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.changes import Action, Change
from guestlist.errors import Conflict, GuestlistError, UnknownRole
from guestlist.ledger import owed
from guestlist.ledger.mails import MailsPerPerson
from guestlist.roster import Plan, PlanFile, make_plan
from guestlist.roster.debts import Debt
from guestlist.runs.context import Context, opened
from guestlist.runs.progress import Progress, ReadingAccount, ReadingRoster

if TYPE_CHECKING:
    from guestlist.client import Guestlist
    from guestlist.ledger.book import Ledger
    from guestlist.ledger.store import Store
    from guestlist.roster.file import Roster


def plan(
    roster: Roster | str | Path,
    *,
    ledger: Ledger | str | Path | None = None,
    client: Guestlist | None = None,
    on_progress: Progress | None = None,
    prune: bool = False,
    invite_declined: bool = False,
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

    Returns:
        The plan. Close it, or use it in a `with` block: its changes are in a temporary file.

    Raises:
        ConfigError: the roster, its accounts or the ledger's location are invalid.
        LedgerError: the ledger cannot be opened or read.
    """
    with opened(roster, ledger, client, on_progress) as context:
        return planned(context, prune=prune, invite_declined=invite_declined)


def planned(
    context: Context,
    *,
    prune: bool,
    invite_declined: bool,
    unclear: Mapping[str, GuestlistError] | None = None,
) -> Plan:
    """Make the plan of an open roster, and report what cannot be read or done for anybody.

    Args:
        unclear: accounts for which nothing may be planned now, and why.
    """
    roster, client = context.roster, context.client
    context.emit(ReadingRoster(roster.toml.path))
    made = make_plan(
        client,
        roster.wanted(),
        accounts=roster.accounts,
        unclear=unclear,
        limits=roster.limits,
        prune=prune,
        invite_declined=invite_declined,
        owed=deferred(context.store),
        mails=MailsPerPerson(context.store, client.clock.now() - roster.limits.period),
        progress=lambda *read: context.emit(ReadingAccount(*read)),
    )
    try:
        context.report(*made.errors.values(), *_impossible_for_all(made))
    except BaseException:
        made.close()
        raise
    return made


def report_missing(context: Context, plan: PlanFile) -> None:
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


def impossible(plan: Plan | PlanFile) -> Iterator[Change]:
    """Yield the changes that cannot be made. The file is read only if there are any."""
    if plan.summary.total(frozenset({Action.CANNOT})):
        yield from (change for change in plan.changes() if change.action is Action.CANNOT)


def _impossible_for_all(plan: Plan | PlanFile) -> Iterator[GuestlistError]:
    """Yield an error for each role or option that nobody in an account can have."""
    for change in impossible(plan):
        if not change.email:
            yield UnknownRole(change.reason.rstrip("."), account=change.account)


def deferred(store: Store) -> list[Debt]:
    """Return the deferred grants that the ledger holds."""
    return [Debt.of(order.change) for order in owed.debts(store)]
