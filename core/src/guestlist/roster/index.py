"""The accounts and groups of a roster, and the memberships that they give to people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime

from guestlist.errors import ConfigError
from guestlist.roster.document import Accesses, GroupTable, MembershipTable
from guestlist.roster.wanted import DesiredMembership, merge_memberships, unique_roles
from guestlist.tomlfile import unknown_name_error

Memberships = Mapping[str, DesiredMembership]
"""Desired memberships by the name of the account."""


class RosterIndex:
    """Looks up the accounts and groups that a roster defines.

    Attributes:
        accounts: the names of the accounts.
    """

    def __init__(self, accounts: Iterable[str], groups: Mapping[str, GroupTable]) -> None:
        self.accounts = tuple(accounts)
        self._groups = {name: memberships(group.accounts) for name, group in groups.items()}

    def account(self, name: str) -> str:
        """Returns the name if the roster has an account of that name.

        Raises:
            ConfigError: there is no account of that name.
        """
        if name not in self.accounts:
            raise unknown_name_error("account", name, self.accounts)
        return name

    def group(self, name: str) -> Memberships:
        """Returns the memberships that a group gives.

        Raises:
            ConfigError: there is no group of that name.
        """
        if name not in self._groups:
            raise unknown_name_error("group", name, self._groups)
        return self._groups[name]

    def group_accounts(self) -> set[str]:
        """Returns the names of all accounts that groups use."""
        return {account for group in self._groups.values() for account in group}

    def unknown_names(
        self, accounts: Accesses, groups: Iterable[str] = (), logins: Iterable[str] = ()
    ) -> Iterator[ConfigError]:
        """Yields an error for each account and group that does not exist, with its place.

        Args:
            logins: names of accounts for which a login is given.
        """
        for account in logins:
            try:
                self.account(account)
            except ConfigError as error:
                yield error.within("", "logins", account)
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
    """Returns the memberships of an `accounts` table, whose entries may have any of three forms."""
    found = {}
    for account, access in accounts.items():
        if isinstance(access, MembershipTable):
            roles = None if access.roles is None else unique_roles(access.roles)
            found[account] = DesiredMembership(roles, access.options)
        else:
            found[account] = DesiredMembership(None if access is True else unique_roles(access))
    return found


def merge_all(parts: Iterable[Memberships]) -> Memberships:
    """Merges the memberships that several parts of a roster give to one person."""
    found: dict[str, DesiredMembership] = {}
    for part in parts:
        for account, membership in part.items():
            before = found.get(account)
            found[account] = merge_memberships(before, membership) if before else membership
    return found


def check_days(starts: date | None, ends: date | None) -> None:
    """Checks that `from` is not after `until`.

    Raises:
        ConfigError: `until` is before `from`.
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


def check_identity(
    emails: int, also: Sequence[str], logins: Mapping[str, str], found: Memberships
) -> None:
    """Checks that the addresses and logins of an entry identify its people.

    Args:
        emails: the number of addresses.
        found: the memberships that the entry gives.

    Raises:
        ConfigError: several people would share the addresses in `also` or the logins, or a person
            has neither an address nor a login for one of the accounts.
    """
    if emails > 1 and (also or logins):
        raise ConfigError(
            "several people cannot have the same other addresses or logins",
            hint="List each person separately.",
        )
    lacking = [account for account in found if account not in logins]
    if not emails and lacking:
        raise ConfigError(
            f"this person has neither an email address nor a login for {lacking[0]!r}",
            hint=f'Add email = "…" or logins.{lacking[0]} = "…".',
        )


def check_has_account(found: Memberships) -> Memberships:
    """Returns the memberships of a person if there is at least one.

    Raises:
        ConfigError: the person has no account.
    """
    if not found:
        raise ConfigError(
            "this person has no account", hint="Add an account, or a group that has one."
        )
    return found
