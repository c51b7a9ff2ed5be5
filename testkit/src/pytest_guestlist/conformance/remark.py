"""How a failure reads: like a reviewer's remark."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn

import pytest

from guestlist.errors import GuestlistError
from guestlist.provider import Provider
from pytest_guestlist.checking import CONTRACT

_rule: ContextVar[str] = ContextVar("rule")


@contextmanager
def ruling(rule: str) -> Iterator[None]:
    """What is remarked in here is about this rule, unless the remark names another."""
    before = _rule.set(rule)
    try:
        yield
    finally:
        _rule.reset(before)


def remark(*, expected: object, came: object, look_at: str, rule: str | None = None) -> NoReturn:
    """Fails the test, and shows nothing of the suite's own code.

    Args:
        expected: what should have come.
        came: what came.
        look_at: where in the provider the cause is likely to be.
        rule: what every provider has to do, as a sentence; by default what the test says of itself.
    """
    __tracebackhide__ = True
    raise pytest.fail.Exception(
        f"rule:      {' '.join((rule or _rule.get()).split())}"
        f"\nexpected:  {expected}"
        f"\ncame:      {came}"
        f"\nlook at:   {look_at}",
        pytrace=False,
    ) from None


@contextmanager
def remarking(kind: type[Provider], *others: type) -> Iterator[None]:
    """Makes a remark of an error that nobody expected in here, with the line of the author's code
    that it came from.

    Args:
        kind: the provider under test.
        others: classes in other modules of its author: its sandbox, its suite.
    """
    __tracebackhide__ = True
    try:
        yield
    except Exception as error:
        crashed = said(error)
        where = origin(error, kind, *others)
        remark(expected="no error that ends the test", came=crashed, look_at=where)


def said(error: BaseException) -> str:
    """An error on one line, without what a user is advised to do."""
    words = error.message if isinstance(error, GuestlistError) else str(error)
    return " ".join(f"{type(error).__name__}: {words}".split())


def origin(error: BaseException, kind: type[Provider], *others: type) -> str:
    """The innermost line of the author's code in which an error, or its cause, came up; where there
    is none, the innermost line of all."""
    classes = [one for one in kind.__mro__ if issubclass(one, Provider) and one is not Provider]
    homes = {one.__module__.partition(".")[0] for one in (*classes, *others)} - {"guestlist"}
    lines = list(_lines(error))
    own = [line for home, line in lines if home in homes]
    return (own or [line for _, line in lines] or [place(kind, "")])[-1]


def _lines(error: BaseException) -> Iterator[tuple[str, str]]:
    """The package and the line of every frame of an error, its causes' after its own."""
    for frame, number in traceback.walk_tb(error.__traceback__):
        home = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        file = frame.f_code.co_filename.rpartition("/")[2]
        yield home, f"{frame.f_code.co_qualname} ({file}:{number})"
    if error.__cause__ is not None:
        yield from _lines(error.__cause__)


INSTEAD = {
    "find_invitation": ("invitations",),
    "find_member": ("members",),
    "invitations": ("find_invitation",),
    "members": ("find_member",),
    "resend": ("revoke", "invite"),
}
"""What guestlist uses where a provider does not offer an operation."""


def place(provider: Provider | type[Provider], names: str) -> str:
    """Where methods or facts of a provider are written: `Vultr.resend (provider.py:210)`. In place
    of operations that it does not offer stand those that guestlist uses instead.

    Args:
        provider: whose.
        names: separated by spaces.
    """
    kind = provider if isinstance(provider, type) else type(provider)
    found = [one for name in names.split() for one in _used(kind, name)]
    return ", ".join(_place(kind, name) for name in dict.fromkeys(found or names.split() or [""]))


def _used(kind: type[Provider], name: str) -> Iterable[str]:
    if name in CONTRACT and not kind.supports(name):
        return [one for one in INSTEAD.get(name, ()) if kind.supports(one)]
    return [name]


def _place(kind: type[Provider], name: str) -> str:
    function = inspect.unwrap(getattr(kind, name, kind))
    try:
        file = (inspect.getsourcefile(function) or "?").rpartition("/")[2]
        line = inspect.getsourcelines(function)[1]
    except (OSError, TypeError):
        return f"{kind.__name__}.{name}"
    return f"{kind.__name__}{name and '.'}{name} ({file}:{line})"
