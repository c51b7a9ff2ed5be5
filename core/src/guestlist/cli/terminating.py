"""SIGTERM, as schedulers and containers send it: a command that may take long ends as on Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from guestlist.cli.outcome import Interrupted, Terminated
from guestlist.cli.session import Session


@contextmanager
def ends_on_sigterm(session: Session) -> Iterator[None]:
    """SIGTERM raises `KeyboardInterrupt` within the block, and the errors say which it was."""
    received = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal received
        received = True
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # only the main thread may listen to signals
        yield
        return
    try:
        yield
    except KeyboardInterrupt:
        if received:
            raise Terminated("nothing was changed") from None
        raise
    except Interrupted as error:
        if received:
            raise Terminated(error.message) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        if received:
            session.errors[:] = [
                Terminated(error.message) if isinstance(error, Interrupted) else error
                for error in session.errors
            ]
