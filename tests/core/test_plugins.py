"""Plugins: one that is broken is named and the others work; hooks refuse and observe."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest

from guestlist import plugins as module
from guestlist.client import Guestlist
from guestlist.errors import ConfigError, InvalidArgument, PluginError
from guestlist.event import Event
from guestlist.models import NewInvitation
from guestlist.plugins import Plugins, installed, load_plugins
from guestlist.provider import Provider, hookimpl, setting

NUMBERS = count()


def provider(word: str) -> type[Provider]:
    class Made(Provider):
        name = word
        title = word.title()
        base_url: str = setting("Where", default=f"https://{word}.example")

    return Made


def plugin(**hooks: Callable[..., Any]) -> ModuleType:
    made = ModuleType(f"plugin_{next(NUMBERS)}")
    for name, function in hooks.items():
        setattr(made, name, hookimpl(function))
    return made


def bringing(*kinds: object) -> ModuleType:
    def guestlist_register(register: Callable[[object], None]) -> None:
        for kind in kinds:
            register(kind)

    return plugin(guestlist_register=guestlist_register)


def passing(plugin: object) -> object:
    return plugin


@dataclass
class Entry:
    """An entry point of an installed distribution."""

    name: str
    load: Callable[[], object]
    dist: Any = field(default_factory=lambda: SimpleNamespace(name="guestlist-x", version="1.2"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plugins]:
    def loading(*entries: Entry) -> Plugins:
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries)
        return load_plugins()

    return loading


@dataclass
class Naming(Entry):
    """An entry point that names a provider class."""

    attr: str = "Kind"
    module: str = "guestlist_x"
    loads: int = 0

    def __post_init__(self) -> None:
        self.module = f"guestlist_{self.name}"
        inner = self.load

        def counted() -> object:
            self.loads += 1
            return inner()

        self.load = counted


def test_a_provider_is_imported_when_it_is_needed(load: Any) -> None:
    kinds = {name: provider(name) for name in ("one", "two")}
    entries = [Naming(name, partial(kinds.__getitem__, name)) for name in kinds]
    found = load(*entries)
    assert found.names == ("one", "two")
    assert found.origins == dict.fromkeys(kinds, "guestlist-x 1.2")
    assert [entry.loads for entry in entries] == [0, 0]
    assert found.provider("two") is found.provider("two") is kinds["two"]
    assert [entry.loads for entry in entries] == [0, 1]
    assert found.providers == kinds
    assert [entry.loads for entry in entries] == [1, 1]
    assert len(found.manager.hook.guestlist_register.get_hookimpls()) == 2


def test_a_broken_provider_costs_nothing_until_it_is_needed(load: Any) -> None:
    broken = Naming("broken", fails(ImportError("no module named 'acme_sdk'")))
    found = load(broken, Naming("good", partial(provider, "good")))
    assert found.provider("good").name == "good"
    assert (broken.loads, found.broken) == (0, [])
    assert set(found.providers) == {"good"}
    assert [one.name for one in found.broken] == ["broken"]
    with pytest.raises(ConfigError, match="'broken' is installed, but cannot be loaded: Import"):
        found.provider("broken")
    assert broken.loads == 1


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (lambda: provider("other"), "called 'odd', and the provider 'other'"),
        (lambda: SimpleNamespace(name="odd"), "not a provider class"),
        (lambda: 7, "called 'odd', and the provider None"),
    ],
)
def test_an_entry_point_that_names_something_else(load: Any, made: Any, cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        load(Naming("odd", made)).provider("odd")


def test_two_entry_points_of_one_name(load: Any) -> None:
    found = load(*(Naming("twin", partial(provider, "twin")) for _ in range(2)))
    assert found.names == ("twin",)
    assert "'twin' is installed already" in found.broken[0].cause


def test_threads_import_a_provider_once(load: Any) -> None:
    entry = Naming("one", partial(provider, "one"))
    found = load(entry)
    with ThreadPoolExecutor(8) as pool:
        kinds = set(pool.map(found.provider, ["one"] * 32))
    assert (len(kinds), entry.loads) == (1, 1)


def test_the_installed_ones() -> None:
    found = installed()
    assert {"aitronos", "vultr"} <= set(found.providers)
    assert found.origins["vultr"].startswith("guestlist-vultr ")
    assert installed() is found


def fails(error: BaseException) -> Callable[[], object]:
    def load() -> object:
        raise error

    return load


def refuses(register: object) -> None:
    raise RuntimeError("not today")


def takes_something_else(wrong: object) -> None:
    """Not the arguments that the hook has."""


@pytest.mark.parametrize(
    ("entry", "cause"),
    [
        (fails(ImportError("no module named 'acme_sdk'")), "ImportError: no module named"),
        (fails(SyntaxError("what?")), "SyntaxError: what?"),
        (fails(ZeroDivisionError()), "ZeroDivisionError"),
        (fails(SystemExit("licence missing")), "SystemExit: licence missing"),
        (lambda: plugin(guestlist_register=refuses), "RuntimeError: not today"),
        (lambda: plugin(guestlist_register=takes_something_else), "PluginValidationError"),
        (lambda: bringing("no class"), "ConfigError: .*which is not a provider class"),
        (lambda: bringing(int), "ConfigError: .*which is not a provider class"),
    ],
    ids=["import", "syntax", "anything", "exit", "registering", "signature", "value", "class"],
)
def test_a_broken_plugin_is_named_and_the_others_work(
    load: Any, entry: Callable[[], object], cause: str
) -> None:
    good = provider("good")
    found = load(Entry("broken", entry), Entry("good", lambda: bringing(good)))
    assert found.providers == {"good": good}
    (broken,) = found.broken
    assert (broken.name, broken.distribution, broken.version) == ("broken", "guestlist-x", "1.2")
    with pytest.raises(ConfigError, match="'broken' is installed, but cannot be loaded") as caught:
        found.provider("broken")
    assert "guestlist-x 1.2" in caught.value.hint
    assert str(broken).startswith("broken (from guestlist-x 1.2): ")
    with pytest.raises(ConfigError, match=cause):
        found.provider("broken")


def test_nothing_of_a_broken_plugin_is_left(load: Any) -> None:
    heard: list[Event] = []
    one = plugin(guestlist_register=refuses, guestlist_event=lambda event: heard.append(event))
    found = load(Entry("broken", lambda: one))
    assert not found.anybody_watches


def test_a_provider_that_is_not_installed() -> None:
    with pytest.raises(ConfigError, match="no provider 'acme' is installed") as caught:
        installed().provider("acme")
    assert "pip install guestlist-acme" in caught.value.hint
    assert "vultr" in caught.value.message


def test_two_of_one_name(load: Any) -> None:
    first, second = provider("twin"), provider("twin")
    found = load(Entry("one", lambda: bringing(first)), Entry("two", lambda: bringing(second)))
    assert found.providers["twin"] is first
    assert "two plugins register a provider 'twin'" in found.broken[0].cause


def test_the_second_of_one_name_takes_nothing_along(load: Any) -> None:
    both = bringing(provider("new"), provider("twin"))
    found = load(Entry("one", lambda: bringing(provider("twin"))), Entry("two", lambda: both))
    assert set(found.providers) == {"twin"}


def test_the_same_class_twice_is_fine(load: Any) -> None:
    kind = provider("same")
    found = load(Entry("one", lambda: bringing(kind)), Entry("two", lambda: bringing(kind)))
    assert found.providers == {"same": kind}
    assert found.broken == []


# ---------------------------------------------------------------------------- hooks in a client


@pytest.fixture
def guests(
    load: Any, acme: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Guestlist, list[str]]]:
    """A client with plugins, and what it has sent."""

    def make(*extensions: ModuleType, **options: Any) -> tuple[Guestlist, list[str]]:
        found = load(*(Entry(one.__name__, partial(passing, one)) for one in extensions))
        assert found.broken == []
        monkeypatch.setattr("guestlist.client.installed", lambda: found)
        sent: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            sent.append(request.method)
            return httpx.Response(201, json={"id": "i1", "email": "ada@example.com"})

        client = Guestlist({"acme": acme()}, transport=httpx.MockTransport(answer), **options)
        return client, sent

    return make


def test_a_plugin_refuses_an_order(guests: Any) -> None:
    asked: list[NewInvitation] = []

    def check(new: NewInvitation) -> None:
        asked.append(new)
        raise InvalidArgument("not on a Friday", hint="Wait until Monday.")

    client, sent = guests(plugin(guestlist_check_invitation=check))
    with client, pytest.raises(InvalidArgument) as caught:
        client.invite("Ada@example.com")
    assert sent == []
    assert str(caught.value) == "acme: not on a Friday (Ada@example.com). Wait until Monday."
    assert asked[0].email == "Ada@example.com"


def test_all_have_to_agree(guests: Any) -> None:
    def refuse(new: NewInvitation) -> None:
        raise InvalidArgument("no")

    client, sent = guests(
        plugin(guestlist_check_invitation=lambda new: None),
        plugin(guestlist_check_invitation=refuse),
    )
    with client, pytest.raises(InvalidArgument):
        client.invite("ada@example.com")
    assert sent == []


@pytest.mark.parametrize("error", [KeyError("department"), SystemExit("no licence")])
def test_a_check_that_fails_is_named_and_lets_nothing_through(
    guests: Any, error: BaseException
) -> None:
    def broken(new: NewInvitation) -> None:
        raise error

    policy = plugin(guestlist_check_invitation=broken)
    client, sent = guests(policy)
    with client, pytest.raises(PluginError) as caught:
        client.invite("ada@example.com")
    assert sent == []
    assert (
        f"the plugin {policy.__name__} of guestlist-x 1.2 failed in guestlist_check_invitation ("
        in (caught.value.message)
    )
    assert type(error).__name__ in caught.value.message
    assert caught.value.__cause__ is error


def test_an_observer_that_fails_is_named_and_the_other_plugins_see_the_event(
    guests: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Event) -> None:
        raise KeyError("metrics")

    seen: list[Event] = []
    first, last = (plugin(guestlist_event=lambda event: seen.append(event)) for _ in range(2))
    failing = plugin(guestlist_event=broken)
    client, _ = guests(first, failing, last)
    with client:
        assert client.invite("ada@example.com").outcome == "invited"
    assert [event.name for event in seen] == ["answer", "answer", "outcome", "outcome"]
    assert f"{failing.__name__} of guestlist-x 1.2 failed in guestlist_event" in caplog.text


def test_plugins_see_what_happens(guests: Any) -> None:
    heard: list[Event] = []
    client, sent = guests(plugin(guestlist_event=lambda event: heard.append(event)))
    with client:
        client.invite("ada@example.com")
    assert sent == ["POST"]
    assert [event.name for event in heard] == ["answer", "outcome"]
    assert heard[1].detail == "invited"
    assert {event.account for event in heard} == {"acme"}


def test_a_watcher_that_breaks_stops_nothing(guests: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise OSError("the disk is full")

    client, _ = guests(plugin(guestlist_event=broken))
    with client:
        assert client.invite("ada@example.com").outcome == "invited"
    assert "the disk is full" in caplog.text


def test_a_watcher_that_breaks_keeps_nothing_from_the_others(
    guests: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Event) -> None:
        raise OSError("the disk is full")

    heard: list[Event] = []
    client, _ = guests(plugin(guestlist_event=lambda event: heard.append(event)), watch=broken)
    with client:
        client.invite("ada@example.com")
    assert [event.name for event in heard] == ["answer", "outcome"]
    assert "the disk is full" in caplog.text


def test_a_plugin_of_this_program() -> None:
    found = Plugins(load_plugins().manager)
    kind = provider("mine")
    found.add(bringing(kind))
    assert found.provider("mine") is kind
    assert found.origins["mine"] == "this program"
    assert module.GROUP == "guestlist"
