"""Filters, paths and changes of SCIM documents (RFC 7644, 3.4.2.2 and 3.5.2), for the sandbox.

A document is a dictionary, as in a JSON body. Names of attributes are compared without case, and a
name may be preceded by the URN of its schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from guestlist.sandbox.refusals import InvalidValue

Document = dict[str, Any]
Filter = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[()\[\]]|[^\s()\[\]"]+)')
_PATH = re.compile(r"([\w$:.-]*?\w)(\[.*\])?(?:\.([\w$]+))?")

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "co": lambda one, other: other in one,
    "sw": lambda one, other: one.startswith(other),
    "ew": lambda one, other: one.endswith(other),
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
}


class InvalidFilter(InvalidValue):
    """The filter is invalid, or the service cannot search like this."""

    def __init__(self, message: str = "the filter is invalid") -> None:
        super().__init__("filter", message)


class InvalidPath(InvalidValue):
    """The path of a change is invalid, or the service does not support it."""

    def __init__(self, message: str = "the path is invalid") -> None:
        super().__init__("path", message)


class NoTarget(InvalidValue):
    """The path of a change names no value of the document."""

    def __init__(self) -> None:
        super().__init__("path", "the path matches no value")


# ---------------------------------------------------------------------------- filters


def parse_filter(text: str) -> Filter:
    """Returns a function that returns whether a document matches a filter."""
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidFilter
        tokens.append(match[1])
        position = match.end()
    tokens.reverse()
    found = _parse_or(tokens)
    if tokens:
        raise InvalidFilter
    return found


def _parse_or(tokens: list[str]) -> Filter:
    parts = [_parse_and(tokens)]
    while tokens and tokens[-1].lower() == "or":
        tokens.pop()
        parts.append(_parse_and(tokens))
    return lambda document: any(part(document) for part in parts)


def _parse_and(tokens: list[str]) -> Filter:
    parts = [_parse_one(tokens)]
    while tokens and tokens[-1].lower() == "and":
        tokens.pop()
        parts.append(_parse_one(tokens))
    return lambda document: all(part(document) for part in parts)


def _parse_one(tokens: list[str]) -> Filter:
    word = _next(tokens)
    if word.lower() == "not":
        inner = _parse_one(tokens)
        return lambda document: not inner(document)
    if word == "(":
        return _closed(tokens, ")")
    if tokens and tokens[-1] == "[":
        tokens.pop()
        inner = _closed(tokens, "]")
        return lambda document: any(
            inner(one) for one in _leaves(document, word) if isinstance(one, dict)
        )
    operator = _next(tokens).lower()
    if operator == "pr":
        return lambda document: any(one not in ("", None) for one in _leaves(document, word))
    if operator not in _COMPARED:
        raise InvalidFilter(f"there is no operator {operator!r}")
    try:
        value = json.loads(_next(tokens))
    except ValueError:
        raise InvalidFilter("a value is not JSON") from None
    return lambda document: _matches(_leaves(document, word), operator, value)


def _closed(tokens: list[str], end: str) -> Filter:
    inner = _parse_or(tokens)
    if _next(tokens) != end:
        raise InvalidFilter
    return inner


def _next(tokens: list[str]) -> str:
    if not tokens:
        raise InvalidFilter
    return tokens.pop()


def _matches(values: Iterator[Any], operator: str, wanted: Any) -> bool:
    """Returns whether one of the values of an attribute has the wanted relation to a value."""
    folded = [_folded(one.get("value") if isinstance(one, dict) else one) for one in values] or [
        None
    ]
    if operator == "ne":
        return _folded(wanted) not in folded
    try:
        return any(
            _COMPARED[operator](one, _folded(wanted))
            for one in folded
            if operator == "eq" or one is not None
        )
    except (TypeError, AttributeError):
        raise InvalidFilter("the value has another type than the attribute") from None


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _leaves(document: Any, path: str) -> Iterator[Any]:
    """Yields the values at a path, the items of a list one by one."""
    name, _, rest = path.rpartition(":")[2].partition(".")
    value = document.get(key_of(document, name)) if isinstance(document, dict) else None
    for one in value if isinstance(value, list) else [value]:
        if one is not None:
            yield from _leaves(one, rest) if rest else [one]


def key_of(document: Mapping[str, Any], name: str) -> str:
    """Returns an attribute's name as the document spells it, or as given if it is missing."""
    return next((key for key in document if key.lower() == name.lower()), name)


# ---------------------------------------------------------------------------- changes


def apply_change(document: Document, change: Mapping[str, Any], *, selectors: bool = True) -> None:
    """Applies one operation of a PATCH to a document.

    Args:
        selectors: whether a path may select values with a filter.
    """
    operation, value = str(change.get("op", "")).lower(), change.get("value")
    path = change.get("path")
    if operation not in ("add", "replace", "remove"):
        raise InvalidValue("op")
    if not path:
        if operation == "remove":
            raise NoTarget
        if not isinstance(value, dict):
            raise InvalidValue("value")
        for name, one in value.items():
            _change_attribute(document, operation, name, one)
        return
    match = _PATH.fullmatch(path.rpartition(":")[2] if "[" not in path else path)
    if match is None:
        raise InvalidPath
    name, selector, sub = match.groups()
    name, _, inner = name.partition(".")
    if selector is None:
        target, name = (
            (document.setdefault(key_of(document, name), {}), inner)
            if inner
            else (
                document,
                name,
            )
        )
        _change_attribute(target, operation, name, value)
        return
    if not selectors:
        raise InvalidPath("path selectors that include filters are not supported")
    _change_selected(document, operation, name, parse_filter(selector[1:-1]), sub, value)


def _change_attribute(target: Document, operation: str, name: str, value: Any) -> None:
    name = key_of(target, name.rpartition(":")[2])
    present = target.get(name)
    if operation == "remove":
        # Entra names the removed values in `value`.
        gone = [one.get("value") for one in value] if isinstance(value, list) else []
        left = [one for one in present or () if one.get("value") not in gone] if gone else None
        target[name] = left
    elif operation == "add" and isinstance(present, list):
        values = value if isinstance(value, list) else [value]
        known = [one.get("value") for one in present]
        target[name] = present + [one for one in values if one.get("value") not in known]
    elif operation == "add" and isinstance(present, dict) and isinstance(value, dict):
        target[name] = present | value
    else:
        target[name] = value


def _change_selected(
    document: Document, operation: str, name: str, matches: Filter, sub: str | None, value: Any
) -> None:
    name = key_of(document, name)
    present = document.get(name) or []
    chosen = [one for one in present if matches(one)]
    if operation == "remove" and sub is None:
        document[name] = [one for one in present if one not in chosen]
        return
    if not chosen:
        raise NoTarget
    for one in chosen:
        if sub is None:
            one.update(value)
        else:
            one[sub] = None if operation == "remove" else value


# ---------------------------------------------------------------------------- answers


def project(document: Document, query: Mapping[str, str], always: tuple[str, ...]) -> Document:
    """Returns the attributes of a document that a request asks for (RFC 7644, 3.9).

    Args:
        always: the attributes that every answer has.
    """
    wanted, excluded = _names(query, "attributes"), _names(query, "excludedAttributes")
    return {
        name: value
        for name, value in document.items()
        if name in always or (name.lower() in wanted if wanted else name.lower() not in excluded)
    }


def _names(query: Mapping[str, str], parameter: str) -> set[str]:
    """Returns the attributes that a parameter names, without their sub-attributes."""
    texts = query.get(parameter, "").split(",")
    return {one.strip().rpartition(":")[2].partition(".")[0].lower() for one in texts if one}
