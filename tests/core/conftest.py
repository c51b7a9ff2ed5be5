"""A made-up service, and a stage on which the policy is driven by hand on a virtual clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, ClassVar, TypeVar

import pytest

from guestlist.event import Event
from guestlist.exchange.account import Account, Budget, Call
from guestlist.exchange.policy import run
from guestlist.exchange.step import Block, Outgoing, Send, SendFailure, Sleep, Steps
from guestlist.models import Invitation, NewInvitation, State
from guestlist.provider import (
    Flow,
    Limit,
    Provider,
    Request,
    Response,
    operation,
    setting,
)

T = TypeVar("T")
EPOCH = datetime(2027, 1, 15, 8, tzinfo=UTC)


class VirtualClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def monotonic(self) -> float:
        return self.elapsed

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.elapsed)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.elapsed += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Acme(Provider):
    """A service with one call of each effect."""

    name = "acme"
    title = "Acme"
    secret_fields: ClassVar[frozenset[str]] = frozenset({"door_code"})

    base_url: str = setting("Where it is", default="https://api.acme.example/base")
    api_key: str = setting("A key", env="ACME_API_KEY", secret=True, default="hunter2-hunter2")

    def authorize(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        reply = yield Request.post("invites", json={"email": new.email})
        return self.read(reply.mapping())

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        reply = yield Request.get("invites", id)
        return self.read(reply.mapping())

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        yield Request.delete("invites", invitation.id or "")

    def read(self, raw: dict[str, Any]) -> Invitation:
        return Invitation(id=raw["id"], email=raw["email"], state=State.PENDING, raw=raw)


class Limited(Acme):
    """The same, which allows ten requests in a minute."""

    name = "limited"

    @property
    def limits(self) -> tuple[Limit, ...]:
        return (Limit(10, 60.0),)


Answer = Response | SendFailure | BaseException | Callable[[Outgoing], Response | SendFailure]


class Stage:
    """Drives steps by hand: every `Send` is answered, every `Sleep` moves the clock."""

    def __init__(self, provider: Provider | None = None, **budget: Any) -> None:
        self.clock = VirtualClock()
        self.events: list[Event] = []
        self.account = Account(
            "acme", provider or Acme(), self.clock, self.events.append, random=Random(1)
        )
        self.call = Call(self.account, Budget(**budget), "ada@example.com")
        self.sent: list[tuple[float, Outgoing]] = []
        self.slept: list[float] = []

    def run(self, steps: Steps[T], *answers: Answer) -> T:
        """Runs the steps to their end; all answers have to be asked for."""
        left = list(answers)

        def answering(outgoing: Outgoing) -> Response | SendFailure:
            assert left, f"an unexpected request: {outgoing.method}"
            answer = left.pop(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer(outgoing) if callable(answer) else answer

        try:
            return self.serve(steps, answering)
        finally:
            assert not left, f"never asked for: {left}"

    def send(self, request: Request, *answers: Answer) -> Response:
        """Runs a flow of one request to its end."""

        def flow() -> Flow[Response]:
            return (yield request)

        return self.run(run(self.call, flow()), *answers)

    def serve(self, steps: Steps[T], service: Callable[[Outgoing], Response | SendFailure]) -> T:
        """Runs the steps to their end; the service answers every request."""
        result: Any = None
        try:
            step = next(steps)
            while True:
                result = None
                try:
                    if isinstance(step, Send):
                        self.sent.append((self.clock.elapsed, step.outgoing))
                        result = service(step.outgoing)
                    elif isinstance(step, Sleep):
                        self.slept.append(step.seconds)
                        self.clock.sleep(step.seconds)
                    elif isinstance(step, Block):
                        result = step.function()
                    else:
                        result = True
                except BaseException as interruption:
                    step = steps.throw(interruption)
                else:
                    step = steps.send(result)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    def later(self, seconds: float, answer: Response | SendFailure) -> Answer:
        """An answer that takes its time."""

        def answering(_: Outgoing) -> Response | SendFailure:
            self.clock.sleep(seconds)
            return answer

        return answering

    def told(self, name: str) -> list[Event]:
        """The events of that name."""
        return [event for event in self.events if event.name == name]


def answer(body: Any = None, status: int = 200, **headers: str) -> Response:
    """An answer; underscores in the names of headers stand for hyphens."""
    content = b"" if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"content-type": "application/json", **named}, content)


@pytest.fixture(scope="session")
def acme() -> type[Acme]:
    return Acme


@pytest.fixture(scope="session")
def limited() -> type[Limited]:
    return Limited


@pytest.fixture(scope="session")
def stage() -> type[Stage]:
    return Stage


@pytest.fixture(scope="session")
def reply() -> Callable[..., Response]:
    return answer


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither a file nor a variable of this machine says anything about accounts."""
    for name in (
        "ACME_API_KEY",
        "AITRONOS_ORGANIZATION_ID",
        "FREDDY_API_KEY",
        "FREDDY_JWT_TOKEN",
        "GUESTLIST_CONFIG",
        "VULTR_API_KEY",
        "VULTR_ORGANIZATION_ID",
    ):
        monkeypatch.delenv(name, raising=False)
