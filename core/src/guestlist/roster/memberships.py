"""How somebody is in an account, and what several places say of that together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Stay(NamedTuple):
    """How somebody is in an account; see `guestlist.roster.Wanted`."""

    roles: tuple[str, ...] | None = None
    options: Mapping[str, Any] = {}


def both(one: Stay, other: Stay) -> Stay:
    """What two places say of the same person and account: all the roles; of an option, the last
    value. One that says nothing of roles adds nothing to those that the other names."""
    said = [stay.roles for stay in (one, other) if stay.roles is not None]
    roles = each_once(role for roles in said for role in roles) if said else None
    return Stay(roles, {**one.options, **other.options})


def each_once(roles: Iterable[str]) -> tuple[str, ...]:
    """The roles in their order, none of them twice."""
    return tuple(dict.fromkeys(roles))
