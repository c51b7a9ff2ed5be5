"""The drivers for sync and async callers: they carry out the steps that generators yield."""

from __future__ import annotations

import importlib
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from guestlist.exchange.clock import Clock, Stopped
from guestlist.exchange.step import (
    Acquire,
    Block,
    Outgoing,
    Release,
    Send,
    SendFailure,
    Sleep,
    Steps,
    Together,
)
from guestlist.provider.messages import Response

if TYPE_CHECKING:
    import anyio
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")


class Wire(Protocol):
    """Sends requests for a sync client."""

    def send(self, outgoing: Outgoing) -> Response | SendFailure: ...


class AsyncWire(Protocol):
    """Sends requests for an async client."""

    async def send(self, outgoing: Outgoing) -> Response | SendFailure: ...


class PortalWire:
    """Sends the requests of threads through an async client, in its event loop."""

    def __init__(self, wire: AsyncWire, portal: BlockingPortal) -> None:
        self._wire = wire
        self._portal = portal

    def send(self, outgoing: Outgoing) -> Response | SendFailure:
        return self._portal.call(self._wire.send, outgoing)


class _Event(Protocol):
    def set(self) -> object: ...


E = TypeVar("E", bound=_Event)


class _Places(Generic[E]):
    """Counts the places of each key that calls hold, and keeps the calls that wait for one in line.

    Args:
        make_event: creates the event with which a waiting call is woken.
    """

    def __init__(self, make_event: Callable[[], E]) -> None:
        self._make_event = make_event
        self._guard = threading.Lock()
        self._taken: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[E]] = {}

    def take(self, step: Acquire) -> E | None:
        """Takes a free place and returns None. Otherwise joins the line, and returns the event that
        is set when the caller has received a place."""
        with self._guard:
            taken = self._taken.get(step.key, 0)
            if taken < step.places:
                self._taken[step.key] = taken + 1
                return None
            event = self._make_event()
            self._waiting.setdefault(step.key, deque()).append(event)
            return event

    def leave_line(self, key: Hashable, event: E) -> bool:
        """Stops waiting. Returns whether the caller has received a place."""
        with self._guard:
            line = self._waiting.get(key)
            if line is None or event not in line:
                return True
            line.remove(event)
            if not line:
                del self._waiting[key]
            return False

    def release(self, key: Hashable) -> None:
        """Gives a place to the call that has waited longest, or makes it free."""
        with self._guard:
            line = self._waiting.get(key)
            if line is not None:
                line.popleft().set()
                if not line:
                    del self._waiting[key]
            elif self._taken[key] > 1:
                self._taken[key] -= 1
            else:
                del self._taken[key]

    def end(self, steps: Steps[Any], held: set[Hashable]) -> None:
        """Releases all places that a call holds, and closes its generator."""
        try:
            for key in held:
                self.release(key)
        finally:
            steps.close()


class Driver:
    """Runs steps for a sync client. Any number of threads may use one."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock
        self._places = _Places(threading.Event)

    def with_clock(self, clock: Clock) -> Driver:
        """Returns a driver with another clock and the same locks."""
        other = Driver(self._wire, clock)
        other._places = self._places
        return other

    def run(self, steps: Steps[T]) -> T:
        """Runs the steps to their end and returns their value."""
        held: set[Hashable] = set()
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
                        if step.key in held:
                            held.remove(step.key)
                            self._places.release(step.key)
                    else:
                        result = step.key in held or self._acquire(step, held)
                except BaseException as interruption:
                    step = steps.throw(interruption)
                else:
                    step = steps.send(result)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            self._places.end(steps, held)

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

    def _acquire(self, step: Acquire, held: set[Hashable]) -> bool:
        event = self._places.take(step)
        try:
            if event is not None:
                event.wait(min(step.seconds, threading.TIMEOUT_MAX))
        finally:
            if event is None or self._places.leave_line(step.key, event):
                held.add(step.key)
        return step.key in held


class AsyncDriver:
    """Runs steps for an async client. Any number of tasks may use one."""

    def __init__(self, wire: AsyncWire, clock: Clock) -> None:
        importlib.import_module("anyio")  # imported early, so that the first call is not delayed
        self._wire = wire
        self._clock = clock
        self._places: _Places[anyio.Event] = _Places(_anyio_event)

    def with_clock(self, clock: Clock) -> AsyncDriver:
        """Returns a driver with another clock and the same locks."""
        other = AsyncDriver(self._wire, clock)
        other._places = self._places
        return other

    async def run(self, steps: Steps[T]) -> T:
        """Runs the steps to their end and returns their value."""
        held: set[Hashable] = set()
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
                        if step.key in held:
                            held.remove(step.key)
                            self._places.release(step.key)
                    else:
                        result = step.key in held or await self._acquire(step, held)
                except BaseException as interruption:
                    step = steps.throw(interruption)
                else:
                    step = steps.send(result)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        finally:
            self._places.end(steps, held)

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

    async def _acquire(self, step: Acquire, held: set[Hashable]) -> bool:
        import anyio

        event = self._places.take(step)
        try:
            if event is not None:
                with anyio.move_on_after(step.seconds):
                    await event.wait()
        finally:
            if event is None or self._places.leave_line(step.key, event):
                held.add(step.key)
        return step.key in held


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


async def _in_a_thread(function: Callable[[], T]) -> T:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function)


def _anyio_event() -> anyio.Event:
    import anyio

    return anyio.Event()
