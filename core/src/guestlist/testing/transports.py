"""The transports of the clients under test.

They keep no connection open, so that nothing is left over when the event loop of a test has ended,
and nothing has to be awaited to close them.
"""

from __future__ import annotations

import ssl

import httpx

_LIMITS = httpx.Limits(max_keepalive_connections=0)


def sync_transport() -> httpx.HTTPTransport:
    """For the sandbox and for cassettes."""
    return httpx.HTTPTransport(verify=_nobody(), limits=_LIMITS)


def async_transport(*, live: bool = False) -> httpx.AsyncHTTPTransport:
    """The same for an async client.

    Args:
        live: whether the real services are to be reached.
    """
    trusted = ssl.create_default_context() if live else _nobody()
    return httpx.AsyncHTTPTransport(verify=trusted, limits=_LIMITS)


def _nobody() -> ssl.SSLContext:
    """Trusts no certificate: a sandbox speaks plain http. Made in no time, unlike the default."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
