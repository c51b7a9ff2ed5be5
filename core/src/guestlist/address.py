"""Email addresses: validation, and the key by which two addresses are compared.

Addresses are sent to the services exactly as typed and compared by key. The key is trimmed, NFC
normalized and lower case, with the domain in its IDNA form. A `+tag` and dots are never stripped,
because the services treat such addresses as different people.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from guestlist.errors import InvalidArgument

LONGEST = 254
"""Maximum number of octets in an address (RFC 5321, erratum 1690)."""
LONGEST_LOCAL_PART = 64
"""Maximum number of octets before the @ (RFC 5321, 4.5.3.1.1)."""

_PLAIN = re.compile(
    r"(?=[^@]{1,64}@)"
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+ (\. [a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@ ([a-z0-9] ([a-z0-9-]{0,61} [a-z0-9])? \.)+ [a-z0-9] ([a-z0-9-]{0,61} [a-z0-9])?".replace(
        " ", ""
    ),
    re.ASCII | re.IGNORECASE,
)
"""Matches common valid addresses. Their key is the address in lower case."""

OUT_OF_PLACE = frozenset('@,;:<>()[]"\\')
"""Characters that are not allowed before the @."""


@lru_cache(maxsize=4096)
def email_key(address: str) -> str:
    """Returns the normalized form of an address, by which addresses are compared.

    It accepts invalid addresses too, because services may have stored some long ago, and never
    raises.

    Args:
        address: the address in any spelling.
    """
    typed = address.strip()
    if _is_plain(typed):
        return typed.lower()
    local, at, domain = _folded(typed).rpartition("@")
    return f"{local}{at}{domain_key(domain)}"


def is_email(text: str) -> bool:
    """Returns whether a text is a valid address."""
    return _what_is_wrong(text.strip()) is None


def login_key(login: str) -> str:
    """Returns the normalized form of a login, by which logins are compared: `@ada-l`.

    The case is ignored, and a leading `@` is optional. No address begins with an `@`.
    """
    return "@" + _folded(login.strip().removeprefix("@"))


def person_key(email: str | None, login: str | None = None, id: str | None = None) -> str:
    """Returns the text by which people are compared: the key of the address, else the key of the
    login, else the id with a leading `#`.

    A text in the address field that is not an address, such as the login of a program, counts as a
    login.
    """
    if email and is_email(email):
        return email_key(email)
    name = login or email
    return login_key(name) if name else f"#{id or ''}"


def domain_key(domain: str) -> str:
    """Returns the normalized form of a domain, by which domains are compared. Never raises."""
    domain = _folded(domain.strip())
    return _ascii_domain(domain) or domain


def is_domain(domain: str) -> bool:
    """Returns whether a text is a valid domain."""
    return _ascii_domain(domain) is not None


def read_email(address: str) -> tuple[str, str]:
    """Returns an address without surrounding white space, and its key. Fast for common addresses.

    Raises:
        InvalidArgument: the address is invalid. The message gives the reason.
    """
    typed = address.strip()
    if _is_plain(typed):
        return typed, typed.lower()
    return check_email(typed), email_key(typed)


def _is_plain(typed: str) -> bool:
    return len(typed) <= LONGEST and _PLAIN.fullmatch(typed) is not None


def _folded(text: str) -> str:
    # Normalized twice, because the lower case of a composed letter may be decomposed.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def check_email(address: str) -> str:
    """Returns the address as typed, without surrounding white space.

    Raises:
        InvalidArgument: the address is invalid. The message gives the reason.
    """
    typed = address.strip() if isinstance(address, str) else address
    wrong = _what_is_wrong(typed) if isinstance(address, str) else "it is not text"
    if wrong:
        raise InvalidArgument(
            f"{address!r} is not an email address: {wrong}",
            hint="Write it as name@example.com.",
        )
    return typed


def _what_is_wrong(typed: str) -> str | None:
    if _is_plain(typed):
        return None
    local, at, domain = typed.rpartition("@")
    plain = typed.isascii() and typed.isprintable()
    if not plain and any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in typed):
        return "it has a control character"
    if "\ufffd" in typed:
        return "a character was lost when the text was copied or decoded"
    if len(typed.encode()) > LONGEST:
        return f"it is longer than {LONGEST} octets"
    if len(typed.split()) > 1:
        return "it has a space"
    if not at or not local or not domain:
        return "it needs a name, an @ and a domain"
    if len(local.encode()) > LONGEST_LOCAL_PART:
        return f"the part before the @ is longer than {LONGEST_LOCAL_PART} octets"
    if not OUT_OF_PLACE.isdisjoint(local):
        return "the part before the @ has a character that is not allowed there"
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return "the part before the @ begins or ends with a dot, or has two in a row"
    encoded = _ascii_domain(domain.lower())
    if encoded is None:
        return f"{domain!r} is not a domain"
    if len(local.encode()) + 1 + len(encoded) > LONGEST:
        return f"it is longer than {LONGEST} octets when its domain is encoded"
    return None


def _ascii_domain(domain: str) -> str | None:
    """Returns a domain in ASCII, or None if it is invalid."""
    if not domain.isascii():
        import idna  # Imported here, because only international domains need it. httpx installs it.

        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    labels = domain.split(".")
    fits = len(labels) > 1 and all(
        0 < len(label) < 64
        and label.replace("-", "").isalnum()
        and label[0] != "-"
        and label[-1] != "-"
        for label in labels
    )
    return domain if fits else None
