"""Masking: what a service echoes must not carry a secret into an error, an event or a log."""

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
"""Characters of a value that is masked wherever it shows: a shorter one is no secret, and masking
it would garble every sentence."""

CREDENTIALS_KEPT = 128
"""Earlier credentials that stay masked after they were replaced: more than requests under way."""

MOST_ADDED = 512
"""Values that `add` remembers: more than can belong to all requests under way."""

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
"""Fields and parameters whose values are secrets on any service."""


class Redactor:
    """Masks the secrets of one account in text.

    Args:
        secrets: values that must never show: the account's credentials.
        fields: names of fields and parameters whose values are masked wherever they show.
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
        """Masks the secrets of a request. Of these, the latest `MOST_ADDED` are remembered."""
        with self._lock:
            for secret in secrets:
                self._added[secret] = self._added.pop(secret, frozenset()) or _spellings(secret)
            for oldest in list(self._added)[:-MOST_ADDED]:
                del self._added[oldest]
            masked = self._known.union(*self._added.values(), *self._credentials)
            self._values = sorted(masked, key=len, reverse=True)

    def know(self, secrets: Iterable[str]) -> None:
        """Masks these for good: credentials that have replaced the first ones."""
        with self._lock:
            self._known = self._known.union(*map(_spellings, secrets))
        self.add(())

    def add_credentials(self, secrets: Iterable[str]) -> None:
        """Masks the headers of the account's credentials: derived from a secret, or fetched."""
        spellings = frozenset(chain.from_iterable(map(_spellings, secrets)))
        with self._lock:
            self._credentials.append(spellings)
        self.add(())

    def __call__(self, text: str) -> str:
        """The text of a service with everything replaced by asterisks that is a secret, or looks
        like one."""
        text = self._assignments.sub(rf"\g<name>\g<between>{MASK}", self.ours(text))
        return self._bearer.sub(rf"\g<1>{MASK}", text)

    def ours(self, text: str) -> str:
        """A text of guestlist or of a provider, with every secret of the account replaced. What
        merely looks like one stays: `a new token: it ends`."""
        for value in self._values:
            text = text.replace(value, MASK)
        return text

    def mask(self, error: BaseException) -> None:
        """Masks the secrets in what an exception says, and those behind it."""
        self._mask(error)
        self.mask_behind(error)

    def mask_behind(self, error: BaseException) -> None:
        """Masks the secrets in what the exceptions behind an error say: a traceback shows them.

        One that cannot be masked is left out of the traceback.
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
        """Masks what one exception says; False when it still says it."""
        if isinstance(error, GuestlistError):
            error.hint = self.ours(error.hint)
        if self(_said(error)) != _said(error):
            error.args = tuple(self(said) if isinstance(said, str) else said for said in error.args)
            if isinstance(error, GuestlistError):
                error.message = self(error.message)
        return self(_said(error)) == _said(error)


def _spellings(secret: str) -> frozenset[str]:
    """All that a secret may look like in a text."""
    forms = (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    return frozenset(form for form in forms if len(form) >= SHORTEST)


def _said(error: BaseException) -> str:
    """What an exception says, without a hint."""
    return error.headline if isinstance(error, GuestlistError) else str(error)
