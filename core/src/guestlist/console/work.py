"""Reviews and the work that follows them.

Every change is reviewed first: a `Review` lists each step and what it will do. It can be started
only once: a second press of its button, a second tab and a second person get the same
`BackgroundWork`. The work continues in the background if the page is closed.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from secrets import token_urlsafe
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from guestlist.address import is_email
from guestlist.client import Guestlist
from guestlist.console.people import PeopleIndex
from guestlist.console.words import (
    FailureText,
    done_text,
    failure_text,
    offboarded_text,
    without_code_marks,
)
from guestlist.errors import GuestlistError
from guestlist.exchange.clock import Stopped
from guestlist.ledger.log import LineState
from guestlist.models import Access, Guest, Identity, OffboardOutcome, Result, State
from guestlist.runs.progress import (
    CheckingAcceptance,
    ReadingAccount,
    Reconciling,
    RunEnded,
    RunEvent,
    RunProblem,
    RunProgress,
    RunStarted,
)
from guestlist.runs.stop import Stop
from guestlist.runs.tally import Tally

if TYPE_CHECKING:
    from guestlist.ledger.ledger import Ledger

KEPT = 500
"""Maximum number of reviews and works in memory. The ledger keeps their results."""
THREADS = 8
"""Number of steps of one work that run at the same time. The client enforces the rate limits."""

logger = logging.getLogger("guestlist.console")


class StepState(StrEnum):
    """The progress of one step."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass
class Step:
    """One call about one person in one account.

    Attributes:
        verb: the name of the client's method.
        who: the person as the method takes it.
        label: the person as the pages show it.
        arguments: further arguments of the method.
        forecast: a text that says what will happen.
        tone: the tone of the forecast.
        group: the heading under which the review lists the step.
        result: a text that says what happened.
    """

    verb: str
    account: str
    who: str | Identity
    label: str
    forecast: str
    tone: str = "open"
    group: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    progress: StepState = StepState.WAITING
    result: str = ""
    failure: FailureText | None = None


@dataclass(frozen=True)
class ExcludedPerson:
    """A person whom a review leaves out, with the reason."""

    label: str
    account: str
    why: str
    tone: str = "plain"
    group: str = ""


@dataclass
class Review:
    """The effects of a change, shown before it is made.

    Attributes:
        title: what the visitor decides, as a question.
        warning: what the change means, as a sentence.
        button: the text of the button that starts the work.
        back: the page to return to without a change.
        corrections: lines that were not understood; they are offered for correction.
        again: the fields of the form that the review was made from.
        typed: the same fields, as the review's page contains them; empty if they are too long. If
            the console is started again, they are all that is left of the review.
        work: the work that was started from the review; None before that.
        made: when the review was made, by `time.monotonic`.
    """

    title: str
    warning: str
    button: str
    steps: list[Step]
    actor: str
    back: str
    verb: str = ""
    left_out: list[ExcludedPerson] = field(default_factory=list)
    corrections: list[str] = field(default_factory=list)
    again: object = None
    typed: Sequence[tuple[str, str]] = ()
    work: BackgroundWork | None = None
    made: float = field(default_factory=monotonic)
    id: str = field(default_factory=lambda: token_urlsafe(12))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, begin: Callable[[], BackgroundWork]) -> BackgroundWork:
        """Starts the work unless it was started before, and returns it."""
        with self._lock:
            if self.work is None:
                self.work = begin()
            return self.work


class ResendGuard:
    """Remembers invitations that were sent again, so that two reviews of the same invitation send
    only one email.

    Args:
        ledger: shows what other programs have sent; None if there is none.
    """

    def __init__(self, ledger: Ledger | None) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._turns: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._sent: dict[tuple[str, str], float] = {}

    def send(self, step: Step, made: float, now: datetime, call: Callable[[], None]) -> None:
        """Makes the call of a step, unless that person was emailed after the review was made.

        Args:
            made: when the review was made, by `time.monotonic`.
            now: the time by the client's clock.
        """
        key = (step.account, str(step.who))
        with self._lock:
            turn = self._turns[key]
        with turn:
            since = now - timedelta(seconds=monotonic() - made)
            if self._sent.get(key, made) > made or self._is_in_ledger(step, since):
                step.result = (
                    "Was sent again already, after this review was made. Nothing more was sent."
                )
                step.progress = StepState.DONE
                return
            try:
                call()
            except GuestlistError as error:
                if error.happened is not False:  # an email may have gone out
                    self._sent[key] = monotonic()
                raise
            self._sent[key] = monotonic()

    def _is_in_ledger(self, step: Step, since: datetime) -> bool:
        """Returns whether a program has sent an email to the person since then, or is about to."""
        if self._ledger is None or not isinstance(step.who, str) or not is_email(step.who):
            return False
        from guestlist.changes import SENDS_EMAIL
        from guestlist.ledger import history

        search = history.Search(
            emails=[step.who], accounts=[step.account], actions=SENDS_EMAIL, since=since
        )
        return any(
            line.email_sent or line.state is LineState.UNRESOLVED
            for line in history.latest(self._ledger.store, 5, search)
        )


class BackgroundWork:
    """Something that runs in the background.

    Attributes:
        title: what it does, as a heading.
        actor: who started it.
        began: when it was started.
        ended: when it ended; None while it runs.
        version: grows with each change of what its page shows.
    """

    kind = ""

    def __init__(self, title: str, actor: str, now: Callable[[], datetime]) -> None:
        self.id = token_urlsafe(12)
        self.title = title
        self.actor = actor
        self.began = now()
        self.ended: datetime | None = None
        self.version = 0
        self.stopping = False
        self.failure: FailureText | None = None
        self._now = now
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether it still runs."""
        return self.ended is None

    def changed(self) -> None:
        """Notes a change, so that the pages that show this work are updated."""
        self.version += 1

    def stop(self) -> None:
        """Starts no further step. Steps in progress are finished."""
        self.stopping = True
        self.changed()

    def start(self) -> None:
        """Runs it in a thread of its own."""
        self._thread = threading.Thread(target=self._guarded, name=f"guestlist-console-{self.kind}")
        self._thread.start()

    def join(self, seconds: float | None = None) -> None:
        """Waits until it has ended, for at most `seconds`."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _guarded(self) -> None:
        try:
            self.run()
        except GuestlistError as error:
            self.failure = failure_text(error)
        except Stopped:
            pass  # the console ends, and the work was waiting
        except Exception as error:
            # The text of an unexpected error may contain secrets.
            logger.error("%s failed: %s", self.kind, type(error).__name__)
            self.failure = unexpected_failure(error)
        finally:
            self.ended = self._now()
            self.changed()

    def run(self) -> None:
        """Does the work. Called in a thread of its own."""
        raise NotImplementedError


class ReviewWork(BackgroundWork):
    """Carries out the steps of a review, one call of the client for each.

    Args:
        client: the client, which records the visitor as the actor.
        resends: the times at which this console has sent invitations again.
    """

    kind = "calls"

    def __init__(
        self,
        review: Review,
        client: Guestlist,
        people: PeopleIndex,
        resends: ResendGuard,
        actor: str,
    ) -> None:
        super().__init__(review.title.rstrip("?"), actor, client.clock.now)
        self.review = review
        self.steps: Sequence[Step] = review.steps
        self._client = client
        self._people = people
        self._resends = resends
        self._lock = threading.Lock()

    def run(self) -> None:
        with ThreadPoolExecutor(THREADS, thread_name_prefix="guestlist-console-step") as pool:
            list(pool.map(self._perform, self.steps))

    def count(self, *progress: str) -> int:
        """Returns the number of steps with this progress."""
        return sum(step.progress in progress for step in self.steps)

    @property
    def finished(self) -> int:
        """The number of steps that need no more work."""
        return self.count(StepState.DONE, StepState.FAILED)

    @property
    def failed(self) -> list[Step]:
        """The steps that failed."""
        return [step for step in self.steps if step.progress is StepState.FAILED]

    @property
    def stopped(self) -> list[Step]:
        """The steps that were not started because a person stopped the work."""
        return [step for step in self.steps if step.progress is StepState.STOPPED]

    def resume(self) -> None:
        """Continues stopped work: makes the calls that had not been made yet."""
        with self._lock:
            if self.is_running or not self.stopped:
                return
            for step in self.stopped:
                step.progress = StepState.WAITING
            self.steps = self.review.steps
            self.stopping, self.ended = False, None
        self.changed()
        self.start()

    def _perform(self, step: Step) -> None:
        if step.progress is not StepState.WAITING:
            return
        if self.stopping:
            step.progress = StepState.STOPPED
            self.changed()
            return
        step.progress = StepState.RUNNING
        try:
            if step.verb == "offboard":
                self._offboard(step)
            elif step.verb == "resend":
                now = self._client.clock.now()
                self._resends.send(step, self.review.made, now, lambda: self._call(step))
            else:
                self._call(step)
        except GuestlistError as error:
            step.failure, step.progress = failure_text(error), StepState.FAILED
        except Stopped:  # The console is shutting down while the call waited.
            step.progress = StepState.STOPPED
        except Exception as error:
            logger.error("%s failed: %s", step.verb, type(error).__name__)
            step.failure, step.progress = unexpected_failure(error), StepState.FAILED
        self.changed()

    def _call(self, step: Step) -> None:
        call = getattr(self._client, step.verb)
        result: Result = call(step.who, account=step.account, **step.arguments)
        title = self._client.accounts[step.account].title
        step.result, step.progress = done_text(result, title), StepState.DONE
        self._people.put(result.guest)

    def _offboard(self, step: Step) -> None:
        (result,) = self._client.offboard(step.who, account=step.account)
        (done,) = result.accounts
        if done.outcome in (OffboardOutcome.REMAINS, OffboardOutcome.UNKNOWN):
            unknown = done.outcome is OffboardOutcome.UNKNOWN
            remains = "Whether access remains is not known." if unknown else "Access remains."
            step.failure = FailureText(
                done.reason or "", remains, without_code_marks(done.hint or "")
            )
            step.progress = StepState.FAILED
            return
        step.result, step.progress = offboarded_text(done), StepState.DONE
        person = result.person
        login = person.logins.get(step.account)
        self._people.put(
            Guest(account=step.account, email=person.email, login=login, state=State.GONE)
        )


CarryOut = Callable[[Callable[[RunEvent], None], Stop], tuple[str, int]]


class RosterWork(BackgroundWork):
    """Work that reads the roster and all accounts, and reports its progress.

    Attributes:
        phase: a text that says what it is doing.
    """

    def __init__(self, title: str, actor: str, now: Callable[[], datetime]) -> None:
        super().__init__(title, actor, now)
        self.phase = "Reading the roster"
        self._signal = Stop()

    def stop(self) -> None:
        self._signal()
        super().stop()

    def _follow(self, event: RunEvent) -> None:
        if isinstance(event, ReadingAccount):
            self.phase = f"Reading {event.account}: {event.count:,} {event.what}"
        self.changed()


class RunWork(RosterWork):
    """A run of `apply` or `settle`.

    Args:
        carry_out: makes the run. It gets the callback for its events and the signal that stops it,
            and returns what was done, as sentences, and how many changes are left.
    """

    def __init__(
        self,
        kind: str,
        title: str,
        actor: str,
        now: Callable[[], datetime],
        carry_out: CarryOut,
    ) -> None:
        super().__init__(title, actor, now)
        self.kind = kind
        self.run_number: int | None = None
        self.tallies: Mapping[str, Tally] = {}
        self.outcome = ""
        self.problems: list[FailureText] = []
        self.left = 0
        self._carry_out = carry_out

    def run(self) -> None:
        self.outcome, self.left = self._carry_out(self._follow, self._signal)

    def _follow(self, event: RunEvent) -> None:
        match event:
            case Reconciling():
                self.phase = "Looking up requests that got no answer"
            case RunStarted():
                self.run_number, self.phase = event.run, "Making the changes"
            case RunProgress() | RunEnded():
                self.run_number, self.tallies = event.run, event.tallies
            case RunProblem():
                self.problems.append(failure_text(event.error))
            case CheckingAcceptance():
                self.phase = "Looking who has accepted"
            case _:
                pass
        super()._follow(event)


class ReadingWork(RosterWork):
    """Work that reads all accounts for a page, such as making a plan.

    Args:
        read: does the work. It gets the callback for its events and the signal that stops it.

    Attributes:
        page: the path of the page that shows the progress and the result.
    """

    kind = "reading"

    def __init__(
        self,
        page: str,
        title: str,
        actor: str,
        now: Callable[[], datetime],
        read: Callable[[Callable[[RunEvent], None], Stop], None],
    ) -> None:
        super().__init__(title, actor, now)
        self.page = page
        self._read = read

    def run(self) -> None:
        self._read(self._follow, self._signal)


class HasId(Protocol):
    """A protocol for objects with an id."""

    @property
    def id(self) -> str: ...


N = TypeVar("N", bound=HasId)


class RecentItems(Generic[N]):
    """Keeps the newest items by id."""

    def __init__(self, kept: int = KEPT) -> None:
        self._items: OrderedDict[str, N] = OrderedDict()
        self._kept = kept
        self._lock = threading.Lock()

    def add(self, item: N) -> N:
        """Keeps an item, and returns it."""
        with self._lock:
            self._items[item.id] = item
            while len(self._items) > self._kept:
                self._items.popitem(last=False)
        return item

    def get(self, id: str) -> N | None:
        """Returns the item with this id; None if it is unknown or was dropped."""
        return self._items.get(id)

    def __iter__(self) -> Iterator[N]:
        with self._lock:
            return iter(list(self._items.values())[::-1])


def unexpected_failure(error: Exception) -> FailureText:
    """Returns the failure for an error that is not guestlist's. Its text may contain secrets."""
    return FailureText(
        f"guestlist itself failed ({type(error).__name__})",
        "It may have taken effect: look at the log before you repeat it.",
        "Report it to the person who runs this console.",
    )


def read_person(
    client: Guestlist, account: str, who: str
) -> tuple[Guest | None, Access | None, FailureText | None]:
    """Reads a person's state in one account and, if they are a member, their effective access."""
    try:
        guest = client.status(who, account=account)
        access: Access | None = None
        provider = client.accounts[account]
        if guest.member is not None and provider.supports("access"):
            access = client.access(who, account=account)
    except GuestlistError as error:
        return None, None, failure_text(error)
    return guest, access, None
