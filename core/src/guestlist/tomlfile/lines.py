"""On which line of a TOML file something is said: `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Place = tuple[str | int, ...]
"""The keys, and the numbers in lists (from 0), that lead to something."""

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
"""The mark behind the last one."""


def lines(text: str) -> dict[Place, int]:
    """The line, from 1, on which each key, table and element of a list begins.

    Args:
        text: TOML that `tomllib` has accepted: what is wrong is not noticed here.
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
        """How many tables each list of tables has so far."""
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
        """Goes to the next word, and returns the one that was there."""
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
        else:  # numbers and times are several words and dots
            while self._word not in (",", "]", "}", "\n", _END):
                self._advance()

    def _skipped_to(self, close: str) -> bool:
        """Whether another element comes before the list or table closes."""
        while self._word in (",", "\n"):
            self._advance()
        if self._word == close:
            self._advance()
            return False
        return self._word != _END


def _cut(text: str) -> Iterator[tuple[str, int]]:
    """What is said and where, without white space and comments."""
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
    """A key as `tomllib` reads it."""
    if word.startswith('"') and "\\" in word:
        return str(tomllib.loads(f"key = {word}")["key"])
    return word[1:-1] if word.startswith(('"', "'")) else word
