"""`forget`: deletes a person, or old orders, from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guestlist.cli.confirmation import confirm
from guestlist.cli.document import ForgottenRow
from guestlist.cli.exit_codes import Interrupted
from guestlist.cli.parser import UsageError, resolve_timestamp
from guestlist.cli.session import Session
from guestlist.cli.text import comma_list
from guestlist.config import config_path
from guestlist.errors import LedgerError
from guestlist.humanize import absolute_time, quantity
from guestlist.ledger.log import LineState

if TYPE_CHECKING:
    from guestlist.ledger.store import Store


def run_forget(session: Session) -> None:
    """Asks for confirmation and deletes."""
    given = session.arguments
    if (given.who is not None) + (given.older_than is not None) + given.expired != 1:
        raise UsageError(
            "`forget` needs exactly one of: an address, --older-than, --expired",
            hint="For example: `guestlist forget ada@example.com`.",
        )
    store = session.ledger(create=False).store
    try:
        row = _older(session, store) if given.who is None else _person(session, store)
    except KeyboardInterrupt:
        raise Interrupted(
            "some orders may be deleted already",
            hint="Run the same command again to delete the rest.",
        ) from None
    session.results.append(row)
    if session.screen is not None:
        session.screen.line(
            f"Deleted from {row.ledger}: {quantity(row.orders, 'order')}"
            f" and {quantity(row.entries, 'row')} of history."
            + (
                f" {quantity(row.mentions, 'mention')} in other rows replaced."
                if row.mentions
                else ""
            )
        )
        session.printed = True


def _person(session: Session, store: Store) -> ForgottenRow:
    from guestlist.ledger.erasure import forget
    from guestlist.ledger.history import Search, counts

    given = session.arguments
    found = counts(store, Search(emails=[given.who]))
    confirm(_question(given.who, found, store.name), yes=given.yes)
    erased = forget(store, given.who, force=given.force)
    if not erased.orders and not erased.mentions:
        raise LedgerError(
            f"{store.name} has no orders of this person", hint="Check the address."
        ).about(email=given.who)
    return ForgottenRow(
        ledger=store.name,
        email=given.who,
        before=None,
        orders=erased.orders,
        entries=erased.entries,
        mentions=erased.mentions,
    )


def _older(session: Session, store: Store) -> ForgottenRow:
    from guestlist.ledger.erasure import expire
    from guestlist.roster.file import retention

    given = session.arguments
    if given.expired:
        before = session.now - retention(config_path(given.config))
    else:
        before = resolve_timestamp(given.older_than, session.now)
    confirm(
        f"Delete orders that ended before {absolute_time(before)} from {store.name}?", yes=given.yes
    )
    erased = expire(store, before)
    return ForgottenRow(
        ledger=store.name,
        email=None,
        before=before,
        orders=erased.orders,
        entries=erased.entries,
    )


def _question(email: str, found: dict[LineState, int], ledger: str) -> str:
    lost = [
        f"{found[state]} {text}"
        for state, text in (
            (LineState.WAITING, "waiting, which will not be sent"),
            (LineState.DEFERRED, "deferred, which will not be granted"),
            (LineState.UNRESOLVED, "unresolved"),
        )
        if found[state]
    ]
    among = f" ({comma_list(lost)})" if lost else ""
    number = quantity(sum(found.values()), "order")
    return f"Delete everything about {email} from {ledger}: {number}{among}?"
