"""Runs a function in several daemon threads, which do not block the exit after Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(work: Callable[[T], R], items: Sequence[T], count: int) -> Iterator[R]:
    """Yields `work(item)` for each item, in order of completion, using at most `count` threads.

    If the caller stops iterating, no further item is started. The threads are daemons, so a hanging
    request does not delay the exit of the program, as a ThreadPoolExecutor would.

    Raises:
        BaseException: the error that `work` raised.
    """
    waiting = SimpleQueue[T]()
    done = SimpleQueue[tuple[R, None] | tuple[None, BaseException]]()
    for item in items:
        waiting.put(item)

    def run() -> None:
        with suppress(Empty):
            while True:
                item = waiting.get_nowait()
                try:
                    done.put((work(item), None))
                except BaseException as error:
                    done.put((None, error))
                    return

    for _ in range(min(count, len(items))):
        threading.Thread(target=run, name="guestlist-read", daemon=True).start()
    try:
        for _ in items:
            result, error = done.get()
            if error is not None:
                raise error
            yield result  # type: ignore[misc]
    finally:
        with suppress(Empty):
            while True:
                waiting.get_nowait()
