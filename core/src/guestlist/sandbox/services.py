"""The services that the installed providers bring for the sandbox."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from guestlist import sandbox
from guestlist.plugins import Plugins, installed
from guestlist.sandbox.errors import SandboxError, SandboxMistake

if TYPE_CHECKING:
    from guestlist.sandbox.service import Service


def service_classes(plugins: Plugins | None = None) -> list[type[Service]]:
    """The imitations that the providers name, in the order of the providers' names.

    Args:
        plugins: where the providers come from; by default everything installed.

    Raises:
        SandboxError: a plugin's service cannot be loaded, or what all of them need is missing.
    """
    require_extra()
    plugins = plugins or installed()
    return [
        _load(name, provider.sandbox)
        for name, provider in sorted(plugins.providers.items())
        if provider.sandbox
    ]


def require_extra() -> None:
    """Checks that what the sandbox needs beyond the core is installed.

    Raises:
        SandboxError: it is not; the hint says what to install.
    """
    try:
        sandbox.Sandbox  # noqa: B018 - loads the server and everything below it
    except ImportError as error:
        what, _, command = str(error).partition(": ")
        raise SandboxMistake(what, hint=f"Run: {command}") from error


def _load(provider: str, place: str) -> Any:
    try:
        return resolve_name(place)
    except (ImportError, AttributeError, ValueError) as error:
        raise SandboxError(
            f"the sandbox of the provider {provider!r} ({place}) cannot be loaded: {error}",
            hint="Reinstall the plugin, or report it to its authors.",
        ) from error
