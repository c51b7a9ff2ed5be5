"""SIGTERM, as schedulers and containers send it: a command that may take long ends as on Ctrl-C.
However often it is told to end, it waits for what is under way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from guestlist.cli.outcome import Interrupted, Terminated
from guestlist.cli.session import Session


@contextmanager
def ends_on_signals(session: Session) -> Iterator[None]:
    """SIGTERM raises `KeyboardInterrupt` within the block, and the errors say which it was.

    Of several signals, Ctrl-C among them, only the first raises: another one would end the waiting
    for requests that are under way, and let go of the ledger's lock meanwhile.
    """
    received: set[int] = set()

    def interrupt(number: int, _frame: FrameType | None) -> None:
        is_first = not received
        received.add(number)
        if is_first:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may listen to signals
        return
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt)}
    if callable(signal.getsignal(signal.SIGINT)):  # in the background a shell has it ignored
        before[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        if signal.SIGTERM in received:
            raise Terminated("nothing was changed") from None
        raise
    except Interrupted as error:
        if signal.SIGTERM in received:
            raise Terminated(error.message) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if signal.SIGTERM in received:
            session.errors[:] = [
                Terminated(error.message) if isinstance(error, Interrupted) else error
                for error in session.errors
            ]
