"""The web console: pages that show the people of all accounts, for people who do not use a
terminal.

`guestlist console` serves it on this machine. `create_app` returns it as an ASGI application for an
existing site, and `create_api` the HTTP API alone. It has no logic of its own: each button calls a
method of the client, `plan`, `apply` or `settle`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guestlist.console.api import create_api
    from guestlist.console.app import create_app

_HOMES = {"create_api": "api", "create_app": "app"}

__all__ = ["create_api", "create_app"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from guestlist.ledger import needing_extra

    try:
        with needing_extra():
            return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'the console needs {error.name}: pip install "guestlist[console]"', name=error.name
        ) from error
