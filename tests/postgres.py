"""A PostgreSQL of one's own: run by an ordinary user in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

USER = "nobody"
"""Who runs it when we are root, from whom PostgreSQL refuses to be started."""
OWNER = "guestlist"
PLACES = "usr/lib/postgresql/*/bin"
"""Where Debian keeps its programs, out of the PATH."""


def missing() -> str | None:
    """Why none can be started here; None when one can."""
    return None if _program("initdb") else "PostgreSQL is not installed"


def _program(name: str) -> str | None:
    debian = sorted(Path("/").glob(f"{PLACES}/{name}"))
    return str(debian[-1]) if debian else shutil.which(name)


class Server:
    """A server that is running, reached through a socket in its folder.

    Args:
        fsync: whether it waits for the disk, as one does that is to survive a power cut.

    Attributes:
        url: of its first database.
    """

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._sockets = folder / "sockets"
        self._sockets.mkdir()
        self._own()
        told = ("-A", "trust", "-U", OWNER, "-E", "UTF8", "--no-sync")
        self._do("initdb", "-D", self._data, *told)
        self._options = f"-c listen_addresses='' -c unix_socket_directories='{self._sockets}'"
        self._options += f" -c max_connections=200 -c fsync={'on' if fsync else 'off'}"
        self.url = self._url("postgres")
        self.start()

    def start(self) -> None:
        """Starts it, or starts it again."""
        log = self._folder / "log"
        self._do("pg_ctl", "-D", self._data, "-w", "-o", self._options, "-l", log, "start")

    def stop(self) -> None:
        """Stops it at once, as if it were killed."""
        self._do("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def new_database(self, name: str) -> str:
        """An empty database that sorts as people do, not as bytes; its URL."""
        with psycopg.connect(host=str(self._sockets), user=OWNER, dbname="postgres") as connection:
            connection.autocommit = True
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
            )
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql://{OWNER}@/{database}?host={self._sockets}"

    def _own(self) -> None:
        if os.geteuid() == 0:
            for path in (self._folder, self._sockets):
                shutil.chown(path, USER)

    def _do(self, name: str, *arguments: object) -> None:
        user = USER if os.geteuid() == 0 else None
        group = os.stat(self._folder).st_gid if user else None
        done = subprocess.run(
            [str(_program(name)), *map(str, arguments)],
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
def running(*, fsync: bool = False) -> Iterator[Server]:
    """A server for the time of the block."""
    folder = Path(tempfile.mkdtemp(prefix="guestlist-pg-"))
    folder.chmod(0o711)
    server = Server(folder, fsync=fsync)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
