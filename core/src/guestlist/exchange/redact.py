"""Masks secrets in errors, events and logs, because a service may echo them in its answers."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Iterable
from itertools import chain
from urllib.parse import quote

from guestlist.errors import GuestlistError

MASK = "********"

SHORTEST = 4
"""Shortest secret to mask, in characters. A shorter value is not a secret, and masking it would
garble ordinary text."""

CREDENTIALS_KEPT = 128
"""Number of replaced credentials that stay masked. Requests in flight may still use them."""

MOST_ADDED = 512
"""Number of values that `add` remembers, which is more than all requests in flight have."""

COMMON_FIELDS = frozenset(
    {
        "access_token",
        "api_key",
        "apikey",
        "authorization",
        "client_assertion",
        "client_secret",
        "id_token",
        "invitation_key",
        "invitation_link",
        "invite_url",
        "password",
        "refresh_token",
        "secret",
        "token",
        "x-api-key",
    }
)
"""Names of fields and parameters whose values are secrets on every service."""


class Redactor:
    """Masks the secrets of one account in text.

    Args:
        secrets: the credentials of the account.
        fields: names of further fields and parameters whose values are secrets.
    """

    def __init__(self, secrets: Iterable[str], fields: Iterable[str] = ()) -> None:
        self._known = frozenset(chain.from_iterable(map(_spellings, secrets)))
        self._credentials: deque[frozenset[str]] = deque(maxlen=CREDENTIALS_KEPT)
        self._added: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        self.add(())
        names = "|".join(sorted(map(re.escape, COMMON_FIELDS | frozenset(fields))))
        self._assignments = re.compile(
            rf"""(?ix) \b (?P<name>{names}) (?P<between>["']? \s* [=:] \s*
                 (?:(?:bearer|basic|token)\s+)? ["']?) (?P<value>[^\s"'&,;}}]+)"""
        )
        self._bearer = re.compile(r"(?i)\b(bearer\s+)(?!\*)[^\s\"',;]+")

    def add(self, secrets: Iterable[str]) -> None:
        """Masks the secrets of a request from now on. Forgets all but the latest `MOST_ADDED`."""
        with self._lock:
            for secret in secrets:
                self._added[secret] = self._added.pop(secret, frozenset()) or _spellings(secret)
            for oldest in list(self._added)[:-MOST_ADDED]:
                del self._added[oldest]
            masked = self._known.union(*self._added.values(), *self._credentials)
            self._values = sorted(masked, key=len, reverse=True)

    def know(self, secrets: Iterable[str]) -> None:
        """Masks replaced credentials from now on, and never forgets them."""
        with self._lock:
            self._known = self._known.union(*map(_spellings, secrets))
        self.add(())

    def add_credentials(self, secrets: Iterable[str]) -> None:
        """Masks credentials that were derived from a secret or fetched, such as access tokens."""
        spellings = frozenset(chain.from_iterable(map(_spellings, secrets)))
        with self._lock:
            self._credentials.append(spellings)
        self.add(())

    def __call__(self, text: str) -> str:
        """Returns a service's text with secrets, and values that look like secrets, masked."""
        text = self._assignments.sub(rf"\g<name>\g<between>{MASK}", self.ours(text))
        return self._bearer.sub(rf"\g<1>{MASK}", text)

    def ours(self, text: str) -> str:
        """Returns a text of guestlist or a provider with the account's secrets masked. Values that
        only look like secrets stay, such as `ends` in `a new token: ends`."""
        for value in self._values:
            text = text.replace(value, MASK)
        return text

    def mask(self, error: BaseException) -> None:
        """Masks secrets in the text of an exception, and in its causes and contexts."""
        self._mask(error)
        self.mask_behind(error)

    def mask_behind(self, error: BaseException) -> None:
        """Masks secrets in the causes and contexts of an error, because a traceback shows them.

        Removes an exception from the chain if its text cannot be masked.
        """
        seen = {id(error)}
        waiting = [error]
        while waiting:
            one = waiting.pop()
            for link in ("__cause__", "__context__"):
                behind = getattr(one, link)
                if behind is None or id(behind) in seen:
                    continue
                seen.add(id(behind))
                if self._mask(behind):
                    waiting.append(behind)
                else:
                    setattr(one, link, None)

    def _mask(self, error: BaseException) -> bool:
        """Masks the text of one exception. Returns whether no secret is left in it."""
        if isinstance(error, GuestlistError):
            error.hint = self.ours(error.hint)
        if self(_said(error)) != _said(error):
            error.args = tuple(self(said) if isinstance(said, str) else said for said in error.args)
            if isinstance(error, GuestlistError):
                error.message = self(error.message)
        return self(_said(error)) == _said(error)


def _spellings(secret: str) -> frozenset[str]:
    """Returns the forms in which a secret may appear in a text."""
    forms = (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    return frozenset(form for form in forms if len(form) >= SHORTEST)


def _said(error: BaseException) -> str:
    """Returns the text of an exception, without its hint."""
    return error.headline if isinstance(error, GuestlistError) else str(error)
