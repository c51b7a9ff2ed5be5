"""Settings of an account: fields of the provider class, filled from code, file or environment."""

from __future__ import annotations

import inspect
import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from guestlist.errors import ConfigError

_PLACE = re.compile(r"\{(\w+)\}")
"""A setting's place in the default of `base_url`."""

_is_part_of_host = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*").fullmatch


def setting(
    description: str, *, env: str | None = None, default: Any = ..., secret: bool = False
) -> Any:
    """One setting of an account, as a field of the provider class.

    Args:
        description: for people, without a full stop at the end.
        env: the environment variable that is read when the setting is not given.
        default: the value when neither is there; without it the setting is required.
        secret: masked in `repr`, logs, errors and files.
    """
    return Field(
        default,
        description=description,
        repr=not secret,
        exclude=secret,
        json_schema_extra={"env": env, "secret": secret},
    )


def environment_variable(info: FieldInfo) -> str | None:
    """The environment variable that fills a setting, if it has one."""
    return _extra(info).get("env") or None


def is_secret(info: FieldInfo) -> bool:
    """Whether a setting holds a secret."""
    return bool(_extra(info).get("secret"))


def _extra(info: FieldInfo) -> Mapping[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def completed(provider: type[BaseModel], title: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, those that are missing filled from the environment, and the default of
    `base_url` with the settings that it names.

    Raises:
        ConfigError: a setting that cannot be a part of `base_url`.
    """
    filled = dict(settings)
    for name, info in provider.model_fields.items():
        value = os.environ.get(environment_variable(info) or "")
        if value and name not in filled:
            filled[name] = value
    url = provider.model_fields["base_url"].default
    if "base_url" not in filled and isinstance(url, str) and "{" in url:
        filled["base_url"] = _filled_in(provider, title, url, filled)
    return filled


def _filled_in(provider: type[BaseModel], title: str, url: str, settings: Mapping[str, Any]) -> str:
    """The URL with settings in their places; what is missing there is left to be complained of."""
    for name in _PLACE.findall(url):
        value = settings.get(name, provider.model_fields[name].default)
        if value is PydanticUndefined:
            value = "missing"
        if not isinstance(value, str | int) or not _is_part_of_host(str(value)):
            raise ConfigError(
                "it becomes a part of base_url: it has to be letters, digits, dashes and dots",
                where=f"{title}: {name}: ",
                hint="Give the part alone, such as acme, or set base_url.",
                place=(name,),
            )
        url = url.replace(f"{{{name}}}", str(value))
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.lower()}{slash}{path}"


def check_declared_url(provider: type[BaseModel]) -> None:
    """Checks the declaration of `base_url`, whose default pydantic never looks at.

    Raises:
        TypeError: it is no setting that holds text, or its default is none that can be.
    """
    info = provider.model_fields["base_url"]
    told = f"{provider.__name__}.base_url"
    covered = inspect.getattr_static(provider, "base_url", None) is not None
    if covered or info.annotation is not str or info.default_factory is not None:
        raise TypeError(
            f"{told} has to be a setting that holds text: `base_url: str = setting(...)`"
        )
    if info.default is PydanticUndefined:
        return
    if not isinstance(info.default, str):
        raise TypeError(f"{told}: its default has to be text, and is {type(info.default).__name__}")
    for name in _PLACE.findall(info.default):
        if name not in provider.model_fields or name == "base_url":
            raise TypeError(f"{told}: there is no setting {name!r}")
        if is_secret(provider.model_fields[name]):
            raise TypeError(f"{told}: {name!r} is secret, and cannot be a part of a URL")
    try:
        check_base_url(_PLACE.sub("x", info.default))
    except ValueError as error:
        raise TypeError(f"{told}: its default cannot be: {error}") from None


def settings_error(provider: type[BaseModel], title: str, error: ValidationError) -> ConfigError:
    """What is wrong with the settings, without showing any value: it may be a secret."""
    fields = provider.model_fields
    hint = f"The settings are: {', '.join(fields)}."
    problems = []
    for problem in error.errors(include_input=False, include_url=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        env = environment_variable(fields[name]) if name in fields else None
        where = f"{title}: {name}: "
        if problem["type"] == "missing":
            wrong = "it is missing" + (f" (or set {env})" if env else "")
        elif problem["type"] == "extra_forbidden":
            where, wrong = f"{title}: ", f"there is no setting {name!r}"
        else:
            wrong = in_words(problem)
        problems.append(ConfigError(wrong, where=where, hint=hint, place=(name,)))
    return ConfigError.of(problems)


def in_words(problem: ErrorDetails) -> str:
    """What is wrong with a value, as the rest of guestlist says it."""
    if problem["type"] in ("bool_parsing", "bool_type"):
        return "it has to be yes or no"
    told = problem["msg"].removeprefix("Value error, ")
    return told.replace("Input should be", "it has to be", 1)


def check_base_url(url: str) -> str:
    """Returns the URL without a slash at its end.

    Raises:
        ValueError: it is not https (http is allowed to this machine only), or has parts that do
            not belong into it.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it has to be a URL such as https://api.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("it must not hold credentials, a query or a fragment")
    if any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise ValueError("it has white space or control characters")
    if "{" in url or "}" in url:
        raise ValueError("it has braces: write what belongs there")
    parts.port  # noqa: B018 - raises ValueError for a port that cannot be
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        raise ValueError("plain http is allowed to this machine only; use https")
    return url.rstrip("/")


def is_this_machine(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
