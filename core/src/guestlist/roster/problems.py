"""What is wrong with the shape of a roster's files, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from guestlist.errors import ConfigError
from guestlist.roster.document import FORMS, Part
from guestlist.tomlfile import Place, unknown

MAX_PROBLEMS = 20
"""Problems that are told at once; whoever made more has made the same one again."""
EMPTY_HINT = "If no one should be in it: --allow-empty (in Python, allow_empty=True)."
"""The remedy for a roster, or one of its files, without people."""

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
"""pydantic's kinds of errors in our words."""


def shape_problems(error: ValidationError, shape: type[Part]) -> Iterator[ConfigError]:
    """Each thing that pydantic found in what should have a shape, with its place."""
    for one in error.errors(include_url=False, include_input=False):
        place = tuple(key for key in one["loc"] if key not in FORMS)
        if one["type"] == "extra_forbidden":
            found = unknown("key", str(place[-1]), _known(shape, place[:-1]))
        elif one["type"] == "list_type":
            tables = place in (("people",), ("people_from",))
            hint = f"Write [[{place[0]}]]." if tables else 'Such as ["one", "another"].'
            found = ConfigError("it has to be a list", hint=hint)
        else:
            message = _MESSAGES.get(one["type"])
            found = ConfigError(message.format(**one.get("ctx", {})) if message else one["msg"])
        yield found.within("", *place)


def _known(part: type[Part], place: Place) -> list[str]:
    """The keys that may be in a place within a part."""
    keys = iter(place)
    for key in keys:
        annotation = _fields(part)[str(key)].annotation
        if get_origin(annotation) in (dict, list):
            next(keys, None)  # a name of the user's own, or a number
        part = next(_parts(annotation))
    return list(_fields(part))


def _fields(part: type[Part]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in part.model_fields.items()}


def _parts(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)
