"""Collects the problems of a configuration file and of the files that belong to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from guestlist.errors import ConfigError
from guestlist.humanize import similar_name


class Problems:
    """Collects problems, so that all of them can be reported together.

    As a context manager, it catches a ConfigError that is raised in the block, and execution
    continues after the block.

    Args:
        most: maximum number of problems; None for no limit.
    """

    def __init__(self, most: int | None = None) -> None:
        self.found: list[ConfigError] = []
        self._most = most

    def add(self, error: ConfigError) -> None:
        """Adds an error, or each of the problems that it consists of.

        Raises:
            ConfigError: the maximum number of problems is reached.
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
        """Raises a ConfigError with all collected problems, if there are any."""
        if self.found:
            raise ConfigError.of(self.found)


def unknown_name_error(what: str, name: str, known: Iterable[str]) -> ConfigError:
    """Returns an error for a name that does not exist. The hint suggests a similar name."""
    known = tuple(known)
    near = similar_name(name, known)
    there = f"There are: {', '.join(known)}." if known else f"There is no {what} at all."
    hint = f"Did you mean {near!r}?" if near else there
    return ConfigError(f"there is no {what} {name!r}", hint=hint)
