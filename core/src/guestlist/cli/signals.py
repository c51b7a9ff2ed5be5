"""Ends a command on SIGTERM and SIGHUP as on Ctrl-C.

Schedulers and containers send SIGTERM, a closed terminal sends SIGHUP.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from guestlist.cli.exit_codes import Interrupted, Terminated
from guestlist.cli.session import Session

TERMINATION_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that end a command, besides Ctrl-C. Windows has no SIGHUP."""


@contextmanager
def ends_on_signals(session: Session, *, patient: bool = False) -> Iterator[None]:
    """Raises `KeyboardInterrupt` on SIGTERM and SIGHUP within the block, and records the signal in
    the session's errors. An ignored signal stays ignored, as `nohup` requires.

    Args:
        patient: raise only on the first signal, including Ctrl-C. A second one would end the wait
            for requests in flight, and release the ledger's lock too early.
    """
    received: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1 or not patient:
            raise KeyboardInterrupt

    def terminated(error: Interrupted) -> Interrupted:
        signals = [number for number in received if number in TERMINATION_SIGNALS]
        if not signals or isinstance(error, Terminated):
            return error
        ended = Terminated(error.message, signals[0])
        ended.happened = error.happened
        return ended

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    numbers = [*TERMINATION_SIGNALS, signal.SIGINT] if patient else list(TERMINATION_SIGNALS)
    before = {
        number: signal.signal(number, interrupt)
        for number in numbers
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    except KeyboardInterrupt:
        raise terminated(Interrupted("nothing was changed")) from None
    except Interrupted as error:
        raise terminated(error) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        session.errors[:] = [
            terminated(error) if isinstance(error, Interrupted) else error
            for error in session.errors
        ]
