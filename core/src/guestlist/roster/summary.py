"""Summary of a plan: counts of changes and notes, and the limits that it exceeds."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

from guestlist.changes import IMPOSSIBLE, SENDS_EMAIL, Action
from guestlist.models import Model
from guestlist.provider import Provider
from guestlist.roster.diff import Note

REMOVALS = frozenset({Action.REVOKE, Action.REMOVE})
"""The actions that remove a person. They count toward the limit on removals."""


class Over(Model):
    """A limit that a plan exceeds. Such a plan must be confirmed before it is applied."""

    what: Literal["invitations", "removals", "everybody"]
    """The limit. `everybody`: the plan would remove all people from an account."""
    count: int
    ceiling: int
    account: str | None = None
    """The account; None if the limit applies to all accounts together."""

    def __str__(self) -> str:
        if self.what == "everybody":
            return (
                f"{self.account}: the roster has no people for this account, so all {self.count}"
                " would be removed"
            )
        revoked = " (including revoked invitations)" if self.what == "removals" else ""
        return f"{self.count} {self.what}{revoked} exceed the limit of {self.ceiling} for one run"


class Summary(Model):
    """Summary of a plan: counts of changes and notes, and the limits that it exceeds."""

    made_at: datetime
    digest: str
    """SHA-256 of the roster's entries."""
    accounts: Mapping[str, str]
    """The planned accounts, each with a fingerprint of its provider and its settings, without
    secrets."""
    counts: Mapping[str, Mapping[Action, int]]
    """Number of changes, by account and action."""
    notes: Mapping[str, Mapping[Note, int]]
    """Number of people or roles per note, by account."""
    errors: Mapping[str, str] = {}
    """By account, why it could not be read. Nothing is planned for such accounts."""
    over: tuple[Over, ...] = ()

    @property
    def changes(self) -> int:
        """Number of changes, including those that cannot be made."""
        return sum(sum(by_action.values()) for by_action in self.counts.values())

    @property
    def possible(self) -> int:
        """Number of changes that can be made."""
        return self.changes - self.total(IMPOSSIBLE)

    @property
    def nothing(self) -> bool:
        """True if all accounts were read and no change can be made."""
        return not self.possible and not self.errors

    def total(self, actions: frozenset[Action]) -> int:
        """Returns the number of changes with one of the given actions, over all accounts."""
        return sum(
            count
            for by_action in self.counts.values()
            for action, count in by_action.items()
            if action in actions
        )


def fingerprint(provider: Provider) -> str:
    """Returns a text that identifies an account by its provider and settings, without secrets."""
    text = f"{provider.name} {provider.model_dump_json()}"
    return f"{provider.name}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def over(
    counts: Mapping[str, Mapping[Action, int]],
    wanted: Collection[str],
    invitations: int | None,
    removals: int | None,
) -> tuple[Over, ...]:
    """Returns the limits that a plan exceeds, including accounts that would become empty.

    Args:
        counts: number of changes by account and action.
        wanted: accounts in which the roster wants at least one person.
        invitations: maximum number of emails; None for no limit.
        removals: maximum number of removed people; None for no limit.
    """
    found: list[Over] = []
    ceilings: tuple[tuple[Literal["invitations", "removals"], frozenset[Action], int | None], ...]
    ceilings = (("invitations", SENDS_EMAIL, invitations), ("removals", REMOVALS, removals))
    for what, actions, ceiling in ceilings:
        count = sum(by.get(action, 0) for by in counts.values() for action in actions)
        if ceiling is not None and count > ceiling:
            found.append(Over(what=what, count=count, ceiling=ceiling))
    for account, by in counts.items():
        leaving = sum(by.get(action, 0) for action in REMOVALS)
        if leaving and account not in wanted:
            found.append(Over(what="everybody", count=leaving, ceiling=0, account=account))
    return tuple(found)
