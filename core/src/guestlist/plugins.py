"""The hooks that plugins may implement, and the loading of installed plugins.

Plugins are found through entry points of the group `guestlist`. An entry point that names a class
of a provider is imported when an account or a table needs the provider; all others are imported at
once. If one cannot be imported, its cause is recorded and the others work. An error that a plugin
raises later names the plugin, its package and the hook.
"""

from __future__ import annotations

import functools
import importlib.metadata
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

import pluggy

from guestlist.errors import ConfigError, GuestlistError, PluginError
from guestlist.event import Event
from guestlist.humanize import similar_name
from guestlist.models import NewInvitation
from guestlist.provider import Provider, hookimpl

GROUP = "guestlist"

hookspec = pluggy.HookspecMarker("guestlist")


class Hooks:
    """The hooks that a plugin may implement, each marked with `guestlist.provider.hookimpl`."""

    @hookspec
    def guestlist_register(self, register: Callable[[type[Provider]], None]) -> None:
        """Call `register` with each provider class of the plugin. Not needed for a provider whose
        entry point names the class."""

    @hookspec
    def guestlist_check_invitation(self, new: NewInvitation) -> None:
        """Raise `guestlist.errors.InvalidArgument` to refuse an invitation before it is sent."""

    @hookspec
    def guestlist_event(self, event: Event) -> None:
        """Receive an event. Return quickly, because the hook runs in the middle of a call."""


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be loaded."""

    name: str
    distribution: str
    version: str
    cause: str

    def __str__(self) -> str:
        return f"{self.name} (from {self.distribution} {self.version}): {self.cause}"

    @property
    def error(self) -> ConfigError:
        """An error that names the plugin, its package and the cause."""
        return ConfigError(
            f"the plugin {self.name} of {self.distribution} {self.version} cannot be loaded:"
            f" {self.cause}",
            hint=f"Reinstall {self.distribution}, or uninstall it.",
        )


class _ProviderPlugin:
    """The plugin of an entry point that names a provider class itself."""

    def __init__(self, kind: object, module: str) -> None:
        self.kind = kind
        self.__name__ = module

    @hookimpl
    def guestlist_register(self, register: Callable[[object], None]) -> None:
        register(self.kind)


class Plugins:
    """All plugins of this installation.

    A provider whose entry point names the class itself (`acme = "guestlist_acme:Acme"`) is imported
    when it is needed. All other plugins are imported at once, because they may implement hooks.

    Attributes:
        broken: the plugins that could not be loaded. Contains only plugins whose import was tried.
    """

    def __init__(
        self,
        manager: pluggy.PluginManager,
        providers: Mapping[str, type[Provider]] | None = None,
        origins: Mapping[str, str] | None = None,
        broken: Iterable[Broken] = (),
    ) -> None:
        self.manager = manager
        self._origins = dict(origins or {})
        self.broken = list(broken)
        self._loaded = dict(providers or {})
        self._waiting: dict[str, importlib.metadata.EntryPoint] = {}
        self._labels: dict[str, str] = {}  # maps a plugin's name in `manager` to its name in errors
        self._lock = threading.RLock()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all providers, in alphabetical order. Imports none of them."""
        return tuple(sorted({*self._loaded, *self._waiting}))

    @property
    def origins(self) -> dict[str, str]:
        """Distribution and version that each provider comes from, by provider name."""
        waiting = {name: " ".join(_origin_of(entry)) for name, entry in self._waiting.items()}
        return {**self._origins, **waiting}  # reading them takes a millisecond each

    @property
    def providers(self) -> dict[str, type[Provider]]:
        """The provider classes by name, in alphabetical order. Imports all of them, and adds those
        that cannot be imported to `broken`."""
        for name in self.names:
            self._load(name)
        return dict(sorted(self._loaded.items()))

    def provider(self, name: str) -> type[Provider]:
        """Returns the provider class with the given name.

        Raises:
            ConfigError: the provider is not installed, or cannot be loaded. The hint names the
                package to install.
        """
        self._load(name)
        if name in self._loaded:
            return self._loaded[name]
        for broken in self.broken:
            if broken.name == name:
                raise ConfigError(
                    f"the provider {name!r} is installed, but cannot be loaded: {broken.cause}",
                    hint=f"It comes from {broken.distribution} {broken.version}.",
                )
        installed = ", ".join(self.names) or "none"
        hint = f"Its package is usually called guestlist-{name}: pip install guestlist-{name}"
        if near := similar_name(name.lower(), self.names):
            hint = f"Did you mean {near!r}?"
        raise ConfigError(f"no provider {name!r} is installed (installed: {installed})", hint=hint)

    def check_invitation(self, new: NewInvitation) -> None:
        """Asks every plugin to check an invitation.

        Raises:
            InvalidArgument: a plugin refused the invitation.
            PluginError: a plugin failed, so the invitation is not sent.
        """
        for label, check in self._calls("guestlist_check_invitation"):
            try:
                check(new=new)
            except GuestlistError:
                raise
            except (Exception, SystemExit) as error:
                raise PluginError.in_hook(
                    label, "guestlist_check_invitation", type(error).__name__
                ) from error

    def event(self, event: Event) -> None:
        """Passes an event to every plugin, even if one of them fails.

        Raises:
            PluginError: the error of the first plugin that failed.
        """
        failed: list[PluginError] = []
        for label, watch in self._calls("guestlist_event"):
            try:
                watch(event=event)
            except (Exception, SystemExit) as error:
                failure = PluginError.in_hook(label, "guestlist_event", repr(error))
                failure.__cause__ = error
                failed.append(failure)
        if failed:
            raise failed[0]

    def raised_by(self, error: BaseException) -> str | None:
        """Returns package and function of the plugin that raised an error, for messages.

        Returns:
            None if no plugin raised it: of the functions of plugins and of guestlist in the
            traceback, the innermost is one of guestlist, or there is none.
        """
        packages = {plugin.__name__.partition(".")[0]: label for plugin, label in self._modules()}
        for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
            module = str(frame.f_globals.get("__name__"))
            package = module.partition(".")[0]
            if package in packages:
                return f"{packages[package]}, in {module}.{frame.f_code.co_qualname}"
            if package == "guestlist":
                return None
        return None

    def _modules(self) -> Iterator[tuple[ModuleType | _ProviderPlugin, str]]:
        for name, plugin in self.manager.list_name_plugin():
            if isinstance(plugin, ModuleType | _ProviderPlugin):
                yield plugin, self._labels.get(name, name)

    def _calls(self, hook: str) -> Iterator[tuple[str, Callable[..., object]]]:
        """Yields the plugin's name in errors and the function for each implementation of a hook.

        pluggy stops at the first implementation that raises and does not report its plugin.
        Therefore each plugin gets its own hook caller, which still handles arguments and wrappers.
        """
        manager = self.manager
        plugins = [implementation.plugin for implementation in self._implementations(hook)]
        for plugin in plugins:
            others = [other for other in manager.get_plugins() if other is not plugin]
            name = manager.get_name(plugin) or repr(plugin)
            yield self._labels.get(name, name), manager.subset_hook_caller(hook, others)

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        return list(getattr(self.manager.hook, hook).get_hookimpls())

    @property
    def anybody_watches(self) -> bool:
        """True if any plugin implements the event hook."""
        return bool(self._implementations("guestlist_event"))

    def add(self, plugin: object, origin: str = "this program", name: str = "") -> None:
        """Adds a plugin: a module or object with hook implementations.

        Args:
            plugin: the module or object.
            origin: distribution and version that it comes from.
            name: name of the plugin in errors; by default the name of its module.

        Raises:
            ConfigError: the plugin registers a provider whose name is taken, or an object that is
                not a provider class.
        """
        with self._lock:
            known = self.manager.register(plugin)
            try:
                found = self._registered_by(plugin, origin)
            except BaseException:
                self.manager.unregister(name=known)  # register all of its hooks or none
                raise
            self._labels[known or repr(plugin)] = f"{name or known} of {origin}"
            for provider in found:
                self._loaded[provider.name] = provider
                self._origins[provider.name] = origin

    def add_entry_point(self, entry: importlib.metadata.EntryPoint) -> None:
        """Adds the plugin of an entry point. If it cannot be loaded, it is added to `broken`."""
        if not getattr(entry, "attr", ""):
            self._add_from(entry)
        elif entry.name in self.names:
            self._break(entry, f"a provider {entry.name!r} is installed already")
        else:
            self._waiting[entry.name] = entry

    def _load(self, name: str) -> None:
        """Imports the provider with this name if that has not been tried yet."""
        if name not in self._waiting:
            return
        with self._lock:
            if (entry := self._waiting.get(name)) is None:
                return  # another thread has imported it meanwhile
            self._add_from(entry)
            del self._waiting[name]

    def _add_from(self, entry: importlib.metadata.EntryPoint) -> None:
        try:
            plugin = entry.load()
            if getattr(entry, "attr", ""):
                if getattr(plugin, "name", None) != entry.name:
                    named = getattr(plugin, "name", None)
                    raise ConfigError(
                        f"its entry point is called {entry.name!r}, and the provider {named!r}"
                    )
                plugin = _ProviderPlugin(plugin, f"{entry.module}:{entry.attr}")
            self.add(plugin, " ".join(_origin_of(entry)), entry.name)
        except KeyboardInterrupt:
            raise
        # SystemExit is caught as well, so that other plugins still work.
        except BaseException as error:
            self._break(entry, f"{type(error).__name__}: {error}")

    def _break(self, entry: importlib.metadata.EntryPoint, cause: str) -> None:
        self.broken.append(Broken(entry.name, *_origin_of(entry), cause))

    def _registered_by(self, plugin: object, origin: str) -> list[type[Provider]]:
        found: list[type[Provider]] = []
        own = self.manager.subset_hook_caller(
            "guestlist_register",
            [other for other in self.manager.get_plugins() if other is not plugin],
        )
        own(register=found.append)
        for provider in found:
            if not (isinstance(provider, type) and issubclass(provider, Provider)):
                raise ConfigError(f"{origin} registers {provider!r}, which is not a provider class")
            taken = self._loaded.get(provider.name)
            if taken is not None and taken is not provider:
                raise ConfigError(
                    f"two plugins register a provider {provider.name!r}: "
                    f"{self._origins[provider.name]} and {origin}",
                    hint="Uninstall one of them.",
                )
        return found


def _origin_of(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    """Returns the distribution of an entry point and its version."""
    return (entry.dist.name, entry.dist.version) if entry.dist else ("an unknown package", "?")


@functools.cache
def installed() -> Plugins:
    """Returns all installed plugins. They are searched on the first call only."""
    return load_plugins()


def load_plugins() -> Plugins:
    """Finds all installed plugins, and loads those that are not only a provider."""
    manager = pluggy.PluginManager("guestlist")
    manager.add_hookspecs(Hooks)
    plugins = Plugins(manager)
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: e.name):
        plugins.add_entry_point(entry)
    return plugins
