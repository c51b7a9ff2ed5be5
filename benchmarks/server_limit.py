"""The server's own limit: how far it is from being what is measured."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess

from benchmarks.aitronos import recorded
from benchmarks.measure import Figure, in_turns
from benchmarks.report import Cell, Report, Table, Target
from benchmarks.server import serving

CALLS, ROUNDS = 2000, 9
FASTEST_NEEDED = 7000
"""Requests in a second of the fastest client measured here (aiohttp, on an idle machine)."""

TEXT = """
The server (`benchmarks/server.py`) is a separate process: a loop over `epoll` that sends prepared
bytes. It runs on the machine's last core, and the measured program on the first. A raw socket that
sends the bytes of one `status` and reads the answer shows the server's speed with one request at a
time. wrk, if it is installed, shows it with 64 connections.
"""


def measure() -> Report:
    """Measures the row."""
    one = recorded().verbs["status"][0]
    with serving(recorded().site) as base_url:
        port = int(base_url.rpartition(":")[2])
        request = f"GET {one.target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", port)) as connection:

            def block() -> None:
                for _ in range(CALLS):
                    connection.sendall(request)
                    connection.recv(65536)

            raw = in_turns({"raw": block}, calls=CALLS, rounds=ROUNDS)["raw"]
        rows: list[list[Cell]] = [["a raw socket, one request at a time", raw.rate]]
        if (fast := _wrk(f"{base_url}{one.target}")) is not None:
            rows.append(["wrk, 64 connections", fast])
    best = max(row[1].median for row in rows if isinstance(row[1], Figure))
    return Report(
        title="The server",
        text=TEXT,
        targets=[
            Target(
                f"{FASTEST_NEEDED:,} requests a second (the fastest client measured here)"
                " divided by the server's own rate: at most 1",
                FASTEST_NEEDED / best,
                1,
            )
        ],
        tables=[Table("Requests a second", ("client", "requests/s"), rows)],
    )


def _wrk(url: str) -> Figure | None:
    if shutil.which("wrk") is None:
        return None
    rates = []
    for _ in range(3):
        done = subprocess.run(
            ["wrk", "-t1", "-c64", "-d2", url], check=True, capture_output=True, text=True
        )
        found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
        if found is None or "Non-2xx" in done.stdout:
            raise RuntimeError(f"wrk says: {done.stdout}")
        rates.append(float(found[1]))
    return Figure.of(rates, "/s")
