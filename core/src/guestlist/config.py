"""Accounts from a `guestlist.toml` or from the environment.

    allowed_domains = ["example.com"]      # optional: only these domains can be invited

    [budget]                               # optional: limits of one call, times in seconds
    total = 120
    timeout = 15
    attempts = 4

    [accounts.cloud]                       # the name is yours
    provider = "vultr"
    api_key = { env = "CLOUD_API_KEY" }    # or { file = "path" }, or the value itself

If `GUESTLIST_SANDBOX` is set, the accounts use a running sandbox, keep their names from the file,
and no API key is read (see `guestlist.running_sandbox`).

A setting that the file omits is read from the provider's own environment variable. Without a file,
each provider whose settings are all in the environment becomes an account named after it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from guestlist.address import domain_key, is_domain
from guestlist.errors import ConfigError
from guestlist.exchange.account import Budget, budget_problem
from guestlist.exchange.clock import Clock
from guestlist.exchange.secret_files import read_secret
from guestlist.humanize import similar_name
from guestlist.plugins import Plugins
from guestlist.provider import Provider
from guestlist.provider.settings import environment_variable, is_secret
from guestlist.running_sandbox import sandbox_accounts, sandbox_clock, sandbox_url
from guestlist.tomlfile import Problems, TomlFile, read_toml, unknown_name_error
from guestlist.verbs.accounts import unknown_account

FILE = "guestlist.toml"
CONFIG_VARIABLE = "GUESTLIST_CONFIG"
"""The environment variable with the path of the configuration file."""

STAND_IN = "unread"
"""Placeholder for a setting that could not be read, so that it is not also reported as missing."""

ROSTER_KEYS = ("groups", "people", "people_from", "limits", "ledger", "timezone")
"""Keys of the same file that `guestlist.roster` reads."""
FOR_ALL = {
    "allowed_domains": "it at the beginning of the file, before any [table]",
    "budget": "[budget] as a table of its own",
}
"""Keys that users try to set in an account, and how to set them for all accounts."""
KEYS = ("accounts", *FOR_ALL, *ROSTER_KEYS)


@dataclass(frozen=True)
class Config:
    """The configuration of a client.

    Attributes:
        accounts: the providers, by the account names that the user chose.
        allowed_domains: the only domains that can be invited; empty for all.
        budget: the limits of one call.
        source: where the configuration comes from, for messages.
        clock: the clock of the sandbox, if the accounts are there; None for the machine's clock.
    """

    accounts: dict[str, Provider] = field(default_factory=dict)
    allowed_domains: frozenset[str] = frozenset()
    budget: Budget = field(default_factory=Budget)
    source: str = ""
    clock: Clock | None = None


def find_config(plugins: Plugins) -> Config:
    """Reads the accounts from the file that `GUESTLIST_CONFIG` names, else from `guestlist.toml` in
    the current folder, else from the environment.

    Raises:
        ConfigError: the file or the environment is invalid.
    """
    path = config_path()
    return load_config(None if path is None else open_config(path), plugins)


def load_config(file: TomlFile | None, plugins: Plugins, *, only: Collection[str] = ()) -> Config:
    """Returns the configuration of a file, or of the environment. If `GUESTLIST_SANDBOX` is set,
    the accounts use the running sandbox.

    Args:
        file: the file; None for the environment.
        only: the needed accounts; empty for all. Settings of other accounts are not read.

    Raises:
        UnknownAccount: an account of `only` does not exist.
        ConfigError: the file or the environment is invalid, or no sandbox answers.
    """
    url = sandbox_url()
    if url is None:
        return (
            _from_environment(plugins, only)
            if file is None
            else read_config(file, plugins, only=only)
        )
    accounts, clock = sandbox_accounts(url, plugins), sandbox_clock(url)
    if file is None:
        return Config(accounts, source=f"the sandbox at {url}", clock=clock)
    return replace(read_config(file, plugins, instead=accounts, only=only), clock=clock)


def config_path(named: str | None = None) -> Path | None:
    """Returns the path of the configuration file, or None if there is no file.

    It is `named`, else the value of `GUESTLIST_CONFIG`, else `guestlist.toml` in the current folder
    if that file exists.
    """
    named = named or os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return Path(FILE) if Path(FILE).exists() else None


def _from_environment(plugins: Plugins, only: Collection[str]) -> Config:
    """Returns an account for each provider whose required settings are all in the environment.

    Raises:
        ConfigError: a setting is invalid; or there is no account, because the environment has only
            some of the settings of a provider.
    """
    accounts, providers = {}, plugins.providers
    begun = _begun(providers)
    if not only or not set(only) <= set(begun):  # the client reports unknown names
        only = begun
    try:
        for name in (begun := [name for name in begun if name in only]):
            if _complete(providers[name]):
                accounts[name] = providers[name]()
        if begun and not accounts:
            # The constructor raises an error that names the missing settings.
            providers[begun[0]]()
    except ConfigError as error:
        raise error.within("the environment: ") from None
    return Config(accounts, source="the environment")


def _begun(providers: Mapping[str, type[Provider]]) -> list[str]:
    """Returns the providers with at least one credential in the environment."""
    found = []
    for name, provider in providers.items():
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


def open_config(path: Path) -> TomlFile:
    """Reads and parses a configuration file without validating its keys.

    Raises:
        ConfigError: the file is missing, unreadable or not valid TOML.
    """
    return read_toml(path, hint="`guestlist config init` writes one.")


def read_config(
    file: TomlFile,
    plugins: Plugins,
    *,
    instead: Mapping[str, Provider] | None = None,
    only: Collection[str] = (),
) -> Config:
    """Returns the configuration in a parsed file.

    Args:
        instead: providers of a sandbox, by provider name. The accounts use these instead of the
            real services, and no API key is read.
        only: see `load_config`.

    Raises:
        UnknownAccount: an account of `only` does not exist.
        ConfigError: the file is invalid. The message has file and line of each problem.
    """
    try:
        return _config(file, plugins, instead, only)
    except ConfigError as error:
        raise file.located(error) from None


def _config(
    file: TomlFile,
    plugins: Plugins,
    instead: Mapping[str, Provider] | None,
    only: Collection[str],
) -> Config:
    table, problems = file.table, Problems()
    for name in table:
        with problems:
            _check_key(name, KEYS)
    accounts: dict[str, Provider] = {}
    with problems:
        chosen = _chosen(_table(table, "accounts"), only)
        accounts = _accounts(chosen, plugins, file.path.parent, instead)
    allowed: frozenset[str] = frozenset()
    with problems:
        allowed = _domains(table.get("allowed_domains", []))
    budget = Budget()
    with problems:
        budget = _budget(_table(table, "budget"))
    problems.check()
    return Config(accounts, allowed, budget, source=str(file.path))


def _check_key(name: str, known: Iterable[str]) -> None:
    known = tuple(known)
    if name not in known:
        raise unknown_name_error("key", name, known).within("", name)


def check_account_name(name: object) -> None:
    """Checks that a value is usable as the name of an account.

    Raises:
        ConfigError: the name is not text, or is empty.
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(
            f"{name!r} is not a valid name of an account",
            hint="Use a name such as cloud, in [accounts.cloud].",
        )


def _table(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        hint = f"Write [{name}] on a line of its own."
        raise ConfigError("it has to be a table", hint=hint, place=(name,))
    return value


def _chosen(table: dict[str, Any], only: Collection[str]) -> dict[str, Any]:
    for name in only:
        if name not in table:
            raise unknown_account(name, table)
    return {name: table[name] for name in table if name in only} if only else table


def _accounts(
    table: dict[str, Any],
    plugins: Plugins,
    folder: Path,
    instead: Mapping[str, Provider] | None,
) -> dict[str, Provider]:
    accounts, problems = dict[str, Provider](), Problems()
    for name, settings in table.items():
        with problems:
            try:
                check_account_name(name)
                provider = _provider_of(name, settings, plugins)
                accounts[name] = (
                    _account(provider, settings, plugins, folder)
                    if instead is None
                    else _imitated(provider, instead)
                )
            except ConfigError as error:
                raise error.within("", "accounts", name) from None
    problems.check()
    return accounts


def _provider_of(account: str, settings: Any, plugins: Plugins) -> str:
    if not isinstance(settings, dict):
        raise ConfigError("it has to be a table", hint=f"Write [accounts.{account}].")
    provider = settings.get("provider")
    if isinstance(provider, str):
        return provider
    wrong = "it has to be text" if "provider" in settings else "it is missing"
    known = ", ".join(plugins.names) or "none"
    raise ConfigError(wrong, hint=f"Installed providers: {known}.", place=("provider",))


def _imitated(provider: str, instead: Mapping[str, Provider]) -> Provider:
    if provider not in instead:
        near = similar_name(provider.lower(), instead)
        known = f"Its providers are: {', '.join(sorted(instead))}."
        raise ConfigError(
            f"the sandbox has no provider {provider!r}",
            hint=f"Did you mean {near!r}?" if near else known,
            place=("provider",),
        )
    return instead[provider]


def _account(provider: str, settings: dict[str, Any], plugins: Plugins, folder: Path) -> Provider:
    try:
        kind = plugins.provider(provider)
    except ConfigError as error:
        raise error.within("", "provider") from None
    values, problems, files = dict[str, Any](), Problems(), dict[str, Path]()
    for key in [key for key in settings if key != "provider"]:
        if key in FOR_ALL and key not in kind.model_fields:
            with problems:
                hint = f"Write {FOR_ALL[key]}."
                raise ConfigError(
                    "this key cannot be set for a single account", hint=hint, place=(key,)
                )
            continue
        values[key] = STAND_IN
        with problems:
            path = _file_of(settings[key], folder)
            values[key] = _value(key, settings[key], path)
            if path and key in kind.model_fields and is_secret(kind.model_fields[key]):
                files[key] = path
    try:
        made = kind(**values)
        made._secret_files.update(files)
    except ConfigError as error:
        known = {one.place for one in problems.found}  # a placeholder may be invalid as well
        problems.found += [one for one in error.problems or (error,) if one.place not in known]
        raise ConfigError.of(problems.found) from None
    problems.check()
    return made


def _file_of(value: Any, folder: Path) -> Path | None:
    """Returns the path in `{ file = "path" }`, or None for another value."""
    if isinstance(value, dict) and set(value) == {"file"}:
        return folder / Path(str(value["file"])).expanduser()
    return None


def _value(key: str, value: Any, path: Path | None) -> Any:
    if not isinstance(value, dict):
        return value
    hint = 'Write { env = "NAME" } or { file = "path" }.'
    wrong = "this table must name an environment variable or a file"
    if set(value) == {"env"}:
        found = os.environ.get(str(value["env"]))
        if found:
            return found
        wrong, hint = f"the environment variable {value['env']} is not set", ""
    elif path:
        try:
            return read_secret(path)
        # The file is missing, unreadable or not UTF-8, or the path is not valid.
        except (OSError, ValueError):
            wrong, hint = f"the file {str(path)!r} cannot be read", ""
    raise ConfigError(wrong, hint=hint, place=(key,))


def _domains(value: Any) -> frozenset[str]:
    try:
        if not isinstance(value, list):
            raise _no_domains()
        return domains(value)
    except ConfigError as error:
        raise error.within("", "allowed_domains") from None


def domains(names: Iterable[str]) -> frozenset[str]:
    """Returns domains in the form in which they are compared, without a leading @.

    Args:
        names: several domains, or a single one as a string.

    Raises:
        ConfigError: a name is not a valid domain.
    """
    if not isinstance(names, Iterable):
        raise _no_domains()
    found, problems = set[str](), Problems()
    for place, name in enumerate([names] if isinstance(names, str) else names):
        with problems:
            if not isinstance(name, str):
                raise _no_domains().within("", place)
            key = domain_key(name.strip().lstrip("@"))
            if not is_domain(key):
                raise ConfigError(
                    f"{name!r} is not a domain",
                    where="allowed_domains: ",
                    hint='Write it as "example.com".',
                    place=(place,),
                )
            found.add(key)
    problems.check()
    return frozenset(found)


def _no_domains() -> ConfigError:
    return ConfigError(
        "it has to be a list of domains",
        where="allowed_domains: ",
        hint='Such as ["example.com"].',
    )


def _budget(table: dict[str, Any]) -> Budget:
    known, problems = [one.name for one in fields(Budget)], Problems()
    for name, value in table.items():
        with problems:
            _check_key(name, known)
            if wrong := budget_problem(name, value, bounded=True):
                raise wrong
    try:
        problems.check()
    except ConfigError as error:
        raise error.within("", "budget") from None
    return Budget(**table)
