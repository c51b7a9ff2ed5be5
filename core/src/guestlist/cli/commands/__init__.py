"""The functions that run the commands. A module is loaded when one of its commands runs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from guestlist.ledger import needing_extra

if TYPE_CHECKING:
    from guestlist.cli.session import Session

_COMMANDS_BY_MODULE = {
    "audit": "audit",
    "provider_development": "new-provider check-provider",
    "completion": "completion",
    "config": "config",
    "console": "console",
    "demo": "demo",
    "forget": "forget",
    "lists": "invitations members roles check",
    "log": "log",
    "people": "invite onboard resend status wait revoke remove assign-role unassign-role access"
    " own-access",
    "offboard": "offboard",
    "providers": "providers",
    "pull": "pull",
    "roster": "plan apply settle worker",
    "sandbox": "sandbox",
    "who": "who",
}
_MODULE_OF = {name: home for home, names in _COMMANDS_BY_MODULE.items() for name in names.split()}


def find_command(name: str) -> Callable[[Session], None]:
    """Returns the function that runs a command: `run_invite` for `invite`.

    Raises:
        ConfigError: the extra that the command needs is not installed.
    """
    with needing_extra():
        module = import_module(f"{__name__}.{_MODULE_OF[name]}")
    found: Callable[[Session], None] = getattr(module, f"run_{name.replace('-', '_')}")
    return found
