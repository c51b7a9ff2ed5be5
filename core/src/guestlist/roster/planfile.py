"""A saved plan: a file in JSON Lines, first the summary, then one change per line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
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
    """The first line of a saved plan. `digest` shows whether the file was edited. It does not
    protect against somebody who computes it again."""

    format: Literal["guestlist plan"] = "guestlist plan"
    version: Literal[4] = 4
    digest: str
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
            ConfigError: the file cannot be read, has a line that is not a change of this plan, or
                was replaced since it was opened. A replaced file is noticed only at its end:
                discard the changes that were yielded before.
        """
        counts, hashed = self.summary.counts, hashlib.sha256()
        for number, line in _lines(self.path):
            hashed.update(line.encode())
            if number == 1:
                continue
            try:
                change = Change.model_validate_json(line)
            except ValidationError:
                change = None
            if change is None or change.action not in counts.get(change.account, {}):
                raise ConfigError(
                    f"{self.path}:{number}: this line is not a change of this plan",
                    hint=PLAN_AGAIN_HINT,
                )
            if account in (None, change.account):
                yield change
        if hashed.hexdigest() != self.digest:
            raise ConfigError(
                f"{self.path} has changed since it was opened",
                hint="Nothing was sent. Run the command again with the right plan.",
            )


PLAN_AGAIN_HINT = "Make the plan again."


def write_plan(path: Path, summary: Summary, changes: Callable[[], Iterable[str]]) -> None:
    """Writes a plan to a file completely or not at all. Only the owner can read the file. A pipe
    or a device is written to directly.

    Args:
        changes: returns the changes as JSON, in the order of execution. Called twice.

    Raises:
        ConfigError: the file cannot be written.
    """
    with replace_file(path, private=True) as file:
        digest = _digest(summary, (f"{change}\n" for change in changes()))
        file.write(f"{_Header(digest=digest, plan=summary).model_dump_json()}\n".encode())
        file.writelines(f"{change}\n".encode() for change in changes())


def read_plan(path: Path) -> PlanFile:
    """Opens a saved plan. Its changes are read on demand, by `PlanFile.changes`.

    Raises:
        ConfigError: the file cannot be read, is not a plan of this version, or was changed after it
            was made.
    """
    lines, hashed = _lines(path), hashlib.sha256()
    first = next((line for _, line in lines), "")
    hashed.update(first.encode())

    def changes() -> Iterator[str]:
        for _, line in lines:
            hashed.update(line.encode())
            yield line

    try:
        header = _Header.model_validate_json(first)
    except ValidationError:
        raise ConfigError(
            f"{path} is not a plan of this version of guestlist", hint=PLAN_AGAIN_HINT
        ) from None
    if _digest(header.plan, changes()) != header.digest:
        raise ConfigError(
            f"{path} is incomplete, or was changed after it was made", hint=PLAN_AGAIN_HINT
        )
    return PlanFile(path, header.plan, hashed.hexdigest())


def _digest(summary: Summary, changes: Iterable[str]) -> str:
    """Returns the SHA-256 of a plan.

    Args:
        changes: the lines of the changes.
    """
    hashed = hashlib.sha256(summary.model_dump_json().encode())
    for change in changes:
        hashed.update(change.encode())
    return hashed.hexdigest()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from enumerate(file, 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}") from None
