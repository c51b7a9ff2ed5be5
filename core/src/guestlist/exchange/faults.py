"""Describes why a connection failed, whether another attempt can help, and what to do."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any

from guestlist.errors import MORE_FILES, ConfigError, GuestlistError, ServiceUnavailable
from guestlist.exchange.step import SendFailure
from guestlist.provider.shapes import shorten

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES = ("HTTPS_PROXY", "ALL_PROXY")
NOT_READ = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Environment variables for certificates that other programs read, but httpx does not."""

_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
TOO_MANY_FILES = "this process or machine has too many open files"

_DATE = (9, 10)
"""OpenSSL's codes for a certificate that is not valid yet, or has expired."""
_NAME = (62, 64)
"""OpenSSL's codes for a certificate of another host name or IP address."""

_NO_COMMON_TLS = (
    "WRONG_VERSION_NUMBER",
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
)
"""OpenSSL's reasons if a server speaks another protocol, or no TLS version of this machine."""


class LocalFault(ValueError):
    """An invalid setting of this machine that prevents sending.

    Attributes:
        hint: what to do.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def too_many_open_files(error: BaseException | None) -> bool:
    """Returns whether too many open files are the reason for an error."""
    numbers = {one.errno for one in _chain(error) if isinstance(one, OSError)}
    return not numbers.isdisjoint(_TOO_MANY_FILES)


def unreadable_certificates(error: Exception) -> LocalFault:
    """Returns the fault for trusted certificates that cannot be loaded."""
    if getattr(error, "errno", None) in _TOO_MANY_FILES:
        return LocalFault(
            f"the trusted certificates cannot be loaded: {first_line(error)}", MORE_FILES
        )
    name = next((name for name in CERTIFICATES if os.environ.get(name)), None)
    place = f"the file in {name} ({os.environ[name]})" if name else "the trusted certificates"
    missing = isinstance(error, FileNotFoundError)
    why = "does not exist" if missing else f"cannot be loaded: {first_line(error)}"
    return LocalFault(
        f"{place} {why}",
        f"Correct or unset {name}." if name else "Reinstall the package certifi.",
    )


def unusable_proxy(kind: str) -> LocalFault:
    """Returns the fault for an invalid proxy URL, which is not shown: it may have a password."""
    return LocalFault(
        f"the proxy of the environment{f' ({kind}://...)' if kind.isalnum() else ''} is invalid",
        f"Correct {_set(PROXIES) or 'it'}: http://, https:// or socks5://, then host and port.",
    )


def closed_client() -> LocalFault:
    """Returns the fault for a client of the caller that is closed already."""
    return LocalFault("the client that was passed as http_client is closed", "Pass an open client.")


def missing_socks_package() -> LocalFault:
    """Returns the fault for a SOCKS proxy if the package that it needs is not installed."""
    return LocalFault(
        f"{_set(PROXIES) or 'the environment'} names a SOCKS proxy, which needs a package that is"
        " not installed",
        "Install it: pip install 'httpx[socks]'.",
    )


def not_sendable(error: Exception) -> SendFailure:
    """Returns the failure for a request that cannot be built or sent because of a setting."""
    if isinstance(error, LocalFault):
        cause = error.__cause__ or error
        return SendFailure(
            str(error), sent=False, hint=error.hint, error=ConfigError, retry=False, cause=cause
        )
    reason = f"it cannot be sent ({type(error).__name__}): {first_line(error)}"
    return SendFailure(reason, sent=False, hint="Check {base_url}.", retry=False, cause=error)


def not_connected(error: Exception, host: str, port: int, *, proxy: bool) -> SendFailure:
    """Returns the failure for a connection that could not be made.

    Args:
        proxy: whether `host` is a proxy. If not, the hint contains `{base_url}` for the setting.
    """
    place = f"{host}:{port}" if port else host  # a Unix socket has none
    setting = "{base_url}"
    if proxy:
        place, setting = f"the proxy {place}", _set(PROXIES) or "the proxy's address"
    kind: type[GuestlistError] = ServiceUnavailable
    what, hint, retry = "", f"Check {setting}. Try again later.", True
    chain = list(_chain(error))

    def found(wanted: type[Exception]) -> Any:
        return next((one for one in chain if isinstance(one, wanted)), None)

    number = {one.errno for one in chain if isinstance(one, OSError)}
    if untrusted := found(ssl.SSLCertVerificationError):
        what, hint, retry = *_untrusted(untrusted, setting), False
    elif (broken := found(ssl.SSLError)) and broken.reason in _NO_COMMON_TLS:
        what, retry = f"it does not speak TLS as this machine does: {first_line(broken)}", False
        hint = f"Check {setting}: its scheme, host and port."
    elif unknown := found(socket.gaierror):
        retry = unknown.errno == socket.EAI_AGAIN
        what = "the name server does not answer" if retry else "no such host"
        hint = f"Check {setting}, and the name resolution of this machine."
    elif found(ConnectionRefusedError):
        what = "connection refused: nothing listens there"
    elif found(PermissionError):
        what, retry = "this machine does not allow it", False
        hint = "Check the firewall or sandbox that this program runs in."
    elif number & {*_TOO_MANY_FILES}:
        what, retry, hint = TOO_MANY_FILES, False, MORE_FILES
    elif errno.ENETUNREACH in number:
        what, retry = "the network cannot be reached", False
        hint = "Check this machine's network connection."
    elif not number and (blocked := found(RuntimeError)):
        kind, retry = ConfigError, False
        what = f"blocked in this process: {first_line(blocked)}"
        hint = f"Allow this host: pytest's --block-network takes --allowed-hosts={host}."
    elif "Timeout" in type(error).__name__:
        return SendFailure(f"no connection in time to {place}", sent=False, hint=hint, cause=error)
    what = what or first_line(error)
    reason = f"no connection to {place}" + (f": {what}" if what else "")
    return SendFailure(reason, sent=False, hint=hint, error=kind, retry=retry, cause=error)


def refused_by_proxy(error: Exception) -> SendFailure:
    """Returns the failure for a proxy that refuses to pass on a request."""
    said = first_line(error)
    return SendFailure(
        f"the proxy refused the request: {said}",
        sent=False,
        hint=f"Check {_set(PROXIES) or 'the proxy'}: host, user and password.",
        retry=not said.startswith("4"),  # 407: the same request would be refused again
        cause=error,
    )


def first_line(error: Exception) -> str:
    return shorten(next(iter(str(error).splitlines()), ""), 200)


def _untrusted(error: ssl.SSLCertVerificationError, setting: str) -> tuple[str, str]:
    """Returns the reason why a certificate is not trusted, and a hint."""
    detail = error.verify_message.rstrip(".")
    if error.verify_code in _NAME:
        return f"its certificate is for another host: {detail}", f"Check {setting}."
    what = f"its certificate is not trusted: {detail}"
    if error.verify_code in _DATE:
        return (
            what,
            "Check the clock of this machine. If it is right, tell the operator of the service.",
        )
    hint = (
        "If your network has a certificate authority of its own, set SSL_CERT_FILE to a file with"
        " its certificate (PEM), or pass http_client="
    )
    if set_ := _set(CERTIFICATES):
        hint += f". Certificates are read from {set_} ({os.environ[set_]})"
    if other := _set(NOT_READ):
        hint += f". {other} is not read"
    return what, f"{hint}."


def _set(names: tuple[str, ...]) -> str | None:
    """Returns the first of the environment variables that is set, in upper or lower case."""
    either = (spelled for name in names for spelled in (name, name.lower()))
    return next((name for name in either if os.environ.get(name)), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an exception with all its causes, contexts and grouped exceptions."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += [one.__cause__, one.__context__]
        left += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
