"""Reads a TOML file, and finds the line of a key or value in it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from guestlist.errors import ConfigError
from guestlist.tomlfile.lines import Place, line_numbers


@dataclass(frozen=True)
class TomlFile:
    """A parsed TOML file.

    Attributes:
        path: the path, as shown in messages.
        text: the text, with its original line endings.
        table: the parsed content.
    """

    path: Path
    text: str = field(repr=False)  # may contain API keys
    table: dict[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def _lines(self) -> dict[Place, int]:
        return line_numbers(self.text)

    def line_of(self, place: Place) -> int | None:
        """Returns the line of a place, or of the innermost enclosing place with a known line."""
        inwards = (place[:length] for length in range(len(place), 0, -1))
        return next((self._lines[around] for around in inwards if around in self._lines), None)

    def where(self, place: Place) -> str:
        """Returns file and line of a place, such as `guestlist.toml:12`."""
        line = self.line_of(place)
        return f"{self.path}:{line}" if line else str(self.path)

    def located(self, error: ConfigError) -> ConfigError:
        """Returns an error whose problems have file, line and place, in the order of the lines."""
        problems = sorted(error.problems or (error,), key=lambda one: self.line_of(one.place) or 0)
        for one in problems:
            named = f"{_named(one.place)}: " if one.place else ""
            one.found_at(f"{self.where(one.place)}: {named}")
        return ConfigError.of(problems)


def read_toml(path: Path, *, hint: str = "") -> TomlFile:
    """Reads and parses a TOML file.

    Args:
        hint: the hint of the error if the file does not exist.

    Raises:
        ConfigError: the file is missing, unreadable, or not valid TOML.
    """
    text = ""
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors add a byte order mark
        return TomlFile(path, text, tomllib.loads(text))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}", hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}") from None
    except RecursionError:
        raise ConfigError(f"{path}:1: cannot parse this TOML: it is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+)", str(error))  # an attribute only in Python 3.14
        line = match[1] if match else len(text.splitlines()) or 1
        raise ConfigError(f"{path}:{line}: this is not valid TOML: {error}") from None


def _named(place: Place) -> str:
    """Returns a place as text for people, with indexes from 1: `people.3.email`."""
    return ".".join(str(key + 1) if isinstance(key, int) else key for key in place)
