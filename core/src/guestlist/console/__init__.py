"""The web console: people of all accounts on pages, for those who use no terminal.

`guestlist console` serves it on this machine. `create_app` returns it as an ASGI application for an
existing site. It decides nothing itself: each button calls a method of the client, `plan`, `apply`
or `settle`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guestlist.console.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from guestlist.ledger import needing_extra

    try:
        with needing_extra():
            from guestlist.console.app import create_app
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'the console needs {error.name}: pip install "guestlist[console]"', name=error.name
        ) from error
    return create_app
