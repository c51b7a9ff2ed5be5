# ruff: noqa: SIM115 - streams stay open as long as the program
"""The program in a process of its own, which starts in milliseconds.

Python takes half a second to start and to load everything. So one process loads everything once,
and is forked for each program. `test_startup.py` starts the installed program itself.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

ROOT = Path(__file__).parents[3]
DEVNULL, PIPE = subprocess.DEVNULL, subprocess.PIPE


class Program:
    """A program that was started, used like `subprocess.Popen`. Its output is text.

    Args:
        words: the arguments after `guestlist`.
        stdin, stdout, stderr: a file, its number, `PIPE` (not for stdin) or `DEVNULL`.
        env: the environment; by default that of this process.
    """

    def __init__(
        self,
        *words: str,
        stdin: int | IO[Any] = DEVNULL,
        stdout: int | IO[Any] = PIPE,
        stderr: int | IO[Any] = PIPE,
        env: dict[str, str] | None = None,
    ) -> None:
        self.returncode: int | None = None
        ours, theirs = [], []
        for stream in (stdin, stdout, stderr):
            reading = None
            if stream == PIPE:
                read, write = os.pipe()
                reading, number = open(read, encoding="utf-8"), write
            elif stream == DEVNULL:
                number = os.open(os.devnull, os.O_RDWR)
            else:
                number = os.dup(stream if isinstance(stream, int) else stream.fileno())
            ours.append(reading)
            theirs.append(number)
        _, self.stdout, self.stderr = ours
        status, written = os.pipe()
        self._status = open(status, encoding="utf-8")
        facts = {"words": words, "folder": os.getcwd(), "env": env or dict(os.environ)}
        socket.send_fds(_loaded(), [json.dumps(facts).encode()], [*theirs, written])
        for number in (*theirs, written):
            os.close(number)
        self.pid = int(self._status.readline())

    def poll(self) -> int | None:
        """Returns the exit code, or None while it runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            return self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Returns the exit code once it has ended."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("guestlist", timeout or 0.0)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Returns the rest of the output once it has ended."""
        with ThreadPoolExecutor(2) as pool:
            reading = [
                pool.submit(stream.read) if stream and not stream.closed else None
                for stream in (self.stdout, self.stderr)
            ]
            try:
                out, err = (one.result(timeout) if one else "" for one in reading)
            except TimeoutError:
                self.kill()
                raise
        self.wait(timeout)
        self._close()
        return out, err

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.kill()
        self.wait()
        self._close()

    def _close(self) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()


@cache
def _loaded() -> socket.socket:
    """Starts the process that is forked. It ends with this one."""
    ours, theirs = socket.socketpair()
    number = theirs.fileno()
    command = [sys.executable, "-m", "tests.core.cli.program", str(number)]
    loaded = subprocess.Popen(command, cwd=ROOT, pass_fds=[number], stdin=DEVNULL)
    theirs.close()

    def end() -> None:
        ours.close()
        loaded.wait()

    atexit.register(end)
    return ours


def serve(requests: socket.socket) -> None:
    """Forks a program for each request, until the other side is closed."""
    forked = 0
    while True:
        facts, numbers, _, _ = socket.recv_fds(requests, 1 << 20, 4)
        while forked and os.waitpid(-1, 0 if not facts else os.WNOHANG)[0]:
            forked -= 1
        if not facts:
            return
        forked += 1
        if os.fork() == 0:
            requests.close()
            _watch(json.loads(facts), *numbers)
        for number in numbers:
            os.close(number)


def _watch(facts: dict[str, Any], stdin: int, stdout: int, stderr: int, status: int) -> None:
    """Forks a program, and writes its id and then its exit code."""
    program = os.fork()
    if program == 0:
        os.close(status)
        _become(facts, stdin, stdout, stderr)
    for number in (stdin, stdout, stderr):
        os.close(number)
    os.write(status, f"{program}\n".encode())
    _, ended = os.waitpid(program, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def _become(facts: dict[str, Any], *streams: int) -> None:
    """Runs the program in this process, as Python would run it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if os.isatty(0):  # Ctrl-C in this terminal reaches the program
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(facts["folder"])
    os.environ.clear()
    os.environ.update(facts["env"])
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    out = open(1, "wb", 0 if unbuffered else -1)
    sys.stdin = open(0, encoding="utf-8")
    sys.stdout = io.TextIOWrapper(
        out, "utf-8", line_buffering=out.isatty(), write_through=unbuffered
    )
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace")
    sys.argv = ["guestlist", *facts["words"]]
    code = 1
    try:
        from guestlist.cli.__main__ import program

        code = program()
    except BaseException:
        traceback.print_exc()
    try:
        sys.stdout.flush()
    except OSError:
        code = 120
    os._exit(code)


def _load() -> None:
    """Loads what the commands use."""
    import importlib
    import pkgutil

    import guestlist.cli
    import guestlist.ledger
    from guestlist.plugins import installed
    from guestlist.sandbox.services import service_classes

    for module in pkgutil.walk_packages(guestlist.cli.__path__, "guestlist.cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    importlib.import_module("guestlist.sandbox.server")
    importlib.import_module("sqlalchemy.dialects.sqlite")
    installed()
    service_classes()
    gc.freeze()  # so that a fork does not copy it all


if __name__ == "__main__":
    _load()
    serve(socket.socket(fileno=int(sys.argv[1])))
