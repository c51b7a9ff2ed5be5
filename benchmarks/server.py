"""A local HTTP/1.1 server that is much faster than any client measured against it.

One process, one thread, one loop over `epoll`; answers are bytes that were made before. It reads
no more of HTTP than benchmarks need: where a request ends, its method and its target.
"""

from __future__ import annotations

import heapq
import multiprocessing
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from multiprocessing.connection import Connection

from benchmarks.machine import CORES

Site = Callable[[str, str, bytes], bytes]
"""Method, target and body of a request to the bytes of the answer."""

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length:"


def answer(status: int, body: bytes = b"") -> bytes:
    """An answer, ready to be sent."""
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def serving(site: Site, *, delay: float = 0.0) -> Iterator[str]:
    """Serves a site from a process of its own, on the machine's last core; gives its URL.

    Args:
        delay: seconds that pass before each answer, as they do on a way to a real service.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(site, delay, theirs), daemon=True
    )
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(site: Site, delay: float, parent: Connection) -> None:
    os.sched_setaffinity(0, {CORES[-1]})
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    parent.send(listening.getsockname()[1])
    _Server(listening, site, delay).run()


class _Server:
    def __init__(self, listening: socket.socket, site: Site, delay: float) -> None:
        self._listening = listening
        self._site = site
        self._delay = delay
        self._poll = select.epoll()
        self._poll.register(listening, select.EPOLLIN)
        self._open: dict[int, tuple[socket.socket, bytearray]] = {}
        self._due: list[tuple[float, int, bytes]] = []

    def run(self) -> None:
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else -1
            for number, _ in self._poll.poll(wait):
                if number == self._listening.fileno():
                    self._accept()
                else:
                    self._read(number)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, number, reply = heapq.heappop(self._due)
                self._send(number, reply)

    def _accept(self) -> None:
        connection, _ = self._listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open[connection.fileno()] = connection, bytearray()
        self._poll.register(connection, select.EPOLLIN)

    def _read(self, number: int) -> None:
        connection, buffer = self._open[number]
        try:
            came = connection.recv(65536)
        except OSError:
            came = b""
        if not came:
            self._close(number)
            return
        buffer += came
        while (end := buffer.find(END_OF_HEAD)) >= 0:
            head = bytes(buffer[:end])
            begins, ends = end + 4, end + 4 + _length(head)
            if len(buffer) < ends:
                return
            method, target, _ = head.split(b" ", 2)
            reply = self._site(method.decode(), target.decode(), bytes(buffer[begins:ends]))
            del buffer[:ends]
            if self._delay:
                heapq.heappush(self._due, (time.monotonic() + self._delay, number, reply))
            else:
                self._send(number, reply)

    def _send(self, number: int, reply: bytes) -> None:
        """Blocks while the client does not read: every client here reads what it has asked for."""
        try:
            if number in self._open:
                self._open[number][0].sendall(reply)
        except OSError:
            self._close(number)

    def _close(self, number: int) -> None:
        connection, _ = self._open.pop(number)
        self._poll.unregister(connection)
        connection.close()


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(LENGTH)
    if at < 0:
        return 0
    return int(lower[at + len(LENGTH) :].partition(b"\r\n")[0])
