"""`providers`: what is installed, and what each supports, read from the classes themselves."""

from __future__ import annotations

from pydantic import BaseModel

from guestlist.cli.document import ProviderRow, SettingRow
from guestlist.cli.session import Session
from guestlist.errors import ConfigError
from guestlist.plugins import installed
from guestlist.provider import Provider
from guestlist.provider.settings import environment_variable, is_secret


def run_providers(session: Session) -> None:
    """One row for each; a plugin that cannot be loaded is an error, and named."""
    plugins = installed()
    for name, provider in sorted(plugins.providers.items()):
        session.results.append(describe(provider, plugins.origins.get(name, "")))
    session.errors += (broken.error for broken in plugins.broken)
    if not plugins.providers and not plugins.broken:
        raise ConfigError(
            "no provider is installed", hint="Install one, such as: pip install guestlist-vultr"
        )


def describe(provider: type[Provider], distribution: str) -> ProviderRow:
    """A provider's facts and operations."""
    return ProviderRow(
        name=provider.name,
        title=provider.title,
        docs_url=provider.docs_url,
        distribution=distribution,
        operations=provider.operations(),
        least_roles=provider.least_roles,
        most_roles=provider.most_roles,
        can_suppress_mail=provider.can_suppress_mail,
        lifetime=provider.lifetime.total_seconds() if provider.lifetime else None,
        sandbox=provider.sandbox is not None,
        substitutes=dict(provider.substitutes),
        options=tuple(provider.Options.model_fields),
        settings=tuple(settings_of(provider)),
    )


def settings_of(provider: type[BaseModel]) -> list[SettingRow]:
    """What an account of the provider can say."""
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
