"""What a member effectively holds: groups, roles and policies, direct and inherited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from guestlist.models import Grant, Role
from guestlist_vultr.reading import Raw, identifier, is_deleted, records, role, text

PARTS = {"all": "all", "direct": "direct", "inherited": "inherited", "from_roles": "inherited"}
"""The names under which govultr groups effective grants, and what each means here. It has
`from_roles` where it reads a group's policies."""


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
        for name, found in _divided(content).items():
            parts.setdefault(name, []).extend(found)
    told = parts.get("direct", []) + parts.get("inherited", [])
    effective = parts.get("all") or told

    origins: dict[str, dict[str, Role]] = {}
    for raw in effective + told:
        origins.setdefault(_id(raw, kind), {}).update(_origins(raw, kind, roles))
    if "direct" in parts:
        direct = {_id(raw, kind) for raw in parts["direct"]}
    else:
        inherited = {_id(raw, kind) for raw in parts.get("inherited", [])}
        direct = {id for id, via in origins.items() if not via} - inherited

    once = {_id(raw, kind): raw for raw in effective if not is_deleted(raw)}
    return [
        Grant(role=role(raw, kind), direct=id in direct, via=tuple(origins[id].values()))
        for id, raw in once.items()
    ]


def _divided(content: Any) -> dict[str, list[Raw]]:
    """The records by part; those of a flat list are all that there are."""
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
    """The groups and roles that a record names as where it comes from, by id."""
    found = {}
    if kind != "group" and (group := text(raw.get("group_id"))):
        found[group] = Role(id=group, name=text(raw.get("group_name")), kind="group")
    # only of a policy: a role's own record names itself in role_id
    if kind == "policy" and (origin := text(raw.get("from_role")) or text(raw.get("role_id"))):
        found[origin] = roles.get(origin) or Role(id=origin, name=text(raw.get("role_name")))
    return found
