"""What people call a role, also where a service mentions it by its id alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from guestlist.client import Guestlist
from guestlist.errors import GuestlistError
from guestlist.models import Role


class RoleLabels:
    """Looks the roles of an account up once, and only if one is met that has no name.

    Args:
        guests: gives the client, which is not asked for before it is needed.
    """

    def __init__(self, guests: Callable[[], Guestlist]) -> None:
        self._guests = guests
        self._known: dict[str, dict[tuple[str, str], str]] = {}

    def __call__(self, account: str, role: Role) -> str:
        """The label of a role of an account; the id where nothing better can be had."""
        if role.name is not None:
            return role.label
        if account not in self._known:
            self._known[account] = {}
            with suppress(GuestlistError):
                roles = self._guests().roles(account=account)
                self._known[account] = {(one.kind, one.id): one.label for one in roles}
        return self._known[account].get((role.kind, role.id), role.label)
