"""Runs blocking work of this package in a thread, for async callers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal

from guestlist.client import for_threads
from guestlist.runs.progress import AsyncProgress, RunEvent
from guestlist.runs.stop import Stop

if TYPE_CHECKING:
    from guestlist.client import AsyncGuestlist, Guestlist

A = TypeVar("A")
T = TypeVar("T")


class Bridge:
    """Lets the worker threads use objects of the event loop.

    Attributes:
        stop: ends the work early when called.
    """

    def __init__(self, portal: BlockingPortal) -> None:
        self.portal = portal
        self.stop = Stop()

    def client(self, client: AsyncGuestlist | None) -> Guestlist | None:
        return None if client is None else for_threads(client, self.portal)

    def question(
        self, ask: Callable[[A], Awaitable[bool] | bool] | None
    ) -> Callable[[A], bool] | None:
        return None if ask is None else partial(self.portal.call, ask)

    def progress(self, on_progress: AsyncProgress | None) -> Callable[[RunEvent], None] | None:
        if on_progress is None:
            return None

        def emit(event: RunEvent) -> None:
            self.portal.call(on_progress, event)

        return emit


async def in_worker_thread(work: Callable[[Bridge], T]) -> T:
    """Runs blocking work in a thread. If the task is canceled, stops the work and waits for its
    end.

    Requests and callbacks of the work run in a shielded scope, so that a cancellation does not
    interrupt them halfway.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    bridges: list[Bridge] = []
    ended = anyio.Event()

    async def do() -> None:
        with anyio.CancelScope(shield=True):
            async with BlockingPortal() as portal:
                bridges.append(Bridge(portal))
                try:
                    results.append(await anyio.to_thread.run_sync(work, bridges[0]))
                except BaseException as error:
                    errors.append(error)
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(do)
        try:
            await ended.wait()
        except BaseException:
            for bridge in bridges:
                bridge.stop()
            raise
    if errors:
        raise errors[0]
    return results[0]
