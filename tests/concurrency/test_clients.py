"""A client's life: closed under load, used from another loop, on another kind of loop."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import anyio
import pytest
from tests.cancelled import CancelledAt
from tests.concurrency.test_one_address import Unpaced, unpaced

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import GuestlistError
from guestlist.exchange import connections
from guestlist.exchange.account import Budget
from guestlist.sandbox import Sandbox
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService

PATIENCE = 20.0
"""Seconds after which something hangs. Nothing here takes one."""


@pytest.fixture
def account() -> Iterator[Vultr]:
    with Sandbox([VultrService], switches={"vultr": {"rate": "off"}}) as sandbox:
        yield unpaced(sandbox)


@contextmanager
def nothing_left() -> Iterator[None]:
    """No thread is left behind; a socket would be a ResourceWarning, and that an error."""
    threads = threading.active_count()
    yield
    gc.collect()
    assert threading.active_count() == threads


class Held:
    """A service that takes connections and answers nothing until it is let go."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take)
        self.arrived = threading.Semaphore(0)

    def __enter__(self) -> Held:
        self._thread.start()
        return self

    def _take(self) -> None:
        while True:
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            self._taken.append(taken)
            taken.recv(65536)
            self.arrived.release()

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for taken in self._taken:
            taken.close()


QUICK = Budget(total=2.0, timeout=0.5, attempts=1)


def test_closing_under_load_ends_every_call() -> None:
    told: list[Any] = []
    with Held() as held:
        guests = Guestlist({"cloud": Unpaced(api_key="k", base_url=held.url)}, budget=QUICK)

        def work() -> None:
            try:
                told.append(guests.check())
            except GuestlistError as error:
                told.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert held.arrived.acquire(timeout=PATIENCE)
        guests.close()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert len(told) == 8
    assert all(isinstance(one, GuestlistError) for one in told)


def test_closing_under_load_ends_every_task() -> None:
    told: list[Any] = []

    async def main() -> None:
        with Held() as held:
            guests = AsyncGuestlist(
                {"cloud": Unpaced(api_key="k", base_url=held.url)}, budget=QUICK
            )

            async def work() -> None:
                try:
                    told.append(await guests.check())
                except GuestlistError as error:
                    told.append(error)

            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as group:
                    for _ in range(8):
                        group.start_soon(work)
                    for _ in range(8):
                        await anyio.to_thread.run_sync(held.arrived.acquire)
                    await guests.aclose()

    anyio.run(main)
    assert len(told) == 8
    assert all(isinstance(one, GuestlistError) for one in told)


def test_closing_while_others_work_loses_nothing(account: Vultr) -> None:
    """A call that is under way when the client is closed ends with its result or an error; the
    next one opens a new connection."""
    told: list[Any] = []
    guests = Guestlist({"cloud": account})
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            try:
                told.append(guests.check())
            except GuestlistError as error:
                told.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        before = len(told)
        while len(told) < before + 5:
            time.sleep(0.001)  # bounded by what happens: eight threads go on telling
        guests.close()
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    guests.close()
    gc.collect()  # a connection that nobody has closed would warn now
    good = [one for one in told if one == "Example Works"]
    assert all(isinstance(one, str | GuestlistError) for one in told)
    assert len(good) > len(told) / 2


def test_nothing_is_left_of_a_sync_client(account: Vultr) -> None:
    with nothing_left(), Guestlist({"cloud": account}) as guests:
        for _ in range(3):
            guests.check()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_nothing_is_left_of_an_async_client(account: Vultr, backend: str) -> None:
    async def main() -> list[str]:
        names: list[str] = []
        async with AsyncGuestlist({"cloud": account}) as guests:

            async def work() -> None:
                names.append(await guests.check())

            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(work)
        return names

    assert anyio.run(main, backend=backend) == ["Example Works"] * 20


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_share_one_address_on_either_kind_of_loop(account: Vultr, backend: str) -> None:
    async def main() -> list[str]:
        told: list[str] = []
        async with AsyncGuestlist({"cloud": account}) as guests:

            async def work() -> None:
                told.append((await guests.invite("ada@example.com")).outcome)

            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(work)
        return sorted(told)

    assert anyio.run(main, backend=backend) == ["already_invited"] * 9 + ["invited"]


def test_a_cancelled_task_leaves_the_client_usable(account: Vultr) -> None:
    async def main() -> str:
        with Held() as held:
            accounts = {"cloud": account, "held": Unpaced(api_key="k", base_url=held.url)}
            async with AsyncGuestlist(accounts) as guests:

                async def work() -> None:
                    await guests.account("held").invite("ada@example.com")

                for _ in range(5):
                    async with anyio.create_task_group() as group:
                        group.start_soon(work)
                        await anyio.to_thread.run_sync(held.arrived.acquire)
                        group.cancel_scope.cancel()
                assert not guests._driver._places._taken
                return await guests.account("cloud").check()

    assert anyio.run(main) == "Example Works"


def test_a_task_that_is_cancelled_at_any_moment_leaves_nothing(account: Vultr) -> None:
    async def main(number: int) -> bool:
        async with AsyncGuestlist({"cloud": account}) as guests:
            try:
                return await CancelledAt(guests.check(), number)
            except asyncio.CancelledError:
                return False

    with nothing_left():
        waits = next(number for number in count(1) if asyncio.run(main(number)))
    assert waits > 5  # to connect, to send, to read, to close


def test_a_task_that_is_cancelled_as_it_closes_what_is_old_leaves_nothing(
    account: Vultr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also none of the idle connections of other calls."""

    async def main(number: int) -> bool:
        async with AsyncGuestlist({"cloud": account}) as guests:
            monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", PATIENCE)
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(guests.check)
            (lent,) = guests._wire._origins.values()
            assert len(lent._idle) > 1
            monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", -1.0)
            try:
                return await CancelledAt(guests.check(), number)
            except asyncio.CancelledError:
                return False

    with nothing_left():
        waits = next(number for number in count(1) if asyncio.run(main(number)))
    assert waits > 5


def test_a_task_that_is_cancelled_as_it_closes_the_client_leaves_nothing(account: Vultr) -> None:
    async def main(number: int) -> bool:
        guests = AsyncGuestlist({"cloud": account})
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(guests.check)
        try:
            return await CancelledAt(guests.aclose(), number)
        except asyncio.CancelledError:
            return False

    with nothing_left():
        waits = next(number for number in count(1) if asyncio.run(main(number)))
    assert waits > 1


def test_one_client_in_one_loop_after_another(account: Vultr) -> None:
    """A client that was closed in its first loop works in a second."""
    guests = AsyncGuestlist({"cloud": account})

    async def main() -> str:
        async with guests:
            return await guests.check()

    assert [anyio.run(main), anyio.run(main), anyio.run(main, backend="trio")] == [
        "Example Works"
    ] * 3


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_client_that_was_not_closed_in_its_loop(account: Vultr) -> None:
    """Its connections died with the loop, and Python says so. The next call in another loop ends
    all the same, with its result or an error."""
    guests = AsyncGuestlist({"cloud": account}, budget=Budget(total=5.0, timeout=1.0))

    async def main() -> Any:
        with anyio.fail_after(PATIENCE):
            try:
                return await guests.check()
            except GuestlistError as error:
                return error

    assert anyio.run(main) == "Example Works"
    again = anyio.run(main)
    assert again == "Example Works" or isinstance(again, GuestlistError)
    guests._wire._close_origins()
    gc.collect()
