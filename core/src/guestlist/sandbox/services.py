"""From the installed providers to the services of a sandbox, and back to accounts."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from guestlist import sandbox
from guestlist.plugins import Plugins, installed
from guestlist.provider import Provider
from guestlist.running_sandbox import account_with
from guestlist.sandbox.errors import SandboxError, SandboxMistake

if TYPE_CHECKING:
    from guestlist.sandbox.control import SandboxControl
    from guestlist.sandbox.server import Sandbox
    from guestlist.sandbox.service import Service


def service_classes(plugins: Plugins | None = None) -> list[type[Service]]:
    """Returns the sandbox services of the providers, sorted by provider name.

    Args:
        plugins: the providers; by default all that are installed.

    Raises:
        SandboxError: a provider's service cannot be loaded, or the extra `guestlist[sandbox]` is
            not installed.
    """
    require_extra()
    plugins = plugins or installed()
    return [
        _load(name, provider.sandbox)
        for name, provider in plugins.providers.items()
        if provider.sandbox
    ]


def accounts_of(
    running: SandboxControl | Sandbox, plugins: Plugins | None = None
) -> dict[str, Provider]:
    """Returns an account with an owner's rights for each service, by the service's name.

    Reads nothing from the environment, because the values there belong to the real services.

    Args:
        running: the sandbox, or the control of one that runs elsewhere.
        plugins: the providers; by default everything installed.

    Raises:
        SandboxError: no sandbox answers.
        ConfigError: the provider of a service is not installed.
    """
    plugins = plugins or installed()
    services = running.services
    settings = (
        {service.name: service.settings for service in services()}
        if callable(services)
        else {name: hosted.settings for name, hosted in services.items()}
    )
    return {name: account_with(plugins.provider(name), own) for name, own in settings.items()}


def require_extra() -> None:
    """Checks that the extra `guestlist[sandbox]` is installed.

    Raises:
        SandboxError: it is not; the hint names the command to install it.
    """
    try:
        sandbox.Sandbox  # noqa: B018 - imports the server and all its dependencies
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
