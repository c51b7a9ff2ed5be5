"""`Together`: generators of steps that run at the same time, for sync and async callers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from guestlist.errors import Conflict
from guestlist.exchange.clock import SystemClock
from guestlist.exchange.drive import AsyncDriver, Driver
from guestlist.exchange.step import Acquire, Block, Steps, Together

Run = Callable[[Steps[Any]], Any]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs steps that send nothing, with either driver."""
    wire: Any = None
    if request.param == "sync":
        return Driver(wire, SystemClock()).run

    def by_task(steps: Steps[Any]) -> Any:
        async def work() -> Any:
            return await AsyncDriver(wire, SystemClock()).run(steps)

        return anyio.run(work)

    return by_task


def together(*runs: Steps[Any]) -> Steps[list[Any]]:
    found: list[Any] = yield Together(runs)
    return found


def test_the_results_have_the_order_of_the_generators(run: Run) -> None:
    second_ended = threading.Event()

    def first() -> Steps[str]:
        assert (yield Block(lambda: second_ended.wait(10)))
        return "first"

    def second() -> Steps[str]:
        yield Block(second_ended.set)
        return "second"

    assert run(together(first(), second())) == ["first", "second"]
    assert run(together()) == []


def test_each_holds_places_of_its_own(run: Run) -> None:
    met = threading.Barrier(2)

    def holding(name: str) -> Steps[bool]:
        free: bool = yield Acquire((name,), 10)
        yield Block(lambda: met.wait(10))
        return free

    assert run(together(holding("a"), holding("b"))) == [True, True]


def test_an_error_ends_the_others_before_their_next_step(run: Run) -> None:
    failed, ended = threading.Event(), threading.Event()

    def failing() -> Steps[None]:
        yield Block(lambda: None)
        failed.set()
        raise Conflict("no")

    def other() -> Steps[None]:
        try:
            yield Block(lambda: failed.wait(10))
            while not ended.is_set():
                yield Block(lambda: ended.wait(0.01))
        finally:
            ended.set()

    with pytest.raises(Conflict, match="no"):
        run(together(failing(), other()))
    assert ended.wait(10)


def test_an_interrupted_sync_call_starts_no_further_step() -> None:
    begun, ended = threading.Event(), threading.Event()
    wire: Any = None

    def interrupted() -> Steps[None]:
        yield Block(lambda: begun.wait(10))
        raise KeyboardInterrupt

    def other() -> Steps[None]:
        try:
            while True:
                yield Block(begun.set)
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        Driver(wire, SystemClock()).run(together(interrupted(), other()))
    assert ended.wait(10)
