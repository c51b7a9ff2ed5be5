"""Creates the accounts of a client from a running sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guestlist.plugins import Plugins, installed
from guestlist.provider import Provider
from guestlist.running_sandbox import account_with

if TYPE_CHECKING:
    from guestlist.sandbox.control import SandboxControl
    from guestlist.sandbox.server import Sandbox


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
