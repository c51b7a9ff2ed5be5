"""Values in words."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text on one line, with everything that could act on a terminal spelled out."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))


def spaced(name: str) -> str:
    """`already_invited` as people write it."""
    return name.replace("_", " ")


def comma_list(items: list[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def quantity(number: int, noun: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def yes_or_no(value: bool | None, yes: str = "yes", no: str = "no", unknown: str = "?") -> str:
    """A fact that may not be known."""
    return unknown if value is None else yes if value else no
