"""`pull`: writes the people of the services into a roster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guestlist.cli.document import PulledRow
from guestlist.cli.opened_roster import roster_path
from guestlist.cli.printing import print_message
from guestlist.cli.run_reporter import reading_callback
from guestlist.cli.screen import Screen
from guestlist.cli.session import Session, no_account_error
from guestlist.cli.text import comma_list
from guestlist.client import Guestlist
from guestlist.config import open_config
from guestlist.errors import missing_package_error
from guestlist.humanize import quantity
from guestlist.roster.current_people import CurrentPeople, CurrentPerson

try:
    from guestlist.roster.pull import Pulled, pull
except ModuleNotFoundError as error:
    raise missing_package_error("pull", error, "cli") from None


def run_pull(session: Session) -> None:
    """Reads the accounts and writes the roster."""
    given = session.arguments
    roster = open_config(roster_path(session))
    guests = session.open_client(session.config(roster, starts_sandbox=True))
    names = list(dict.fromkeys(given.account)) or list(guests.accounts)
    if not names:
        raise no_account_error()
    for name in names:
        guests.account(name)
    present = _all_members(session, guests, names)
    pulled = pull(roster.path, present, replace=given.replace, table=given.csv)
    session.results.append(
        PulledRow(
            files=tuple(map(str, pulled.files)),
            memberships=pulled.memberships,
            left_out=pulled.left_out,
            left_out_count=pulled.left_out_count,
            lost=pulled.lost,
            backup=str(pulled.backup) if pulled.backup else None,
        )
    )
    if session.screen is not None:
        session.status.pause()
        _show(session.screen, pulled)
        session.printed = True


def _all_members(
    session: Session, guests: Guestlist, names: Sequence[str]
) -> Iterator[CurrentPerson]:
    """Yields the people in all accounts, after all have been read. Yields nobody if an account
    cannot be read."""
    with CurrentPeople(
        guests, names, progress=reading_callback(session.status, guests.accounts)
    ) as everybody:
        failed = [one.error for one in everybody.read.values() if one.error]
        if failed:
            session.errors += failed[1:]
            raise failed[0]
        yield from everybody


def _show(screen: Screen, pulled: Pulled) -> None:
    files = comma_list(list(map(str, pulled.files)))
    screen.line(f"{files} written: {quantity(pulled.memberships, 'membership')}.")
    for line in pulled.lost:
        print_message("warning", f"not kept: {line}")
    if pulled.backup:
        screen.line(f"The file as it was: {pulled.backup}.")
    for line in pulled.left_out:
        print_message("warning", f"left out: {line}")
    if more := pulled.left_out_count - len(pulled.left_out):
        print_message("warning", f"{more:,} more people were left out")
