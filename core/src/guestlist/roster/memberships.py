"""How somebody is in an account, and what several places say of that together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class DesiredMembership(NamedTuple):
    """How somebody is in an account; see `guestlist.roster.Wanted`."""

    roles: tuple[str, ...] | None = None
    options: Mapping[str, Any] = {}


def merge_memberships(one: DesiredMembership, other: DesiredMembership) -> DesiredMembership:
    """What two places say of the same person and account: all the roles; of an option, the last
    value. One that says nothing of roles adds nothing to those that the other names."""
    said = [membership.roles for membership in (one, other) if membership.roles is not None]
    roles = unique_roles(role for roles in said for role in roles) if said else None
    return DesiredMembership(roles, {**one.options, **other.options})


def unique_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """The roles in their order, none of them twice."""
    return tuple(dict.fromkeys(roles))
