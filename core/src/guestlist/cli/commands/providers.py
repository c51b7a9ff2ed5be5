"""`providers`: lists the installed providers and what each supports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from guestlist.cli.document import ProviderRow, SettingRow
from guestlist.cli.session import Session
from guestlist.cli.text import spaced
from guestlist.errors import ConfigError
from guestlist.plugins import installed
from guestlist.provider import NEVER, Provider
from guestlist.provider.settings import environment_variable, is_secret

if TYPE_CHECKING:
    from guestlist.cli.screen import Screen


def run_providers(session: Session) -> None:
    """Lists the providers, or shows the named one. Reports an error for each plugin that cannot be
    loaded.

    Raises:
        ConfigError: no provider is installed, or the named one is not.
    """
    plugins = installed()
    if name := session.arguments.name:
        kind = plugins.provider(name)
        row = describe(kind, plugins.origins.get(name, ""))
        session.results.append(row)
        if session.screen is not None:
            _show(session.screen, kind, row)
            session.printed = True
        return
    for name, provider in plugins.providers.items():
        session.results.append(describe(provider, plugins.origins.get(name, "")))
    session.errors += (broken.error for broken in plugins.broken)
    if not plugins.names and not plugins.broken:
        raise ConfigError(
            "no provider is installed", hint="Install one, such as: pip install guestlist-vultr"
        )


def _show(screen: Screen, kind: type[Provider], row: ProviderRow) -> None:
    from guestlist.cli.capability_table import capability_table
    from guestlist.cli.screen import Column, Text

    screen.line(Text.assemble((row.title, "bold"), (f"  {row.distribution}", "dim")))
    screen.line(row.docs_url, style="dim")
    screen.line()
    screen.line("Settings", style="bold")
    screen.table(
        [
            Column("Setting", whole=True),
            Column("Variable", whole=True),
            Column("Required", whole=True),
            Column("Meaning"),
        ],
        [
            (one.name, one.env or "", "yes" if one.required else "no", one.description)
            for one in row.settings
        ],
    )
    if row.options:
        screen.line()
        screen.line("Options of `invite --option NAME=VALUE`", style="bold")
        screen.table(
            [Column("Option", whole=True), Column("Meaning")],
            [(name, info.description or "") for name, info in kind.Options.model_fields.items()],
        )
    screen.line()
    screen.line("Capabilities", style="bold")
    screen.table([Column("", whole=True), Column("")], capability_table(row))
    if row.judges:
        screen.line(f"Tested against: {', '.join(row.judges)}", style="dim")
    for operation, substitute in row.substitutes.items():
        screen.line(f"Instead of {spaced(operation)}: {substitute}", style="dim")


def describe(provider: type[Provider], distribution: str) -> ProviderRow:
    """Returns a provider's capabilities and settings as a row."""
    never = provider.lifetime == NEVER
    seconds = provider.lifetime.total_seconds() if provider.lifetime else None
    return ProviderRow(
        name=provider.name,
        title=provider.title,
        docs_url=provider.docs_url,
        distribution=distribution,
        operations=provider.operations(),
        least_roles=provider.least_roles,
        most_roles=provider.most_roles,
        role_kinds=provider.role_kinds,
        members_show_emails=provider.members_show_emails,
        hides_suspension=provider.hides_suspension,
        can_suppress_email=provider.can_suppress_email,
        lifetime=None if never else seconds,
        never_expires=never,
        sandbox=provider.sandbox is not None,
        judges=provider.judges,
        substitutes=dict(provider.substitutes),
        options=tuple(provider.Options.model_fields),
        settings=tuple(settings_of(provider)),
    )


def settings_of(provider: type[BaseModel]) -> list[SettingRow]:
    """Returns the settings that an account of the provider can have."""
    return [
        SettingRow(
            name=name,
            description=info.description or "",
            env=environment_variable(info),
            required=info.is_required(),
            secret=is_secret(info),
        )
        for name, info in provider.model_fields.items()
    ]
