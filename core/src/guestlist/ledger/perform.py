"""What an order means: which verb carries it out, and what its result says."""

from __future__ import annotations

from guestlist.changes import Action, Change
from guestlist.client import Guestlist
from guestlist.errors import NotFound
from guestlist.exchange.account import Entry
from guestlist.ledger.order import Order
from guestlist.ledger.outcome import Done
from guestlist.models import Guest, InviteResult, RoleResult, State
from guestlist.verbs.signs import took_effect

REPEATABLE = frozenset(
    {Action.ASSIGN, Action.SETTLE, Action.UNASSIGN, Action.REVOKE, Action.REMOVE}
)
"""What can simply be done again when nobody knows whether it happened: nobody gets a mail."""


def perform(guests: Guestlist, order: Order, entry: Entry) -> Done:
    """Carries an order out.

    Raises:
        GuestlistError: what the verb raises; `OutcomeUnknown` at once, without a look.
    """
    action = order.change.action
    try:
        return _carried_out(guests, order, entry)
    except NotFound:
        if not order.attempts or action not in (Action.REVOKE, Action.REMOVE):
            raise
        return Done(f"{action}d", None, GONE)  # by the earlier try


def _carried_out(guests: Guestlist, order: Order, entry: Entry) -> Done:
    change, known = order.change, order.known
    client = guests.of_run(known, entry)
    match change.action:
        case Action.INVITE | Action.REPLACE:
            result = client.invite(
                change.email,
                role=change.roles,
                options=change.options,
                if_exists="replace" if change.action is Action.REPLACE else "return",
            )
            return _invited(change, result)
        case Action.RESEND:
            return _invited(change, client.resend(known))
        case Action.ASSIGN | Action.SETTLE:
            return _role_changed(client.assign_role(known, change.roles[0]))
        case Action.UNASSIGN:
            return _role_changed(client.unassign_role(known, change.roles[0]))
        case Action.REVOKE:
            return Done(client.revoke(known).state)
        case Action.REMOVE:
            client.remove(known)
            return Done("removed")
        case _:
            raise AssertionError(f"{change.action} is nothing to be done")


def _invited(change: Change, result: InviteResult) -> Done:
    return Done(
        result.outcome,
        result.mail_sent,
        " ".join(result.warnings) or None,
        change.owed_roles(),
    )


def _role_changed(result: RoleResult) -> Done:
    return Done(result.outcome, None, " ".join(result.warnings) or None)


def found(order: Order, now: Guest) -> Done | None:
    """What a look says of an order of which nobody knew whether it happened; None when there is
    no trace of it.

    Raises:
        GuestlistError: the look can never tell.
    """
    change = order.change
    if not took_effect(change.action, order.known, now):
        return None
    if change.action is Action.RESEND and order.known.invitation is not None:
        outcome = "resent"
    else:
        outcome = "joined" if now.state is State.ACCEPTED else "invited"
    return Done(outcome, None, FOUND, change.owed_roles())


FOUND = "No answer confirmed it; it was found by looking."
GONE = "No answer confirmed it; when it was tried again, there was nothing left."
