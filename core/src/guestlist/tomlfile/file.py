"""Reading a file, and saying where in it something stands."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from guestlist.errors import ConfigError
from guestlist.tomlfile.lines import Place, lines


@dataclass(frozen=True)
class TomlFile:
    """A file that was read.

    Attributes:
        path: where it is, for people.
        text: what is in it, with its own ends of lines.
        table: the same, parsed.
    """

    path: Path
    text: str = field(repr=False)  # keys may be in it
    table: dict[str, Any] = field(repr=False)

    @property
    def digest(self) -> str:
        """Identifies what is in it."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def _lines(self) -> dict[Place, int]:
        return lines(self.text)

    def line_of(self, place: Place) -> int | None:
        """The line of a place, or of the nearest around it that has one."""
        inwards = (place[:length] for length in range(len(place), 0, -1))
        return next((self._lines[around] for around in inwards if around in self._lines), None)

    def where(self, place: Place) -> str:
        """File and line of a place, such as `guestlist.toml:12`."""
        line = self.line_of(place)
        return f"{self.path}:{line}" if line else str(self.path)

    def located(self, error: ConfigError) -> ConfigError:
        """The error, each of its problems with file, line and place, in the file's order."""
        told = sorted(error.problems or (error,), key=lambda one: self.line_of(one.place) or 0)
        for one in told:
            named = f"{_named(one.place)}: " if one.place else ""
            one.found_at(f"{self.where(one.place)}: {named}")
        return ConfigError.of(told)


def read_toml(path: Path, *, hint: str = "") -> TomlFile:
    """Reads a file.

    Args:
        hint: what to do where there is none.

    Raises:
        ConfigError: it is missing, unreadable, or no TOML.
    """
    text = ""
    try:
        text = path.read_bytes().decode("utf-8-sig")  # editors may add the mark
        return TomlFile(path, text, tomllib.loads(text))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}", hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}") from None
    except RecursionError:
        raise ConfigError(f"{path}:1: this is no TOML that can be read: it is too deep") from None
    except tomllib.TOMLDecodeError as error:
        said = re.search(r"\(at line (\d+)", str(error))  # only Python 3.14 has it as a number
        line = said[1] if said else len(text.splitlines()) or 1
        raise ConfigError(f"{path}:{line}: this is no TOML: {error}") from None


def _named(place: Place) -> str:
    """A place for people, who count from 1: `people.3.email`."""
    return ".".join(str(key + 1) if isinstance(key, int) else key for key in place)
