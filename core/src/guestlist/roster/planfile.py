"""A saved plan: a file in JSON Lines, first the summary, then one change per line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from guestlist.changes import UNFOUNDED, Change
from guestlist.errors import ConfigError
from guestlist.files import replace_file
from guestlist.models import Model
from guestlist.roster.summary import Summary, fingerprint

if TYPE_CHECKING:
    from guestlist.client import Guestlist


class _Header(Model):
    """The first line of a saved plan."""

    format: Literal["guestlist plan"] = "guestlist plan"
    version: Literal[3] = 3
    plan: Summary


@dataclass(frozen=True)
class PlanFile:
    """A plan that was saved in a file.

    Attributes:
        path: the file.
        summary: the counts of changes and notes, and the limits that the plan exceeds.
        digest: SHA-256 of the file when it was opened.
    """

    path: Path
    summary: Summary
    digest: str

    @property
    def founded(self) -> list[str]:
        """The accounts with changes that are based on the state of a person at the service."""
        counts = self.summary.counts
        return sorted(name for name, of_account in counts.items() if of_account.keys() - UNFOUNDED)

    def check_accounts(self, guests: Guestlist) -> None:
        """Checks that the configured accounts are those for which the plan was made.

        Raises:
            ConfigError: the provider or the settings of an account have changed.
            UnknownAccount: an account is not configured.
        """
        for name in self.founded:
            guests.account(name)
            if fingerprint(guests.accounts[name]) != self.summary.accounts.get(name):
                raise ConfigError(
                    f"the plan was made for another account {name!r}: its provider or its settings"
                    " have changed",
                    hint=PLAN_AGAIN_HINT,
                )

    def changes(self, account: str | None = None) -> Iterator[Change]:
        """Yields the changes by account, in the order of execution. Reads the file on the way.

        Args:
            account: yield only the changes of this account.

        Raises:
            ConfigError: the file cannot be read, is truncated, has a line that is not a change, or
                was replaced since it was opened. A truncated or replaced file is noticed only at
                its end: discard the changes that were yielded before.
        """
        count, hashed = 0, hashlib.sha256()
        for number, line in _lines(self.path):
            hashed.update(line.encode())
            if number == 1:
                continue
            try:
                change = Change.model_validate_json(line)
            except ValidationError:
                raise ConfigError(
                    f"{self.path}:{number}: this line is not a valid change", hint=PLAN_AGAIN_HINT
                ) from None
            count += 1
            if account in (None, change.account):
                yield change
        if hashed.hexdigest() != self.digest:
            raise ConfigError(
                f"{self.path} has changed since it was opened",
                hint="Nothing was sent. Run the command again with the right plan.",
            )
        if count != self.summary.changes:
            raise ConfigError(
                f"{self.path} has {count} changes instead of {self.summary.changes}",
                hint=PLAN_AGAIN_HINT,
            )


PLAN_AGAIN_HINT = "Make the plan again."


def write_plan(path: Path, summary: Summary, changes: Iterable[str]) -> None:
    """Writes a plan to a file completely or not at all. Only the owner can read the file. A pipe
    or a device is written to directly.

    Args:
        changes: the changes as JSON, in the order of execution.

    Raises:
        ConfigError: the file cannot be written.
    """
    with replace_file(path, private=True) as file:
        file.write(f"{_Header(plan=summary).model_dump_json()}\n".encode())
        file.writelines(f"{change}\n".encode() for change in changes)


def read_plan(path: Path) -> PlanFile:
    """Opens a saved plan. Its changes are read on demand, by `PlanFile.changes`.

    Raises:
        ConfigError: the file cannot be read, or is not a plan of this version.
    """
    header, hashed = "", hashlib.sha256()
    for number, line in _lines(path):
        header = line if number == 1 else header
        hashed.update(line.encode())
    try:
        return PlanFile(path, _Header.model_validate_json(header).plan, hashed.hexdigest())
    except ValidationError:
        raise ConfigError(
            f"{path} is not a plan of this version of guestlist", hint=PLAN_AGAIN_HINT
        ) from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from enumerate(file, 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}") from None
