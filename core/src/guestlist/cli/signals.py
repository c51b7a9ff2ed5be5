"""Ends a command on SIGTERM and SIGHUP as on Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from guestlist.cli.exit_codes import Interrupted, Terminated
from guestlist.cli.session import Session
from guestlist.signals import END_SIGNALS, TERMINATION_SIGNALS, handle_signals


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

    try:
        with handle_signals(interrupt, END_SIGNALS if patient else TERMINATION_SIGNALS):
            yield
    except KeyboardInterrupt:
        raise terminated(Interrupted("nothing was changed")) from None
    except Interrupted as error:
        raise terminated(error) from None
    finally:
        session.errors[:] = [
            terminated(error) if isinstance(error, Interrupted) else error
            for error in session.errors
        ]
