"""The services that the installed providers bring for the sandbox."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from guestlist.plugins import Plugins, installed
from guestlist.sandbox import EXTRA
from guestlist.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from guestlist.sandbox.service import Service


def service_classes(plugins: Plugins | None = None) -> list[type[Service]]:
    """The imitations that the providers name, in the order of the providers' names.

    Args:
        plugins: where the providers come from; by default everything installed.

    Raises:
        SandboxError: what a service needs is not installed, or a plugin's service cannot be loaded.
    """
    plugins = plugins or installed()
    return [
        _load(name, provider.sandbox)
        for name, provider in sorted(plugins.providers.items())
        if provider.sandbox
    ]


def _load(provider: str, place: str) -> Any:
    try:
        return resolve_name(place)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in EXTRA:
            raise SandboxError(
                f"the sandbox needs {missing}", hint='Run: pip install "guestlist[sandbox]"'
            ) from error
        raise _broken(provider, place, error) from error
    except (ImportError, AttributeError, ValueError) as error:
        raise _broken(provider, place, error) from error


def _broken(provider: str, place: str, error: Exception) -> SandboxError:
    return SandboxError(
        f"the sandbox of the provider {provider!r} ({place}) cannot be loaded: {error}",
        hint="Reinstall the plugin, or report it to its authors.",
    )
