"""Plugins: the hooks they may implement, and how they are found.

Plugins are found through entry points of the group `guestlist`, and loaded one at a time: one
that cannot be imported is remembered with its cause, and the others work.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field

import pluggy

from guestlist.errors import ConfigError
from guestlist.event import Event
from guestlist.models import Order
from guestlist.provider import Provider

GROUP = "guestlist"

hookspec = pluggy.HookspecMarker("guestlist")


class Hooks:
    """What a plugin may implement, each marked with `guestlist.provider.hookimpl`."""

    @hookspec
    def guestlist_register(self, register: Callable[[type[Provider]], None]) -> None:
        """Call `register` with each provider class that the plugin brings."""

    @hookspec
    def guestlist_check_order(self, order: Order) -> None:
        """Raise `guestlist.errors.InvalidOrder` to refuse an order before it is sent."""

    @hookspec
    def guestlist_event(self, event: Event) -> None:
        """Watch what happens. Called in the middle of a call, so be quick."""


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded."""

    name: str
    distribution: str
    version: str
    cause: str

    def __str__(self) -> str:
        return f"{self.name} (from {self.distribution} {self.version}): {self.cause}"


@dataclass
class Plugins:
    """All plugins of this installation."""

    manager: pluggy.PluginManager
    providers: dict[str, type[Provider]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """Provider name to the distribution and version that brought it."""
    broken: list[Broken] = field(default_factory=list)

    def provider(self, name: str) -> type[Provider]:
        """The provider class of that name.

        Raises:
            ConfigError: none is installed; the error says what to install, or what is broken.
        """
        if name in self.providers:
            return self.providers[name]
        for broken in self.broken:
            if broken.name == name:
                raise ConfigError(
                    f"the provider {name!r} is installed and cannot be loaded: {broken.cause}",
                    hint=f"It comes from {broken.distribution} {broken.version}.",
                )
        installed = ", ".join(sorted(self.providers)) or "none"
        raise ConfigError(
            f"no provider {name!r} is installed (installed: {installed})",
            hint=f"Its package is usually called guestlist-{name}: pip install guestlist-{name}",
        )

    def check_order(self, order: Order) -> None:
        """Lets every plugin refuse an order.

        Raises:
            InvalidOrder: a plugin refused it.
        """
        self.manager.hook.guestlist_check_order(order=order)

    def event(self, event: Event) -> None:
        """Tells every plugin what happened."""
        self.manager.hook.guestlist_event(event=event)

    @property
    def anybody_watches(self) -> bool:
        """Whether any plugin wants events."""
        return bool(self.manager.hook.guestlist_event.get_hookimpls())

    def add(self, plugin: object, origin: str = "this program") -> None:
        """Adds a plugin that is not installed: a module or object with hook implementations.

        Raises:
            ConfigError: it brings a provider whose name is taken, or something that is no provider.
        """
        name = self.manager.register(plugin)
        try:
            found = self._brought_by(plugin, origin)
        except BaseException:
            self.manager.unregister(name=name)  # none of its hooks, if not all of it
            raise
        for provider in found:
            self.providers[provider.name] = provider
            self.origins[provider.name] = origin

    def _brought_by(self, plugin: object, origin: str) -> list[type[Provider]]:
        found: list[type[Provider]] = []
        own = self.manager.subset_hook_caller(
            "guestlist_register",
            [other for other in self.manager.get_plugins() if other is not plugin],
        )
        own(register=found.append)
        for provider in found:
            if not (isinstance(provider, type) and issubclass(provider, Provider)):
                raise ConfigError(f"{origin} registers {provider!r}, which is no provider class")
            taken = self.providers.get(provider.name)
            if taken is not None and taken is not provider:
                raise ConfigError(
                    f"two plugins bring a provider {provider.name!r}: "
                    f"{self.origins[provider.name]} and {origin}",
                    hint="Uninstall one of them.",
                )
        return found


@functools.cache
def installed() -> Plugins:
    """All installed plugins, found and loaded once."""
    return load_plugins()


def load_plugins() -> Plugins:
    """Finds and loads all installed plugins."""
    manager = pluggy.PluginManager("guestlist")
    manager.add_hookspecs(Hooks)
    plugins = Plugins(manager)
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: e.name):
        owner = entry.dist.name if entry.dist else "an unknown package"
        version = entry.dist.version if entry.dist else "?"
        try:
            plugins.add(entry.load(), f"{owner} {version}")
        except Exception as error:  # whatever a plugin does at import, the others must work
            cause = f"{type(error).__name__}: {error}"
            plugins.broken.append(Broken(entry.name, owner, version, cause))
    return plugins
