"""The drivers for sync and async callers: they carry out the steps that generators yield."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Hashable, Sequence
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from guestlist.exchange.clock import Clock, Stopped
from guestlist.exchange.step import (
    Acquire,
    Block,
    Failure,
    Outgoing,
    Release,
    Send,
    Sleep,
    Steps,
    Together,
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
                    elif isinstance(step, Together):
                        result = self._run_together(step.runs)
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

    def _run_together(self, runs: Sequence[Steps[Any]]) -> list[Any]:
        """Runs each generator in a daemon thread, which does not delay the exit after Ctrl-C."""
        stopped = threading.Event()
        done = SimpleQueue[tuple[int, Any, BaseException | None]]()

        def work(number: int, steps: Steps[Any]) -> None:
            try:
                done.put((number, self.run(_until_stopped(steps, stopped)), None))
            except BaseException as error:
                done.put((number, None, error))

        for number, steps in enumerate(runs):
            # Copied, so that traces show the thread as a part of this call.
            context = copy_context()
            arguments = (work, number, steps)
            threading.Thread(target=context.run, args=arguments, daemon=True).start()
        results: dict[int, Any] = {}
        try:
            for _ in runs:
                number, result, error = done.get()
                if error is not None:
                    raise error
                results[number] = result
        finally:  # Ctrl-C stops the threads, too
            stopped.set()
        return [results[number] for number in range(len(runs))]

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
        importlib.import_module("anyio")  # imported early, so that the first call is not delayed
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
                    elif isinstance(step, Together):
                        result = await self._run_together(step.runs)
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

    async def _run_together(self, runs: Sequence[Steps[Any]]) -> list[Any]:
        import anyio

        results: dict[int, Any] = {}
        errors: list[Exception] = []

        async def work(number: int, steps: Steps[Any]) -> None:
            try:
                results[number] = await self.run(steps)
            except Exception as error:
                errors.append(error)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for number, steps in enumerate(runs):
                tasks.start_soon(work, number, steps)
        if errors:
            raise errors[0]
        return [results[number] for number in range(len(runs))]

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


def _until_stopped(steps: Steps[T], stopped: threading.Event) -> Steps[T]:
    """Yields the steps. Ends with `Stopped` before the next step after `stopped` is set."""
    try:
        step = next(steps)
        while True:
            if stopped.is_set():
                raise Stopped
            try:
                result = yield step
            except BaseException as interruption:
                step = steps.throw(interruption)
            else:
                step = steps.send(result)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    finally:
        steps.close()


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
