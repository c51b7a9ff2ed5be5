"""The drivers for sync and async callers: they carry out the steps that generators yield."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from guestlist.exchange.clock import Clock
from guestlist.exchange.step import (
    Acquire,
    Block,
    Failure,
    Outgoing,
    Release,
    Send,
    Sleep,
    Steps,
)
from guestlist.provider.messages import Response

if TYPE_CHECKING:
    import anyio
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")
Held = dict[Hashable, Callable[[], None]]
"""The keys that a call holds, and the function that releases each."""


class Wire(Protocol):
    """Sends requests for a sync client."""

    def send(self, outgoing: Outgoing) -> Response | Failure: ...


class AsyncWire(Protocol):
    """Sends requests for an async client."""

    async def send(self, outgoing: Outgoing) -> Response | Failure: ...


class PortalWire:
    """Sends the requests of threads through an async client, in its event loop."""

    def __init__(self, wire: AsyncWire, portal: BlockingPortal) -> None:
        self._wire = wire
        self._portal = portal

    def send(self, outgoing: Outgoing) -> Response | Failure:
        return self._portal.call(self._wire.send, outgoing)


class _Lock(Protocol):
    def release(self) -> None: ...


L = TypeVar("L", bound=_Lock)


class _Locks(Generic[L]):
    """A semaphore for each key. A key that no call holds or waits for has none."""

    def __init__(self, make: Callable[[int], L]) -> None:
        self._make = make
        self._guard = threading.Lock()
        self._used: dict[Hashable, tuple[L, int]] = {}

    def take(self, step: Acquire) -> L:
        key = step.key
        with self._guard:
            lock, users = self._used.get(key) or (self._make(step.places), 0)
            self._used[key] = (lock, users + 1)
        return lock

    def settle(self, key: Hashable, lock: L, held: Held, *, free: bool) -> None:
        """Registers an acquired semaphore in `held`, or drops our reference to it otherwise."""
        if free:
            held[key] = partial(self._give_back, key, lock)
        else:
            self._drop(key)

    def _give_back(self, key: Hashable, lock: L) -> None:
        lock.release()
        self._drop(key)

    def _drop(self, key: Hashable) -> None:
        with self._guard:
            lock, users = self._used.pop(key)
            if users > 1:
                self._used[key] = (lock, users - 1)


class Driver:
    """Runs steps for a sync client. Any number of threads may use one."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock
        self._locks = _Locks(threading.Semaphore)

    def with_clock(self, clock: Clock) -> Driver:
        """Returns a driver with another clock and the same locks."""
        other = Driver(self._wire, clock)
        other._locks = self._locks
        return other

    def run(self, steps: Steps[T]) -> T:
        """Runs the steps to their end and returns their value."""
        held: Held = {}
        try:
            step = next(steps)
            while True:
                result: object = None
                try:
                    if isinstance(step, Send):
                        result = self._wire.send(step.outgoing)
                    elif isinstance(step, Sleep):
                        self._clock.sleep(step.seconds)
                    elif isinstance(step, Block):
                        result = step.function()
                    elif isinstance(step, Release):
                        held.pop(step.key, _nothing)()
                    else:
                        result = step.key in held or self._acquire(step, held)
                except BaseException as interruption:
                    step = steps.throw(interruption)
                else:
                    step = steps.send(result)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            _end(steps, held)

    def _acquire(self, step: Acquire, held: Held) -> bool:
        lock = self._locks.take(step)
        free = False
        try:
            free = lock.acquire(timeout=min(step.seconds, threading.TIMEOUT_MAX))
        finally:
            self._locks.settle(step.key, lock, held, free=free)
        return free


class AsyncDriver:
    """Runs steps for an async client. Any number of tasks may use one."""

    def __init__(self, wire: AsyncWire, clock: Clock) -> None:
        importlib.import_module("anyio")  # early: else it delays the first call
        self._wire = wire
        self._clock = clock
        self._locks: _Locks[anyio.Semaphore] = _Locks(_anyio_semaphore)

    def with_clock(self, clock: Clock) -> AsyncDriver:
        """Returns a driver with another clock and the same locks."""
        other = AsyncDriver(self._wire, clock)
        other._locks = self._locks
        return other

    async def run(self, steps: Steps[T]) -> T:
        """Runs the steps to their end and returns their value."""
        held: Held = {}
        try:
            step = next(steps)
            while True:
                result: object = None
                try:
                    if isinstance(step, Send):
                        result = await self._wire.send(step.outgoing)
                    elif isinstance(step, Sleep):
                        await self._clock.asleep(step.seconds)
                    elif isinstance(step, Block):
                        result = await _in_a_thread(step.function)
                    elif isinstance(step, Release):
                        held.pop(step.key, _nothing)()
                    else:
                        result = step.key in held or await self._acquire(step, held)
                except BaseException as interruption:
                    step = steps.throw(interruption)
                else:
                    step = steps.send(result)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            _end(steps, held)

    async def _acquire(self, step: Acquire, held: Held) -> bool:
        import anyio

        lock = self._locks.take(step)
        free = False
        try:
            try:
                lock.acquire_nowait()  # usually free; this needs no event loop
                free = True
            except anyio.WouldBlock:
                with anyio.move_on_after(step.seconds):
                    await lock.acquire()
                    free = True
        finally:
            self._locks.settle(step.key, lock, held, free=free)
        return free


def _nothing() -> None:
    """Releases a key that the call does not hold."""


async def _in_a_thread(function: Callable[[], T]) -> T:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function)


def _end(steps: Steps[T], held: Held) -> None:
    """Releases all keys that the call holds, and closes the generator."""
    try:
        for let_go in held.values():
            let_go()
    finally:
        steps.close()


def _anyio_semaphore(places: int) -> anyio.Semaphore:
    import anyio

    return anyio.Semaphore(places)
