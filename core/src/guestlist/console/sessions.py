"""Signing in: one-time links, and sessions that live on the server, so that signing out ends them.

Only hashes of links and session ids are kept, so that nobody can sign in with a dump of the memory.
"""

from __future__ import annotations

import hmac
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes, token_hex, token_urlsafe
from time import monotonic

LINK_SECONDS = 600.0
"""How long a one-time link can be used."""
IDLE_SECONDS = 2 * 3600.0
"""How long a session lasts without a request."""
SESSION_SECONDS = 12 * 3600.0
"""How long a session lasts at most."""
MAX_ATTEMPTS_PER_MINUTE = 10


@dataclass
class LoginSession:
    """One signed-in browser.

    Attributes:
        actor: the person, as the ledger names them.
        secret: the key of the session's form tokens.
    """

    actor: str
    secret: bytes
    began: float
    used: float


class Sessions:
    """The one-time links and the sessions of a console.

    Args:
        actor: the person whom a link signs in.
        clock: returns seconds, for tests.
    """

    def __init__(self, actor: str, clock: Callable[[], float] = monotonic) -> None:
        self._actor = actor
        self._clock = clock
        self._lock = threading.Lock()
        self._links: dict[bytes, float] = {}
        self._sessions: dict[bytes, LoginSession] = {}
        self._failures: deque[float] = deque(maxlen=MAX_ATTEMPTS_PER_MINUTE)

    def new_link_token(self) -> str:
        """Returns the token of a new one-time link. Earlier links can be used until they expire."""
        token = token_urlsafe(32)
        with self._lock:
            self._links[_digest(token)] = self._clock() + LINK_SECONDS
        return token

    def sign_in(self, token: str) -> str | None:
        """Returns the id of a new session, and ends the link; None if the token is not valid.

        After ten invalid tokens within a minute, none is accepted until the minute is over.
        """
        now = self._clock()
        with self._lock:
            failures = self._failures
            if len(failures) == failures.maxlen and now - failures[0] < 60.0:
                return None
            given = _digest(token)
            found = [link for link in self._links if hmac.compare_digest(link, given)]
            if not found or self._links.pop(found[0]) < now:
                failures.append(now)
                return None
            id = token_urlsafe(32)
            self._sessions[_digest(id)] = LoginSession(self._actor, token_bytes(32), now, now)
            return id

    def find(self, id: str, *, prolong: bool = True) -> LoginSession | None:
        """Returns the session with this id. None if the id is unknown or the session has ended.

        Args:
            prolong: whether the request counts as use of the session.
        """
        now, key = self._clock(), _digest(id)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                return None
            if now - session.used > IDLE_SECONDS or now - session.began > SESSION_SECONDS:
                del self._sessions[key]
                return None
            if prolong:
                session.used = now
            return session

    def end(self, id: str) -> None:
        """Ends the session with this id."""
        with self._lock:
            self._sessions.pop(_digest(id), None)


def form_token(secret: bytes) -> str:
    """Returns a token for a form. Every page gets another one, so that compression reveals
    nothing about it."""
    nonce = token_hex(8)
    return f"{nonce}.{_mark(secret, nonce)}"


def is_form_token(secret: bytes, token: str) -> bool:
    """Returns whether a token comes from `form_token` with the same secret."""
    nonce, _, mark = token.partition(".")
    return hmac.compare_digest(_mark(secret, nonce).encode(), mark.encode("utf-8", "replace"))


def _mark(secret: bytes, nonce: str) -> str:
    return hmac.new(secret, nonce.encode("utf-8", "replace"), sha256).hexdigest()


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "replace")).digest()
