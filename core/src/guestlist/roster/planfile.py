"""A plan in a file: JSON Lines, first what the plan comes to, then one change per line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from guestlist.changes import UNFOUNDED, Change
from guestlist.errors import ConfigError
from guestlist.models import Model
from guestlist.roster.summary import Summary, fingerprint

if TYPE_CHECKING:
    from guestlist.client import Guestlist


class _Header(Model):
    """The first line."""

    format: Literal["guestlist plan"] = "guestlist plan"
    version: Literal[2] = 2
    plan: Summary


@dataclass(frozen=True)
class PlanFile:
    """A plan that was written into a file.

    Attributes:
        path: the file.
        summary: what the plan comes to.
        digest: SHA-256 of the file when it was opened.
    """

    path: Path
    summary: Summary
    digest: str

    @property
    def founded(self) -> list[str]:
        """The accounts with changes that rest on something that was seen there."""
        counts = self.summary.counts
        return sorted(name for name, of_account in counts.items() if of_account.keys() - UNFOUNDED)

    def check_accounts(self, guests: Guestlist) -> None:
        """Sees that the accounts are those that the plan was made for.

        Raises:
            ConfigError: one is another, or is not there.
        """
        for name in self.founded:
            guests.account(name)
            if fingerprint(guests.accounts[name]) != self.summary.accounts.get(name):
                raise ConfigError(
                    f"the account {name!r} is not the one that the plan was made for: its provider"
                    " or its settings have changed",
                    hint=PLAN_AGAIN_HINT,
                )

    def changes(self, account: str | None = None) -> Iterator[Change]:
        """The changes by account, and in each in the order of execution; read as they are used.

        Args:
            account: only those of this one.

        Raises:
            ConfigError: the file cannot be read, was cut off, holds something that is not a change,
                or has been replaced since it was opened. The last two are known only at the end:
                changes that were yielded before do not count then.
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
                    f"{self.path}:{number}: this is no change", hint=PLAN_AGAIN_HINT
                ) from None
            count += 1
            if account in (None, change.account):
                yield change
        if hashed.hexdigest() != self.digest:
            raise ConfigError(
                f"{self.path} has changed since it was opened",
                hint="Nothing was sent. Run it again with the plan that you mean.",
            )
        if count != self.summary.changes:
            raise ConfigError(
                f"{self.path} holds {count} changes instead of {self.summary.changes}",
                hint=PLAN_AGAIN_HINT,
            )


PLAN_AGAIN_HINT = "Make the plan again."


def write_plan(path: Path, summary: Summary, changes: Iterable[str]) -> None:
    """Writes a plan: all of it, or nothing. Nobody but the owner may read the file.

    Args:
        changes: as JSON, in their order.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        with NamedTemporaryFile(  # made with the permissions 0600
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}-", delete=False
        ) as file:
            try:
                file.write(_Header(plan=summary).model_dump_json() + "\n")
                file.writelines(f"{change}\n" for change in changes)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(file.name)
                raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def read_plan(path: Path) -> PlanFile:
    """Open a saved plan. Its changes are read when they are asked for.

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
            f"{path} is no plan that this version of guestlist has written", hint=PLAN_AGAIN_HINT
        ) from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from enumerate(file, 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}") from None
