"""Writes files completely or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from guestlist.errors import ConfigError

OWNER_ONLY = 0o600
"""Permissions of a new file. It may contain addresses or keys, so only its owner may read it."""


@contextmanager
def replace_file(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """Opens a temporary file that replaces `path` when the block ends. If the block raises, `path`
    stays as it is.

    Follows symbolic links. A pipe or a device is written to directly, because replacing it would
    remove it. An existing file keeps its permissions.

    Args:
        private: only the owner can read the file, whatever its permissions were.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        mode = _mode(path)
        if mode is None or stat.S_ISREG(mode):
            permissions = OWNER_ONLY if private or mode is None else stat.S_IMODE(mode)
            # `path` may be a symbolic link, which stays as it is
            with _temporary_file(Path(os.path.realpath(path)), permissions) as file:
                yield file
        else:
            with path.open("wb") as file:
                yield file
    except OSError as error:
        raise _not_written_error(path, error) from None


def create_file(path: Path, text: str) -> None:
    """Creates a file that only its owner can read.

    Raises:
        ConfigError: the file exists already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except BaseException:
            path.unlink()
            raise
    except FileExistsError:
        raise file_exists_error(path) from None
    except OSError as error:
        raise _not_written_error(path, error) from None


def file_exists_error(path: Path) -> ConfigError:
    """Returns the error for a file that would be overwritten."""
    return ConfigError(
        f"{path} exists already; it was not changed", hint="Name another file, or remove it."
    )


def _not_written_error(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be written: {error.strerror or error}")


def _mode(path: Path) -> int | None:
    """Returns the type and permissions of a file, or of the target of a link. None if there is
    no such file."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


@contextmanager
def _temporary_file(path: Path, permissions: int) -> Iterator[IO[bytes]]:
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}-", delete=False
        ) as file:
            temporary = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, permissions)
        os.replace(temporary, path)
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                os.remove(temporary)
