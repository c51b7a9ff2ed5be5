"""Formats values as text."""

from __future__ import annotations


def printable(text: str) -> str:
    """Returns the text on one line, with control characters escaped so that they cannot act on a
    terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))


def spaced(name: str) -> str:
    """Returns a name with spaces for underscores: `already invited` for `already_invited`."""
    return name.replace("_", " ")


def comma_list(items: list[str], last: str = "and") -> str:
    """Joins items as text: `a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def quantity(number: int, noun: str) -> str:
    """Returns a number with its noun: `1 call`, `2 calls`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def yes_or_no(value: bool | None, yes: str = "yes", no: str = "no", unknown: str = "?") -> str:
    """Returns the text for a fact, which is None if it is unknown."""
    return unknown if value is None else yes if value else no
