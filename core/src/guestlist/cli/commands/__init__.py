"""The functions that run the commands. A module is loaded when one of its commands runs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from guestlist.ledger import needing_extra

if TYPE_CHECKING:
    from guestlist.cli.session import Session

_COMMANDS_BY_MODULE = {
    "lists": "invitations members roles check",
    "provider_development": "new-provider check-provider",
    "roster": "plan apply settle worker",
}
"""Modules with several commands. Any other command is in the module of its name, or else in
`people`."""
_MODULE_OF = {name: home for home, names in _COMMANDS_BY_MODULE.items() for name in names.split()}


def find_command(name: str) -> Callable[[Session], None]:
    """Returns the function that runs a command: `run_invite` for `invite`.

    Raises:
        ConfigError: the extra that the command needs is not installed.
    """
    home = _MODULE_OF.get(name, name)
    if find_spec(f"{__name__}.{home}") is None:
        home = "people"
    with needing_extra():
        module = import_module(f"{__name__}.{home}")
    found: Callable[[Session], None] = getattr(module, f"run_{name.replace('-', '_')}")
    return found
