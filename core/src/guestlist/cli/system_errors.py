"""Errors of the operating system, such as a full disk or too many open files."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from guestlist.errors import MORE_FILES, GuestlistError

HINTS = {
    errno.EMFILE: MORE_FILES,
    errno.ENFILE: MORE_FILES,
    errno.ENOSPC: "Free some disk space, then run the command again.",
    errno.EDQUOT: "Free some disk space, then run the command again.",
    errno.EROFS: "Use a file system that is writable.",
}
"""Hints by error number."""


class SystemFailure(GuestlistError):
    """The operating system refused an operation, such as writing a file."""


class Output:
    """A stdout that remembers a failed write, and then discards further output.

    Attributes:
        stream: the stream that is written to. Everything else is delegated to it.
        error: the error of a failed write; None if there was none, or only a closed pipe.
        muted: whether all output is discarded.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.error: OSError | None = None
        self.muted = False

    def write(self, text: str) -> int:
        if self.muted:
            return len(text)
        with self._remembering():
            return self.stream.write(text)

    def flush(self) -> None:
        with self._remembering():
            self.stream.flush()

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            self.error = error
            with suppress(OSError):
                self.discard()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def discard(self) -> None:
        """Sends further output to /dev/null, including what the interpreter flushes at exit."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


@contextmanager
def checked_output() -> Iterator[Output]:
    """Replaces `sys.stdout` with an `Output` within the block."""
    output = Output(sys.stdout)
    sys.stdout = cast(TextIO, output)
    try:
        yield output
    finally:
        sys.stdout = output.stream


def mute_output() -> None:
    """Discards further output to stdout. Only within `checked_output`."""
    cast(Output, sys.stdout).muted = True


def system_failure(error: OSError) -> SystemFailure:
    """Returns the error for an operation that the operating system refused, with the name of the
    file."""
    reason = error.strerror or type(error).__name__
    if getattr(sys.stdout, "error", None) is error:
        return SystemFailure(f"the output cannot be written: {reason}")
    where = f"{error.filename}: " if error.filename else ""
    return SystemFailure(f"{where}{reason}", hint=HINTS.get(error.errno or 0, ""))
