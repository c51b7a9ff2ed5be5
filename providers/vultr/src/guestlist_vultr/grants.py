"""What a member effectively holds: groups, roles and policies, direct and inherited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from guestlist.models import Grant, Role
from guestlist_vultr.reading import Raw, identifier, records, role, text


def read_grants(kind: str, contents: Iterable[Any], roles: Mapping[str, Role]) -> list[Grant]:
    """The grants of one kind.

    govultr decodes `{"all": [...], "direct": [...], "inherited": [...]}`; the OpenAPI document has
    a flat list, of which all counts as direct unless a record names its origin.

    Args:
        kind: `group`, `role` or `policy`.
        contents: what the pages of the list hold, each in either form.
        roles: the member's roles by id: an inherited policy tells only the id of its role.
    """
    parts: dict[str, list[Raw]] = {}
    for content in contents:
        for name, value in content.items() if isinstance(content, dict) else [("all", content)]:
            parts.setdefault(_SAME.get(name, name), []).extend(records(value))
    ids = {name: {_id(raw, kind) for raw in part} for name, part in parts.items()}
    direct, inherited = ids.get("direct"), ids.get("inherited", set())
    described = parts.get("direct", []) + parts.get("inherited", [])
    origins: dict[str, dict[str, Role]] = {}
    for raw in parts.get("all", []) + described:
        origins.setdefault(_id(raw, kind), {}).update(_origins(raw, kind, roles))

    grants: dict[str, Grant] = {}
    for raw in parts.get("all") or described:
        id = _id(raw, kind)
        if id in grants or raw.get("status") == "deleted":
            continue
        if direct is not None:
            is_direct = id in direct
        else:
            is_direct = id not in inherited and not origins[id]
        grants[id] = Grant(
            role=role(raw, kind), direct=is_direct, via=tuple(origins[id].values())
        )
    return list(grants.values())


_SAME = {"from_roles": "inherited"}
"""What govultr calls the inherited policies of a group."""


def _id(raw: Raw, kind: str) -> str:
    return identifier(raw, "id", f"{kind}_id")


def _origins(raw: Raw, kind: str, roles: Mapping[str, Role]) -> dict[str, Role]:
    """The groups and roles that a record names as where it comes from, by id."""
    found = {}
    if kind != "group" and (group := text(raw, "group_id")):
        found[group] = Role(id=group, name=text(raw, "group_name"), kind="group")
    # a role's record names itself in role_id
    if kind == "policy" and (origin := text(raw, "from_role", "role_id")):
        found[origin] = roles.get(origin) or Role(id=origin, name=text(raw, "role_name"))
    return found
