"""The same for every person and account: side by side, and no failure stops the others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from guestlist.cli.document import AnyRow
from guestlist.cli.exit_codes import Interrupted
from guestlist.cli.session import Session
from guestlist.cli.text import comma_list, quantity
from guestlist.errors import GuestlistError

MAX_CONCURRENT_CALLS = 8
"""How many calls are under way at a time at most."""


class Task(NamedTuple):
    """One call: an account, and whom it is about (empty for a list of everybody)."""

    account: str
    who: str = ""


Work = Callable[[Task], Iterable[AnyRow]]


def tasks_of(accounts: Sequence[str], people: Sequence[str] = ("",)) -> list[Task]:
    """Everybody on every account."""
    return [Task(account, who) for who in dict.fromkeys(people) for account in accounts]


def run_each(
    session: Session,
    tasks: Sequence[Task],
    work: Work,
    *,
    changes: bool,
    resumable: bool = False,
) -> None:
    """Does the work for each task, and fills the session's results and errors in their order.

    Args:
        changes: whether the work changes anything. Then the tasks of an account go one after
            another, so that little is in doubt after a Ctrl-C.
        resumable: each task may take days, and goes on when it is begun again. So all of them are
            under way at once.

    Raises:
        Exception: a bug in the work, once.
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


class _Batch:
    def __init__(
        self,
        session: Session,
        tasks: Sequence[Task],
        work: Work,
        changes: bool,
        resumable: bool,
    ) -> None:
        self.outcomes: dict[Task, list[AnyRow] | GuestlistError] = {}
        self._session = session
        self._tasks = tasks
        self._work = work
        self._changes = changes
        self._resumable = resumable
        self._lanes = deque(_queues(tasks, changes and not resumable))
        self._under_way: set[Task] = set()
        self._stopped = threading.Event()
        self._bugs: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        self._tell()
        if len(self._lanes) == 1:
            self._drive()  # in this thread, so that Ctrl-C ends the request itself
        else:
            side_by_side = min(MAX_CONCURRENT_CALLS, len(self._lanes))
            # daemons: after Ctrl-C nobody waits for a request that is under way
            self._threads = [
                threading.Thread(target=self._drive, daemon=True)
                for _ in range(len(self._lanes) if self._resumable else side_by_side)
            ]
            for thread in self._threads:
                thread.start()
            for thread in self._threads:
                thread.join()
        if self._bugs:
            raise self._bugs[0]

    def _drive(self) -> None:
        while not self._stopped.is_set():
            try:
                lane = self._lanes.popleft()
            except IndexError:
                return
            for task in lane:
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
        self._tell()

    def _tell(self) -> None:
        accounts = comma_list(list(dict.fromkeys(task.account for task in self._tasks)))
        done = f", {len(self.outcomes)} of {len(self._tasks)} done" if self._tasks[1:] else ""
        self._session.status.show(f"{self._session.arguments.command} on {accounts}{done}")

    def interrupted(self) -> Interrupted:
        """What Ctrl-C leaves behind, in one line."""
        self._stopped.set()
        doubtful = [task for task in self._tasks if self._may_have_happened(task)]
        left = len(self._tasks) - len(self.outcomes) - len(doubtful)
        told = []
        if doubtful and self._resumable:
            told.append(f"{comma_list([task.who for task in doubtful])}: the same command goes on")
        elif doubtful:
            verb = self._session.arguments.command
            which = comma_list([f"{verb} {task.who} on {task.account}" for task in doubtful])
            told.append(f"{which} may have happened (`guestlist status` tells)")
        elif not (self._changes and self.outcomes):
            told.append("nothing was changed")
        if self._changes and self.outcomes:
            told.append(f"{quantity(len(self.outcomes), 'call')} had ended")
        if self._changes and left and len(self._tasks) > 1:
            told.append(f"{left} not done")
        error = Interrupted("; ".join(told))
        error.happened = None if doubtful else False
        return error

    def _may_have_happened(self, task: Task) -> bool:
        if not self._changes or task not in self._under_way:
            return False
        return bool(self._threads) or task.account in self._session.changed_accounts


def _queues(tasks: Sequence[Task], changes: bool) -> list[list[Task]]:
    """What goes one after another: the changes on one account; reads wait for nothing."""
    if not changes:
        return [[task] for task in tasks]
    lanes: dict[str, list[Task]] = {}
    for task in tasks:
        lanes.setdefault(task.account, []).append(task)
    return list(lanes.values())
