"""How a failure reads: like a reviewer's remark."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn

import pytest

from guestlist.provider import Provider

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


def place(provider: Provider | type[Provider], names: str) -> str:
    """Where methods or facts of a provider are written: `Vultr.resend (provider.py:210)`.

    Args:
        provider: whose.
        names: separated by spaces.
    """
    kind = provider if isinstance(provider, type) else type(provider)
    return ", ".join(_place(kind, name) for name in names.split())


def _place(kind: type[Provider], name: str) -> str:
    function = inspect.unwrap(getattr(kind, name, kind))
    try:
        file = (inspect.getsourcefile(function) or "?").rpartition("/")[2]
        line = inspect.getsourcelines(function)[1]
    except (OSError, TypeError):
        return f"{kind.__name__}.{name}"
    return f"{kind.__name__}.{name} ({file}:{line})"
