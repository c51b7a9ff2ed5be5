"""A bulk of invitations to services that limit the rate: how much of it is used."""

from __future__ import annotations

import json
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.listing import KEY, invited
from benchmarks.measure import scaled
from benchmarks.report import Report, Table, Target
from benchmarks.server import Site, answer, serving
from guestlist import Guest, Guestlist, State
from guestlist.client import for_run
from guestlist.exchange.recording import Preparation
from guestlist.ledger import Ledger
from guestlist.provider import Limit
from guestlist.runs.account_worker import threads_needed
from guestlist.sandbox.limits import SlidingWindow
from guestlist_vultr import Vultr

INVITATIONS = scaled(3000)
LEAST = 0.96
SEEN = "/seen"
UNDER_WAY = 60
"""Requests after which every process has sent some."""

TEXT = f"""
{INVITATIONS:,} invitations with one request each, as in a run that has already read the status
of all people: from the threads of one client, and from four processes that share a ledger and its
rate limiter. Each case has its own service. The services count strictly: if more requests than the
limit arrive in any window of the limit's length, the service answers the excess with 429. The
servers report when requests arrived, and how many they refused. "Used" is the number of requests
that arrived during a whole number of windows, counted from the first request, divided by the number
that the limit allows in them. All four cases run side by side, because they spend nearly all their
time waiting. Each starts when the processes of the previous one are running, because starting uses
CPU.
"""


class PerMinute(Vultr):
    """With another limit: 1,000 per minute, as Aitronos has on its premium plan."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        return (Limit(1000, 60.0),)


SERVICES = {"30 per second": Vultr, "1,000 per minute": PerMinute}
PROCESSES = (1, 4)


@dataclass(frozen=True)
class Bulk:
    """What a service saw of a bulk.

    Attributes:
        used: the part of the allowed rate.
        refused: how often it said 429.
        seconds: from the first request to the last.
    """

    used: float
    refused: int
    seconds: float


def site(limit: Limit) -> Site:
    """Invites everybody, as fast as the limit allows."""
    window = SlidingWindow(limit.count, limit.per)
    came: list[float] = []
    refused = [0]
    too_many = answer(429, b'{"error":"Rate limit reached","status":429}')

    def find(_method: str, target: str, body: bytes) -> bytes:
        if target == SEEN:
            return answer(200, json.dumps({"came": came, "refused": refused[0]}).encode())
        now = time.monotonic()
        if not window.take("", now).allowed:
            refused[0] += 1
            return too_many
        came.append(now)
        return invited(body)

    return find


class _Unrecorded:
    """The record of a call without a ledger."""

    def intend(self, request: str, preparation: Preparation | None) -> None: ...

    def answered(self, why: str) -> None: ...

    def ended(self, outcome: str, email_sent: bool | None) -> None: ...


def _invite(account: Vultr, ledger: Path | None, numbers: range) -> None:
    """One process's part."""
    with ExitStack() as closing:
        journal = None if ledger is None else closing.enter_context(Ledger(ledger))
        guests = closing.enter_context(Guestlist({"cloud": account}, ledger=journal))
        pool = closing.enter_context(ThreadPoolExecutor(threads_needed(account)))

        def invite(number: int) -> None:
            email = f"guest.{number:07d}@example.com"
            nowhere = Guest(account="cloud", email=email, state=State.GONE)
            entry = journal.entry(nowhere, "invite", (), ()) if journal else _Unrecorded()
            result = for_run(guests, nowhere, entry).invite(email)
            entry.ended(result.outcome, result.email_sent)

        for _ in pool.map(invite, numbers):
            pass


class _Running:
    """A bulk under way."""

    def __init__(self, kind: type[Vultr], processes: int, folder: Path, closing: ExitStack) -> None:
        (self._limit,) = kind(api_key=KEY).limits
        self._base_url = closing.enter_context(serving(site(self._limit)))
        account = kind(base_url=self._base_url, api_key=KEY, organization_id=None)
        ledger = None if processes == 1 else folder / f"{self._limit.count}.db"
        if ledger is not None:
            Ledger(ledger).close()  # makes the tables, once
        parts = [range(number, INVITATIONS, processes) for number in range(processes)]
        fork = multiprocessing.get_context("fork")
        self._processes = [
            fork.Process(target=_invite, args=(account, ledger, part)) for part in parts
        ]
        for process in self._processes:
            process.start()
        while len(self._seen()["came"]) < UNDER_WAY:
            time.sleep(0.1)

    def end(self) -> Bulk:
        """Waits for its end."""
        for process in self._processes:
            process.join()
            if process.exitcode:
                raise AssertionError("a process could not invite everybody")
        seen = self._seen()
        came, limit = seen["came"], self._limit
        if len(came) != INVITATIONS:
            raise AssertionError(f"{len(came)} of {INVITATIONS} invitations came")
        seconds = came[-1] - came[0]
        windows = int(seconds // limit.per)
        within = sum(1 for moment in came if moment < came[0] + windows * limit.per)
        return Bulk(within / (windows * limit.count), seen["refused"], seconds)

    def _seen(self) -> dict[str, Any]:
        seen: dict[str, Any] = httpx.get(self._base_url + SEEN).json()
        return seen


def measure() -> Report:
    """Measures the row."""
    with TemporaryDirectory() as folder, ExitStack() as closing:
        running = {
            (name, processes): _Running(kind, processes, Path(folder), closing)
            for name, kind in SERVICES.items()
            for processes in PROCESSES
        }
        bulks = {case: one.end() for case, one in running.items()}
    return Report(
        title="A bulk of invitations",
        text=TEXT,
        targets=[
            Target(
                f"{LEAST} divided by the used part of the allowed rate,"
                " the worst of four: at most 1",
                LEAST / min(bulk.used for bulk in bulks.values()),
                1,
            ),
            Target("429s in all four cases: none", sum(bulk.refused for bulk in bulks.values()), 0),
        ],
        tables=[
            Table(
                "What the services saw",
                ("allowed", "processes", "used", "429s", "seconds in all"),
                [
                    (
                        name,
                        str(processes),
                        f"{bulk.used:.1%}",
                        str(bulk.refused),
                        f"{bulk.seconds:.0f}",
                    )
                    for (name, processes), bulk in bulks.items()
                ],
            )
        ],
    )
