"""The durable record of orders, of the requests that were about to leave, and of their outcomes.

Needs the extra `guestlist[ledger]`. Names are loaded on first use, so that importing this package
is fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from guestlist.errors import ConfigError, missing_package_error
from guestlist.location import file_of

if TYPE_CHECKING:
    from guestlist.exchange.clock import Clock
    from guestlist.ledger.ledger import Ledger

_HOMES = {"Ledger": "ledger"}

__all__ = ["Ledger", "needing_extra", "open_ledger"]


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


def open_ledger(
    url: str,
    *,
    create: bool = True,
    read_only: bool = False,
    clock: Clock | None = None,
    note: str | None = None,
) -> Ledger:
    """Opens a ledger. Importing this function loads no database.

    Args:
        create: create the file if there is none. Pass False in a command that only reads: a
            missing file then means that the user named the wrong one.
        read_only: write nothing.
        clock: a clock to use instead of the machine's.
        note: why calls are made and runs started; stored with them.

    Raises:
        ConfigError: there is no such ledger, the URL is invalid, or the extra `guestlist[ledger]`
            is not installed.
        LedgerError: it cannot be opened.
    """
    with needing_extra():
        from guestlist.ledger.ledger import Ledger

    path = file_of(url)
    if path is not None and not create and not path.exists():
        raise ConfigError(
            f"there is no ledger {path}",
            hint="The first run creates it. Name another ledger with ledger=PLACE.",
        )
    return Ledger(url, clock=clock, read_only=read_only, note=note)
