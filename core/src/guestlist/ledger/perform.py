"""Carries out an order: calls the verb that it stands for, and returns the outcome."""

from __future__ import annotations

from enum import StrEnum

from guestlist.changes import Action, Change
from guestlist.client import Guestlist, for_run
from guestlist.errors import NotFound
from guestlist.exchange.recording import Entry
from guestlist.ledger.order import Order, OrderOutcome
from guestlist.models import (
    Guest,
    InviteResult,
    Outcome,
    RemoveOutcome,
    Result,
    RevokeOutcome,
    RoleResult,
    State,
)
from guestlist.verbs.evidence import took_effect

REPEATABLE = frozenset(
    {Action.ASSIGN_ROLE, Action.SETTLE, Action.UNASSIGN_ROLE, Action.REVOKE, Action.REMOVE}
)
"""Actions that can be repeated if their outcome is unknown, because they send no email."""


def perform(guests: Guestlist, order: Order, entry: Entry) -> OrderOutcome:
    """Carries out an order.

    Raises:
        GuestlistError: the error of the verb. `OutcomeUnknown` is raised at once, without a lookup.
    """
    action = order.change.action
    try:
        return _carried_out(guests, order, entry)
    except NotFound:
        if not order.attempts or action not in (Action.REVOKE, Action.REMOVE):
            raise
        return OrderOutcome(withdrawn_outcome(action), None, GONE)


def _carried_out(guests: Guestlist, order: Order, entry: Entry) -> OrderOutcome:
    change, known = order.change, order.known
    client = for_run(guests, known, entry, is_prepared=order.preparation is not None)
    match change.action:
        case Action.INVITE | Action.REPLACE:
            result = client.invite(
                change.email,
                login=change.login,
                role=change.roles,
                options=change.options,
                if_exists="replace" if change.action is Action.REPLACE else "return",
            )
            return _invited(change, result)
        case Action.RESEND:
            return _invited(change, client.resend(known))
        case Action.ASSIGN_ROLE | Action.SETTLE:
            return _role_changed(client.assign_role(known, change.roles[0]))
        case Action.UNASSIGN_ROLE:
            return _role_changed(client.unassign_role(known, change.roles[0]))
        case Action.REVOKE:
            revoked = client.revoke(known)
            return _withdrawn(order, revoked, revoked.outcome is RevokeOutcome.ALREADY_REVOKED)
        case Action.REMOVE:
            removed = client.remove(known)
            return _withdrawn(order, removed, removed.outcome is RemoveOutcome.ALREADY_REMOVED)
        case _:
            raise AssertionError(f"{change.action} cannot be carried out")


def _invited(change: Change, result: InviteResult) -> OrderOutcome:
    return OrderOutcome(
        result.outcome,
        result.email_sent,
        " ".join(result.warnings) or None,
        change.deferred_changes(),
    )


def withdrawn_outcome(action: Action) -> StrEnum:
    """Returns the outcome of a revocation or removal that has taken effect."""
    return RevokeOutcome.REVOKED if action is Action.REVOKE else RemoveOutcome.REMOVED


def _withdrawn(order: Order, result: Result, already: bool) -> OrderOutcome:
    if already and order.attempts:  # an earlier attempt has done it
        return OrderOutcome(withdrawn_outcome(order.change.action), None, GONE)
    return OrderOutcome(result.outcome, None, " ".join(result.warnings) or None)


def _role_changed(result: RoleResult) -> OrderOutcome:
    return OrderOutcome(result.outcome, None, " ".join(result.warnings) or None)


def found_outcome(order: Order, now: Guest) -> OrderOutcome | None:
    """Returns the outcome of an unresolved order if the person's present status shows its effect;
    else None.

    Raises:
        GuestlistError: the status can never show it.
    """
    change = order.change
    prepared = order.preparation is not None
    if not took_effect(change.action, order.known, now, prepared=prepared):
        return None
    if change.action is Action.RESEND and order.known.invitation is not None:
        outcome = Outcome.RESENT
    else:
        outcome = Outcome.JOINED if now.state is State.ACCEPTED else Outcome.INVITED
    return OrderOutcome(outcome, None, FOUND, change.deferred_changes())


FOUND = "The service did not answer; its lists show the effect."
GONE = "The service did not answer; a second attempt found nothing left to do."
