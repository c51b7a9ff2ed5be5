"""Settings of an account: fields of the provider class, filled from code, file or environment."""

from __future__ import annotations

import inspect
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from guestlist.errors import ConfigError

_PLACE = re.compile(r"\{(\w+)\}")
"""Matches the name of a setting in braces in the default of `base_url`."""

_is_part_of_host = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*").fullmatch


def setting(
    description: str,
    *,
    env: str | None = None,
    default: Any = ...,
    secret: bool = False,
    url: bool = False,
) -> Any:
    """Declares one setting of an account, as a field of the provider class.

    Args:
        description: description for people, without a full stop at the end.
        env: the environment variable that is read if the setting is not given.
        default: the value if neither is set; a setting without a default is required.
        secret: whether the value is masked in `repr`, logs, errors and files.
        url: whether the value is a URL that requests are sent to, such as that of a server which
            issues tokens: see `Request.origin`. It follows the rules of `base_url`.
    """
    return Field(
        default,
        description=description,
        repr=not secret,
        exclude=secret,
        json_schema_extra={"env": env, "secret": secret, "url": url},
    )


def environment_variable(info: FieldInfo) -> str | None:
    """Returns the environment variable of a setting, or None."""
    return _extra(info).get("env") or None


def is_secret(info: FieldInfo) -> bool:
    """Returns whether a setting contains a secret."""
    return bool(_extra(info).get("secret"))


def urls(provider: type[BaseModel]) -> tuple[str, ...]:
    """Returns the names of the settings whose URLs requests are sent to."""
    fields = provider.model_fields
    return tuple(name for name in fields if name == "base_url" or _extra(fields[name]).get("url"))


def _extra(info: FieldInfo) -> Mapping[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def fill_from_environment(
    provider: type[BaseModel], title: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the settings, completed from the environment. Fills in the settings that the default
    of a URL names in braces.

    Raises:
        ConfigError: the value of a setting cannot be a part of a URL.
    """
    filled = dict(settings)
    for name, info in provider.model_fields.items():
        value = os.environ.get(environment_variable(info) or "")
        if value and name not in filled and not _is_decided(provider, name, settings):
            filled[name] = value
    for name in urls(provider):
        url = provider.model_fields[name].default
        if name not in filled and isinstance(url, str) and "{" in url:
            filled[name] = _filled_in(provider, title, name, url, filled)
    return filled


def _is_decided(provider: type[BaseModel], name: str, settings: Mapping[str, Any]) -> bool:
    """Returns whether the account has another setting of the same group in `one_of`, so that `name`
    is not needed."""
    groups = [group for group in getattr(provider, "one_of", ()) if name in group]
    return any(settings.get(other) is not None for group in groups for other in group)


def _filled_in(
    provider: type[BaseModel], title: str, target: str, url: str, settings: Mapping[str, Any]
) -> str:
    """Returns the URL with the values of the settings in place of the braces. Uses the word
    `missing` for a required setting that is not given; the check of the fields reports that
    setting."""
    for name in _PLACE.findall(url):
        value = settings.get(name, provider.model_fields[name].default)
        if value is PydanticUndefined:
            value = "missing"
        if not isinstance(value, str | int) or not _is_part_of_host(str(value)):
            raise ConfigError(
                "it may contain only letters, digits, dashes and dots, because it becomes a part"
                f" of {target}",
                where=f"{title}: {name}: ",
                hint=f"Give only that part, such as acme, or set {target}.",
                place=(name,),
            )
        url = url.replace(f"{{{name}}}", str(value))
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.lower()}{slash}{path}"


def check_declared_urls(provider: type[BaseModel]) -> None:
    """Checks the declarations of URLs, because pydantic does not validate defaults.

    Raises:
        TypeError: a URL is not declared as a string setting, or its default is invalid.
    """
    for name in urls(provider):
        _check_declared_url(provider, name)


def check_named_settings(provider: type[BaseModel], fact: str, names: Iterable[str]) -> None:
    """Checks that a fact of a provider names settings.

    Raises:
        TypeError: a name is not the name of a setting.
    """
    for name in names:
        if name not in provider.model_fields:
            raise TypeError(f"{provider.__name__}.{fact} names {name!r}, which is not a setting")


def _check_declared_url(provider: type[BaseModel], name: str) -> None:
    info = provider.model_fields[name]
    where = f"{provider.__name__}.{name}"
    covered = inspect.getattr_static(provider, name, None) is not None
    types = (str,) if name == "base_url" else (str, str | None)
    if covered or info.annotation not in types or info.default_factory is not None:
        raise TypeError(f"{where} has to be a setting of type str: `{name}: str = setting(...)`")
    if info.default is PydanticUndefined or (info.default is None and name != "base_url"):
        return
    if not isinstance(info.default, str):
        kind = type(info.default).__name__
        raise TypeError(f"{where}: the default has to be a string, not {kind}")
    for part in _PLACE.findall(info.default):
        if part not in provider.model_fields or part in urls(provider):
            raise TypeError(f"{where}: there is no setting {part!r}")
        if is_secret(provider.model_fields[part]):
            raise TypeError(f"{where}: {part!r} is secret and cannot be a part of a URL")
    try:
        check_url(_PLACE.sub("x", info.default))
    except ValueError as error:
        raise TypeError(f"{where}: the default is invalid: {error}") from None


def settings_error(provider: type[BaseModel], title: str, error: ValidationError) -> ConfigError:
    """Returns the error for invalid settings. Its message contains no values, because they may be
    secret."""
    fields = provider.model_fields
    problems = []
    for problem in error.errors(include_input=False, include_url=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        env = environment_variable(fields[name]) if name in fields else None
        where = f"{title}: {name}: " if name else f"{title}: "
        hint = f"{name}: {fields[name].description}." if name in fields else ""
        if problem["type"] == "missing":
            wrong = "it is missing" + (f" (or set {env})" if env else "")
        elif problem["type"] == "extra_forbidden":
            where, wrong = f"{title}: ", f"there is no setting {name!r}"
            hint = f"The settings are: {', '.join(fields)}."
        else:
            wrong = describe_problem(problem)
        problems.append(ConfigError(wrong, where=where, hint=hint, place=(name,)))
    return ConfigError.of(problems)


def describe_problem(problem: ErrorDetails) -> str:
    """Returns a message for a validation error of pydantic."""
    if problem["type"] in ("bool_parsing", "bool_type"):
        return "it has to be yes or no"
    message = problem["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "it has to be", 1)


def check_url(url: str) -> str:
    """Returns the URL without trailing slashes.

    Raises:
        ValueError: the URL is not https (http is allowed to this machine only), or contains
            credentials, a query, a fragment, whitespace or braces.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError for an invalid port
    except ValueError:
        raise ValueError(
            "its host or port is invalid: write https://host:8443, and an IPv6 address as [::1]"
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it has to be a URL such as https://api.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("it must not contain credentials, a query or a fragment")
    if any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise ValueError("it contains whitespace or control characters")
    if "{" in url or "}" in url:
        raise ValueError("it contains braces: replace them with the value")
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        raise ValueError("plain http is allowed to this machine only; use https")
    return url.rstrip("/")


def is_this_machine(host: str) -> bool:
    """Returns whether a host name or address is a loopback address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
