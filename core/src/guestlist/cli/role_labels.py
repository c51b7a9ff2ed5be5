"""Names of roles, also for roles that a service mentions by id only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from guestlist.client import Guestlist
from guestlist.errors import GuestlistError
from guestlist.models import Role


class RoleLabels:
    """Looks up the names of roles. Reads an account's roles once, when the first role without a
    name is met.

    Args:
        guests: returns the client. Called only if names must be read.
    """

    def __init__(self, guests: Callable[[], Guestlist]) -> None:
        self._guests = guests
        self._known: dict[str, dict[tuple[str, str], str]] = {}

    def __call__(self, account: str, role: Role) -> str:
        """Returns the label of a role of an account, or its id if the name is unknown."""
        if role.name is not None:
            return role.label
        if account not in self._known:
            self._known[account] = {}
            with suppress(GuestlistError):
                roles = self._guests().roles(account=account)
                self._known[account] = {(one.kind, one.id): one.label for one in roles}
        return self._known[account].get((role.kind, role.id), role.label)
