"""Accounts from a `guestlist.toml` or from the environment.

    allowed_domains = ["example.com"]      # optional: nobody else is ever invited

    [budget]                               # optional: what one call may cost, in seconds
    total = 120
    timeout = 15
    attempts = 4

    [accounts.cloud]                       # the name is yours
    provider = "vultr"
    api_key = { env = "CLOUD_API_KEY" }    # or { file = "path" }, or the value itself

A setting that is left out is read from the provider's own environment variable. Without a file, a
provider whose settings are all in the environment becomes an account under its own name.
"""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from guestlist.address import domain_key, is_domain
from guestlist.errors import ConfigError
from guestlist.exchange.account import Budget
from guestlist.plugins import Plugins
from guestlist.provider import Provider
from guestlist.provider.settings import environment_variable, is_secret

FILE = "guestlist.toml"
VARIABLE = "GUESTLIST_CONFIG"
"""The environment variable that names another file."""

KEYS = ("accounts", "allowed_domains", "budget")


@dataclass(frozen=True)
class Config:
    """What was configured.

    Attributes:
        accounts: the providers, under the names that the user chose.
        source: where it came from, for people.
    """

    accounts: dict[str, Provider] = field(default_factory=dict)
    allowed_domains: frozenset[str] = frozenset()
    budget: Budget = field(default_factory=Budget)
    source: str = ""


def find_config(plugins: Plugins) -> Config:
    """The file that `GUESTLIST_CONFIG` names, else `guestlist.toml` here, else the environment.

    Raises:
        ConfigError: the file is not as it must be.
    """
    path = config_path()
    return read_config(path, plugins) if path else from_environment(plugins)


def config_path(named: str | None = None) -> Path | None:
    """The configuration file: the one that is named, else the one that `GUESTLIST_CONFIG` names,
    else `guestlist.toml` here; None where there is none of these."""
    named = named or os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return Path(FILE) if Path(FILE).exists() else None


def from_environment(plugins: Plugins) -> Config:
    """One account for each provider whose credentials and required settings are all there.

    Raises:
        ConfigError: they are there, and one of them cannot be; or there is no account, because
            something is missing besides the credentials.
    """
    accounts: dict[str, Provider] = {}
    try:
        for name in (begun := _begun(plugins)):
            if _complete(plugins.providers[name]):
                accounts[name] = plugins.providers[name]()
        if begun and not accounts:
            plugins.providers[begun[0]]()  # raises: the error says what is missing
    except ConfigError as error:
        error.message = f"the environment: {error.message}"
        raise
    return Config(accounts, source="the environment")


def _begun(plugins: Plugins) -> list[str]:
    """Providers of whose credentials some are in the environment."""
    found = []
    for name, provider in sorted(plugins.providers.items()):
        settings = provider.model_fields.values()
        telling = [info for info in settings if is_secret(info)] or settings
        if any(map(_in_environment, telling)):
            found.append(name)
    return found


def _complete(provider: type[Provider]) -> bool:
    settings = provider.model_fields.values()
    return all(_in_environment(info) for info in settings if info.is_required())


def _in_environment(info: FieldInfo) -> bool:
    return bool(os.environ.get(environment_variable(info) or ""))


def read_config(path: Path, plugins: Plugins) -> Config:
    """Reads a configuration file.

    Raises:
        ConfigError: it is missing, unreadable, no TOML, or says something that cannot be; the
            message names the file and the place.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors may add the mark
    except FileNotFoundError:
        raise ConfigError(
            f"there is no file {path}", hint="`guestlist config init` writes one."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from None
    try:
        check_names("", table, KEYS)
        return Config(
            accounts={
                name: _account(name, settings, plugins, path.parent)
                for name, settings in _table(table, "accounts").items()
            },
            allowed_domains=_domains(table.get("allowed_domains", [])),
            budget=_budget(_table(table, "budget")),
            source=str(path),
        )
    except ConfigError as error:
        error.message = f"{path}: {error.message}"
        raise


def check_names(where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuses a name that is not known, with the nearest one.

    Raises:
        ConfigError: there is such a name.
    """
    known = tuple(known)
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
            raise ConfigError(f"{where}there is no {name!r}", hint=hint)


def _table(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        raise ConfigError(f"{name} has to be a table", hint=f"Write [{name}] on a line of its own.")
    return value


def _account(name: str, settings: Any, plugins: Plugins, folder: Path) -> Provider:
    where = f"accounts.{name}: "
    if not name.strip():
        raise ConfigError(
            f"accounts.{name!r}: an account needs a name", hint="Write [accounts.cloud]."
        )
    if not isinstance(settings, dict):
        raise ConfigError(f"{where}it has to be a table", hint=f"Write [accounts.{name}].")
    if not isinstance(settings.get("provider"), str):
        known = ", ".join(sorted(plugins.providers)) or "none"
        wrong = "has to be text" if "provider" in settings else "is missing"
        raise ConfigError(f"{where}provider {wrong}", hint=f"Installed are: {known}.")
    values = {
        key: _value(f"{where}{key}", value, folder)
        for key, value in settings.items()
        if key != "provider"
    }
    try:
        return plugins.provider(settings["provider"])(**values)
    except ConfigError as error:
        error.message = where + error.message
        raise


def _value(where: str, value: Any, folder: Path) -> Any:
    if not isinstance(value, dict):
        return value
    if set(value) == {"env"}:
        found = os.environ.get(str(value["env"]))
        if not found:
            raise ConfigError(f"{where}: the environment variable {value['env']} is not set")
        return found
    if set(value) == {"file"}:
        path = folder / Path(str(value["file"])).expanduser()
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):  # not there, not readable, not UTF-8, or not even a path
            raise ConfigError(f"{where}: the file {str(path)!r} cannot be read") from None
    raise ConfigError(
        f"{where}: a table here has to name an environment variable or a file",
        hint='Write { env = "NAME" } or { file = "path" }.',
    )


def _domains(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ConfigError(
            "allowed_domains has to be a list of domains", hint='Such as ["example.com"].'
        )
    for one in (found := domains(value)):
        if not is_domain(one):
            raise ConfigError(
                f"allowed_domains: {one!r} is not a domain", hint='Write it as "example.com".'
            )
    return found


def domains(names: Iterable[str]) -> frozenset[str]:
    """Domains (or a single one), in the form in which they are compared, without an @ before it."""
    several = [names] if isinstance(names, str) else names
    return frozenset(domain_key(name.strip().lstrip("@")) for name in several)


def _budget(table: dict[str, Any]) -> Budget:
    check_names("budget: ", table, (one.name for one in fields(Budget)))
    for name, value in table.items():
        whole = name in ("attempts", "max_body")
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise ConfigError(f"budget.{name} has to be a {'whole ' * whole}number")
        if not 0 < value < math.inf:
            raise ConfigError(f"budget.{name} has to be above 0, and finite")
    return Budget(**table)
