"""Plans and runs: work that takes longer than a request, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any

from guestlist.changes import label
from guestlist.client import Guestlist
from guestlist.console.api.models import (
    JobState,
    PlanBody,
    PlanInfo,
    PlannedChange,
    Problem,
    RunAccount,
    RunBody,
    RunInfo,
)
from guestlist.console.api.problems import ApiRefusal, log_bug, problem_of, unexpected_problem
from guestlist.errors import ConfigError, GuestlistError
from guestlist.exchange.clock import Stopped
from guestlist.roster.planfile import PlanFile, read_plan
from guestlist.runs import apply, plan
from guestlist.runs.progress import RunEnded, RunEvent, RunProblem, RunProgress, RunStarted
from guestlist.runs.stop import Stop

if TYPE_CHECKING:
    from guestlist.ledger import Ledger
    from guestlist.roster.file import Roster
    from guestlist.runs.tally import Tally

MAX_PLANS = 50
MAX_RUNS = 200
"""Number of plans and runs that can still be read. The oldest one that has ended is dropped
first."""
MAX_PROBLEMS = 1_000
"""Number of failures of a run that can be read here. The ledger has all of them."""


class _Job:
    """Work in a thread of its own.

    Attributes:
        actor: the person or program that asked for it.
        stop: ends it early when called.
    """

    def __init__(self, client: Guestlist, actor: str) -> None:
        self.id = token_hex(8)
        self.actor = actor
        self.state = JobState.WORKING
        self.stop = Stop()
        self._clock = client.clock
        self._client = client
        self._errors: list[GuestlistError] = []
        self._bug: Problem | None = None
        self.began_at: datetime = client.clock.now()
        self.ended_at: datetime | None = None
        self.thread = threading.Thread(target=self._run, name=f"guestlist-{self.id}", daemon=True)

    def _run(self) -> None:
        try:
            state = self.work()
        except GuestlistError as error:
            problems = error.problems if isinstance(error, ConfigError) else ()
            self._errors += problems or (error,)
            state = JobState.FAILED
        except Stopped:
            state = JobState.STOPPED
        except BaseException as error:
            self._bug = unexpected_problem(log_bug(error))
            state = JobState.FAILED
        self.ended_at = self._clock.now()
        self.state = state

    def work(self) -> JobState:
        """Does the work, and returns the state afterwards."""
        raise NotImplementedError

    def _facts(self) -> dict[str, Any]:
        """Returns the fields that plans and runs have in common."""
        # Read the state before the other fields, because they no longer change once it is final.
        state = self.state
        problems = tuple(map(problem_of, self._errors))
        return {
            "id": self.id,
            "state": state,
            "actor": self.actor,
            "began_at": self.began_at,
            "ended_at": self.ended_at,
            "problems": (*problems, self._bug) if self._bug else problems,
        }


class PlanJob(_Job):
    """Makes a plan, and saves it in a file.

    Attributes:
        file: the saved plan; None until it is made.
    """

    def __init__(
        self,
        client: Guestlist,
        ledger: Ledger,
        roster: Roster | Path,
        asked: PlanBody,
        folder: Path,
        actor: str,
    ) -> None:
        super().__init__(client, actor)
        self._ledger = ledger
        self._roster = roster
        self._asked = asked
        self._path = folder / f"{self.id}.plan"
        self.file: PlanFile | None = None

    def work(self) -> JobState:
        asked = self._asked
        with plan(
            self._roster,
            ledger=self._ledger,
            client=self._client,
            prune=asked.prune,
            invite_declined=asked.invite_declined,
            retry_unknown=asked.retry_unknown,
            accounts=asked.accounts,
            people=asked.people,
        ) as made:
            self._errors += made.errors.values()
            made.write(self._path)
        self.file = read_plan(self._path)
        return JobState.DONE

    def info(self) -> PlanInfo:
        """Returns the state of the plan."""
        facts = self._facts()
        if self.file is None:
            return PlanInfo(**facts)
        summary = self.file.summary
        return PlanInfo(
            **facts,
            digest=self.file.digest,
            made_at=summary.made_at,
            changes=summary.changes,
            possible=summary.possible,
            counts={
                account: {str(action): number for action, number in counts.items()}
                for account, counts in summary.counts.items()
            },
            notes={
                account: {str(note): number for note, number in notes.items()}
                for account, notes in summary.notes.items()
            },
            over=tuple(map(str, summary.over)),
        )

    def made(self) -> PlanFile:
        """Returns the saved plan.

        Raises:
            ApiRefusal: the plan is not made.
        """
        if self.file is None:
            raise ApiRefusal(
                409,
                "NotPlanned",
                "the plan is not made yet, or has failed",
                hint="Read the plan until its state is `done`.",
            )
        return self.file

    def changes(self, saved: PlanFile) -> Iterator[PlannedChange]:
        """Yields the changes of the saved plan."""
        for change in saved.changes():
            yield PlannedChange(
                account=change.account,
                action=change.action,
                email=change.email,
                login=change.login,
                roles=tuple(map(label, change.roles)),
                deferred=tuple(map(label, change.deferred)),
                reason=change.reason,
                state=change.state,
            )

    def close(self) -> None:
        """Deletes the file of the plan."""
        self._path.unlink(missing_ok=True)


class RunJob(_Job):
    """Carries out a plan in a thread of its own."""

    def __init__(
        self,
        client: Guestlist,
        ledger: Ledger,
        roster: Roster | Path,
        asked: RunBody,
        plan: PlanJob,
    ) -> None:
        super().__init__(client, ledger.origin.actor or "")
        self._ledger = ledger
        self._roster = roster
        self._asked = asked
        self.plan = plan
        self._run_number: int | None = None
        self._tallies: dict[str, Tally] = {}
        self._left = 0

    def work(self) -> JobState:
        result = apply(
            self._roster,
            plan=self.plan.made(),
            ledger=self._ledger,
            client=self._client,
            on_progress=self._watch,
            stop=self.stop,
            force=self._asked.force,
        )
        self._left = result.left
        return JobState.STOPPED if result.interrupted else JobState.DONE

    def _watch(self, event: RunEvent) -> None:
        if isinstance(event, RunStarted):
            if self._run_number is None:  # a later run grants deferred roles
                self._run_number = event.run
        elif isinstance(event, RunProgress | RunEnded) and event.run == self._run_number:
            self._tallies = dict(event.tallies)
        elif isinstance(event, RunProblem) and len(self._errors) < MAX_PROBLEMS:
            self._errors.append(event.error)

    def info(self) -> RunInfo:
        """Returns the state of the run."""
        facts = self._facts()
        tallies = list(self._tallies.values())
        return RunInfo(
            **facts,
            plan=self.plan.id,
            run=self._run_number,
            accounts=tuple(map(_counts, tallies)),
            left=self._left if self.ended_at else sum(one.left for one in tallies),
        )


def _counts(tally: Tally) -> RunAccount:
    return RunAccount(
        account=tally.account,
        done=dict(tally.done),
        refused=dict(tally.refused),
        unknown=tally.unknown,
        left=tally.left,
        emails=tally.emails,
    )


class Jobs:
    """The plans and runs of the API.

    Args:
        roster: the roster, or the path of its file, which is read again for each plan. None for
            no plans.
    """

    def __init__(self, ledger: Ledger, roster: Roster | Path | None) -> None:
        self._ledger = ledger
        self.roster = roster
        self._lock = threading.Lock()
        self._plans: dict[str, PlanJob] = {}
        self._runs: dict[str, RunJob] = {}
        self._folder: TemporaryDirectory[str] | None = None

    def make_plan(self, client: Guestlist, asked: PlanBody, actor: str) -> PlanJob:
        """Begins to make a plan."""
        roster = self.needed_roster()
        with self._lock:
            if self._folder is None:
                self._folder = TemporaryDirectory(prefix="guestlist-")
            folder = Path(self._folder.name)
            job = PlanJob(client, self._ledger, roster, asked, folder, actor)
            self._plans[job.id] = job
            used = {one.plan.id for one in self._runs.values() if one.state is JobState.WORKING}
            for old in _superfluous(self._plans, MAX_PLANS, used):
                self._plans.pop(old.id).close()
            job.thread.start()
        return job

    def begin_run(self, client: Guestlist, asked: RunBody, actor: str) -> RunJob:
        """Begins to carry out a plan.

        Raises:
            ApiRefusal: the plan is not made, or another run is under way.
        """
        plan = self.plan(asked.plan)
        plan.made()
        ledger = self._ledger.acting_as(actor, asked.note)
        job = RunJob(client, ledger, self.needed_roster(), asked, plan)
        with self._lock:
            for other in self._runs.values():
                if other.state is JobState.WORKING:
                    raise ApiRefusal(
                        409,
                        "RunUnderWay",
                        f"the run {other.id} is under way",
                        hint="Wait for its end, or stop it.",
                    )
            self._runs[job.id] = job
            for old in _superfluous(self._runs, MAX_RUNS):
                del self._runs[old.id]
            job.thread.start()
        return job

    def plan(self, id: str) -> PlanJob:
        """Returns the plan with an id.

        Raises:
            ApiRefusal: the id is unknown.
        """
        with self._lock:
            found = self._plans.get(id)
        if found is None:
            raise _unknown_job("plan", "Plans are deleted when the server ends. Make a new one.")
        return found

    def run(self, id: str) -> RunJob:
        """Returns the run with an id.

        Raises:
            ApiRefusal: the id is unknown.
        """
        with self._lock:
            found = self._runs.get(id)
        if found is None:
            raise _unknown_job(
                "run",
                "Runs are forgotten when the server ends. Make a new plan and carry it out: it has"
                " what is left, and nobody is invited twice. `guestlist log` shows what was done.",
            )
        return found

    def runs(self) -> list[RunJob]:
        """Returns the runs, newest first."""
        with self._lock:
            return list(self._runs.values())[::-1]

    def stop(self) -> None:
        """Stops all runs, without waiting for their ends."""
        for job in self._jobs():
            job.stop()

    def close(self, seconds: float | None = None) -> None:
        """Stops all runs, waits until their requests in flight are recorded, and deletes the
        plans.

        Args:
            seconds: the longest wait. By default as long as the slowest service takes.
        """
        self.stop()
        end = None if seconds is None else monotonic() + seconds
        for job in self._jobs():
            job.thread.join(None if end is None else max(0.0, end - monotonic()))
        if self._folder is not None:
            self._folder.cleanup()

    def _jobs(self) -> list[_Job]:
        with self._lock:
            return [*self._plans.values(), *self._runs.values()]

    def needed_roster(self) -> Roster | Path:
        """Returns the roster.

        Raises:
            ApiRefusal: the server has no roster.
        """
        if self.roster is None:
            raise ApiRefusal(
                404,
                "NoRoster",
                "this server has no roster to compare with",
                hint="Start it with a roster.",
            )
        return self.roster


def _superfluous(jobs: dict[str, Any], most: int, used: Collection[str] = ()) -> list[Any]:
    """Returns the oldest jobs that have ended, if there are more than `most` jobs.

    Args:
        used: the ids of jobs that are still needed.
    """
    ended = [
        job for id, job in jobs.items() if job.state is not JobState.WORKING and id not in used
    ]
    return ended[: max(0, len(jobs) - most)]


def _unknown_job(kind: str, hint: str) -> ApiRefusal:
    return ApiRefusal(
        404, "NotFound", f"there is no {kind} with this id, or it was dropped", hint=hint
    )
