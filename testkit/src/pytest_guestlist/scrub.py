"""Removes credentials, links, keys and people from exchanges before they are written.

Each value is replaced by one of the same shape. Equal values get equal replacements, and a
replacement that is scrubbed again stays as it is. So the recorded requests can be compared with
those of a replay, and a key from one answer still fits the next request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from guestlist.address import email_key
from guestlist.exchange.account import FORM
from guestlist.exchange.headers import iter_secret_parts
from guestlist.exchange.redact import COMMON_FIELDS
from guestlist.provider import Provider
from guestlist.provider.settings import is_secret, urls
from pytest_guestlist.accounts import personal, stand_in

REQUEST_HEADERS = frozenset({"accept", "content-type"})
RESPONSE_HEADERS = re.compile(
    r"content-type|content-range|date|link|location|x-request-id"
    r"|(?:x-)?retry-after(?:-ms)?|.*rate-?limit.*"
    r"|(?:x-)?(?:total|page|per-page|next|prev|pagination|cursor|has-more|count)(?:-.*|s|)"
)
"""The response headers that are kept: type, location, date, request id, rate limits and pages."""

ADDRESS = re.compile(r"[^\s@<>\"'(),:;\[\]\\/?&=#]+@((?:[\w-]+\.)+[\w-]+)")
EXAMPLE = re.compile(r"(?:.+\.)?example(?:\.(?:com|net|org))?", re.IGNORECASE)
"""Domains for examples (RFC 2606)."""

LINK = re.compile(r"https?://\S+")
TARGET = re.compile(r"<([^<>]*)>")
"""The target in a `Link` header (RFC 8288)."""
LONG = 16
"""The minimum number of characters of a path segment that counts as a key."""
KNOWN = 8
"""The minimum number of characters of a secret that is replaced everywhere, not only in its
field."""


class Scrubber:
    """Scrubs the exchanges of one recording.

    Args:
        accounts: the recorded accounts.
        people: replacements for certain addresses.
    """

    def __init__(
        self, accounts: Iterable[Provider], people: Mapping[str, str] | None = None
    ) -> None:
        self._fields = set(COMMON_FIELDS)
        self._origins: list[tuple[str, str]] = []
        self._credentials: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._words: dict[str, str] = {}
        """Short settings that are not secret, such as `acme`. They are replaced only as whole
        words: another person may be at `acme.example`. A number is replaced only if it is the whole
        text."""
        self._masks: set[str] = set()
        self._people = {email_key(real): shown for real, shown in (people or {}).items()}
        self._blanks = 0
        for account in accounts:
            self._add(account)

    def _add(self, account: Provider) -> None:
        shown = stand_in(type(account))
        self._fields |= {field.lower() for field in account.secret_fields}
        credentials = shown.authorize()
        self._credentials |= {name.lower(): text for name, text in credentials.items()}
        for name, text in account.authorize().items():
            masks = [*iter_secret_parts({name: credentials.get(name, "CREDENTIALS")})]
            for real, mask in zip(
                iter_secret_parts({name: text}), [*masks, masks[-1]], strict=False
            ):
                self._values |= {real: mask} if real != mask else {}
        for name in urls(type(account)):
            real, mask = getattr(account, name), getattr(shown, name)
            self._origins += [(mask, mask), (real, mask)] if real and mask else []
        for name in (*urls(type(account)), *personal(type(account))):
            real, mask = getattr(account, name), getattr(shown, name)
            self._masks.add(str(mask))
            if real is None or real == mask:
                continue
            if len(str(real)) < LONG and not is_secret(type(account).model_fields[name]):
                self._words[str(real)] = mask
            else:
                self._values[str(real)] = mask

    # ------------------------------------------------------------------ parts of an exchange

    def url(self, url: str) -> str | None:
        """Returns the URL with the service's real address. None if it belongs to no account."""
        for base, shown in self._origins:
            if url == base or url.startswith((f"{base}/", f"{base}?")):
                return shown + self._relative(url[len(base) :])
        return None

    def _relative(self, url: str) -> str:
        """Returns the scrubbed part of a URL after the service's address."""
        parts = urlsplit(url)
        path = "/".join(
            quote(self.text(unquote(segment)), safe="") for segment in parts.path.split("/")
        )
        query = self._pairs(parts.query)
        return path + (f"?{query}" if query else "")

    def _pairs(self, text: str) -> str:
        """Returns the scrubbed fields of a query or form."""
        fields = parse_qsl(text, keep_blank_values=True)
        return urlencode([(one, self._value(one, value)) for one, value in fields], quote_via=quote)

    def request_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Returns the kept headers of a request, with invented credentials."""
        kept = {}
        for name, text in headers.items():
            lower = name.lower()
            if lower in REQUEST_HEADERS:
                kept[lower] = text
            elif lower in self._credentials:
                kept[lower] = self._credentials[lower]
        return kept

    def response_headers(self, headers: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Returns the kept headers of an answer."""
        return {
            name.lower(): [self._header(name.lower(), text) for text in texts]
            for name, texts in headers.items()
            if RESPONSE_HEADERS.fullmatch(name.lower())
        }

    def _header(self, name: str, text: str) -> str:
        if name == "location" or LINK.fullmatch(text):
            return self._target(text)
        if name == "link":
            text = TARGET.sub(lambda found: f"<{self._target(found[1])}>", text)
        return self.text(text)

    def _target(self, url: str) -> str:
        """Returns the scrubbed target of a header: a URL of the service, or a link to elsewhere."""
        shown = self.url(url)
        if shown is not None:
            return shown
        if LINK.fullmatch(url):
            return self.text(self._link(url, self._is_secret))
        return self._relative(url)

    def _is_secret(self, name: str, text: str) -> bool:
        """Returns whether a parameter of a link may be a key. Cursors and numbers are shorter."""
        return name.lower() in self._fields or len(text) >= LONG

    def body(self, content: bytes, media_type: str = "") -> bytes:
        """Returns a scrubbed body: indented JSON, a form, or text."""
        text = content.decode("utf-8", "replace")
        if media_type == FORM:
            return self._pairs(text).encode()
        try:
            data = json.loads(text)
        except ValueError:
            return self.text(text).encode()
        return json.dumps(self._json(data), indent=2).encode()

    def text(self, text: str) -> str:
        """Returns a text without known secrets and addresses of people."""
        for real in sorted(self._values, key=len, reverse=True):
            text = text.replace(real, self._values[real])
        for word, mask in self._words.items():
            if not word.isdigit():
                text = re.sub(rf"(?<![\w.@]){re.escape(word)}(?![\w.@])", mask, text)
            elif text == word:  # within a longer text, a number may be a part of a date
                text = mask
        return ADDRESS.sub(self._address, text)

    # ------------------------------------------------------------------ replacements

    def _json(self, data: Any, field: str = "") -> Any:
        if isinstance(data, dict):
            return {self.text(name): self._json(value, name) for name, value in data.items()}
        if isinstance(data, list):
            return [self._json(item, field) for item in data]
        return self._value(field, data) if isinstance(data, str) else data

    def _value(self, field: str, value: str) -> str:
        secret = field.lower() in self._fields
        return self.text(self._secret(value) if secret else value)

    def _secret(self, value: str) -> str:
        """Returns the replacement of a secret. A link keeps its host and the words of its path."""
        if not LINK.fullmatch(value):
            return self._blank(value)
        return self._link(value, lambda _name, _text: True)

    def _link(self, url: str, secret: Callable[[str, str], bool]) -> str:
        for base, shown in self._origins:
            if url.startswith(f"{base}/"):
                url = shown + url[len(base) :]
                break
        parts = urlsplit(url)
        segments = [
            self._blank(segment) if len(segment) >= LONG else segment
            for segment in parts.path.split("/")
        ]
        query = [
            (name, self._blank(text) if secret(name, text) else text)
            for name, text in parse_qsl(parts.query)
        ]
        fragment = f"#{self._blank(parts.fragment)}" if parts.fragment else ""
        return (
            f"{parts.scheme}://{parts.hostname}{'/'.join(segments)}"
            + (f"?{urlencode(query)}" if query else "")
            + fragment
        )

    def _blank(self, secret: str) -> str:
        """Returns the replacement of a secret: its prefix and punctuation, with zeros and a number.
        Equal secrets have equal replacements."""
        known = secret in self._masks or secret in self._values.values()
        if not secret or known or _is_blank(secret):
            return secret
        if secret in self._values:
            return self._values[secret]
        for (
            real,
            mask,
        ) in self._values.items():  # a secret with a typing error, such as an extra letter
            if mask in self._masks and real in secret:
                return secret.replace(real, mask)
        if any(len(mask) >= KNOWN and mask in secret for mask in self._masks):
            return secret
        self._blanks += 1
        blank = _blank(secret, self._blanks)
        if len(secret) >= KNOWN:
            self._values[secret] = blank
        return blank

    def _address(self, found: re.Match[str]) -> str:
        key = email_key(found[0])
        if key in self._people:
            return self._people[key]
        if EXAMPLE.fullmatch(found[1]):
            return found[0]
        return self._people.setdefault(key, f"person-{len(self._people) + 1}@example.net")


_PREFIX = re.compile(r"([a-z]{2,10}_)?(.*)", re.DOTALL)
"""A prefix such as `invkey_` names the kind of the secret and is kept."""


def _blank(secret: str, number: int) -> str:
    prefix, rest = _split(secret)
    shape = list(re.sub(r"[^-.]", "0", rest))
    shape += "0" * (8 - shape.count("0"))
    places = [place for place, character in enumerate(shape) if character == "0"][-4:]
    for place, digit in zip(places, f"{number:04}", strict=True):
        shape[place] = digit
    return prefix + "".join(shape)


def _is_blank(text: str) -> bool:
    return bool(re.fullmatch(r"0{4,}\d{4}", re.sub(r"[-.]", "", _split(text)[1])))


def _split(secret: str) -> tuple[str, str]:
    found = _PREFIX.fullmatch(secret)
    assert found is not None  # it fits everything
    prefix, rest = found[1] or "", found[2]
    # If more underscores follow, the first part may belong to the secret itself.
    return ("", secret) if "_" in rest else (prefix, rest)
