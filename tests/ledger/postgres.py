"""A PostgreSQL of our own, where its programs are installed: in a folder, without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

USER = "postgres"
"""Who runs it when the tests are run by root, from whom PostgreSQL refuses to be started."""


def programs() -> Path | None:
    """The folder of its programs; None where it is not installed."""
    found = shutil.which("initdb")
    here = [Path(found)] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return here[-1].parent if here else None


@contextmanager
def server() -> Iterator[Path]:
    """A server for the time of the block; the folder of its socket."""
    home = programs()
    assert home is not None
    other: dict[str, Any] = {"user": USER, "group": USER} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if other:
            shutil.chown(folder, USER, USER)

        def run(*command: str | Path) -> None:
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **other)

        data = folder / "data"
        run(home / "initdb", "-D", data, "-A", "trust", "-U", USER, "--no-sync", "-E", "UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run(home / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield folder
        finally:
            run(home / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def new_database(folder: Path, name: str) -> str:
    """An empty database that sorts as people do, not as bytes; its URL."""
    with psycopg.connect(host=str(folder), user=USER, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        )
    return f"postgresql://{USER}@/{name}?host={folder}"
