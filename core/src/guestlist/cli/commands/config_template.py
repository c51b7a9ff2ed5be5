"""The text of a new `guestlist.toml`, made from the settings that the providers declare."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from guestlist.cli.commands.providers import settings_of
from guestlist.cli.document import SettingRow
from guestlist.cli.missing_extra import missing_extra
from guestlist.exchange.account import Budget
from guestlist.provider import Provider

try:
    import tomlkit
    from tomlkit.items import InlineTable
except ModuleNotFoundError as error:
    raise missing_extra("`config init`", error) from None

MAX_COMMENT_COLUMNS = 88
PLACEHOLDER = "FILL IN"
"""Placeholder for a value that the user must fill in."""


def template(providers: Sequence[type[Provider]]) -> str:
    """Returns the text: an account for each provider, with optional settings commented out. If the
    environment has all variables for some providers, the accounts of the others are commented out
    too."""
    budget = Budget()
    lines = [
        *_comment(
            "The accounts that `guestlist` invites people into. `guestlist check` checks them."
            " Lines that begin with # are comments."
        ),
        "",
        *_comment("If set, only addresses in these domains can be invited."),
        _commented_pair("allowed_domains", ["example.com"]),
        "",
        *_comment("Limits of one call: total seconds, seconds without progress, attempts."),
        "# [budget]",
        _commented_pair("total", int(budget.total)),
        _commented_pair("timeout", int(budget.timeout)),
        _commented_pair("attempts", budget.attempts),
    ]
    ready = [provider for provider in providers if _is_ready(provider)]
    for provider in providers:
        account = _account(provider)
        in_force = provider in ready or not ready
        lines += ["", "", *(account if in_force else _commented(account))]
    return "\n".join(lines) + "\n"


def _is_ready(provider: type[Provider]) -> bool:
    """Returns whether the environment has all variables that the account needs. A missing one would
    be an error when the file is read."""
    needed = [
        setting for setting in settings_of(provider) if setting.name in _active_settings(provider)
    ]
    return all(setting.env and os.environ.get(setting.env) for setting in needed)


def _commented(account: Iterable[str]) -> Iterator[str]:
    for line in account:
        yield f"# {line}" if line and not line.startswith("#") else line


def needed_variables(providers: Iterable[type[Provider]]) -> list[str]:
    """Returns the environment variables that the active settings read."""
    needed = [
        setting.env
        for provider in providers
        for setting in settings_of(provider)
        if setting.name in _active_settings(provider)
    ]
    return [name for name in needed if name]


def _account(provider: type[Provider]) -> Iterator[str]:
    yield from _comment(provider.title)
    yield from _comment(provider.docs_url)
    yield f"[accounts.{provider.name}]" + " " * 4 + "# the name is yours"
    yield _pair("provider", provider.name)
    in_force = _active_settings(provider)
    for setting in settings_of(provider):
        yield ""
        yield from _comment(setting.description.removesuffix(".") + ".")
        if setting.name in in_force:
            yield _pair(setting.name, _from_environment(setting) if setting.env else PLACEHOLDER)
        elif setting.env:
            yield _commented_pair(setting.name, _from_environment(setting))
        else:
            default = provider.model_fields[setting.name].get_default(call_default_factory=True)
            simple = isinstance(default, str | int | float | list | tuple)
            yield _commented_pair(setting.name, default if simple else PLACEHOLDER)


def _active_settings(provider: type[Provider]) -> set[str]:
    """Returns the settings that are not commented out: the required ones, the first one of several
    alternatives, and one credential."""
    settings = settings_of(provider)
    chosen = {setting.name for setting in settings if setting.required}
    chosen |= {names[0] for names in provider.one_of}
    secrets = [setting.name for setting in settings if setting.secret]
    return chosen if chosen & set(secrets) else chosen | set(secrets[:1])


def _from_environment(setting: SettingRow) -> InlineTable:
    table = tomlkit.inline_table()
    table["env"] = setting.env
    return table


def _pair(name: str, value: Any) -> str:
    return f"{name} = {tomlkit.item(value).as_string()}"


def _commented_pair(name: str, value: Any) -> str:
    return f"# {_pair(name, value)}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        MAX_COMMENT_COLUMNS,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
