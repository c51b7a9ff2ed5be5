"""A running sandbox in place of the real services: its accounts and its clock.

With the environment variable `GUESTLIST_SANDBOX` set to the address of a sandbox's mailbox, such as
`http://127.0.0.1:8030`, clients and commands whose accounts come from a file or from the
environment talk to that sandbox, without a change in the program.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from guestlist.errors import MORE_FILES, ConfigError
from guestlist.exchange.clock import SystemClock
from guestlist.exchange.faults import TOO_MANY_FILES, too_many_open_files
from guestlist.plugins import Plugins
from guestlist.provider import Provider

VARIABLE = "GUESTLIST_SANDBOX"
"""The environment variable that holds the address of a running sandbox's mailbox."""
TIMEOUT_SECONDS = 10.0
CLOCK_READING_SECONDS = 1.0
"""How long a reading of the sandbox's clock is reused."""


class SandboxClock(SystemClock):
    """The machine's clock, shifted by as much as the sandbox's clock was moved.

    Args:
        read: returns the sandbox's time, such as `SandboxControl.now`.
    """

    def __init__(self, read: Callable[[], datetime]) -> None:
        self._read = read
        self._ahead = timedelta(0)
        self._read_at = float("-inf")

    def now(self) -> datetime:
        here = super().now()
        if self.monotonic() - self._read_at >= CLOCK_READING_SECONDS:
            self._ahead = self._read() - here
            self._read_at = self.monotonic()
        return here + self._ahead


def sandbox_url() -> str | None:
    """Returns the address in `GUESTLIST_SANDBOX`, or None if the variable is not set.

    Raises:
        ConfigError: it is not an address. The message does not show it.
    """
    text = os.environ.get(VARIABLE)
    try:
        return server_url(text) if text else None
    except ValueError:
        raise ConfigError(
            f"the address in {VARIABLE} is invalid", hint="Write http://127.0.0.1:8030."
        ) from None


def server_url(text: str) -> str:
    """Returns the URL of an address such as `http://127.0.0.1:8030` or `127.0.0.1:8030`.

    Raises:
        ValueError: it is not an address.
    """
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError
    return url


def sandbox_clock(url: str) -> SandboxClock:
    """Returns the clock of the sandbox at an address. It shows the machine's time while the sandbox
    does not answer."""
    return SandboxClock(partial(_now, url))


def sandbox_accounts(url: str, plugins: Plugins) -> dict[str, Provider]:
    """Returns an account with an owner's rights for each service of a sandbox, by the service's
    name.

    Raises:
        ConfigError: no sandbox answers at the address, or the provider of one of its services is
            not installed.
    """
    services = _get(url, "services")["services"]
    return {
        service["name"]: account_with(plugins.provider(service["name"]), service["settings"])
        for service in services
    }


def account_with(provider: type[Provider], settings: Mapping[str, Any]) -> Provider:
    """Returns an account with these settings and the provider's defaults. Reads nothing from the
    environment, because the values there belong to the real services."""
    defaults = {
        name: info.get_default(call_default_factory=True)
        for name, info in provider.model_fields.items()
        if not info.is_required()
    }
    return provider(**{**defaults, **settings})


def _now(url: str) -> datetime:
    with suppress(ConfigError):
        return datetime.fromisoformat(_get(url, "clock")["now"])
    return SystemClock().now()


def _get(url: str, path: str) -> dict[str, Any]:
    """Returns an answer of the mailbox's control API (`guestlist.sandbox.api`)."""
    import httpx

    try:
        # Never uses a proxy, and loads no certificates, because a sandbox speaks plain HTTP.
        no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with httpx.Client(trust_env=False, verify=no_certificates, timeout=TIMEOUT_SECONDS) as http:
            answer = http.get(f"{url.rstrip('/')}/api/{path}").raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        answer = None
        cause: Exception | None = error
    else:
        cause = None
    if too_many_open_files(cause):
        why = f"{url!r} cannot be asked: {TOO_MANY_FILES}"
        raise ConfigError(why, where=f"{VARIABLE}: ", hint=MORE_FILES) from cause
    if not isinstance(answer, dict):
        raise ConfigError(
            f"no sandbox answers at {url!r}",
            where=f"{VARIABLE}: ",
            hint=f"Start one with `guestlist sandbox`, or unset {VARIABLE}.",
        ) from cause
    return answer
