"""Finds when people were invited, for services that forget accepted invitations."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from guestlist.changes import SENDS_EMAIL
from guestlist.ledger.schema import OrderState, orders
from guestlist.ledger.store import Store
from guestlist.ledger.unresolved import RESOLVING
from guestlist.models import Outcome

LEAVES_OPEN = frozenset({Outcome.INVITED, Outcome.RESENT, Outcome.ALREADY_INVITED})
"""Outcomes after which a person has an open invitation."""


def last_invited(store: Store, account: str, keys: Collection[str]) -> dict[str, float]:
    """Returns, by person, when the ledger last recorded an open invitation, in seconds since 1970.
    Leaves out people whose last order had another result: a revocation, a removal or a membership.

    Args:
        keys: the normalized addresses of the people, at most a few hundred.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    wanted = (
        select(orders.c.key, orders.c.action, orders.c.outcome, orders.c.settled)
        .where(
            orders.c.key.in_(keys),
            orders.c.account == account,
            orders.c.state == OrderState.DONE,
            orders.c.action.in_([action.value for action in RESOLVING]),
        )
        .order_by(orders.c.id)
    )
    found: dict[str, float] = {}
    with store.reading() as connection:
        for key, action, outcome, at in connection.execute(wanted):
            found.pop(key, None)
            if action in SENDS_EMAIL and outcome in LEAVES_OPEN:
                found[key] = at
    return found
