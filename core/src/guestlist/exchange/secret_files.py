"""Secrets in files: read again when a file changes, so that a rotated key needs no restart."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from guestlist.errors import ConfigError

if TYPE_CHECKING:
    from guestlist.provider import Provider

_Stamp = tuple[int, int, int]


class SecretFiles:
    """Reads the files that contain the secret settings of one account.

    Attributes:
        provider: the provider with the secrets that were last read.
        version: how many times the secrets have changed.
        problem: why the latest attempt to read the files failed; empty if it succeeded.
    """

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.version = 0
        self.problem = ""
        self._paths = provider._secret_files
        self._stamps: dict[str, _Stamp] = {}
        self._lock = threading.Lock()

    def read(self, *, again: bool = False) -> bool:
        """Reads the files if they have changed. A file that is unreadable or contains no valid
        secret is ignored, because another program may be replacing it.

        Args:
            again: read them even if they look unchanged.

        Returns:
            Whether the secrets have changed.
        """
        if not self._paths:
            return False
        with self._lock:
            try:
                stamps = {name: _stamp(path) for name, path in self._paths.items()}
                if stamps == self._stamps and not again:
                    return False
                found = {name: read_secret(path) for name, path in self._paths.items()}
                changed = any(getattr(self.provider, name) != found[name] for name in found)
                if changed:
                    settings = {
                        n: getattr(self.provider, n) for n in self.provider.model_fields_set
                    }
                    self.provider = type(self.provider)(**(settings | found))
                    self.version += 1
            except (OSError, ValueError, ConfigError) as error:
                self.problem = _reason(error)
                return False
            self._stamps, self.problem = stamps, ""
            return changed


def read_secret(path: Path) -> str:
    """Returns the text of a file, without white space around it.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not UTF-8, or the path is invalid.
    """
    return path.read_text(encoding="utf-8").strip()


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _reason(error: Exception) -> str:
    """Returns what is wrong with a file, without any of its contents."""
    if isinstance(error, OSError):
        return f"the file {str(error.filename)!r} cannot be read again ({error.strerror})"
    if isinstance(error, ConfigError):
        return error.headline
    return "a file with a secret is not UTF-8"
