"""Runs one call for each person and account, several at a time. A failed call does not stop the
others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel

from guestlist.cli.exit_codes import Interrupted
from guestlist.cli.session import Session
from guestlist.cli.text import comma_list
from guestlist.errors import GuestlistError
from guestlist.humanize import quantity

MAX_CONCURRENT_CALLS = 8
"""The highest number of calls in flight at the same time."""


class Task(NamedTuple):
    """One call: its account and the person it is about (empty for a list of everyone)."""

    account: str
    who: str = ""


Work = Callable[[Task], Iterable[BaseModel]]


def tasks_of(accounts: Sequence[str], people: Sequence[str] = ("",)) -> list[Task]:
    """Returns a task for each person in each account."""
    return [Task(account, who) for who in dict.fromkeys(people) for account in accounts]


def run_each(
    session: Session,
    tasks: Sequence[Task],
    work: Work,
    *,
    changes: bool,
    resumable: bool = False,
) -> None:
    """Runs the work for each task. Appends results and errors to the session in the order of the
    tasks.

    Args:
        changes: whether the work changes anything. If so, the tasks of an account run one after
            another, so that after Ctrl-C few outcomes are unknown.
        resumable: whether a task may take days and continues when it is started again. If so, all
            tasks run at the same time.

    Raises:
        Exception: the first unexpected exception of a task.
    """
    batch = _Batch(session, tasks, work, changes, resumable)
    try:
        with session.status:
            batch.run()
    except KeyboardInterrupt:
        session.errors.append(batch.interrupted())
    for task in tasks:
        outcome = batch.outcomes.get(task)
        if isinstance(outcome, GuestlistError):
            session.errors.append(outcome)
        elif outcome is not None:
            session.results.extend(outcome)


@dataclass
class _Batch:
    _session: Session
    _tasks: Sequence[Task]
    _work: Work
    _changes: bool
    _resumable: bool

    def __post_init__(self) -> None:
        self.outcomes: dict[Task, list[BaseModel] | GuestlistError] = {}
        self._queues = deque(_queues(self._tasks, self._changes and not self._resumable))
        self._under_way: set[Task] = set()
        self._stopped = threading.Event()
        self._bugs: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        self._show_status()
        if len(self._queues) == 1:
            self._run_queues()  # runs in the main thread, so that Ctrl-C ends the request itself
        else:
            side_by_side = min(MAX_CONCURRENT_CALLS, len(self._queues))
            # daemon threads, so that the process can end while a request is in flight
            self._threads = [
                threading.Thread(target=self._run_queues, daemon=True)
                for _ in range(len(self._queues) if self._resumable else side_by_side)
            ]
            for thread in self._threads:
                thread.start()
            for thread in self._threads:
                thread.join()
        if self._bugs:
            raise self._bugs[0]

    def _run_queues(self) -> None:
        while not self._stopped.is_set():
            try:
                queue = self._queues.popleft()
            except IndexError:
                return
            for task in queue:
                if not self._stopped.is_set():
                    self._do(task)

    def _do(self, task: Task) -> None:
        self._session.changed_accounts.discard(task.account)
        self._under_way.add(task)
        try:
            self.outcomes[task] = list(self._work(task))
        except GuestlistError as error:
            email = task.who if "@" in task.who else None
            self.outcomes[task] = error.about(account=task.account, email=email)
        except KeyboardInterrupt:
            raise
        except BaseException as bug:
            self._bugs.append(bug)
            self._stopped.set()
        self._under_way.discard(task)
        self._show_status()

    def _show_status(self) -> None:
        accounts = comma_list(list(dict.fromkeys(task.account for task in self._tasks)))
        done = f", {len(self.outcomes)} of {len(self._tasks)} done" if self._tasks[1:] else ""
        self._session.status.show(f"{self._session.arguments.command} on {accounts}{done}")

    def interrupted(self) -> Interrupted:
        """Returns the error for Ctrl-C, which says in one line what was done."""
        self._stopped.set()
        uncertain = [task for task in self._tasks if self._may_have_happened(task)]
        left = len(self._tasks) - len(self.outcomes) - len(uncertain)
        parts = []
        if uncertain and self._resumable:
            parts.append(
                f"{comma_list([task.who for task in uncertain])}: the same command continues"
            )
        elif uncertain:
            verb = self._session.arguments.command
            which = comma_list([f"{verb} {task.who} on {task.account}" for task in uncertain])
            parts.append(f"{which} may have happened (see `guestlist status`)")
        elif not (self._changes and self.outcomes):
            parts.append("nothing was changed")
        if self._changes and self.outcomes:
            parts.append(f"{quantity(len(self.outcomes), 'call')} had completed")
        if self._changes and left and len(self._tasks) > 1:
            parts.append(f"{left} not started")
        error = Interrupted("; ".join(parts))
        error.happened = None if uncertain else False
        return error

    def _may_have_happened(self, task: Task) -> bool:
        if not self._changes or task not in self._under_way:
            return False
        return bool(self._threads) or task.account in self._session.changed_accounts


def _queues(tasks: Sequence[Task], changes: bool) -> list[list[Task]]:
    """Groups the tasks into queues. The changes to one account share a queue, so that they run one
    after another. Each read has its own queue."""
    if not changes:
        return [[task] for task in tasks]
    queues: dict[str, list[Task]] = {}
    for task in tasks:
        queues.setdefault(task.account, []).append(task)
    return list(queues.values())
