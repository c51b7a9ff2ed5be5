"""The error for packages of the extra `cli` that are not installed."""

from __future__ import annotations

from guestlist.errors import ConfigError


def missing_extra(what: str, error: ModuleNotFoundError, purpose: str = "") -> ConfigError:
    """Returns the error for a feature whose package is not installed.

    Args:
        what: the feature that needs the package.
        error: the error of the import.
        purpose: what the package is needed for, if that is not obvious.
    """
    return ConfigError(
        f"{what} needs {error.name}{purpose}", hint='Run: pip install "guestlist[cli]"'
    )
