"""All that is wrong in a roster's files, told at once, each with file and line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from guestlist.errors import ConfigError
from guestlist.roster.document import FORMS, Part
from guestlist.roster.lines import Place

MOST = 20
"""Problems that are told at once; whoever made more has made the same one again."""

_SAID = {
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


class Problems:
    """Collects what is wrong."""

    def __init__(self) -> None:
        self.found: list[ConfigError] = []

    def add(self, error: ConfigError, where: str = "") -> None:
        """Adds one.

        Args:
            where: the file and the line, and what it is called there, unless the error says so.

        Raises:
            ConfigError: there are so many that it makes no sense to look for more.
        """
        message = f"{where}: {error.message}" if where else error.message
        self.found.append(ConfigError(message, hint=error.hint))
        if len(self.found) == MOST:
            raise self.error("; there may be more")

    def error(self, end: str = "") -> ConfigError:
        """All of them in one error."""
        if len(self.found) == 1:
            return self.found[0]
        told = (
            f"{one.message} ({one.hint.rstrip('.')})" if one.hint else one.message
            for one in self.found
        )
        return ConfigError("; ".join(told) + end)

    def check(self) -> None:
        """Ends the reading if anything was wrong.

        Raises:
            ConfigError: something was.
        """
        if self.found:
            raise self.error()


def unknown(what: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error about a name that is not there, with the nearest one that is."""
    known = tuple(known)
    near = difflib.get_close_matches(name, known, 1)
    there = f"There are: {', '.join(known)}." if known else f"There is no {what} at all."
    hint = f"Did you mean {near[0]!r}?" if near else there
    return ConfigError(f"there is no {what} {name!r}", hint=hint)


def found_by_pydantic(
    error: ValidationError, shape: type[Part]
) -> Iterator[tuple[Place, ConfigError]]:
    """Each thing that pydantic found in what should have a shape, and where."""
    for one in error.errors(include_url=False, include_input=False):
        place = tuple(key for key in one["loc"] if key not in FORMS)
        if one["type"] == "extra_forbidden":
            yield place, unknown("key", str(place[-1]), _known(shape, place[:-1]))
        elif one["type"] == "list_type":
            tables = place in (("people",), ("people_from",))
            hint = f"Write [[{place[0]}]]." if tables else 'Such as ["one", "another"].'
            yield place, ConfigError("it has to be a list", hint=hint)
        else:
            said = _SAID.get(one["type"])
            yield place, ConfigError(said.format(**one.get("ctx", {})) if said else one["msg"])


def named(place: Place) -> str:
    """A place for people, who count from 1: `people.3.email`."""
    return ".".join(str(key + 1) if isinstance(key, int) else key for key in place)


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
