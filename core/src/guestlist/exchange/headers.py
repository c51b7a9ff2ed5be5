"""Builds the headers that every request has, and finds the secrets in credentials."""

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
        "content-type",
        "cookie",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that only the exchange and the transport may set."""

CREDENTIALS = frozenset({"authorization", "proxy-authorization"})

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
"""Matches the name of a header (RFC 9110, 5.6.2)."""


def constant_headers(provider: Provider) -> dict[str, str]:
    """Returns the headers of every request of an account.

    Raises:
        ConfigError: the provider's `headers` contain a header that cannot be sent, or a secret.
    """
    headers = {
        "Accept": provider.media_type,
        "Accept-Encoding": "gzip",
        "User-Agent": f"guestlist/{__version__} (provider {provider.name})",
    }
    ours = {name.lower(): name for name in headers}
    secrets = [secret for secret in provider.secrets() if len(secret) >= SHORTEST]
    for name, value in provider.headers.items():
        if wrong := _wrong(name, value, secrets):
            raise ConfigError(f"{provider.title}: the header {name!r} {wrong}")
        headers[ours.get(name.lower(), name)] = value
    return headers


def _wrong(name: object, value: object, secrets: list[str]) -> str:
    """Returns what is wrong with a header, without its value. Empty if it can be sent."""
    if not isinstance(name, str) or not _is_token(name):
        return "has a name that cannot be sent"
    if name.lower() == "content-type":
        return "is declared as `media_type`"
    if name.lower() in OURS:
        return "is set by guestlist"
    if not isinstance(value, str):
        return f"is not a string: it is {type(value).__name__}"
    if not value.isascii() or not value.isprintable() or not value or value != value.strip():
        return "contains a character that cannot be sent"
    if name.lower() in CREDENTIALS or any(secret in value for secret in secrets):
        return "contains credentials: return them from `authorize`"
    return ""


def iter_secret_parts(credentials: Mapping[str, str]) -> Iterator[str]:
    """Returns the parts of an account's credentials to mask: each value, and the part after the
    scheme (`Basic`, `Bearer`)."""
    for value in credentials.values():
        yield value
        scheme, _, rest = value.partition(" ")
        if rest and _is_token(scheme):
            yield rest
