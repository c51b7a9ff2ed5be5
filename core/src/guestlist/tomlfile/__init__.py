"""Files that people write in TOML: reading one, and telling all that is wrong in it, with lines.

`tomllib` gives no positions. They are looked up here only once something is wrong with a file that
it has read: the text is cut into statements, and each is parsed on its own to learn its keys.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from guestlist.errors import ConfigError

Place = tuple[str | int, ...]
"""The keys, and the numbers in lists (from 0), that lead to something."""

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|\#[^\n]*"
    r"|[\[\]{},=\n]"
    r"|[^\s\[\]{},=\"'\#]+",
    re.DOTALL,
)


@dataclass(frozen=True)
class TomlFile:
    """A file that was read.

    Attributes:
        path: where it is, for people.
        text: what is in it.
        table: the same, parsed.
    """

    path: Path
    text: str
    table: dict[str, Any]

    @cached_property
    def lines(self) -> dict[Place, int]:
        """The line (from 1) on which each key and each element of a list begins."""
        found: dict[Place, int] = {}
        inside: Place = ()
        lists: dict[Place, int] = {}
        for statement in _statements(self.text):
            table = tomllib.loads(statement.text)
            if not statement.text.startswith("["):
                _note(found, inside, table, statement)
                continue
            inside = _header(table, lists, another=statement.text.startswith("[["))
            found.setdefault(inside, statement.line)
        return found

    def line_of(self, place: Place) -> int | None:
        """The line of a place, or of the nearest around it that has one."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None

    def located(self, error: ConfigError) -> ConfigError:
        """The error, each of its problems with file and line, in the file's order."""
        told = []
        for one in error.problems or (error,):
            line = self.line_of(one.place)
            told.append((line or 0, one.within(f"{self.path}{f', line {line}' * bool(line)}: ")))
        return ConfigError.of([one for _, one in sorted(told, key=lambda pair: pair[0])])


def read_toml(path: Path, *, hint: str = "") -> TomlFile:
    """Reads a file.

    Args:
        hint: what to do where there is none.

    Raises:
        ConfigError: it is missing, unreadable, or no TOML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors may add the mark
        return TomlFile(path, text, tomllib.loads(text))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}", hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from None


class Problems:
    """Collects what is wrong, so that all of it is told at once: a `with` block ends at the first
    ConfigError in it, and the program goes on behind the block."""

    def __init__(self) -> None:
        self.found: list[ConfigError] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> bool:
        if isinstance(error, ConfigError):
            self.found.append(error)
        return isinstance(error, ConfigError)

    def check(self) -> None:
        """Raises ConfigError if anything was wrong."""
        if self.found:
            raise ConfigError.of(self.found)


@dataclass(frozen=True)
class _Statement:
    """A header, or a key with its value.

    Attributes:
        line: where it begins.
        elements: where the elements of its value begin, if that is a list.
    """

    text: str
    line: int
    elements: tuple[int, ...]


def _statements(text: str) -> Iterator[_Statement]:
    line, depth, begin, first = 1, 0, None, 0
    elements: list[int] = []
    bracket, fresh = "", False  # what the value opens with; whether an element comes next
    for match in _TOKEN.finditer(text + "\n"):
        word = match.group()
        if word == "\n" and depth == 0 and begin is not None:
            yield _Statement(text[begin : match.start()], first, tuple(elements))
            begin, elements, bracket, fresh = None, [], "", False
        elif word != "\n" and not word.startswith("#"):
            if begin is None:
                begin, first = match.start(), line
            if fresh and word not in ",]":
                elements.append(line)
                fresh = False
            if depth == 0:
                bracket = word
            depth += (word in "[{") - (word in "]}")
            fresh |= depth == 1 and word in "[," and bracket == "["
        line += word.count("\n")


def _header(table: Any, lists: dict[Place, int], *, another: bool) -> Place:
    """The place that a header leads to: of `[[x]]` a new element, of `[x.y]` in the last `x`.

    Args:
        lists: how many elements each list has so far.
        another: it adds an element.
    """
    place: Place = ()
    while isinstance(table, dict) and table:
        [(key, table)] = table.items()
        place = (*place, key)
        if another and isinstance(table, list):
            lists[place] = lists.get(place, 0) + 1
        if place in lists:
            place = (*place, lists[place] - 1)
    return place


def _note(found: dict[Place, int], place: Place, value: Any, statement: _Statement) -> None:
    """Notes the line of everything in a statement's value; elements have their own."""
    pairs: Any = value.items() if isinstance(value, dict) else ()
    for key, inner in pairs:
        found.setdefault((*place, key), statement.line)
        _note(found, (*place, key), inner, statement)
    if isinstance(value, list):
        for number, inner in enumerate(value):
            line = statement.elements[number] if number < len(statement.elements) else 0
            own = _Statement("", line or statement.line, ())
            found.setdefault((*place, number), own.line)
            _note(found, (*place, number), inner, own)
