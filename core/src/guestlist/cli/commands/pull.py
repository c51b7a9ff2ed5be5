"""`pull`: writes the people of a roster from what the services hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from guestlist.cli.document import PulledRow
from guestlist.cli.missing_extra import missing
from guestlist.cli.opened_roster import configured, roster_path, within
from guestlist.cli.printing import say
from guestlist.cli.run_reporter import reading
from guestlist.cli.screen import Screen
from guestlist.cli.session import Session, client, nothing_configured
from guestlist.cli.text import count, listed
from guestlist.client import Guestlist
from guestlist.config import open_config
from guestlist.roster.current_people import Everybody

try:
    from guestlist.roster.pull import Present, Pulled, pull
except ModuleNotFoundError as error:
    raise missing("pull", error) from None


def run_pull(session: Session) -> None:
    """Reads the accounts, and writes the file."""
    given = session.arguments
    roster = open_config(roster_path(session))
    with ExitStack() as closing:
        config = configured(session, roster, closing)
        guests = within(session, closing.enter_context(client(session, config, session.clock)))
        names = list(dict.fromkeys(given.account)) or list(guests.accounts)
        if not names:
            raise nothing_configured()
        for name in names:
            guests.account(name)
        present = _everybody(session, guests, names)
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
        session.progress.pause()
        _show(session.screen, pulled)
        session.printed = True


def _everybody(session: Session, guests: Guestlist, names: Sequence[str]) -> Iterator[Present]:
    """All who are there, once all accounts have been read; nobody if one of them cannot be."""
    with Everybody(guests, names, progress=reading(session.progress, guests.accounts)) as everybody:
        failed = [one.error for one in everybody.read.values() if one.error]
        if failed:
            session.errors += failed[1:]
            raise failed[0]
        yield from everybody


def _show(screen: Screen, pulled: Pulled) -> None:
    files = listed(list(map(str, pulled.files)))
    screen.line(f"{files} written: {count(pulled.memberships, 'membership')}.")
    for line in pulled.lost:
        say("warning", f"not kept: {line}")
    if pulled.backup:
        screen.line(f"The file as it was: {pulled.backup}.")
    for line in pulled.left_out:
        say("warning", f"left out: {line}")
    if more := pulled.left_out_count - len(pulled.left_out):
        say("warning", f"{more:,} more were left out")
