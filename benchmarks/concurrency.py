"""Calls with 1, 16, 64 and 256 in flight, from tasks and from threads."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from itertools import count
from typing import TypeVar

import httpx

from benchmarks import bare, others
from benchmarks.aitronos import VERBS, provider, recorded
from benchmarks.bare import AsyncCall, Call
from benchmarks.measure import Measured, scaled
from benchmarks.report import Cell, Chart, Report, Table, Target
from benchmarks.server import serving
from guestlist import AsyncGuestlist, Guestlist

IN_FLIGHT = (1, 16, 64, 256)
CALLS, ROUNDS = scaled(2000), 3
SLOW = 0.02
"""Seconds after which the slower of the two services answers."""
FEWER = 10
"""A contender that is slower than all others by far makes so many times fewer calls."""

OURS = "guestlist"
SHARED, EACH = "httpx, one shared client", "httpx, one client each"
THREADS = "httpx in threads of the loop"
AIOHTTP, SDK = "aiohttp", "aitronos-sdk"

Callers = Callable[[str, int], AbstractAsyncContextManager[Sequence[AsyncCall]]]
ThreadCallers = Callable[[str, int], AbstractContextManager[Sequence[Call]]]

C = TypeVar("C")

TEXT = f"""
{CALLS:,} calls of `status`, against a service that answers at once and one that answers after
{SLOW * 1000:.0f} ms. guestlist uses one shared client. httpx is used in each way that is known to
work well with many calls: one shared client; one client, with one connection, for each task or
thread; and, for tasks, sync clients in threads. *The best httpx* is the way that uses the least
CPU. Figures are medians of {ROUNDS} rounds. In each round every client makes its calls once, on
connections that are opened before the clock starts. Clients that are much slower make a tenth of
the calls.
"""


@asynccontextmanager
async def _ours(base_url: str, tasks: int) -> AsyncIterator[Sequence[AsyncCall]]:
    async with AsyncGuestlist({"aitronos": provider(base_url)}) as guests:
        role = recorded().role
        yield [lambda number: VERBS["status"](guests, role, number)] * tasks


@asynccontextmanager
async def _shared(base_url: str, tasks: int) -> AsyncIterator[Sequence[AsyncCall]]:
    async with bare.async_client(base_url) as client:
        yield [bare.async_call(client, recorded().verbs["status"])] * tasks


@asynccontextmanager
async def _each(base_url: str, tasks: int) -> AsyncIterator[Sequence[AsyncCall]]:
    clients = [
        httpx.AsyncClient(base_url=base_url, headers=bare.HEADERS, timeout=60, verify=bare.NOBODY)
        for _ in range(tasks)
    ]
    yield [bare.async_call(client, recorded().verbs["status"]) for client in clients]
    for client in clients:
        await client.aclose()


@asynccontextmanager
async def _in_threads(base_url: str, tasks: int) -> AsyncIterator[Sequence[AsyncCall]]:
    loop = asyncio.get_running_loop()
    with _threads_each(base_url, tasks) as calls, ThreadPoolExecutor(tasks) as pool:

        def in_thread(call: Call) -> AsyncCall:
            return lambda number: loop.run_in_executor(pool, call, number)

        yield [in_thread(call) for call in calls]


@asynccontextmanager
async def _aiohttp(base_url: str, tasks: int) -> AsyncIterator[Sequence[AsyncCall]]:
    async with others.aiohttp_session(base_url) as session:
        yield [others.aiohttp_call(session, recorded().verbs["status"])] * tasks


@asynccontextmanager
async def _sdk(base_url: str, tasks: int) -> AsyncIterator[Sequence[AsyncCall]]:
    async with others.official_http() as http:
        client = others.official_async_client(base_url, http)
        yield [others.official_async(client, recorded())["status"]] * tasks


@contextmanager
def _threads_ours(base_url: str, threads: int) -> Iterator[Sequence[Call]]:
    with Guestlist({"aitronos": provider(base_url)}) as guests:
        role = recorded().role
        yield [lambda number: VERBS["status"](guests, role, number)] * threads


@contextmanager
def _threads_shared(base_url: str, threads: int) -> Iterator[Sequence[Call]]:
    with bare.client(base_url) as client:
        yield [bare.call(client, recorded().verbs["status"])] * threads


@contextmanager
def _threads_each(base_url: str, threads: int) -> Iterator[Sequence[Call]]:
    clients = [
        httpx.Client(base_url=base_url, headers=bare.HEADERS, timeout=60, verify=bare.NOBODY)
        for _ in range(threads)
    ]
    yield [bare.call(client, recorded().verbs["status"]) for client in clients]
    for client in clients:
        client.close()


TASKS: dict[str, Callers] = {
    OURS: _ours,
    EACH: _each,
    SHARED: _shared,
    THREADS: _in_threads,
    AIOHTTP: _aiohttp,
    SDK: _sdk,
}
IN_THREADS: dict[str, ThreadCallers] = {
    OURS: _threads_ours,
    EACH: _threads_each,
    SHARED: _threads_shared,
}


def run_tasks(callers: Callers, base_url: str, in_flight: int, calls: int) -> tuple[float, float]:
    """CPU and wall seconds of each call, with so many in flight."""

    async def main() -> tuple[float, float]:
        async with callers(base_url, in_flight) as each:
            numbers = count(1)
            left = iter(range(calls))

            async def work(call: AsyncCall) -> None:
                for _ in left:
                    await call(next(numbers))

            await asyncio.gather(*(call(next(numbers)) for call in each))
            gc.collect()
            cpu, wall = time.process_time(), time.perf_counter()
            await asyncio.gather(*map(work, each))
            return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls

    return asyncio.run(main())


def run_threads(
    callers: ThreadCallers, base_url: str, in_flight: int, calls: int
) -> tuple[float, float]:
    """The same from threads."""
    with callers(base_url, in_flight) as each:
        numbers, left = count(1), iter(range(calls))  # both are safe: one C call takes the next
        start = threading.Barrier(in_flight + 1)

        def work(call: Call) -> None:
            call(next(numbers))
            start.wait()
            for _ in left:
                call(next(numbers))

        threads = [threading.Thread(target=work, args=(call,)) for call in each]
        for thread in threads:
            thread.start()
        gc.collect()
        start.wait()
        cpu, wall = time.process_time(), time.perf_counter()
        for thread in threads:
            thread.join()
        return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls


def measure() -> Report:
    """Measures the row."""
    targets: list[Target] = []
    tables: list[Table] = []
    charts: list[Chart] = []
    for delay in (0.0, SLOW):
        with serving(recorded().site, delay=delay) as base_url:
            # one at a time, a service that is slow makes everybody wait, and nobody works more
            calls = {n: CALLS // FEWER if delay and n == 1 else CALLS for n in IN_FLIGHT}
            tasks = {n: _rounds(TASKS, run_tasks, base_url, n, calls[n]) for n in IN_FLIGHT}
            threads = {
                n: _rounds(IN_THREADS, run_threads, base_url, n, calls[n]) for n in IN_FLIGHT
            }
        when = "at once" if delay == 0 else f"after {delay * 1000:.0f} ms"
        for kind, measured, candidates in (
            ("tasks", tasks, (EACH, SHARED)),
            ("threads", threads, (EACH, SHARED)),
        ):
            tables.append(_table(f"{kind.capitalize()}, answered {when}", measured))
            best = max(_against_best(measured[n], candidates) for n in IN_FLIGHT)
            targets.append(
                Target(
                    f"{kind}, answered {when}: CPU compared with the best httpx from {kind},"
                    " the worst of four: at most 1/0.9",
                    best,
                    1 / 0.9,
                )
            )
        everywhere = max(_against_best(tasks[n], (EACH, SHARED, THREADS)) for n in IN_FLIGHT)
        targets += [
            Target(
                f"tasks, answered {when}: CPU compared with the best httpx of all,"
                " threads included, the worst of four: at most 1/0.9",
                everywhere,
                1 / 0.9,
            ),
            Target(
                f"64 tasks, answered {when}: CPU compared with `AsyncAitronos`: at most 1/2",
                tasks[64][OURS].cpu_against(tasks[64][SDK]).median,
                0.5,
            ),
            Target(
                f"256 tasks, answered {when}, compared with 64: CPU of a call at most 1.5",
                tasks[256][OURS].cpu_against(tasks[64][OURS]).median,
                1.5,
            ),
        ]
        charts.append(
            Chart(
                f"concurrency-{'now' if delay == 0 else 'later'}",
                f"64 tasks, answered {when}: CPU of one `status`, ms",
                [(name, one.cpu_ms) for name, one in tasks[64].items()]
                + [(f"{name}, threads", one.cpu_ms) for name, one in threads[64].items()],
                ours=(OURS, f"{OURS}, threads"),
            )
        )
    return Report("Many calls at a time", TEXT, targets, tables, charts)


def _rounds(
    contenders: dict[str, C],
    run: Callable[[C, str, int, int], tuple[float, float]],
    base_url: str,
    in_flight: int,
    most: int,
) -> dict[str, Measured]:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, callers in contenders.items():
            slow = name in (SHARED, SDK) and in_flight >= 64
            calls = max(most // FEWER, in_flight) if slow else most
            taken[name].append(run(callers, base_url, in_flight, calls))
    return {
        name: Measured(tuple(cpu for cpu, _ in one), tuple(wall for _, wall in one))
        for name, one in taken.items()
    }


def _against_best(measured: dict[str, Measured], candidates: Sequence[str]) -> float:
    best = min((measured[name] for name in candidates), key=lambda one: one.cpu_ms.median)
    return measured[OURS].cpu_against(best).median


def _table(title: str, measured: dict[int, dict[str, Measured]]) -> Table:
    rows: list[list[Cell]] = []
    for name in measured[1]:
        cells: list[Cell] = [name]
        for by_name in measured.values():
            cells += [by_name[name].cpu_ms, by_name[name].rate]
        rows.append(cells)
    heads = [head for n in measured for head in (f"{n}: CPU, ms", "calls/s")]
    return Table(title, ("with", *heads), rows)
