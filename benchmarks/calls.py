"""One `invite`, `status` or `resend` at a time, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

from benchmarks import bare, others
from benchmarks.aitronos import VERBS, provider, recorded
from benchmarks.bare import AsyncCall, Call
from benchmarks.instructions import instructions
from benchmarks.measure import Block, Measured, in_turns, scaled
from benchmarks.report import Chart, Report, Table, Target
from benchmarks.server import serving
from guestlist import AsyncGuestlist, Guestlist

CALLS, ROUNDS = 40, max(7, scaled(21))
OURS, BARE, REQUESTS, SDK = "guestlist", "httpx", "requests", "aitronos-sdk"

TEXT = """
Each call is about another address. guestlist looks before it invites. `status` sends two requests
(for the invitation and for the member), `invite` three (these two, and the creation), and `resend`
four (these two, the resend, and another lookup). The other clients send the same requests on one
open connection. The server sends the answers that Aitronos' sandbox gave to each request. Bare
httpx and requests read the body and do not parse it; guestlist and the SDK parse it into objects.
CPU is the CPU time of the client's process. callgrind counts the instructions, without those in the
kernel.
"""


def measure() -> Report:
    """Measures the row."""
    with serving(recorded().site) as base_url:
        sync = _sync(base_url)
        asynchronous = _async(base_url)
        counted = {name: instructions(name, base_url) for name in (OURS, BARE, REQUESTS, SDK)}
    verbs = list(VERBS)
    against_bare = [sync[verb][OURS].cpu_against(sync[verb][BARE]).median for verb in verbs]
    against_bare += [
        asynchronous[verb][OURS].cpu_against(asynchronous[verb][BARE]).median for verb in verbs
    ]
    speed = [sync[verb][OURS].cpu_against(sync[verb][SDK]).median for verb in verbs]
    return Report(
        title="One call at a time",
        text=TEXT,
        targets=[
            Target(
                "CPU of a call compared with bare httpx, the worst of six: at most 1.15",
                max(against_bare),
                1.15,
            ),
            Target("the same, the mean of six: at most 1.0", sum(against_bare) / 6, 1.0),
            Target(
                "CPU compared with the official SDK, the worst of three: at most 1/1.3",
                max(speed),
                1 / 1.3,
            ),
        ],
        tables=[
            _table("Sync", sync, (OURS, BARE, REQUESTS, SDK)),
            _table("Async", asynchronous, (OURS, BARE, SDK)),
            *_counted(counted),
        ],
        charts=[
            Chart(
                "calls",
                "CPU of one `status`, ms",
                [(name, sync["status"][name].cpu_ms) for name in (OURS, BARE, REQUESTS, SDK)]
                + [
                    (f"{name}, async", asynchronous["status"][name].cpu_ms)
                    for name in (OURS, BARE, SDK)
                ],
                ours=(OURS, f"{OURS}, async"),
            )
        ],
    )


def _sync(base_url: str) -> dict[str, dict[str, Measured]]:
    with sync_callers(base_url) as callers:
        return {
            verb: in_turns(
                {name: _block(calls[verb]) for name, calls in callers.items()},
                calls=CALLS,
                rounds=ROUNDS,
            )
            for verb in VERBS
        }


@contextmanager
def sync_callers(base_url: str) -> Iterator[dict[str, dict[str, Call]]]:
    """How each contender makes each verb."""
    known = recorded()
    session = others.requests_session()
    with Guestlist({"aitronos": provider(base_url)}) as guests, bare.client(base_url) as client:
        yield {
            OURS: {name: partial(verb, guests, known.role) for name, verb in VERBS.items()},
            BARE: {name: bare.call(client, sent) for name, sent in known.verbs.items()},
            REQUESTS: {
                name: others.requests_call(session, base_url, sent)
                for name, sent in known.verbs.items()
            },
            SDK: others.official(others.official_client(base_url), known),
        }


def _async(base_url: str) -> dict[str, dict[str, Measured]]:
    known = recorded()
    with asyncio.Runner() as runner:
        guests = AsyncGuestlist({"aitronos": provider(base_url)})
        client, http = bare.async_client(base_url), others.official_http()
        sdk = others.official_async(others.official_async_client(base_url, http), known)
        measured = {
            name: in_turns(
                {
                    OURS: _async_block(runner, partial(verb, guests, known.role)),
                    BARE: _async_block(runner, bare.async_call(client, known.verbs[name])),
                    SDK: _async_block(runner, sdk[name]),
                },
                calls=CALLS,
                rounds=ROUNDS,
            )
            for name, verb in VERBS.items()
        }
        for closing in (guests.aclose(), client.aclose(), http.aclose()):
            runner.run(closing)
    return measured


def _block(call: Call) -> Block:
    numbers = count(1)

    def block() -> None:
        for _ in range(CALLS):
            call(next(numbers))

    return block


def _async_block(runner: asyncio.Runner, call: AsyncCall) -> Block:
    numbers = count(1)

    async def block() -> None:
        for _ in range(CALLS):
            await call(next(numbers))

    return lambda: runner.run(block())


def _table(title: str, measured: dict[str, dict[str, Measured]], names: tuple[str, ...]) -> Table:
    return Table(
        title,
        ("verb", "with", "CPU, ms", "against httpx", "wall, ms", "against httpx"),
        [
            (
                f"`{verb}`",
                name,
                by_name[name].cpu_ms,
                by_name[name].cpu_against(by_name[BARE]),
                by_name[name].wall_ms,
                by_name[name].wall_against(by_name[BARE]),
            )
            for verb, by_name in measured.items()
            for name in names
        ],
    )


def _counted(counted: dict[str, float | None]) -> list[Table]:
    bare_count = counted[BARE]
    if bare_count is None:
        return []
    rows = [
        (name, f"{number / 1000:,.0f}", f"{number / bare_count:.2f}")
        for name, number in counted.items()
        if number is not None
    ]
    return [
        Table("Instructions of one sync `status`", ("with", "thousands", "against httpx"), rows)
    ]
