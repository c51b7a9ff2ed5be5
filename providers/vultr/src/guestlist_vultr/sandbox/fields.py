"""Reads the fields of a request body. Unknown fields are ignored (C-20).

Every function raises InvalidValue for an invalid value.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from guestlist.sandbox.refusals import InvalidValue

Body = dict[str, Any]

_YES_AND_NO = {"yes": True, "true": True, "no": False, "false": False}

ACLS = frozenset(
    {
        "abuse",
        "activity_logs",
        "alerts",
        "billing",
        "dns",
        "firewall",
        "loadbalancer",
        "manage_users",
        "objstore",
        "provisioning",
        "subscriptions",
        "subscriptions_view",
        "support",
        "upgrade",
    }
)
"""The permissions of a Vultr account (dossier 2.2)."""


def text(body: Body, name: str, default: str | None = None) -> str:
    """Returns a string. If the field is missing or null, returns the default; without a default,
    the string must not be empty."""
    value = body.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise InvalidValue(name)
    return value


def flag(body: Body, name: str, default: bool) -> bool:
    """Returns a boolean, from `true`, `"yes"`, `"true"`, `1` or their opposites (C-1)."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, str):
        value = _YES_AND_NO.get(value.lower())
    if not isinstance(value, int) or value not in (0, 1):  # bool is a subclass of int
        raise InvalidValue(name)
    return bool(value)


def moment(body: Body, name: str) -> datetime:
    """Returns a date and time in ISO 8601. Without an offset it is UTC."""
    try:
        value = datetime.fromisoformat(text(body, name))
    except ValueError:
        raise InvalidValue(name) from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def count(body: Body, name: str, default: int) -> int:
    """Returns an integer. Zero means the default, because the Go client sends it for "not set"."""
    value = body.get(name, 0)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidValue(name)
    return value or default


def acls(body: Body, default: list[str]) -> list[str]:
    """Returns a list of known permissions."""
    value = body.get("acls")
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(a, str) and a in ACLS for a in value):
        raise InvalidValue("acls")
    return value


def names(body: Body) -> tuple[str, str, str] | None:
    """Returns first name, last name and full name, from either way of sending them (C-13). Returns
    None if there is no name."""
    first, last = text(body, "first_name", ""), text(body, "last_name", "")
    full = text(body, "name", "") or f"{first} {last}".strip()
    if not full.strip():
        return None
    if not first and not last:
        first, _, last = full.partition(" ")
    return first, last, full


def document(body: Body) -> Body:
    """Returns a policy document with the keys that the service knows.

    The Go client cannot decode a statement without `Effect`, `Action` or `Resource`, so these are
    required. The version may be inside the document or next to it (C-16).
    """
    value = body.get("policy_document")
    if not isinstance(value, dict):
        raise InvalidValue("policy_document")
    statements = value.get("Statement")
    if not isinstance(statements, list) or not statements:
        raise InvalidValue("policy_document")
    version = text(value, "Version", "") or text(body, "version", "") or "2012-10-17"
    return {"Version": version, "Statement": [_statement(each) for each in statements]}


def _statement(value: Any) -> Body:
    if not isinstance(value, dict) or value.get("Effect") not in ("Allow", "Deny"):
        raise InvalidValue("policy_document")
    for name in ("Action", "Resource"):
        named = value.get(name)
        listed = named if isinstance(named, list) else [named]
        if not listed or not all(isinstance(each, str) for each in listed):
            raise InvalidValue("policy_document")
    return {name: value[name] for name in ("Effect", "Action", "Resource")}
