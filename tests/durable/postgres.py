"""A PostgreSQL of one's own: run by an ordinary user in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "nobody"
"""Who runs it when we are root, which PostgreSQL refuses to be."""
PLACES = "/usr/lib/postgresql/*/bin"
"""Where Debian keeps its programs, out of the PATH."""


def missing() -> str | None:
    """Why none can be started here; None when one can."""
    if _program("initdb") is None:
        return "PostgreSQL is not installed"
    return None


def _program(name: str) -> str | None:
    debian = sorted(Path("/").glob(f"{PLACES.removeprefix('/')}/{name}"))
    return str(debian[-1]) if debian else shutil.which(name)


class Server:
    """A server that is running, reached through a socket in its folder.

    Attributes:
        url: of its database.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._sockets = folder / "sockets"
        self._sockets.mkdir()
        self._own()
        self._do("initdb", "-D", self._data, "-A", "trust", "-U", "guestlist", "-E", "UTF8")
        self.url = f"postgresql://guestlist@/postgres?host={self._sockets}"
        self.start()

    def start(self) -> None:
        """Starts it, or starts it again."""
        told = f"-c listen_addresses='' -c unix_socket_directories='{self._sockets}'"
        told += " -c max_connections=200"
        self._do("pg_ctl", "-D", self._data, "-w", "-o", told, "-l", self._folder / "log", "start")

    def stop(self) -> None:
        """Stops it at once, as a power failure would."""
        self._do("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def _own(self) -> None:
        if os.geteuid() == 0:
            for path in (self._folder, self._sockets):
                shutil.chown(path, USER)

    def _do(self, name: str, *arguments: object) -> None:
        command = [str(_program(name)), *map(str, arguments)]
        user = USER if os.geteuid() == 0 else None
        group = os.stat(self._folder).st_gid if user else None
        done = subprocess.run(
            command,
            user=user,
            group=group,
            extra_groups=[] if user else None,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr}")


@contextmanager
def running() -> Iterator[Server]:
    """A server for the time of the block."""
    folder = Path(tempfile.mkdtemp(prefix="guestlist-pg-"))
    folder.chmod(0o711)
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
