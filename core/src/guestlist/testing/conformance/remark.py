"""How a failure reads: like a reviewer's remark."""

from __future__ import annotations

import inspect
from typing import NoReturn

from guestlist.provider import Provider


class Remark(AssertionError):
    """A rule that a provider does not keep."""


def remark(rule: str, *, expected: object, came: object, look_at: str) -> NoReturn:
    """Fails the test.

    Args:
        rule: what every provider has to do, as a sentence.
        expected: what should have come.
        came: what came.
        look_at: where in the provider the cause is likely to be.
    """
    raise Remark(
        f"\n  rule:      {rule}"
        f"\n  expected:  {expected}"
        f"\n  came:      {came}"
        f"\n  look at:   {look_at}"
    )


def place(provider: Provider | type[Provider], name: str) -> str:
    """Where a method or fact of a provider is written: `Vultr.resend (provider.py:210)`."""
    kind = provider if isinstance(provider, type) else type(provider)
    function = inspect.unwrap(getattr(kind, name, kind))
    try:
        file = (inspect.getsourcefile(function) or "?").rpartition("/")[2]
        line = inspect.getsourcelines(function)[1]
    except (OSError, TypeError):
        return f"{kind.__name__}.{name}"
    return f"{kind.__name__}.{name} ({file}:{line})"
