"""A create that got no answer: looking, waiting, sending again only when nothing happened."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestlist.errors import (
    Forbidden,
    GuestlistError,
    MalformedResponse,
    OutcomeUnknown,
    Rejected,
    ServiceUnavailable,
)
from guestlist.exchange.policy import run
from guestlist.exchange.recovery import Creation, once
from guestlist.exchange.step import Outgoing, SendFailure, Steps
from guestlist.models import Invitation, NewInvitation, Outcome, State
from guestlist.provider import Flow, Provider, Request, Response, operation
from guestlist.verbs import Accounts, invite

LOST = SendFailure("the connection broke")
TIMED_OUT = SendFailure("no answer in time")
PAGE = Response(201, {"content-type": "text/html"}, b"<html>Created</html>")
GRACE = 30.0


class Box(Provider):
    """Puts things into a box, and tells what is in it."""

    name = "box"
    title = "Box"
    base_url: str = "https://box.example"
    list_lag: ClassVar[float] = 0.0

    @operation
    def put(self) -> Flow[str]:
        reply = yield Request.post("things")
        return str(reply.json()["id"])

    @operation
    def find(self) -> Flow[str | None]:
        reply = yield Request.get("things")
        return reply.json() or None


class Slow(Box):
    """The same, whose list lags and whose late effects come late."""

    name = "slow"
    late_effect: ClassVar[float] = 45.0
    list_lag: ClassVar[float] = 20.0


class Service:
    """The other side: what is in the box, and when it can be seen."""

    def __init__(self, scene: Any, fates: list[str], effect_after: float = 0.0) -> None:
        self.scene = scene
        self.fates = fates
        self.effect_after = effect_after
        self.created: list[float] = []  # from when on each can be seen
        self.posts = 0
        self.looks: list[float] = []
        self.broken_until = 0.0

    def __call__(self, outgoing: Outgoing) -> Response | SendFailure:
        now = self.scene.clock.elapsed
        if outgoing.method == "POST":
            self.posts += 1
            return self._create(self.fates.pop(0), now)
        self.looks.append(now)
        if now < self.broken_until:
            return Response(503)
        seen = [at for at in self.created if at <= now]
        return Response(200, {}, b'"t1"' if seen else b"null")

    def _create(self, fate: str, now: float) -> Response | SendFailure:
        if fate in ("done", "lost after", "unreadable", "page, made"):
            self.created.append(now + self.effect_after)
        answers: dict[str, Response | SendFailure] = {
            "done": Response(201, {}, b'{"id": "t1"}'),
            "lost after": LOST,
            "lost before": TIMED_OUT,
            "unreadable": Response(201, {}, b"{"),
            "page": PAGE,
            "page, made": PAGE,
            "refused": Response(422),
            "not sent": SendFailure("no connection", sent=False),
        }
        return answers[fate]


@pytest.fixture
def play(stage: Any) -> Callable[..., Any]:
    """Runs `once` against a service that behaves as told; returns scene, service and outcome."""

    def run_once(
        *fates: str,
        provider: Provider | None = None,
        effect_after: float = 0.0,
        broken_until: float = 0.0,
        conclusive: bool = True,
        can_look: bool = True,
        **budget: Any,
    ) -> Any:
        scene = stage(provider or Box(), **budget)
        service = Service(scene, list(fates), effect_after)
        service.broken_until = broken_until
        box: Any = scene.account.provider

        def look(_happened: bool) -> Steps[str | None]:
            return run(scene.call, box.find())

        steps = once(scene.call, box.put, look if can_look else None, conclusive=conclusive)
        try:
            outcome = scene.serve(steps, service)
        except GuestlistError as error:
            outcome = error
        assert not service.fates
        return scene, service, outcome

    return run_once


# ---------------------------------------------------------------------------- it answers


def test_an_answer_is_an_answer(play: Any) -> None:
    _, service, outcome = play("done")
    assert outcome == Creation("t1", answered=True)
    assert service.looks == []


def test_a_refusal_is_a_refusal(play: Any) -> None:
    _, service, outcome = play("refused")
    assert isinstance(outcome, Rejected)
    assert outcome.happened is False
    assert service.looks == []


def test_what_was_not_sent_is_sent_without_looking(play: Any) -> None:
    scene, service, outcome = play("not sent", "done")
    assert outcome == Creation("t1", answered=True)
    assert service.looks == []
    assert scene.clock.elapsed < 1


# ---------------------------------------------------------------------------- no answer


def test_it_happened_and_is_found_at_once(play: Any) -> None:
    scene, service, outcome = play("lost after")
    assert outcome == Creation("t1", answered=False)
    assert service.posts == 1
    assert scene.clock.elapsed == 0
    assert [event.detail for event in scene.told("look")] == ["early"]


@pytest.mark.parametrize("after", [0.5, 3.0, 12.0, 29.9])
def test_a_late_effect_is_waited_for(play: Any, after: float) -> None:
    scene, service, outcome = play("lost after", effect_after=after)
    assert outcome == Creation("t1", answered=False)
    assert service.posts == 1
    assert after <= scene.clock.elapsed <= GRACE


def test_nothing_happened_so_it_is_sent_again_after_the_grace_period(play: Any) -> None:
    scene, service, outcome = play("lost before", "done")
    assert outcome == Creation("t1", answered=True)
    assert service.posts == 2
    second = [at for at, outgoing in scene.sent if outgoing.method == "POST"][1]
    assert second >= GRACE
    assert service.looks[-1] >= GRACE
    assert [event.detail for event in scene.told("look")][-1] == "final"
    assert len(service.looks) <= 8  # it does not ask every second


def test_the_grace_period_is_the_provider_s_fact(play: Any) -> None:
    scene, _, _ = play("lost before", "done", provider=Slow(), total=300)
    second = [at for at, outgoing in scene.sent if outgoing.method == "POST"][1]
    assert second >= 45 + 20


def test_the_grace_period_is_at_least_twice_the_timeout(play: Any) -> None:
    scene, _, _ = play("lost before", "done", timeout=40, total=300)
    second = [at for at, outgoing in scene.sent if outgoing.method == "POST"][1]
    assert second >= 80


def test_it_may_be_lost_again(play: Any) -> None:
    scene, service, outcome = play("lost before", "lost before", "lost after", total=300)
    assert outcome == Creation("t1", answered=False)
    assert service.posts == 3
    assert 2 * GRACE <= scene.clock.elapsed < 3 * GRACE


def test_after_all_attempts_it_is_certain_that_nothing_happened(play: Any) -> None:
    _, service, outcome = play("lost before", "lost before", attempts=2, total=300)
    assert isinstance(outcome, ServiceUnavailable)
    assert outcome.happened is False
    assert service.posts == 2
    assert "2 attempts" in str(outcome)


def test_what_is_tried_again_may_be_refused(play: Any) -> None:
    _, _, outcome = play("lost before", "refused")
    assert isinstance(outcome, Rejected)
    assert outcome.happened is False


# ---------------------------------------------------------------------------- looking


def test_a_look_that_fails_is_repeated(play: Any) -> None:
    scene, _, outcome = play("lost after", broken_until=40.0)
    assert outcome == Creation("t1", answered=False)
    assert scene.clock.elapsed >= 40.0


def test_a_look_that_keeps_failing_decides_nothing(play: Any) -> None:
    scene, service, outcome = play("lost before", broken_until=1e9)
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.happened is None
    assert service.posts == 1
    assert scene.clock.elapsed <= 120 + 1


def test_a_look_that_is_refused_decides_nothing(stage: Any) -> None:
    scene = stage(Box())

    def look(_happened: bool) -> Steps[None]:
        raise Forbidden("may invite, may not list")
        yield

    with pytest.raises(OutcomeUnknown) as caught:
        scene.run(once(scene.call, scene.account.provider.put, look), LOST)
    assert caught.value.happened is None
    assert any("may not list" in note for note in caught.value.__cause__.__notes__)  # type: ignore[union-attr]


def test_no_way_to_look(play: Any) -> None:
    scene, service, outcome = play("lost after", can_look=False)
    assert isinstance(outcome, OutcomeUnknown)
    assert service.posts == 1
    assert scene.clock.elapsed == 0
    assert "Ask the person" in outcome.hint


def test_a_look_that_proves_nothing_by_finding_nothing(play: Any) -> None:
    _, service, outcome = play("lost before", conclusive=False)
    assert isinstance(outcome, OutcomeUnknown)
    assert service.posts == 1
    _, service, outcome = play("lost after", conclusive=False, effect_after=20.0)
    assert outcome == Creation("t1", answered=False)


@pytest.mark.parametrize("total", [1, 10, 29])
def test_no_time_to_wait_for_certainty(play: Any, total: float) -> None:
    scene, service, outcome = play("lost before", total=total)
    assert isinstance(outcome, OutcomeUnknown)
    assert service.posts == 1
    assert service.looks  # it looks at least once: finding it would be certain
    assert scene.clock.elapsed <= total
    assert outcome.email == "ada@example.com"


def test_no_time_and_it_is_found_all_the_same(play: Any) -> None:
    _, _, outcome = play("lost after", total=1)
    assert outcome == Creation("t1", answered=False)


# ---------------------------------------------------------------------------- it did happen


def test_it_happened_and_the_answer_is_no_use(play: Any) -> None:
    _, service, outcome = play("unreadable", effect_after=4.0)
    assert outcome == Creation("t1", answered=False)
    assert service.posts == 1


@pytest.mark.parametrize(
    "how", [{"effect_after": 1e9}, {"can_look": False}, {"total": 5, "effect_after": 1e9}], ids=str
)
def test_it_happened_and_is_not_to_be_found(play: Any, how: dict[str, Any]) -> None:
    """Then nothing is sent again, however long the lists do not show it."""
    _, service, outcome = play("unreadable", **how)
    assert isinstance(outcome, MalformedResponse)
    assert outcome.happened is True
    assert service.posts == 1
    assert "status" in outcome.hint


# ---------------------------------------------------------------------------- whatever happens


FATES = st.sampled_from(["done", "lost after", "lost before", "unreadable", "not sent"])


@given(
    fates=st.lists(FATES, min_size=40, max_size=40),
    effect_after=st.floats(0, GRACE - 0.1),
    broken_until=st.floats(0, 200),
    total=st.floats(0.5, 400),
    attempts=st.integers(1, 5),
)
def test_never_twice_and_never_a_wrong_word(
    stage: Any,
    fates: list[str],
    effect_after: float,
    broken_until: float,
    total: float,
    attempts: int,
) -> None:
    scene = stage(Box(), total=total, attempts=attempts)
    service = Service(scene, fates, effect_after)
    service.broken_until = broken_until
    provider: Any = scene.account.provider
    steps = once(scene.call, provider.put, partial(_look, scene, provider))
    error: GuestlistError | None = None
    try:
        settled: Creation[str] | None = scene.serve(steps, service)
    except GuestlistError as caught:
        settled, error = None, caught
    assert len(service.created) <= 1
    assert scene.clock.elapsed <= total + 1
    if settled is not None:
        assert len(service.created) == 1
    elif error is not None and error.happened is not None:
        assert len(service.created) == int(error.happened)


def _look(scene: Any, provider: Any, _happened: bool) -> Steps[str | None]:
    return run(scene.call, provider.find())


# ---------------------------------------------------------------------------- renewed in place


class Renewing(Provider):
    """Says itself what has expired, and answers an order for it by opening it again as it was."""

    name = "renewing"
    title = "Renewing"
    base_url: str = "https://renewing.example"

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        yield Request.post("invites")
        return Invitation(id="1", email=new.email, state=State.PENDING)

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        reply = yield Request.get("invites", query={"email": email})
        return Invitation(id="1", email=email, state=State(reply.json()))


@pytest.mark.parametrize("before", [State.EXPIRED, State.REVOKED, State.DECLINED])
def test_a_reopened_record_is_found_by_its_state(stage: Any, reply: Any, before: State) -> None:
    scene = stage(Renewing())
    accounts = Accounts({"acme": scene.account})
    steps = invite(accounts, "ada@example.com")
    result = scene.run(steps, reply(before), reply(status=503), reply("pending"))
    assert result.outcome is Outcome.INVITED
    assert result.email_sent is None


def test_a_record_in_an_unknown_state_may_be_open_and_is_left_alone(stage: Any, reply: Any) -> None:
    scene = stage(Renewing())
    accounts = Accounts({"acme": scene.account})
    result = scene.run(invite(accounts, "ada@example.com"), reply("unknown"))
    assert (result.outcome, result.guest.state) == (Outcome.ALREADY_INVITED, State.UNKNOWN)
    assert [outgoing.method for _, outgoing in scene.sent] == ["GET"]


def test_a_page_with_a_success_status_is_never_sent_again(play: Callable[..., Any]) -> None:
    """A proxy may have answered, or the service, whose lists show the record later."""
    _, service, outcome = play("page")
    assert isinstance(outcome, OutcomeUnknown)
    assert "base_url" in outcome.hint
    assert service.posts == 1


def test_a_page_with_a_success_status_whose_record_is_found(play: Callable[..., Any]) -> None:
    _, service, outcome = play("page, made", effect_after=10.0)
    assert outcome == Creation("t1", answered=False)
    assert service.posts == 1
