"""The accounts and groups that a roster knows, and where its people are through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from guestlist.errors import ConfigError
from guestlist.roster.document import Accesses, Group, Membership
from guestlist.roster.lines import Place
from guestlist.roster.problems import unknown


class Stay(NamedTuple):
    """How somebody is in an account; see `guestlist.roster.Wanted`."""

    roles: tuple[str, ...] | None = None
    options: Mapping[str, Any] = {}


Stays = Mapping[str, Stay]
"""By the name of the account."""


class Circle:
    """What people are in a file can refer to.

    Attributes:
        accounts: the names of the accounts.
    """

    def __init__(self, accounts: Iterable[str], groups: Mapping[str, Group]) -> None:
        self.accounts = tuple(accounts)
        self._groups = {name: stays(group.accounts) for name, group in groups.items()}

    def account(self, name: str) -> str:
        """The name itself.

        Raises:
            ConfigError: no account is called so.
        """
        if name not in self.accounts:
            raise unknown("account", name, self.accounts)
        return name

    def group(self, name: str) -> Stays:
        """Where the people of a group are.

        Raises:
            ConfigError: no group is called so.
        """
        if name not in self._groups:
            raise unknown("group", name, self._groups)
        return self._groups[name]

    def of_groups(self) -> set[str]:
        """The accounts that groups lead to."""
        return {account for group in self._groups.values() for account in group}

    def wrong_names(
        self, accounts: Accesses, groups: Iterable[str] = ()
    ) -> Iterator[tuple[Place, ConfigError]]:
        """The names that nothing is called by, each with its place."""
        for account in accounts:
            try:
                self.account(account)
            except ConfigError as error:
                yield ("accounts", account), error
        for number, group in enumerate(groups):
            try:
                self.group(group)
            except ConfigError as error:
                yield ("groups", number), error


def stays(accounts: Accesses) -> Stays:
    """What was written, in one form."""
    found = {}
    for account, access in accounts.items():
        if isinstance(access, Membership):
            roles = None if access.roles is None else _each_once(access.roles)
            found[account] = Stay(roles, access.options)
        else:
            found[account] = Stay(None if access is True else _each_once(access))
    return found


def together(parts: Iterable[Stays]) -> Stays:
    """All that is said about one person: the roles of all parts; of an option, the last value.

    A part that says nothing of roles adds nothing to those that the others name.
    """
    found: dict[str, Stay] = {}
    for part in parts:
        for account, stay in part.items():
            before = found.get(account)
            found[account] = _both(before, stay) if before else stay
    return found


def check_days(starts: date | None, ends: date | None) -> None:
    """Refuses a time that ends before it begins.

    Raises:
        ConfigError: it does.
    """
    if starts and ends and ends < starts:
        raise ConfigError(f"until {ends} is before from {starts}")


def check_somewhere(found: Stays) -> Stays:
    """Refuses a person who is nowhere.

    Raises:
        ConfigError: there is no account.
    """
    if not found:
        raise ConfigError("no account is named", hint="Name an account, or a group that has one.")
    return found


def _both(one: Stay, other: Stay) -> Stay:
    said = [stay.roles for stay in (one, other) if stay.roles is not None]
    roles = _each_once(role for roles in said for role in roles) if said else None
    return Stay(roles, {**one.options, **other.options})


def _each_once(roles: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(roles))
