"""What a plan comes to: counts, notes, what needs to be confirmed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

from guestlist.changes import IMPOSSIBLE, MAILS, Action
from guestlist.models import Model
from guestlist.provider import Provider
from guestlist.roster.diff import Note

REMOVALS = frozenset({Action.REVOKE, Action.REMOVE})
"""The actions that take a person out. They count against the ceiling on removals."""


class Over(Model):
    """Why a plan must not be applied unless somebody has confirmed it."""

    what: Literal["invitations", "removals", "everybody"]
    """`everybody`: the roster wants nobody in an account where there are people."""
    count: int
    ceiling: int
    account: str | None = None
    """None for all accounts together."""

    def __str__(self) -> str:
        if self.what == "everybody":
            return (
                f"{self.account}: the roster wants nobody there, and all {self.count} would be"
                " taken out"
            )
        revoked = ", revoked invitations among them," if self.what == "removals" else ""
        return (
            f"{self.count} {self.what}{revoked} are more than the {self.ceiling} that one run may"
            " make"
        )


class Summary(Model):
    """What a plan comes to. The same of a plan at hand and of one in a file."""

    made_at: datetime
    digest: str
    """Of the roster."""
    accounts: Mapping[str, str]
    """The accounts that were planned, with a digest of what tells one from another: the provider
    and its settings, without the secret ones."""
    counts: Mapping[str, Mapping[Action, int]]
    """How many changes there are, by account and action."""
    notes: Mapping[str, Mapping[Note, int]]
    """What was counted besides, by account."""
    errors: Mapping[str, str] = {}
    """Accounts that could not be read, and why. Nothing is planned for them."""
    over: tuple[Over, ...] = ()

    @property
    def changes(self) -> int:
        """How many changes there are, those that cannot be made included."""
        return sum(sum(by_action.values()) for by_action in self.counts.values())

    @property
    def possible(self) -> int:
        """How many changes there are that can be made."""
        return self.changes - self.total(IMPOSSIBLE)

    @property
    def nothing(self) -> bool:
        """Whether all accounts were read, and there is nothing to do that can be done."""
        return not self.possible and not self.errors

    def total(self, actions: frozenset[Action]) -> int:
        """How many changes of such actions there are, in all accounts."""
        return sum(
            count
            for by_action in self.counts.values()
            for action, count in by_action.items()
            if action in actions
        )


def fingerprint(provider: Provider) -> str:
    """Tells one configured account from another; secret settings are no part of it."""
    told = f"{provider.name} {provider.model_dump_json()}"
    return f"{provider.name}:{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def over(
    counts: Mapping[str, Mapping[Action, int]],
    wanted: Collection[str],
    invitations: int | None,
    removals: int | None,
) -> tuple[Over, ...]:
    """What is over a ceiling, None being none; and accounts that would be emptied.

    Args:
        wanted: accounts in which the roster wants somebody.
    """
    found: list[Over] = []
    ceilings: tuple[tuple[Literal["invitations", "removals"], frozenset[Action], int | None], ...]
    ceilings = (("invitations", MAILS, invitations), ("removals", REMOVALS, removals))
    for what, actions, ceiling in ceilings:
        count = sum(by.get(action, 0) for by in counts.values() for action in actions)
        if ceiling is not None and count > ceiling:
            found.append(Over(what=what, count=count, ceiling=ceiling))
    for account, by in counts.items():
        leaving = sum(by.get(action, 0) for action in REMOVALS)
        if leaving and account not in wanted:
            found.append(Over(what="everybody", count=leaving, ceiling=0, account=account))
    return tuple(found)
