"""What a run reports while it works: one class for each kind of event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from guestlist.errors import GuestlistError
    from guestlist.roster import Plan, PlanFile
    from guestlist.runs.tally import Tally


@dataclass(frozen=True, slots=True)
class ReadingRoster:
    """The roster's people are about to be read."""

    path: Path


@dataclass(frozen=True, slots=True)
class ReadingAccount:
    """Part of an account has been read.

    Attributes:
        what: `roles`, `invitations`, `members`, `access`; `people` if the service has no lists.
        count: how many so far.
    """

    account: str
    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Reconciling:
    """Requests without an answer are looked up, so that nothing is sent twice.

    Attributes:
        requests: how many.
    """

    requests: int


@dataclass(frozen=True, slots=True)
class CheckingPlan:
    """A saved plan is about to be compared with what the services hold now."""

    path: Path


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan is made, or a saved plan still holds. Nothing was sent yet.

    Attributes:
        plan: open until the function that reports it goes on.
    """

    plan: Plan | PlanFile


@dataclass(frozen=True, slots=True)
class Resuming:
    """An earlier run that was interrupted goes on.

    Attributes:
        left: changes that are still to be made.
    """

    run: int
    left: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something failed, and the rest goes on."""

    error: GuestlistError


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Changes are about to be sent."""

    run: int


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The counts of a run, several times a second.

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
    """The services are asked who has accepted an invitation and can be given deferred roles."""


@dataclass(frozen=True, slots=True)
class AwaitingAcceptance:
    """Nobody else has accepted yet; the services are asked again in a few seconds.

    Attributes:
        people: how many have deferred roles and an open invitation.
        unavailable: accounts whose service gave no answer.
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
    | Problem
    | RunStarted
    | RunProgress
    | RunEnded
    | CheckingAcceptance
    | AwaitingAcceptance
)


class Progress(Protocol):
    """A callback for the events of a run.

    It may be called from other threads, but never by two at a time. If it raises, the run ends
    cleanly and the exception is passed on to the caller.
    """

    def __call__(self, event: RunEvent, /) -> None: ...


Confirm = Callable[["Plan | PlanFile"], bool]
"""A callback that decides whether a plan is carried out."""

ConfirmResume = Callable[[int], bool]
"""A callback that decides whether an interrupted run goes on. It gets the number of changes that
are left."""

AsyncProgress = Callable[[RunEvent], Awaitable[None] | None]
"""A function or coroutine function that is called with each event, in the event loop."""

AsyncConfirm = Callable[["Plan | PlanFile"], Awaitable[bool] | bool]
"""`Confirm`, as a function or coroutine function that is called in the event loop."""

AsyncConfirmResume = Callable[[int], Awaitable[bool] | bool]
"""`ConfirmResume`, as a function or coroutine function that is called in the event loop."""
