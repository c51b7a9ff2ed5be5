"""The accounts and groups that a roster knows, and where its people are through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime

from guestlist.errors import ConfigError
from guestlist.roster.document import Accesses, Group, Membership
from guestlist.roster.memberships import DesiredMembership, merge_memberships, unique_roles
from guestlist.tomlfile import unknown

Memberships = Mapping[str, DesiredMembership]
"""By the name of the account."""


class RosterIndex:
    """What people are in a file can refer to.

    Attributes:
        accounts: the names of the accounts.
    """

    def __init__(self, accounts: Iterable[str], groups: Mapping[str, Group]) -> None:
        self.accounts = tuple(accounts)
        self._groups = {name: memberships(group.accounts) for name, group in groups.items()}

    def account(self, name: str) -> str:
        """The name itself.

        Raises:
            ConfigError: no account is called so.
        """
        if name not in self.accounts:
            raise unknown("account", name, self.accounts)
        return name

    def group(self, name: str) -> Memberships:
        """Where the people of a group are.

        Raises:
            ConfigError: no group is called so.
        """
        if name not in self._groups:
            raise unknown("group", name, self._groups)
        return self._groups[name]

    def group_accounts(self) -> set[str]:
        """The accounts that groups lead to."""
        return {account for group in self._groups.values() for account in group}

    def unknown_names(
        self, accounts: Accesses, groups: Iterable[str] = ()
    ) -> Iterator[ConfigError]:
        """The names that nothing is called by, each with its place."""
        for account in accounts:
            try:
                self.account(account)
            except ConfigError as error:
                yield error.within("", "accounts", account)
        for number, group in enumerate(groups):
            try:
                self.group(group)
            except ConfigError as error:
                yield error.within("", "groups", number)


def memberships(accounts: Accesses) -> Memberships:
    """What was written, in one form."""
    found = {}
    for account, access in accounts.items():
        if isinstance(access, Membership):
            roles = None if access.roles is None else unique_roles(access.roles)
            found[account] = DesiredMembership(roles, access.options)
        else:
            found[account] = DesiredMembership(None if access is True else unique_roles(access))
    return found


def merge_all(parts: Iterable[Memberships]) -> Memberships:
    """All that is said about one person."""
    found: dict[str, DesiredMembership] = {}
    for part in parts:
        for account, membership in part.items():
            before = found.get(account)
            found[account] = merge_memberships(before, membership) if before else membership
    return found


def check_days(starts: date | None, ends: date | None) -> None:
    """Refuses a time that ends before it begins.

    Raises:
        ConfigError: it does.
    """
    if not (starts and ends):
        return
    if isinstance(starts, datetime) and isinstance(ends, datetime):
        backwards = ends < starts
    else:
        backwards = _day_of(ends) < _day_of(starts)
    if backwards:
        raise ConfigError(f"until {ends} is before from {starts}")


def _day_of(day: date) -> date:
    return day.date() if isinstance(day, datetime) else day


def check_has_account(found: Memberships) -> Memberships:
    """Refuses a person who is nowhere.

    Raises:
        ConfigError: there is no account.
    """
    if not found:
        raise ConfigError("no account is named", hint="Name an account, or a group that has one.")
    return found
