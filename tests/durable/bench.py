"""How fast a run is, how much memory it takes, and how soon it goes on after a restart.

The service answers after 20 ms, has no limit, and remembers nothing. It, and each run that is
measured, is a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from guestlist import Guestlist
from guestlist.changes import Action, Change
from guestlist.ledger import runs
from guestlist.ledger.lock import exclusive
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store
from guestlist.provider import Limit
from guestlist.runs.runner import Runner
from guestlist.runs.stop import Stop, StopClock
from guestlist_vultr import Vultr

ANSWER = 0.020
"""Seconds that the service takes."""
SIZES = (10_000, 100_000, 1_000_000)
LEFT = 1_000
"""Orders that are left of the million of which the others are done."""
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
ADDRESS = re.compile(rb'"email_invited": ?"([^"]+)"')


class Unlimited(Vultr):
    """The same without its limit."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        return ()


# ---------------------------------------------------------------------------- the service


class _Answering(asyncio.Protocol):
    first: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._came = b""

    def data_received(self, data: bytes) -> None:
        _Answering.first = _Answering.first or time.time()
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or len(body) < (int(length[1]) if length else 0):
            return
        self._came = b""
        if head.startswith(b"GET /first"):
            self._answer(json.dumps(_Answering.first).encode())
            return
        email = ADDRESS.search(body)
        about = {"id": "i", "email_invited": email[1].decode() if email else ""}
        told = {
            **about,
            "invite_status": "Pending",
            "permissions": {"api_enabled": False},
            "date_created": "2027-01-15T08:00:00+00:00",
            "expiration_date": "2037-01-15T08:00:00+00:00",
        }
        answer = json.dumps({"invitation": told}).encode()
        asyncio.get_running_loop().call_later(ANSWER, self._answer, answer)

    def _answer(self, body: bytes) -> None:
        head = f"HTTP/1.1 201 Created\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def _service() -> Iterator[int]:
    with subprocess.Popen(_me("serve"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def _first_byte(port: int) -> float:
    """When the first byte of a request came to the service."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /first HTTP/1.1\r\n\r\n")
        return float(connection.recv(4096).partition(b"\r\n\r\n")[2])


# ---------------------------------------------------------------------------- the run


def _me(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tests.durable.bench", *map(str, arguments)]


def _apply(url: str, port: int) -> None:
    """Carries the last run out, and prints what that took."""
    store, stop = Store(url), Stop()
    accounts = {"vultr": Unlimited(base_url=f"http://127.0.0.1:{port}", api_key="key")}
    unfinished = runs.unfinished_run(store)
    assert unfinished is not None
    used, began = _used(), time.monotonic()
    with Guestlist(accounts, clock=StopClock(stop)) as guests, exclusive(store):
        summary = Runner(guests, store, stop).run(unfinished.id)
    store.close()
    done = summary.tallies["vultr"].done.total()
    told = {
        "done": done,
        "seconds": time.monotonic() - began,
        "cpu": _used() - used,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(told), flush=True)


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _people(count: int) -> Iterable[Change]:
    for number in range(count):
        email = f"guest{number}@example.com"
        yield Change(action=Action.INVITE, account="vultr", email=email, key=email)


@contextlib.contextmanager
def _ledger(count: int, done: int = 0) -> Iterator[str]:
    """A ledger with a run of so many orders, the first of which are done."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'guestlist.db'}"
        store = Store(url)
        people = partial(_people, count)
        runs.begin_run(store, people, "digest", "guestlist.toml", time.time())
        if done:
            with store.engine.begin() as connection:
                connection.exec_driver_sql(
                    "UPDATE orders SET state = ?, settled = asked, outcome = 'invited',"
                    " email_sent = 1, intended = asked, attempts = 1 WHERE id <= ?",
                    (int(OrderState.DONE), done),
                )
        store.close()
        yield url


def _measured(url: str, port: int) -> dict[str, float]:
    told = subprocess.run(
        _me("apply", url, port), stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    return dict(json.loads(told))


# ---------------------------------------------------------------------------- the figures


def throughput(count: int) -> str:
    """Orders per second of one process."""
    with _service() as port, _ledger(count) as url:
        told = _measured(url, port)
    rate, cpu = told["done"] / told["seconds"], 1000 * told["cpu"] / told["done"]
    return (
        f"{told['done']:.0f} orders in {told['seconds']:.1f} s: {rate:.0f}/s, {cpu:.2f} ms CPU each"
    )


def memory(sizes: Iterable[int]) -> str:
    """The largest resident memory of runs of several sizes."""
    lines = []
    for size in sizes:
        with _service() as port, _ledger(size) as url:
            told = _measured(url, port)
        lines.append(f"{size:9,} orders: {told['rss']:6.1f} MB, {told['seconds']:.0f} s")
    return "\n".join(lines)


def restart(size: int = SIZES[-1]) -> str:
    """Seconds from the start of a process until its first byte reaches the service."""
    with _service() as port, _ledger(size, size - LEFT) as url:
        began = time.time()
        _measured(url, port)
        return f"{size:,} rows, {LEFT:,} left: {_first_byte(port) - began:.2f} s to the first byte"


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "serve":
        asyncio.run(_serve())
    else:
        _apply(rest[0], int(rest[1]))
