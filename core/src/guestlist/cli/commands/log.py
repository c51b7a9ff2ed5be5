"""`log`: shows orders of the ledger and their outcomes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from guestlist.cli.parser import UsageError, resolve_timestamp
from guestlist.cli.printing import print_message
from guestlist.cli.session import Session
from guestlist.humanize import quantity
from guestlist.ledger.log import LineState, LogLine, write_csv, write_jsonl

if TYPE_CHECKING:
    from guestlist.ledger.history import Search
    from guestlist.ledger.store import Store

MAX_ORDERS_IN_TABLE = 100
"""Orders in a table without `--last`. A table needs all its rows in memory."""


def run_log(session: Session) -> None:
    """Shows or exports the selected orders."""
    given = session.arguments
    if given.export and given.json:
        raise UsageError("--export and --json exclude each other", hint="Leave out one of them.")
    store = session.ledger(create=False, read_only=True).store
    search = _search(session)
    if given.export:
        write = write_csv if given.export == "csv" else write_jsonl
        write(_lines(store, search, given.last), sys.stdout)
        sys.stdout.flush()
        session.printed = True
    elif session.screen is None:
        session.results += _lines(store, search, given.last)
    else:
        session.results += _lines(store, search, given.last or MAX_ORDERS_IN_TABLE)
        if given.last is None:
            _hint_at_older_orders(store, search)


def _lines(store: Store, search: Search, last: int | None) -> Iterator[LogLine]:
    from guestlist.ledger import history

    if last is None:
        return history.log_lines(store, search)
    return iter(history.latest(store, last, search))


def _hint_at_older_orders(store: Store, search: Search) -> None:
    from guestlist.ledger.history import counts

    rest = counts(store, search).total() - MAX_ORDERS_IN_TABLE
    if rest > 0:
        print_message(
            "hint",
            f"{quantity(rest, 'older order')} not shown; use --last 1000 or --export to see more",
        )


def _search(session: Session) -> Search:
    from guestlist.ledger.history import Search

    given, now = session.arguments, session.now
    return Search(
        emails=given.who,
        accounts=given.account,
        states=[LineState(state) for state in given.state],
        since=None if given.since is None else resolve_timestamp(given.since, now),
        until=None if given.until is None else resolve_timestamp(given.until, now, end=True),
        run=given.run,
    )
