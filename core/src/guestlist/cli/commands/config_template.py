"""The text of a new `guestlist.toml`, made from the settings that the providers declare."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from guestlist.cli.commands.providers import settings_of
from guestlist.cli.document import SettingRow
from guestlist.errors import missing_package_error
from guestlist.exchange.account import Budget
from guestlist.provider import Provider

try:
    import tomlkit
    from tomlkit.items import InlineTable
except ModuleNotFoundError as error:
    raise missing_package_error("`config init`", error, "cli") from None

MAX_COMMENT_COLUMNS = 88
PLACEHOLDER = "FILL IN"
"""Placeholder for a value that the user must fill in."""


Answers = Mapping[str, Mapping[str, str]]
"""Values of settings, by the names of provider and setting."""


def template(providers: Sequence[type[Provider]], answers: Answers | None = None) -> str:
    """Returns the text: an account for each provider, with optional settings commented out. If the
    environment has all variables for some providers, the accounts of the others are commented out
    too.

    Args:
        answers: values to write. An account with answers is not commented out.
    """
    answers = answers or {}
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
    ready = [one for one in providers if answers.get(one.name) or _is_ready(one)]
    for provider in providers:
        account = _account(provider, answers.get(provider.name, {}))
        in_force = provider in ready or not ready
        lines += ["", "", *(account if in_force else _commented(account))]
    return "\n".join(lines) + "\n"


def _is_ready(provider: type[Provider]) -> bool:
    """Returns whether the environment has all variables that the account needs. A missing one would
    be an error when the file is read."""
    return all(one.env and os.environ.get(one.env) for one in needed_settings(provider))


def needed_settings(provider: type[Provider]) -> list[SettingRow]:
    """Returns the settings that an account needs, in the order of their declaration."""
    chosen = _active_settings(provider)
    return [setting for setting in settings_of(provider) if setting.name in chosen]


def _commented(account: Iterable[str]) -> Iterator[str]:
    for line in account:
        yield f"# {line}" if line and not line.startswith("#") else line


def needed_variables(
    providers: Iterable[type[Provider]], answers: Answers | None = None
) -> list[str]:
    """Returns the environment variables that the settings without an answer read."""
    needed = [
        setting.env
        for provider in providers
        for setting in needed_settings(provider)
        if setting.name not in (answers or {}).get(provider.name, {})
    ]
    return [name for name in needed if name]


def _account(provider: type[Provider], answers: Mapping[str, str]) -> Iterator[str]:
    yield from _comment(provider.title)
    yield from _comment(provider.docs_url)
    yield f"[accounts.{provider.name}]" + " " * 4 + "# the name is yours"
    yield _pair("provider", provider.name)
    in_force = _active_settings(provider)
    for setting in settings_of(provider):
        yield ""
        yield from _comment(setting.description.removesuffix(".") + ".")
        if setting.name in answers:
            yield _pair(setting.name, answers[setting.name])
        elif setting.name in in_force:
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
