"""Signatures, annotations and docstrings of the clients' methods are real and true."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import pytest

import guestlist
from guestlist import AsyncGuestlist, AsyncItems, Guestlist, Items, verbs

SYNC = [name for name in dir(Guestlist) if not name.startswith("_")]
ASYNC = [name for name in dir(AsyncGuestlist) if not name.startswith("_")]
METHODS = [
    *((Guestlist, name) for name in SYNC),
    *((AsyncGuestlist, name) for name in ASYNC),
]
VERBS = [name for name in SYNC if hasattr(verbs, name) and name not in ("accounts", "call")]
LISTS = {"invitations", "members", "roles"}

every_method = pytest.mark.parametrize(
    ("client", "name"), METHODS, ids=lambda one: getattr(one, "__name__", one)
)
every_verb = pytest.mark.parametrize("verb", VERBS)


def method(client: type, name: str) -> Callable[..., Any]:
    """The method; of a property, its function."""
    found = inspect.getattr_static(client, name)
    if isinstance(found, property):
        assert found.fget is not None
        return found.fget
    function: Callable[..., Any] = found.__func__ if isinstance(found, classmethod) else found
    return function


@every_method
def test_each_parameter_and_result_has_a_type(client: type, name: str) -> None:
    function = method(client, name)
    hints = get_type_hints(function)
    _, *parameters = inspect.signature(function).parameters
    assert hints.keys() == {*parameters, "return"}


@every_method
def test_each_method_has_its_own_name_and_a_docstring(client: type, name: str) -> None:
    function = method(client, name)
    assert function.__name__ == name
    assert function.__qualname__ in (f"{client.__name__}.{name}", f"_Client.{name}")
    assert not hasattr(function, "__wrapped__")
    assert (inspect.getdoc(function) or "").partition("\n\n")[0].endswith((".", ":"))


@every_verb
def test_both_clients_have_the_parameters_of_the_verb(verb: str) -> None:
    function = getattr(verbs, verb)
    expected = get_type_hints(function)
    _, *parameters = inspect.signature(function).parameters.values()
    result = get_args(expected.pop("return"))[-1]
    del expected["accounts"]
    for client in (Guestlist, AsyncGuestlist):
        made = method(client, verb)
        _, *own = inspect.signature(made).parameters.values()
        hints = get_type_hints(made)
        items: Any = Items if client is Guestlist else AsyncItems
        assert hints.pop("return") == (items[result] if verb in LISTS else result)
        assert hints == expected
        assert [one.replace(annotation=None) for one in own] == [
            one.replace(annotation=None) for one in parameters
        ]
        assert [one.annotation for one in own] == [expected[one.name] for one in own]


@every_verb
def test_methods_of_the_async_client_are_awaited_and_lists_iterated(verb: str) -> None:
    is_awaited = inspect.iscoroutinefunction(getattr(AsyncGuestlist, verb))
    assert is_awaited is (verb not in LISTS)
    assert not inspect.iscoroutinefunction(getattr(Guestlist, verb))


@pytest.mark.parametrize("name", ["plan", "apply", "settle", "follow"])
def test_the_async_functions_of_runs_have_the_arguments_of_the_sync_ones(name: str) -> None:
    sync = inspect.signature(getattr(guestlist, name))
    asynchronous = inspect.signature(getattr(guestlist, f"{name}_async"))
    assert asynchronous.return_annotation == sync.return_annotation
    expected = {key: one for key, one in sync.parameters.items() if key != "stop"}
    assert asynchronous.parameters.keys() == expected.keys()
    for key, one in asynchronous.parameters.items():
        bridged = key in ("client", "confirm", "confirm_resume", "on_progress")
        plain = str(one.annotation).replace("Async", "") if bridged else one.annotation
        assert one.replace(annotation=plain) == expected[key]


def test_a_wrong_argument_is_named_in_the_error() -> None:
    with Guestlist({}) as guests, pytest.raises(TypeError, match=r"invite\(\).*'mail'"):
        guests.invite("ada@example.com", mail=False)  # type: ignore[call-arg]
