"""What is wrong in a file, and in others that belong to it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

from guestlist.errors import ConfigError


class Problems:
    """Collects what is wrong, so that all of it is told at once: a `with` block ends at the first
    ConfigError in it, and the program goes on behind the block.

    Args:
        most: after so many it makes no sense to look for more; None for no end.
    """

    def __init__(self, most: int | None = None) -> None:
        self.found: list[ConfigError] = []
        self._most = most

    def add(self, error: ConfigError) -> None:
        """Adds one, or all of several.

        Raises:
            ConfigError: there are `most` of them.
        """
        for one in error.problems or (error,):
            self.found.append(one)
            if len(self.found) == self._most:
                raise ConfigError.of([*self.found, ConfigError("there may be more")])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> bool:
        if isinstance(error, ConfigError):
            self.add(error)
        return isinstance(error, ConfigError)

    def check(self) -> None:
        """Raises ConfigError if anything was wrong."""
        if self.found:
            raise ConfigError.of(self.found)


def unknown(what: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error about a name that is not there, with the nearest one that is."""
    known = tuple(known)
    near = difflib.get_close_matches(name, known, 1)
    there = f"There are: {', '.join(known)}." if known else f"There is no {what} at all."
    hint = f"Did you mean {near[0]!r}?" if near else there
    return ConfigError(f"there is no {what} {name!r}", hint=hint)
