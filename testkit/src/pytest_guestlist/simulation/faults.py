"""The faults, and the seeded scheduler that decides which request gets which fault.

A fault decides three things about a request: whether and when the service acts on it, which result
the client gets, and when. `LATE` marks faults whose effect comes only after the client has given
up, at most the provider's `late_effect` later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum, auto
from random import Random

from guestlist.exchange.step import Outgoing, SendFailure
from guestlist.provider import Response
from pytest_guestlist.simulation.world import EPOCH

NEVER, AT_ONCE, LATE = "never", "at once", "late"

MakeResult = Callable[["Case", Response | None], Response | SendFailure | None]
"""Makes the client's result from the service's answer, which is None if the service did not act
yet."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request that gets a fault."""

    random: Random
    outgoing: Outgoing
    now: float
    secrets: Sequence[str]
    before: Response | None
    """The answer for the page before this one, if there was one."""
    refuses: Callable[[Response], bool]
    """Returns whether an answer is a refusal."""


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """One way in which a request goes wrong.

    Attributes:
        acts: whether the service acts on it: never, at once, or late.
        result: makes the result that the client gets.
        slow: whether the result comes only after the time-out of the request.
        total: whether the result comes only after all the time that the call has left.
    """

    name: str
    acts: str
    result: MakeResult
    slow: bool = False
    total: bool = False


def _failure(reason: str, *, sent: bool = True) -> MakeResult:
    return lambda _case, _real: SendFailure(reason, sent=sent)


def _status(status: int) -> MakeResult:
    body = b'{"error": "something went wrong"}'
    return lambda _case, _real: Response(status, {"content-type": "application/json"}, body)


def _limited(*names: str) -> MakeResult:
    def result(case: Case, _real: Response | None) -> Response | SendFailure | None:
        seconds = case.random.choice((0, 1, 2, 7, 45))
        moment = datetime.fromtimestamp(EPOCH + case.now, UTC)
        date = format_datetime(moment + timedelta(seconds=seconds), usegmt=True)
        values = {"retry-after": str(seconds), "x-retry-after": str(seconds), "date": date}
        headers = {name: values[name] for name in names}
        if "date" in names:
            headers = {"retry-after": date, "date": format_datetime(moment, usegmt=True)}
        return Response(429, headers, b'{"error": "too many requests"}')

    return result


def _body(make: Callable[[Case, bytes], bytes]) -> MakeResult:
    def result(case: Case, real: Response | None) -> Response | SendFailure | None:
        if real is None or not 200 <= real.status < 300:
            return real
        return replace(real, content=make(case, real.content))

    return result


def _wrong_shape(case: Case, _content: bytes) -> bytes:
    shapes = (b'{"unexpected": true}', b'"a text"', b"42", b"null", b"[1, 2]", b'{"data": [[]]}')
    return case.random.choice(shapes)


def _cut(case: Case, content: bytes) -> bytes:
    return content[: case.random.randrange(len(content))] if content else b"{"


def _with_status(reason: str, *, malformed: bool = False) -> MakeResult:
    def result(_case: Case, real: Response | None) -> Response | SendFailure | None:
        assert real is not None
        return SendFailure(reason, status=real.status, malformed=malformed)

    return result


def _echo(status: int) -> MakeResult:
    """Returns an answer that repeats a secret: completely, or where a reader may cut the text. A
    secret that only the service knows follows the name of its field, so that it can be masked."""

    def result(case: Case, _real: Response | None) -> Response | SendFailure | None:
        secret = case.random.choice(case.secrets)
        filler = "x" * case.random.choice((0, 10, 470, 480, 490))
        forms = [f'{{"error": "see {filler} https://service.example/join?token={secret}"}}']
        if secret == case.secrets[0]:
            forms = [
                f'{{"error": "not accepted: {filler} {secret} was sent"}}',
                f'{{"message": "{filler} Authorization: Bearer {secret}"}}',
                f'{{"detail": [{{"loc": ["header"], "msg": "{secret} is not valid"}}]}}',
                f"{filler} {secret}",
            ]
        body = case.random.choice(forms).encode()
        return Response(status, {"content-type": "application/json"}, body)

    return result


def _in_wrong_shape(case: Case, real: Response | None) -> Response | SendFailure | None:
    """Returns a 2xx of another shape. A refusal inside a 2xx stays as it is."""
    return real if real is not None and case.refuses(real) else _body(_wrong_shape)(case, real)


def _error_inside(case: Case, real: Response | None) -> Response | SendFailure | None:
    """Returns a 2xx that contains an error. If the service refuses inside a 2xx, the real
    answer."""
    if real is None or case.refuses(real):
        return real
    changed = replace(real, content=b'{"error": "internal"}')
    return real if case.refuses(changed) else changed


def _page_before(case: Case, real: Response | None) -> Response | SendFailure | None:
    return case.before or real


FAULTS = (
    SimulatedFault("dns", NEVER, _failure("no connection: unknown host", sent=False)),
    SimulatedFault("connect", NEVER, _failure("no connection: refused", sent=False)),
    SimulatedFault("pool", NEVER, _failure("no free connection in time", sent=False), slow=True),
    SimulatedFault("reset, unread", NEVER, _failure("the connection broke")),
    SimulatedFault("reset, read", NEVER, _failure("the connection broke after reading")),
    SimulatedFault("reset, acted", AT_ONCE, _failure("the connection broke")),
    SimulatedFault("reset, acts late", LATE, _failure("the connection broke")),
    SimulatedFault(
        "reset in answer", AT_ONCE, _with_status("the connection broke (during the answer)")
    ),
    SimulatedFault("time-out", NEVER, _failure("no answer in time"), slow=True),
    SimulatedFault("time-out, acted", AT_ONCE, _failure("no answer in time"), slow=True),
    SimulatedFault("time-out, acts late", LATE, _failure("no answer in time"), slow=True),
    SimulatedFault("slow drip", AT_ONCE, _with_status("the answer came too slowly"), total=True),
    SimulatedFault("429 seconds", NEVER, _limited("retry-after")),
    SimulatedFault("429 date", NEVER, _limited("date")),
    SimulatedFault("429 x-retry-after", NEVER, _limited("x-retry-after")),
    SimulatedFault("429 bare", NEVER, _limited()),
    *(SimulatedFault(f"{status}", NEVER, _status(status)) for status in (408, 500, 502, 503, 504)),
    *(
        SimulatedFault(f"{status}, acted", AT_ONCE, _status(status))
        for status in (500, 502, 503, 504)
    ),
    *(SimulatedFault(f"{status}, acts late", LATE, _status(status)) for status in (502, 503, 504)),
    SimulatedFault("2xx empty", AT_ONCE, _body(lambda _case, _content: b"")),
    SimulatedFault("2xx truncated", AT_ONCE, _body(_cut)),
    SimulatedFault("2xx not JSON", AT_ONCE, _body(lambda _case, _content: b"<html>welcome</html>")),
    SimulatedFault("2xx wrong shape", AT_ONCE, _in_wrong_shape),
    SimulatedFault(
        "2xx huge", AT_ONCE, _with_status("the answer is larger than the limit", malformed=True)
    ),
    SimulatedFault("2xx, error inside", AT_ONCE, _error_inside),
    SimulatedFault("401", NEVER, _status(401)),
    SimulatedFault("403", NEVER, _status(403)),
    SimulatedFault("redirect", NEVER, _status(307)),
    SimulatedFault("secret in 400", NEVER, _echo(400)),
    SimulatedFault("secret in 500", NEVER, _echo(500)),
    SimulatedFault("page repeated", AT_ONCE, _page_before),
)


class Kinds(Enum):
    """Groups of faults."""

    LATE = auto()
    """Faults whose effect comes late."""
    ACTED = auto()
    """Faults that lose the answer after the service has acted."""


class FaultScheduler:
    """Decides from a seed which request gets which fault. Each run uses only some kinds of faults,
    so that rare combinations of a few are tried as well as all at once."""

    def __init__(self, random: Random, *, of: Kinds | None = None) -> None:
        self._random = random
        self.rate = random.choice((0.0, 0.1, 0.25, 0.5, 0.5, 0.8))
        late = [fault for fault in FAULTS if fault.acts is LATE]
        repeated = [fault for fault in FAULTS if fault.name == "page repeated"]
        drawn = (random.sample(late, 2), _some(random), _some(random), _some(random), repeated)
        self.kinds = random.choice(drawn[:1] if of is Kinds.LATE else drawn)
        if of is Kinds.ACTED:
            self.kinds = [fault for fault in FAULTS if fault.name.endswith(", acted")]

    def draw(self) -> SimulatedFault | None:
        """Returns the fault of the next request, or None."""
        return self._random.choice(self.kinds) if self._random.random() < self.rate else None


def _some(random: Random) -> list[SimulatedFault]:
    return random.sample(FAULTS, random.choice((1, 2, 3, 5, len(FAULTS))))
