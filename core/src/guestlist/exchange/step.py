"""The steps that generators yield to their driver, and the results that they receive.

The policy (rate limits, retries, recovery, paging, the verbs) consists of generators of the type
`Steps`. They do no I/O, and read the time only from the account's clock. There is a driver for sync
callers, one for async callers, and one in the simulator.

    Send     -> Response, or SendFailure if no complete answer came
    Sleep    -> None
    Acquire  -> True once the call has one of the key's places; False if that took too long
    Release  -> None
    Block    -> the return value of the function
    Together -> a list of what the generators return
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from guestlist.errors import GuestlistError, ServiceUnavailable

T = TypeVar("T")

current_guest: ContextVar[tuple[str, str] | None] = ContextVar("current_guest", default=None)
"""The account and the address of the call whose request is being sent. Test tools use it to find
the requests that belong to one call, whichever thread or task sends them."""


@dataclass(slots=True)
class Outgoing:
    """A request in the form in which it is sent, with an absolute URL and credentials. Its `repr`
    shows neither. `timeout` and `total` are updated immediately before it leaves.

    Attributes:
        timeout: the longest time without progress, in seconds.
        total: the longest duration, in seconds.
        max_body: the largest size of a decompressed answer, in bytes.
        hidden: parts of the URL that are secret.
        guest: the account and the address of the call, if it is about one person.
        fresh: send it on a new connection. The service may have closed an idle connection
            unnoticed, and a request that creates something cannot be repeated safely after that.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    timeout: float
    total: float
    max_body: int
    hidden: tuple[str, ...] = ()
    fresh: bool = False
    guest: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"<Outgoing {self.method}>"


@dataclass(frozen=True, slots=True)
class SendFailure:
    """The result of a request that got no complete answer.

    Attributes:
        reason: the reason in a few words, without secrets.
        sent: False if it is proven that sending never began; True if it may have begun.
        status: the HTTP status if it arrived, which proves what the service did. Otherwise None.
        malformed: whether an answer came that cannot be read (too large, or in an unknown
            encoding).
        media_type: the `Content-Type` of the answer, if its headers came.
        hint: what to do; `{base_url}` in it stands for the account's setting.
        error: the class of the error to raise if nothing was sent.
        retry: whether another attempt may succeed. False for a fault that lasts, such as a
            certificate that is not trusted.
        cause: the transport's own error.
    """

    reason: str
    sent: bool = True
    status: int | None = None
    malformed: bool = False
    media_type: str = ""
    hint: str = ""
    error: type[GuestlistError] = ServiceUnavailable
    retry: bool = True
    cause: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request and read the complete answer."""

    outgoing: Outgoing


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for a number of seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Acquire:
    """Acquire one of the `places` of a key, and keep it until it is released or the call ends.

    Wait at most `seconds` for a free place. A call that already has a place continues at once.
    """

    key: tuple[str, ...]
    seconds: float
    places: int = 1


@dataclass(frozen=True, slots=True)
class Release:
    """Release the place of a key, so that another call can acquire it."""

    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Call a function that may block, such as one that reads or writes the ledger, and receive what
    it returns. The async driver calls it in a thread."""

    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Together:
    """Run generators of steps at the same time, and receive a list of what they return.

    Each holds places of its own. If one raises an error, the others end before their next step, and
    the error is raised.
    """

    runs: Sequence[Generator[Any, Any, Any]]


Step = Send | Sleep | Acquire | Release | Block | Together
Steps = Generator[Step, Any, T]
"""A generator of steps that returns a `T`."""
