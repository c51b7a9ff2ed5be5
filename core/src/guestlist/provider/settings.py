"""Settings of an account: fields of the provider class, filled from code, file or environment."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from guestlist.errors import ConfigError


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


def with_environment(provider: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, those that are missing filled from the environment."""
    filled = dict(settings)
    for name, info in provider.model_fields.items():
        value = os.environ.get(environment_variable(info) or "")
        if value and name not in filled:
            filled[name] = value
    return filled


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
