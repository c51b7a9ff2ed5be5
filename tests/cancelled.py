"""A call whose task is cancelled at a chosen moment."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from itertools import count
from typing import Any


class CancelledAt:
    """A call whose task is cancelled (asyncio's own way, from which no scope of anyio shields) as
    it waits for the n-th time."""

    def __init__(self, call: Coroutine[Any, Any, object], number: int) -> None:
        self._call = call
        self._number = number

    def __await__(self) -> Generator[Any, Any, bool]:
        """Whether the call had ended before."""
        inner = self._call.__await__()
        step = partial(next, inner)
        for wait in count(1):
            try:
                waited = step()
            except StopIteration:
                break
            if wait == self._number:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                yield waited
            except BaseException as error:
                step = partial(inner.throw, error)
            else:
                step = partial(next, inner)
        return True
