"""Keeping a secret in a URL out of the HTTP library's own log.

A client that the caller brings logs the URL of every request. Nearly all URLs are harmless; one
that holds an invitation key is not, and it is masked in that log while the request is under way.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from guestlist.exchange.redact import MASK


class Hush(logging.Filter):
    """Masks what is secret in the records of one logger."""

    def __init__(self) -> None:
        super().__init__()
        self._secret: Counter[str] = Counter()
        self._guard = threading.Lock()

    @contextmanager
    def hushed(self, secrets: Sequence[str]) -> Iterator[None]:
        """Masks these meanwhile."""
        with self._guard:
            self._secret.update(secrets)
        try:
            yield
        finally:
            with self._guard:
                self._secret -= Counter(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites a record that holds a secret; never drops one."""
        if self._secret:
            with self._guard:
                secrets = list(self._secret)
            text = record.getMessage()
            for secret in secrets:
                text = text.replace(secret, MASK)
            record.msg, record.args = text, ()
        return True


@cache
def hush_of(logger: str) -> Hush:
    """The one of a logger, which has it from now on."""
    hush = Hush()
    logging.getLogger(logger).addFilter(hush)
    return hush
