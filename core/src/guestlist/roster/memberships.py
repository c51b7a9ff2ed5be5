"""Desired memberships, and how several entries about one person are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


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
