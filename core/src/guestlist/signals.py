"""Handles the signals that ask a program to end.

Ctrl-C sends SIGINT, schedulers and containers send SIGTERM, a closed terminal sends SIGHUP.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATION_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that end a program, besides Ctrl-C. Windows has no SIGHUP."""
END_SIGNALS = (signal.SIGINT, *TERMINATION_SIGNALS)
"""The signals that end a program, with Ctrl-C."""


@contextmanager
def handle_signals(
    handler: Callable[[int, FrameType | None], object], numbers: tuple[int, ...] = END_SIGNALS
) -> Iterator[None]:
    """Calls `handler` for signals within the block, and restores the earlier handlers after it.

    An ignored signal stays ignored, as `nohup` requires. Outside the main thread it changes
    nothing, because Python delivers signals to the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler)
        for number in numbers
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
