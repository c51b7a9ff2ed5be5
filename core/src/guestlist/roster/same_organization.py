"""Recognizes two accounts that are the same organization: each would undo what the other does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from guestlist.errors import ConfigError
from guestlist.models import Invitation
from guestlist.provider import Provider

MAX_INVITATIONS = 1000
"""Number of invitations per account that are compared."""

HINT = "Remove one of the two accounts: each would undo what the other one does."


def check_distinct(accounts: Mapping[str, Provider]) -> None:
    """Checks that no two accounts are the same organization, as far as their settings show it.

    Raises:
        ConfigError: two accounts have the same provider, address and key, or the same
            `Provider.organization_settings`.
    """
    for one, other in combinations(accounts, 2):
        if by := _same_settings(accounts[one], accounts[other]):
            raise ConfigError(
                f"the accounts {one!r} and {other!r} are the same organization (the same {by})",
                hint=HINT,
            )


def _same_settings(one: Provider, other: Provider) -> str:
    """Returns the settings that show that two accounts are the same organization, if any do."""
    if type(one) is not type(other) or one.base_url.rstrip("/") != other.base_url.rstrip("/"):
        return ""
    names = one.organization_settings
    values = [(getattr(one, name), getattr(other, name)) for name in names]
    if names and all(mine is not None and mine == theirs for mine, theirs in values):
        return f"provider, address and {' and '.join(names)}"
    if names and any(mine != theirs for mine, theirs in values):
        return ""
    keys = one.secrets()
    return "provider, address and key" if keys and keys == other.secrets() else ""


def identity_of(invitation: Invitation) -> tuple[object, ...]:
    """Returns the fields that two organizations never have in common."""
    return invitation.id, invitation.email, invitation.created_at


def shared_invitations(
    providers: Mapping[str, Provider], invitations: Mapping[str, Iterable[tuple[object, ...]]]
) -> Iterator[tuple[str, ConfigError]]:
    """Yields an error for each account whose list has an invitation that is also in the list of
    another account of the same service.

    Args:
        invitations: by account, `identity_of` invitations.
    """
    found = {name: set(some) for name, some in invitations.items()}
    for one, other in combinations(found, 2):
        mine, theirs = providers[one], providers[other]
        same = (mine.name, mine.base_url) == (theirs.name, theirs.base_url)
        if same and found[one] & found[other]:
            for name in (one, other):
                yield (
                    name,
                    ConfigError(
                        f"the accounts {one!r} and {other!r} are the same organization: both list"
                        " the same invitation",
                        hint=HINT,
                        account=name,
                    ),
                )
