"""Opening a ledger by its URL. Importing this module loads no database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guestlist.errors import ConfigError
from guestlist.location import file_of

if TYPE_CHECKING:
    from guestlist.exchange.clock import Clock
    from guestlist.ledger import Ledger


def open_ledger(
    url: str,
    *,
    create: bool = True,
    read_only: bool = False,
    clock: Clock | None = None,
    note: str | None = None,
) -> Ledger:
    """Open a ledger.

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
    from guestlist.ledger import Ledger

    path = file_of(url)
    if path is not None and not create and not path.exists():
        raise ConfigError(
            f"there is no ledger {path}",
            hint="The first run creates it. Name another ledger with ledger=PLACE.",
        )
    return Ledger(url, clock=clock, read_only=read_only, note=note)
