"""What the commands do. A module is loaded when one of its commands is run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from guestlist.ledger import needing_extra

if TYPE_CHECKING:
    from guestlist.cli.session import Session

_HOMES = {
    "provider_development": "new-provider check-provider",
    "completion": "completion",
    "config": "config",
    "demo": "demo",
    "forget": "forget",
    "lists": "list members roles accounts",
    "log": "log",
    "people": "invite onboard resend status wait revoke remove access assign unassign",
    "providers": "providers",
    "pull": "pull",
    "roster": "plan apply settle worker",
    "sandbox": "sandbox",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def find(name: str) -> Callable[[Session], None]:
    """The function that carries out a command: `run_invite` for `invite`.

    Raises:
        ConfigError: the extra that it needs is not installed.
    """
    with needing_extra():
        module = import_module(f"{__name__}.{_HOME_OF[name]}")
    found: Callable[[Session], None] = getattr(module, f"run_{name.replace('-', '_')}")
    return found
