"""Writes answers as JSON: without secrets, and without values that are None."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, SecretStr


def write(value: BaseModel) -> bytes:
    """Returns a value as JSON in UTF-8."""
    return dump(as_json_types(value))


def dump(value: Any) -> bytes:
    """Returns JSON types in UTF-8. Characters that are not valid in it are replaced."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def as_json_types(value: Any) -> Any:
    """Returns a value as JSON types.

    Fields that are None are left out unless the field has no default, and fields that hold secrets
    or a service's own record always are.
    """
    if isinstance(value, BaseModel):
        return {
            name: as_json_types(found)
            for name in shown_fields(type(value))
            if (found := getattr(value, name)) is not None
            or type(value).model_fields[name].is_required()
        }
    if isinstance(value, Mapping):
        return {str(key): as_json_types(one) for key, one in value.items()}
    if isinstance(value, frozenset):
        return sorted(map(as_json_types, value))
    if isinstance(value, list | tuple):
        return [as_json_types(one) for one in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


@cache
def shown_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Returns the fields of a model that an answer contains."""
    return tuple(
        name
        for name, field in model.model_fields.items()
        if not field.exclude and SecretStr not in (field.annotation, *get_args(field.annotation))
    )
