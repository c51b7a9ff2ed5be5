"""Taking URLs apart as httpx does, for a fifth of the time.

Nearly every call is about another address, so nearly every URL is new; taking one apart costs httpx
as much as reading a small answer costs us. But what comes after the origin was quoted here, and an
origin has to be taken apart only once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

_is_quoted = re.compile(
    r"(?:[A-Za-z0-9_~/-]|%[0-9A-F]{2}|(?<!/)\.)+(?:\?(?:[A-Za-z0-9_.~=&-]|%[0-9A-F]{2})*)?"
).fullmatch
"""Matches a path and a query that httpx would leave as they are."""


class Urls:
    """Makes URLs of one library.

    Args:
        parse: the library's own class of URLs.
    """

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse
        self._fronts: dict[str, Any] = {}
        self.of = lru_cache(maxsize=64)(self._of)

    def _of(self, url: str) -> Any:
        scheme, _, rest = url.partition("://")
        host, _, target = rest.partition("/")
        target = f"/{target}"
        if not _is_quoted(target):
            return self._parse(url)
        origin = f"{scheme}://{host}"
        if origin not in self._fronts:
            self._fronts[origin] = self._learnt(origin, target)
        front = self._fronts[origin]
        return self._parse(url) if front is None else _joined(front, target)

    def _learnt(self, origin: str, target: str) -> Any:
        """What the URLs of an origin begin with; None where the library makes its URLs otherwise
        than known here, as another version of it may."""
        front, whole = self._parse(origin), self._parse(origin + target)
        with suppress(Exception):
            made = _joined(front, target)
            if vars(made) == vars(whole):
                return front
        return None


def _joined(front: Any, target: str) -> Any:
    path, asked, query = target.partition("?")
    made = object.__new__(type(front))
    made._uri_reference = front._uri_reference._replace(path=path, query=query if asked else None)
    return made
