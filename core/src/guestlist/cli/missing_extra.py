"""What the extra `cli` brings, and what is said where it is not installed."""

from __future__ import annotations

from guestlist.errors import ConfigError


def missing_extra(what: str, error: ModuleNotFoundError, purpose: str = "") -> ConfigError:
    """The error for something that needs a package that is not installed.

    Args:
        what: needs it.
        error: of the import.
        purpose: what for, where that is no matter of course.
    """
    return ConfigError(
        f"{what} needs {error.name}{purpose}", hint='Run: pip install "guestlist[cli]"'
    )
