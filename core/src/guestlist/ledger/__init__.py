"""The durable record of what was asked for, what was about to be sent, and what became of it.

Needs the extra `guestlist[ledger]`. Names are loaded on first use, so that importing this package
is fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from guestlist.errors import missing_package_error

if TYPE_CHECKING:
    from guestlist.ledger.ledger import Ledger

_HOMES = {"Ledger": "ledger"}

__all__ = ["Ledger", "needing_extra"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing_extra():
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


@contextmanager
def needing_extra() -> Iterator[None]:
    """Turns a missing package of the extra into `ConfigError`. Wrap imports that need the extra in
    it.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("filelock", "sqlalchemy"):
            raise
        raise missing_package_error("a ledger", error, "ledger") from None
