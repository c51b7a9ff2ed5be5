"""Finds the line of each key and value of a TOML file, which `tomllib` does not report."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Place = tuple[str | int, ...]
"""Path to a value: keys of tables, and indexes of lists (from 0)."""

_WORD = re.compile(
    r"""
      (?P<text> \"{3} (?:\\.|[^\\])*? \"{3,5} | '{3} .*? '{3,5} | "(?:\\.|[^"\\])*" | '[^']*' )
    | (?P<comment> \# [^\n]* )
    | (?P<mark> [][{},=.\n] )
    | (?P<bare> [^][{},=.\s"'\#]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_END = ""
"""Marks the end of the text."""


def line_numbers(text: str) -> dict[Place, int]:
    """Returns the line, from 1, on which each key, table and list element begins.

    Args:
        text: valid TOML. Errors in it are not detected.
    """
    return _Scanner(text).found


def comments(text: str) -> list[tuple[int, str]]:
    """Returns the comments of a TOML file, each with its line, from 1."""
    found, line, last = [], 1, 0
    for match in _WORD.finditer(text):
        line += text.count("\n", last, match.start())
        last = match.start()
        if match.lastgroup == "comment":
            found.append((line, match.group().rstrip()))
    return found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.found: dict[Place, int] = {}
        self._counts: dict[Place, int] = {}
        """Number of tables in each list of tables so far."""
        self._words = _cut(text)
        self._advance()
        inside: Place = ()
        while self._word != _END:
            if self._word == "\n":
                self._advance()
            elif self._word == "[":
                inside = self._header()
            else:
                self._pair(inside)

    def _advance(self) -> str:
        """Moves to the next token, and returns the current one."""
        word = getattr(self, "_word", _END)
        self._word, self._line = next(self._words)
        return word

    def _header(self) -> Place:
        line = self._line
        self._advance()
        another = self._word == "["
        if another:
            self._advance()
        place: Place = ()
        keys = self._keys()
        for number, key in enumerate(keys, 1):
            place = (*place, key)
            self.found.setdefault(place, line)
            if another and number == len(keys):
                self._counts[place] = self._counts.get(place, 0) + 1
            if place in self._counts:
                place = (*place, self._counts[place] - 1)
                self.found.setdefault(place, line)
        while self._word == "]":
            self._advance()
        return place

    def _keys(self) -> list[str]:
        keys = [_key(self._advance())]
        while self._word == ".":
            self._advance()
            keys.append(_key(self._advance()))
        return keys

    def _pair(self, inside: Place) -> None:
        line = self._line
        for key in self._keys():
            inside = (*inside, key)
            self.found.setdefault(inside, line)
        self._advance()  # the =
        self._value(inside)

    def _value(self, place: Place) -> None:
        if self._word == "[":
            self._advance()
            number = 0
            while self._skipped_to("]"):
                self.found.setdefault((*place, number), self._line)
                self._value((*place, number))
                number += 1
        elif self._word == "{":
            self._advance()
            while self._skipped_to("}"):
                self._pair(place)
        else:  # a number or time consists of several tokens
            while self._word not in (",", "]", "}", "\n", _END):
                self._advance()

    def _skipped_to(self, close: str) -> bool:
        """Returns whether another element follows before the list or table closes."""
        while self._word in (",", "\n"):
            self._advance()
        if self._word == close:
            self._advance()
            return False
        return self._word != _END


def _cut(text: str) -> Iterator[tuple[str, int]]:
    """Yields each token with its line, without white space and comments."""
    line = 1
    for match in _WORD.finditer(text):
        word = match.group()
        if match.lastgroup != "comment":
            yield word, line
        if match.lastgroup == "text" or word == "\n":
            line += word.count("\n")
    while True:
        yield _END, line


def _key(word: str) -> str:
    """Returns a key without its quotes and escapes."""
    if word.startswith('"') and "\\" in word:
        return str(tomllib.loads(f"key = {word}")["key"])
    return word[1:-1] if word.startswith(('"', "'")) else word
