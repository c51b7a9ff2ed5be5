"""Translates pydantic's validation errors of roster files into messages for users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from guestlist.errors import ConfigError
from guestlist.roster.document import FORMS, TomlTable
from guestlist.tomlfile import Place, unknown_name_error

MAX_PROBLEMS = 20
"""Number of problems reported at once. More are usually repetitions of the same mistake."""
EMPTY_HINT = "If that is intended, pass allow_empty=True."
"""Hint for a roster, or one of its files, that has no people."""

_MESSAGES = {
    "missing": "it is missing",
    "string_type": "it has to be text",
    "string_too_short": "it is empty",
    "too_short": "it is empty",
    "int_type": "it has to be a whole number",
    "dict_type": "it has to be a table",
    "model_type": "it has to be a table",
    "greater_than_equal": "it has to be at least {ge}",
}
"""Messages by pydantic's error types."""


def shape_problems(error: ValidationError, shape: type[TomlTable]) -> Iterator[ConfigError]:
    """Yields a ConfigError with its place for each validation error of a part of the file."""
    for one in error.errors(include_url=False, include_input=False):
        place = tuple(key for key in one["loc"] if key not in FORMS)
        if one["type"] == "extra_forbidden":
            found = unknown_name_error("key", str(place[-1]), _known(shape, place[:-1]))
        elif one["type"] == "list_type":
            tables = place in (("people",), ("people_from",))
            hint = f"Write [[{place[0]}]]." if tables else 'Such as ["one", "another"].'
            found = ConfigError("it has to be a list", hint=hint)
        else:
            message = _MESSAGES.get(one["type"])
            found = ConfigError(message.format(**one.get("ctx", {})) if message else one["msg"])
        yield found.within("", *place)


def _known(part: type[TomlTable], place: Place) -> list[str]:
    """Returns the keys that are valid at a place within a part."""
    keys = iter(place)
    for key in keys:
        annotation = _fields(part)[str(key)].annotation
        if get_origin(annotation) in (dict, list):
            # Skip the next key: it is a name that the user chose, or an index in a list.
            next(keys, None)
        part = next(_parts(annotation))
    return list(_fields(part))


def _fields(part: type[TomlTable]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in part.model_fields.items()}


def _parts(annotation: Any) -> Iterator[type[TomlTable]]:
    if isinstance(annotation, type) and issubclass(annotation, TomlTable):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)
