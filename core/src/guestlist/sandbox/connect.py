"""From a running sandbox to what a client needs: accounts, and a clock that shows its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from guestlist.exchange.clock import SystemClock
from guestlist.plugins import Plugins, installed
from guestlist.provider import Provider

if TYPE_CHECKING:
    from guestlist.sandbox.control import SandboxControl
    from guestlist.sandbox.server import Sandbox

FRESH = 1.0
"""Seconds for which a reading of the sandbox's clock is taken to hold."""


def accounts_of(
    running: SandboxControl | Sandbox, plugins: Plugins | None = None
) -> dict[str, Provider]:
    """An account with an owner's rights on each service, under the service's name.

    Nothing is read from the environment: what is there belongs to the real services.

    Args:
        running: the sandbox, or the control of one that runs elsewhere.
        plugins: where the providers come from; by default everything installed.

    Raises:
        SandboxError: nothing answers.
        ConfigError: the provider of a service is not installed here.
    """
    plugins = plugins or installed()
    services = running.services
    settings = (
        {service.name: service.settings for service in services()}
        if callable(services)
        else {name: hosted.settings for name, hosted in services.items()}
    )
    return {name: _account(plugins.provider(name), dict(own)) for name, own in settings.items()}


def _account(provider: type[Provider], settings: dict[str, str]) -> Provider:
    defaults = {
        name: info.get_default(call_default_factory=True)
        for name, info in provider.model_fields.items()
        if not info.is_required()
    }
    return provider(**{**defaults, **settings})


class SandboxClock(SystemClock):
    """The machine's clock, moved by as much as the sandbox's is.

    Args:
        now: asks the sandbox for its time, such as `SandboxControl.now`.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._ask = now
        self._ahead = timedelta(0)
        self._asked = float("-inf")

    def now(self) -> datetime:
        here = super().now()
        if time.monotonic() - self._asked >= FRESH:
            self._ahead = self._ask() - here
            self._asked = time.monotonic()
        return here + self._ahead
