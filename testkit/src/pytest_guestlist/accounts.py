"""Accounts for cassettes: the recorded accounts, and the ones that replace them in the files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from guestlist.errors import ConfigError
from guestlist.plugins import installed
from guestlist.provider import Provider
from guestlist.provider.settings import is_secret, urls


def stand_in(kind: type[Provider]) -> Provider:
    """Returns an account with invented settings, which cassettes show instead of the real ones.

    Secret settings, and settings without a default, have their own name in capitals as value, such
    as `API_KEY`. Other settings keep their defaults, including the service's real address. Reads
    nothing from the environment.
    """
    settings = _defaults(kind) | {name: name.upper() for name in personal(kind)}
    for name in urls(kind):
        if kind.model_fields[name].is_required():
            settings[name] = f"https://{kind.name}.example.com"
    return kind(**settings)


def live_accounts() -> dict[str, Provider]:
    """Returns an account for each real service whose credentials are in the environment.

    Reads only the settings that `stand_in` replaces, so that a cassette fits the stand-in.

    Raises:
        ConfigError: the environment has no credentials of a service.
    """
    accounts: dict[str, Provider] = {}
    missing = []
    for name, kind in sorted(installed().providers.items()):
        try:
            accounts[name] = kind(**_defaults(kind))
        except ConfigError as error:
            missing.append(error.message)
    if not accounts:
        raise ConfigError(
            "no account of a real service is in the environment: " + "; ".join(missing),
            hint="Set the variables, or record against the sandbox.",
        )
    return accounts


def personal(kind: type[Provider]) -> Iterator[str]:
    """Yields the names of the settings that are masked in cassettes."""
    needed = {names[0] for names in kind.one_of}
    addresses = urls(kind)
    for name, info in kind.model_fields.items():
        if name not in addresses and (info.is_required() or is_secret(info) or name in needed):
            yield name


def _defaults(kind: type[Provider]) -> dict[str, Any]:
    masked = set(personal(kind))
    defaults = {
        name: info.get_default(call_default_factory=True)
        for name, info in kind.model_fields.items()
        if name not in masked and not info.is_required()
    }
    for name in urls(kind):
        if "{" in (defaults.get(name) or ""):
            del defaults[name]  # made from other settings
    return defaults
