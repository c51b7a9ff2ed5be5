"""Resumes a run that another process has begun.

The ledger may have been restored from a backup. Then it does not know the requests that were sent
since. So the process that resumes a run first reads the status of everybody who is left, and
records which orders have been carried out already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from guestlist.changes import SENDS_EMAIL, Action
from guestlist.client import Guestlist
from guestlist.errors import GuestlistError, OutcomeUnknown, Unsupported
from guestlist.ledger import orders
from guestlist.ledger.order import Order, OrderOutcome
from guestlist.ledger.orders import ASK
from guestlist.ledger.perform import found_outcome, withdrawn_outcome
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store
from guestlist.models import OPEN_STATES, Guest, Outcome, RoleOutcome, State
from guestlist.runs.tally import Tally
from guestlist.runs.unresolved_requests import check_can_look, fetch_statuses
from guestlist.verbs.roles import holds, match_roles

PEOPLE_PER_LOOK = 25_000
"""Number of people whose status is read together. A lookup reads each list once. A higher number
needs more memory."""
THERE = "It had been done already when the run was resumed."


def record_completed_orders(
    store: Store, guests: Guestlist, run: int, account: str, tally: Tally | None = None
) -> None:
    """Records which waiting orders of a run have been carried out already.

    Call it before sending requests for a run that another process has begun. Does nothing if the
    service does not show who was invited.

    Args:
        guests: the client, bound to the account.
        tally: counts the orders found.

    Raises:
        GuestlistError: the service does not answer or refuses. Do not send anything.
    """
    provider = guests.accounts[account]
    try:
        check_can_look(provider)
    except Unsupported:
        return
    guests.clock.sleep(provider.list_lag)
    after = 0
    while some := orders.next_of_any_action(store, run, account, after, PEOPLE_PER_LOOK):
        after = some[-1].id
        now = fetch_statuses(guests, some)
        outcomes = [
            (order, outcome)
            for order in some
            if (outcome := _outcome(order, now[order.change.key])) is not None
        ]
        if not outcomes:
            continue
        write = partial(_record, outcomes=outcomes, now=guests.clock.now().timestamp())
        for order, outcome in store.make(write):
            if tally is not None:
                _count(tally, order, outcome)


Settlement = tuple[OrderState, OrderOutcome]


def _record(
    connection: Connection, outcomes: Iterable[tuple[Order, Settlement]], now: float
) -> list[tuple[Order, Settlement]]:
    """Stores the outcomes of orders, and returns the orders that were still waiting."""
    return [
        (order, outcome)
        for order, outcome in outcomes
        if orders.record_outcome(connection, order.id, now, None, *outcome)
    ]


def _count(tally: Tally, order: Order, outcome: Settlement) -> None:
    state, done = outcome
    if state is OrderState.DONE:
        tally.was_done(done.outcome, done.email_sent)
        return
    error = OutcomeUnknown(done.detail or "it may have happened", hint=ASK)
    error.about(account=order.change.account, email=order.change.email)
    tally.stays_unknown(error)


def _outcome(order: Order, now: Guest | None) -> Settlement | None:
    """Returns the outcome of a waiting order; None if the order has to be carried out.

    Args:
        now: the person's status; None if the service does not accept the address.
    """
    change = order.change
    if now is None:
        return None
    if change.action not in SENDS_EMAIL:
        done = _taken_or_given(order, now)
        return None if done is None else (OrderState.DONE, done)
    try:
        done = found_outcome(order, now)
    # The records of the service do not show whether the email was sent.
    except GuestlistError as error:
        if order.is_prepared:
            return None
        return OrderState.UNKNOWN, OrderOutcome(
            "unknown", detail=error.message, preparation=order.preparation
        )
    if done is not None:
        return OrderState.DONE, replace(done, detail=THERE)
    if change.action is Action.INVITE and now.state in OPEN_STATES:
        done = OrderOutcome(
            Outcome.ALREADY_INVITED,
            email_sent=False,
            detail=THERE,
            deferred=change.deferred_changes(),
        )
        return OrderState.DONE, done
    return None


def _taken_or_given(order: Order, now: Guest) -> OrderOutcome | None:
    """Returns the outcome of an order that sends no email, if the service shows that it was carried
    out."""
    change, member = order.change, now.member
    if change.action in (Action.REVOKE, Action.REMOVE):
        is_out = now.state in (State.GONE, State.REVOKED)
        return OrderOutcome(withdrawn_outcome(change.action), None, THERE) if is_out else None
    if member is None or member.roles is None or now.state is not State.ACCEPTED:
        return None
    role = change.roles[0]
    if isinstance(role, str):
        held = bool(match_roles(member.roles, role))
    else:
        held = holds(member.roles, role)
    if change.action is Action.UNASSIGN_ROLE:
        return None if held else OrderOutcome(RoleOutcome.NOT_ASSIGNED, None, THERE)
    return OrderOutcome(RoleOutcome.ALREADY_ASSIGNED, None, THERE) if held else None
