"""`kill -9` at random moments of a run, with faults on the way and services that lag."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import text
from tests.durable.world import LATE, STALL, World, everybody

from guestlist.ledger import runs
from guestlist.ledger.schema import OrderState
from guestlist.ledger.store import Store
from guestlist.runs.workers.shared import run_has_ended
from guestlist.runs.workers.worker import RETRY_SUFFIX, enqueue, queue_schema

LOOK = 0.02
"""Seconds between two looks at how far the run is."""
STUCK = 300.0
"""Seconds without an email after which a run is taken to hang."""
WORKERS = 4


@dataclass(frozen=True)
class Fire:
    """What a run is exposed to.

    Attributes:
        orders: how many there are.
        kills: how often somebody is killed.
        share: of the invitations that meet a fault.
        seed: decides when, who and which.
    """

    orders: int
    kills: int
    share: float = 0.05
    seed: int = 1

    def moments(self) -> list[int]:
        """After how many emails somebody is killed."""
        moments = range(1, int(self.orders * 0.98))
        return sorted(random.Random(self.seed).sample(moments, self.kills))


@dataclass
class Figures:
    """What a run under fire came to.

    Attributes:
        takeover: seconds until each chunk of the worker that stays dead was another's.
    """

    orders: int
    kills: int = 0
    faults: int = 0
    requests: int = 0
    lost: int = 0
    doubled: int = 0
    not_done: int = 0
    in_doubt: int = 0
    seconds: float = 0.0
    takeover: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        told = (
            f"{self.orders} orders, {self.kills} kills, {self.faults} faults in"
            f" {self.requests} requests, {self.in_doubt} times an order in doubt:"
            f" {self.lost} lost, {self.doubled} doubled, {self.not_done} not done;"
            f" {self.seconds:.0f} s"
        )
        if self.takeover:
            told += (
                f"\na worker that stayed dead: its {len(self.takeover)} chunks were taken over"
                f" within {max(self.takeover):.1f} s"
            )
        return told


class Children:
    """Processes that are killed and started again."""

    def __init__(self, what: str, url: str, run: int, world: World) -> None:
        self._command = [sys.executable, "-m", "tests.durable.child", what, url, str(run)]
        self._command.append(json.dumps(world.settings))
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Starts another one."""
        self.running.append(subprocess.Popen(self._command))

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """Kills one, with no chance to say anything."""
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.running.remove(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for child in self.running:
            child.terminate()
        for child in self.running:
            child.wait()


@contextmanager
def _run(url: str, fire: Fire) -> Iterator[tuple[World, Store, int]]:
    store = Store(url)
    try:
        people = partial(everybody, fire.orders)
        run = runs.begin_run(store, people, "digest", "guestlist.toml", time.time())
        with World(fire.share, fire.seed) as world:
            yield world, store, run
    finally:
        store.close()


class _Watch:
    """Waits for the next moment; notices a run that hangs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sent = -1
        self._since = time.monotonic()

    def look(self) -> int:
        time.sleep(LOOK)
        sent = self._world.sent
        if sent != self._sent:
            self._sent, self._since = sent, time.monotonic()
        if time.monotonic() - self._since > STUCK:
            raise TimeoutError(f"no mail for {STUCK} s, after {sent}")
        return sent


def on_sqlite(place: Path, fire: Fire) -> Figures:
    """One process on a file, started again whenever it was killed."""
    url = f"sqlite:///{place}"
    figures = Figures(fire.orders)
    began = time.monotonic()
    with _run(url, fire) as (world, store, run):
        moments = fire.moments()
        with Children("apply", url, run, world) as children:
            children.start()
            watch = _Watch(world)
            while True:
                sent = watch.look()
                (child,) = children.running
                if child.poll() is not None:
                    children.running.clear()
                    if child.returncode == 0:
                        break
                    children.start()
                elif moments and sent >= moments[0]:
                    del moments[0]
                    children.kill(child)
                    figures.kills += 1
                    children.start()
        _count(figures, world, store, began)
    return figures


def on_postgres(url: str, fire: Fire) -> Figures:
    """Four workers on a server. All but one are started again when they were killed."""
    figures = Figures(fire.orders)
    began = time.monotonic()
    chance = random.Random(fire.seed)
    with _run(url, fire) as (world, store, run):
        moments = fire.moments()
        stays_dead = max(1, fire.kills // 10)
        with Children("work", url, run, world) as children:
            children.start()
            enqueue(store, run, time.time())
            watch = _Watch(world)
            while not watch.look():  # the first has chunks for sure: it is the one that stays dead
                pass
            for _ in range(WORKERS - 1):
                children.start()
            takeover: _Takeover | None = None
            while not run_has_ended(store, run):
                sent = watch.look()
                if takeover is not None and takeover.look():
                    figures.takeover = takeover.seconds
                    takeover = None
                if any(child.poll() is not None for child in children.running):
                    raise RuntimeError("a worker has ended by itself")
                if moments and sent >= moments[0] and takeover is None:
                    if figures.kills + 1 == stays_dead and _is_orphaned(store):
                        continue  # what the others left is taken over first
                    del moments[0]
                    figures.kills += 1
                    if figures.kills == stays_dead:
                        doing = _doing(store)
                        children.kill(children.running[0])
                        takeover = _Takeover(store, doing)
                    else:
                        children.kill(chance.choice(children.running))
                        children.start()
        _count(figures, world, store, began)
    return figures


def _doing(store: Store) -> dict[int, int]:
    """The chunks that are being worked on, and by which worker."""
    with store.reading() as connection:
        rows = connection.execute(
            text(
                "SELECT id, worker_id FROM "  # noqa: S608
                f"{queue_schema()}.procrastinate_jobs WHERE status = 'doing'"
            )
        )
        return {row.id: row.worker_id for row in rows}


def _is_orphaned(store: Store) -> bool:
    """Whether a chunk lies that a dead worker has had."""
    jobs, workers = (f"{queue_schema()}.procrastinate_{name}" for name in ("jobs", "workers"))
    with store.reading() as connection:
        return bool(
            connection.scalar(
                text(
                    f"SELECT EXISTS (SELECT 1 FROM {jobs} j LEFT JOIN {workers} w"  # noqa: S608
                    " ON w.id = j.worker_id WHERE j.status = 'doing'"
                    " AND (w.id IS NULL OR w.last_heartbeat < now() - interval '3 s')"
                    " OR j.status = 'todo' AND j.queue_name LIKE :again)"
                ),
                {"again": f"%{RETRY_SUFFIX}"},
            )
        )


class _Takeover:
    """Measures how long the chunks of a dead worker lie."""

    def __init__(self, store: Store, before: dict[int, int]) -> None:
        self._store = store
        self._began = time.monotonic()
        self._heart = self._hearts()
        self._doing = before
        self._waiting: dict[int, int] | None = None
        self.seconds: list[float] = []

    def _hearts(self) -> dict[int, Any]:
        with self._store.reading() as connection:
            rows = connection.execute(
                text(f"SELECT id, last_heartbeat FROM {queue_schema()}.procrastinate_workers")  # noqa: S608
            )
            return {row.id: row.last_heartbeat for row in rows}

    def look(self) -> bool:
        """Whether all are taken over."""
        passed = time.monotonic() - self._began
        if self._waiting is None:
            if passed < 5.0:  # by then, whoever lives has said so
                return False
            now = self._hearts()
            dead = {id for id, heard in self._heart.items() if now.get(id, heard) == heard}
            self._waiting = {job: one for job, one in self._doing.items() if one in dead}
        present = _doing(self._store)
        with self._store.reading() as connection:
            rows = connection.execute(
                text(f"SELECT id FROM {queue_schema()}.procrastinate_jobs WHERE status = 'todo'")  # noqa: S608
            )
            idle = {row.id for row in rows}
        for job, worker in list(self._waiting.items()):
            if present.get(job) != worker and job not in idle:
                del self._waiting[job]
                self.seconds.append(passed)
        return not self._waiting


def _count(figures: Figures, world: World, store: Store, began: float) -> None:
    figures.seconds = time.monotonic() - began
    time.sleep(LATE + STALL)  # what is late still comes
    emails = world.emails()
    wanted = Counter((one.account, one.email) for one in everybody(figures.orders))
    figures.lost = sum((wanted - emails).values())
    figures.doubled = sum((emails - wanted).values())
    figures.faults, figures.requests = world.faults, world.requests
    with store.reading() as connection:
        figures.not_done = connection.scalar(
            text("SELECT count(*) FROM orders WHERE state <> :done"), {"done": OrderState.DONE}
        )
        figures.in_doubt = connection.scalar(
            text("SELECT count(*) FROM entries WHERE what = 'no answer'")
        )
