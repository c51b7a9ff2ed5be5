"""The entries of a roster: one person in one account, and how several entries are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple


class Wanted(NamedTuple):
    """One person who should be in one account. A tuple, because there may be millions.

    Attributes:
        account: the account's name.
        key: the address in the form in which addresses are compared
            (`guestlist.address.email_key`). Without an address, the key of the login.
        email: the address as typed. Empty for a person whom the roster names by login only.
        roles: the roles by id, name or `kind:name`; None to leave the person's roles alone.
        options: the provider's options of an invitation.
        starts: the first day of the membership, or the moment at which it begins; None for no
            beginning.
        ends: the last day of the membership, or the moment at which it ends; None for no end.
        place: file and line of the entry for messages, such as `guestlist.toml:12`.
        also: other addresses of the person, at which they may be known to a service.
        login: the person's login at the service of the account.
    """

    account: str
    key: str
    email: str
    roles: tuple[str, ...] | None = None
    options: Mapping[str, Any] = {}
    starts: date | None = None
    ends: date | None = None
    place: str = ""
    also: tuple[str, ...] = ()
    login: str | None = None


class DesiredMembership(NamedTuple):
    """Roles and options that a roster wants for one person in one account.

    Attributes:
        roles: the roles by id, name or `kind:name`; None to leave the person's roles alone.
        options: the provider's options of an invitation.
    """

    roles: tuple[str, ...] | None = None
    options: Mapping[str, Any] = {}


def merge_memberships(one: DesiredMembership, other: DesiredMembership) -> DesiredMembership:
    """Merges two entries about the same person and account.

    The result has the roles of both entries. If both set an option, the second one wins. An entry
    without roles adds none.
    """
    said = [membership.roles for membership in (one, other) if membership.roles is not None]
    roles = unique_roles(role for roles in said for role in roles) if said else None
    return DesiredMembership(roles, {**one.options, **other.options})


def unique_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Returns the roles in their order, without duplicates."""
    return tuple(dict.fromkeys(roles))
