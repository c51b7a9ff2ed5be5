"""What goes into the headers of every request, and what of it is secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from guestlist._version import __version__
from guestlist.errors import ConfigError
from guestlist.exchange.redact import SHORTEST
from guestlist.provider import Provider

OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "cookie",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that nobody but the exchange and the transport may set."""

CREDENTIALS = frozenset({"authorization", "proxy-authorization"})

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
"""Matches the name of a header (RFC 9110, 5.6.2)."""


def constant(provider: Provider) -> tuple[dict[str, str], str]:
    """The headers that go with every request of an account, and the type of the bodies it sends.

    Raises:
        ConfigError: the provider's `headers` hold what cannot be sent, or a secret.
    """
    kind = "application/json"
    headers = {
        "Accept": kind,
        "Accept-Encoding": "gzip",
        "User-Agent": f"guestlist/{__version__} (provider {provider.name})",
    }
    ours = {name.lower(): name for name in headers}
    secrets = [secret for secret in provider.secrets() if len(secret) >= SHORTEST]
    for name, value in provider.headers.items():
        if wrong := _wrong(name, value, secrets):
            raise ConfigError(f"{provider.title}: the header {name!r} {wrong}")
        if name.lower() == "content-type":
            kind = value
        else:
            headers[ours.get(name.lower(), name)] = value
    return headers, kind


def _wrong(name: object, value: object, secrets: list[str]) -> str:
    """What is wrong with a header that goes with every request, without its value."""
    if not isinstance(name, str) or not _is_token(name):
        return "has a name that cannot be sent"
    if name.lower() in OURS:
        return "is set by guestlist"
    if not isinstance(value, str):
        return f"is no text: it is {type(value).__name__}"
    if not value.isascii() or not value.isprintable() or not value or value != value.strip():
        return "holds what cannot be sent"
    if name.lower() in CREDENTIALS or any(secret in value for secret in secrets):
        return "holds credentials: they belong into `authorize`"
    return ""


def spoken(credentials: Mapping[str, str]) -> Iterator[str]:
    """What of an account's credentials must never show: each value, and what follows the word for
    the scheme (`Basic`, `Bearer`)."""
    for value in credentials.values():
        yield value
        scheme, _, rest = value.partition(" ")
        if rest and _is_token(scheme):
            yield rest
