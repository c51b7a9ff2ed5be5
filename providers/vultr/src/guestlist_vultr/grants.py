"""Reads a member's effective grants: groups, roles and policies, direct and inherited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from guestlist.models import Grant, Role
from guestlist_vultr.reading import Raw, identifier, is_deleted, records, role, text

PARTS = {"all": "all", "direct": "direct", "inherited": "inherited", "from_roles": "inherited"}
"""govultr's names for the parts of a list of grants, and the part that each stands for here.
govultr uses `from_roles` for a group's policies."""


def read_grants(kind: str, contents: Iterable[Any], roles: Mapping[str, Role]) -> list[Grant]:
    """Returns the grants of one kind.

    govultr decodes `{"all": [...], "direct": [...], "inherited": [...]}`. The OpenAPI document has
    a flat list; a record in it is direct unless it names a group or role as its origin.

    Args:
        kind: `group`, `role` or `policy`.
        contents: the content of each page of the list, in either form.
        roles: the member's roles by id. An inherited policy has only the id of its role, so their
            names are taken from here.
    """
    parts: dict[str, list[Raw]] = {}
    for content in contents:
        for name, found in _by_part(content).items():
            parts.setdefault(name, []).extend(found)
    divided = parts.get("direct", []) + parts.get("inherited", [])
    effective = parts.get("all") or divided

    origins: dict[str, dict[str, Role]] = {}
    for raw in effective + divided:
        origins.setdefault(_id(raw, kind), {}).update(_origins(raw, kind, roles))
    if "direct" in parts:
        direct = {_id(raw, kind) for raw in parts["direct"]}
    else:
        inherited = {_id(raw, kind) for raw in parts.get("inherited", [])}
        direct = {id for id, via in origins.items() if not via} - inherited

    by_id = {_id(raw, kind): raw for raw in effective if not is_deleted(raw)}
    return [
        Grant(role=role(raw, kind), direct=id in direct, via=tuple(origins[id].values()))
        for id, raw in by_id.items()
    ]


def _by_part(content: Any) -> dict[str, list[Raw]]:
    """Returns the records by part. A flat list is the part `all`."""
    if not isinstance(content, dict):
        return {"all": records(content)}
    if content and not content.keys() & PARTS.keys():
        raise KeyError("all")
    return {
        part: records(content[name])
        for name, part in PARTS.items()
        if content.get(name) is not None
    }


def _id(raw: Raw, kind: str) -> str:
    return identifier(raw, "id", f"{kind}_id")


def _origins(raw: Raw, kind: str, roles: Mapping[str, Role]) -> dict[str, Role]:
    """Returns the groups and roles that a record names as its origin, by id."""
    found = {}
    if kind != "group" and (group := text(raw.get("group_id"))):
        found[group] = Role(id=group, name=text(raw.get("group_name")), kind="group")
    # Only policies name their role this way: in a role's own record, role_id is its own id.
    if kind == "policy" and (origin := text(raw.get("from_role")) or text(raw.get("role_id"))):
        found[origin] = roles.get(origin) or Role(id=origin, name=text(raw.get("role_name")))
    return found
