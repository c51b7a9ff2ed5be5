"""Failures of the suite: the rule, the requests, the expected result, the likely cause."""

from __future__ import annotations

import inspect
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

from guestlist.errors import GuestlistError
from guestlist.exchange.redact import Redactor
from guestlist.exchange.step import Outgoing, SendFailure
from guestlist.provider import Provider, Response
from pytest_guestlist.checking import CONTRACT

CAUSE = "Likely cause:"
"""The beginning of the paragraph in a test's docstring that names the usual mistake."""

EXCHANGES_SHOWN = 4
BODY_SHOWN = 160
"""The maximum number of characters of a body in a failure."""

_rule: ContextVar[str] = ContextVar("rule")
_sent: ContextVar[deque[tuple[Outgoing, Response | SendFailure]] | None] = ContextVar(
    "sent", default=None
)


@contextmanager
def under_rule(rule: str) -> Iterator[None]:
    """Sets the rule that a failure within this context shows, unless it names another rule.

    Args:
        rule: a docstring: the rule, and perhaps a paragraph that begins with `Likely cause:`.
    """
    before, requests = _rule.set(rule), _sent.set(deque(maxlen=EXCHANGES_SHOWN))
    try:
        yield
    finally:
        _rule.reset(before)
        _sent.reset(requests)


def note_exchange(outgoing: Outgoing, answer: Response | SendFailure) -> None:
    """Records a request and its answer, to show them in a failure of the test."""
    exchanges = _sent.get()
    if exchanges is not None:
        exchanges.append((outgoing, answer))


def _exchange(outgoing: Outgoing, answer: Response | SendFailure) -> str:
    """Returns a request and its answer as text, without headers and secrets. A body that is a
    success is left out: it may be long, and contain links."""
    url = urlsplit(outgoing.url)
    path = url.path + (url.query and f"?{url.query}")
    text = f"{outgoing.method} {path}{_shortened(outgoing.content)} -> "
    if isinstance(answer, Response):
        text += f"{answer.status}{_shortened(answer.content) if answer.status >= 300 else ''}"
    else:
        text += answer.reason
    return Redactor((*outgoing.hidden, *outgoing.headers.values()))(text)


def _shortened(content: bytes | None) -> str:
    text = " ".join((content or b"").decode(errors="replace").split())
    text = f"{text[:BODY_SHOWN]}..." if len(text) > BODY_SHOWN else text
    return text and f" {text}"


def report_finding(
    *,
    expected: object,
    got: object,
    look_at: str,
    rule: str | None = None,
    cause: str | None = None,
) -> NoReturn:
    """Fails the test with an explanation, without a traceback of the suite's own code.

    Args:
        expected: what the rule requires.
        got: what the provider did or returned.
        look_at: where in the provider the cause is likely to be.
        rule: what every provider has to do, as a sentence; by default the test's docstring.
        cause: the usual mistake; by default the paragraph of the docstring that names it.
    """
    __tracebackhide__ = True
    own_rule, _, own_cause = _rule.get().partition(CAUSE)
    lines = {
        "rule": " ".join((rule or own_rule).split()),
        "sent": "; ".join(_exchange(*one) for one in _sent.get() or ()) or "nothing",
        "expected": expected,
        "got": got,
        "look at": look_at,
        "cause": " ".join((cause or own_cause).split()),
    }
    raise pytest.fail.Exception(
        "\n".join(f"{name + ':':<11}{text}" for name, text in lines.items() if text != ""),
        pytrace=False,
    ) from None


@contextmanager
def errors_as_findings(kind: type[Provider], *others: type) -> Iterator[None]:
    """Turns an unexpected error within this context into a failure that shows the line of the
    author's code that raised it.

    Args:
        kind: the provider under test.
        others: classes in other modules of its author: its sandbox, its suite.
    """
    __tracebackhide__ = True
    try:
        yield
    except Exception as error:
        crashed = one_line(error)
        where = origin_of_error(error, kind, *others)
        report_finding(
            expected="no error that ends the test",
            got=crashed,
            look_at=where,
            cause="This line does not expect the value that it got, or raises an error that the"
            " rule excludes.",
        )


def one_line(error: BaseException) -> str:
    """Returns an error as one line of text, without its hint."""
    words = error.message if isinstance(error, GuestlistError) else str(error)
    return " ".join(f"{type(error).__name__}: {words}".split())


def origin_of_error(error: BaseException, kind: type[Provider], *others: type) -> str:
    """Returns the innermost line of the author's code in the traceback of an error or its cause. If
    there is none, the innermost line of all."""
    classes = [one for one in kind.__mro__ if issubclass(one, Provider) and one is not Provider]
    homes = {one.__module__.partition(".")[0] for one in (*classes, *others)} - {"guestlist"}
    lines = list(_lines(error))
    own = [line for home, line in lines if home in homes]
    return (own or [line for _, line in lines] or [location_of(kind, "")])[-1]


def _lines(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yields package and line of each frame in the traceback of an error, then of its cause."""
    for frame, number in traceback.walk_tb(error.__traceback__):
        home = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        file = frame.f_code.co_filename.rpartition("/")[2]
        yield home, f"{frame.f_code.co_qualname} ({file}:{number})"
    if error.__cause__ is not None:
        yield from _lines(error.__cause__)


FALLBACKS = {
    "find_invitation": ("invitations",),
    "find_member": ("members",),
    "invitations": ("find_invitation",),
    "members": ("find_member",),
    "resend": ("revoke", "invite"),
}
"""The operations that guestlist uses if a provider does not offer an operation."""


def location_of(provider: Provider | type[Provider], names: str) -> str:
    """Returns where methods or facts of a provider are defined: `Vultr.resend (provider.py:210)`.
    For an operation that it does not offer, the operations that guestlist uses instead.

    Args:
        provider: the provider or its class.
        names: the names of the methods or facts, separated by spaces.
    """
    kind = provider if isinstance(provider, type) else type(provider)
    found = [one for name in names.split() for one in _used(kind, name)]
    return ", ".join(
        _location_of(kind, name) for name in dict.fromkeys(found or names.split() or [""])
    )


def _used(kind: type[Provider], name: str) -> Iterable[str]:
    if name in CONTRACT and not kind.supports(name):
        return [one for one in FALLBACKS.get(name, ()) if kind.supports(one)]
    return [name]


def _location_of(kind: type[Provider], name: str) -> str:
    function = inspect.unwrap(getattr(kind, name, kind))
    try:
        file = (inspect.getsourcefile(function) or "?").rpartition("/")[2]
        line = inspect.getsourcelines(function)[1]
    except (OSError, TypeError):
        return f"{kind.__name__}.{name}"
    return f"{kind.__name__}{name and '.'}{name} ({file}:{line})"
