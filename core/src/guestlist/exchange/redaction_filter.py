"""Masks secrets of URLs in the HTTP library's own log.

A client that the caller passes logs the URL of every request. Few URLs hold a secret, such as an
invitation key; it is masked in that log while the request is in flight.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from guestlist.exchange.redact import MASK


class RedactionFilter(logging.Filter):
    """Masks secrets in the records of one logger."""

    def __init__(self) -> None:
        super().__init__()
        self._secret: Counter[str] = Counter()
        self._guard = threading.Lock()

    @contextmanager
    def masking(self, secrets: Sequence[str]) -> Iterator[None]:
        """Masks these secrets as long as the context lasts."""
        with self._guard:
            self._secret.update(secrets)
        try:
            yield
        finally:
            with self._guard:
                self._secret -= Counter(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Masks secrets in a record; never drops one."""
        if self._secret:
            with self._guard:
                secrets = list(self._secret)
            text = record.getMessage()
            for secret in secrets:
                text = text.replace(secret, MASK)
            record.msg, record.args = text, ()
        return True


@cache
def installed_filter(logger: str) -> RedactionFilter:
    """Returns the filter of a logger, and installs it the first time."""
    made = RedactionFilter()
    logging.getLogger(logger).addFilter(made)
    return made
