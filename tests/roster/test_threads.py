"""Work in several threads, and what happens when it is ended early."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from guestlist.roster.threads import in_threads


def test_every_result_comes_once() -> None:
    assert sorted(in_threads(lambda number: number * 2, range(100), 4)) == list(range(0, 200, 2))
    assert list(in_threads(str, [], 4)) == []


def test_at_most_so_many_at_a_time() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def work(_number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1

    list(in_threads(work, range(50), 3))
    assert most <= 3


def test_nothing_is_begun_after_an_error() -> None:
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(in_threads(work, range(1000), 1))
    assert len(begun) < 1000


def test_nothing_is_begun_after_the_caller_has_stopped() -> None:
    gate, begun = threading.Event(), []

    def work(number: int) -> int:
        begun.append(number)
        if number:
            gate.wait(10)
        return number

    results = in_threads(work, range(10), 1)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    gate.set()
    assert begun in ([0], [0, 1])


def test_a_thread_that_hangs_does_not_keep_the_program_from_ending() -> None:
    program = (
        "import threading\n"
        "from guestlist.roster.threads import in_threads\n"
        "def work(number):\n"
        "    if number:\n"
        "        threading.Event().wait()\n"
        "    return number\n"
        "print(next(in_threads(work, range(2), 2)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True)
    assert ended.stdout == b"0\n"
    assert ended.returncode == 0
