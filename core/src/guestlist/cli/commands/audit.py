"""`audit`: shows findings in the accounts, such as members who are not in the roster."""

from __future__ import annotations

from collections.abc import Sequence

from guestlist.cli.exit_codes import FOUND
from guestlist.cli.exports import check_format, print_export
from guestlist.cli.opened_roster import roster_path
from guestlist.cli.printing import print_message
from guestlist.cli.run_reporter import account_progress
from guestlist.cli.session import Session, no_account_error
from guestlist.cli.text import comma_list, spaced
from guestlist.roster.file import read_roster
from guestlist.runs.auditing import audit
from guestlist.runs.findings import Finding, Unchecked

COLUMNS = ("finding", "person", "account", "detail", "since")


def run_audit(session: Session) -> None:
    """Reads all accounts and shows the findings."""
    given = session.arguments
    check_format(session)
    roster = read_roster(roster_path(session), allow_empty=True)
    guests = session.open_client(session.config(roster.toml, starts_sandbox=True))
    if not guests.accounts:
        raise no_account_error()
    result = audit(
        roster,
        client=guests,
        on_progress=account_progress(session.status, guests.accounts),
        accounts=given.account,
        allowed_domains=given.allowed_domain,
        pending_days=given.pending_days,
        quick=given.quick,
    )
    session.status.pause()
    session.errors += result.errors.values()
    session.results += result.findings
    print_export(session, COLUMNS, map(_cells, result.findings))
    if given.json:
        session.results += result.unchecked
    else:
        _warn(result.unchecked)
    if failing := result.of(given.fail_on):
        session.exit_code = FOUND
        if given.quiet:
            for one in failing:
                where = f"{one.person} in {one.account}" if one.person else one.account
                print_message("found", f"{where}: {spaced(one.kind)} ({one.detail})")


def _cells(one: Finding) -> tuple[str, ...]:
    since = one.since.isoformat() if one.since else ""
    return spaced(one.kind), one.person, one.account, one.detail, since


def _warn(unchecked: Sequence[Unchecked]) -> None:
    """Prints what could not be checked, one line for each reason."""
    accounts: dict[tuple[str, str], list[str]] = {}
    for one in unchecked:
        accounts.setdefault((spaced(one.kind), one.reason), []).append(one.account)
    for (kind, reason), names in accounts.items():
        print_message("warning", f"{comma_list(names)}: not checked: {kind} ({reason})")
