"""The events that a run reports while it works: one class for each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from guestlist.errors import GuestlistError
    from guestlist.roster.plan import Plan
    from guestlist.roster.planfile import PlanFile
    from guestlist.runs.tally import Tally


@dataclass(frozen=True, slots=True)
class ReadingRoster:
    """The people of the roster are about to be read."""

    path: Path


@dataclass(frozen=True, slots=True)
class ReadingAccount:
    """Part of an account has been read.

    Attributes:
        what: `roles`, `invitations`, `members`, `access`; `people` if the service has no lists.
        count: number of items read so far.
    """

    account: str
    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Reconciling:
    """The outcome of unanswered requests is about to be looked up, so that no request is sent
    twice.

    Attributes:
        requests: number of unanswered requests.
    """

    requests: int


@dataclass(frozen=True, slots=True)
class CheckingPlan:
    """A saved plan is about to be compared with what the services hold now."""

    path: Path


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan was made, or a saved plan is still valid. No change was sent yet.

    Attributes:
        plan: open until the callback returns.
    """

    plan: Plan | PlanFile


@dataclass(frozen=True, slots=True)
class Resuming:
    """An earlier run that was interrupted continues.

    Attributes:
        left: changes that are still to be made.
    """

    run: int
    left: int


@dataclass(frozen=True, slots=True)
class RunProblem:
    """Something failed. The run continues."""

    error: GuestlistError


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Changes are about to be sent."""

    run: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The present counts of a run. Emitted several times a second.

    Attributes:
        tallies: by account.
    """

    run: int
    tallies: Mapping[str, Tally]


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run has ended, or was interrupted.

    Attributes:
        tallies: by account.
        left: changes that are still to be made.
    """

    run: int
    tallies: Mapping[str, Tally]
    left: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class CheckingAcceptance:
    """The run is about to look up who has accepted and can be given deferred roles."""


@dataclass(frozen=True, slots=True)
class AwaitingAcceptance:
    """No other invited person has accepted yet. The run looks again in a few seconds.

    Attributes:
        people: number of people with deferred roles and an open invitation.
        unavailable: accounts whose service did not answer.
    """

    people: int
    unavailable: tuple[str, ...]


RunEvent = (
    ReadingRoster
    | ReadingAccount
    | Reconciling
    | CheckingPlan
    | Planned
    | Resuming
    | RunProblem
    | RunStarted
    | RunProgress
    | RunEnded
    | CheckingAcceptance
    | AwaitingAcceptance
)


class Progress(Protocol):
    """A callback that receives the events of a run.

    It may be called from several threads, but never by two at the same time. If it raises, the run
    ends cleanly and raises that exception to the caller.
    """

    def __call__(self, event: RunEvent, /) -> None: ...


Confirm = Callable[["Plan | PlanFile"], bool]
"""A callback that decides whether a plan is applied."""

ConfirmResume = Callable[[int], bool]
"""A callback that decides whether an interrupted run continues. Its argument is the number of
changes that are left."""

AsyncProgress = Callable[[RunEvent], Awaitable[None] | None]
"""A function or coroutine function that is called with each event, in the event loop."""

AsyncConfirm = Callable[["Plan | PlanFile"], Awaitable[bool] | bool]
"""`Confirm`, as a function or coroutine function that is called in the event loop."""

AsyncConfirmResume = Callable[[int], Awaitable[bool] | bool]
"""`ConfirmResume`, as a function or coroutine function that is called in the event loop."""
