"""The pace against a real sandbox over sockets, in real time: threads of one client, or tasks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
from tests.pacing.traffic import most_within

from guestlist import AsyncGuestlist, Guestlist
from guestlist.event import Event
from guestlist.exchange.rate_limiter import MARGIN_SECONDS
from guestlist.sandbox import Sandbox
from guestlist_vultr import Vultr
from guestlist_vultr.sandbox import VultrService

ALLOWED = 30
"""Requests in a second."""


@dataclass
class Seen:
    """The answers, as the client's events told of them."""

    statuses: Counter[int] = field(default_factory=Counter)
    at: list[float] = field(default_factory=list)
    """When each request left, by the monotonic clock."""
    took: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if event.name == "answer" and event.status is not None and event.seconds is not None:
            self.statuses[event.status] += 1
            self.at.append(time.monotonic() - event.seconds)
            self.took.append(event.seconds)

    @property
    def machine_was_late(self) -> bool:
        """Whether requests were held up for longer, before or after they left, than the margin
        that the pace has for the ways of requests."""
        return (
            max(self.took) > MARGIN_SECONDS / 2
            or most_within(self.at, 1 + MARGIN_SECONDS / 2) > ALLOWED
        )

    @property
    def share(self) -> float:
        """The part of the allowed rate that was used, from the first departure to the last."""
        return (len(self.at) - 1) / (max(self.at) - min(self.at)) / ALLOWED


def threads(provider: Vultr, callers: int, calls: int) -> Seen:
    seen, left = Seen(), iter(range(calls))

    with Guestlist({"cloud": provider}, watch=seen) as guests:

        def work() -> None:
            while next(left, None) is not None:
                guests.check()

        started = [threading.Thread(target=work) for _ in range(callers)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
    return seen


def tasks(provider: Vultr, callers: int, calls: int) -> Seen:
    seen, left = Seen(), iter(range(calls))

    async def main() -> None:
        async with AsyncGuestlist({"cloud": provider}, watch=seen) as guests:

            async def work() -> None:
                while next(left, None) is not None:
                    await guests.check()

            async with anyio.create_task_group() as group:
                for _ in range(callers):
                    group.start_soon(work)

    anyio.run(main)
    return seen


KINDS: dict[str, Callable[[Any, int, int], Seen]] = {"threads": threads, "tasks": tasks}


def against_sandbox(kind: str, rate: str, *, callers: int, calls: int) -> Seen:
    """Starts a sandbox whose limit counts as `rate` says, and makes the calls.

    `organization_id` is set, so that each call is one request.
    """
    with Sandbox([VultrService], switches={"vultr": {"rate": rate}}) as sandbox:
        hosted = sandbox.services["vultr"]
        service = hosted.service
        assert isinstance(service, VultrService)
        settings: dict[str, Any] = {**hosted.settings}
        provider = Vultr(**settings, organization_id=service.organization.id)
        return KINDS[kind](provider, callers, calls)
