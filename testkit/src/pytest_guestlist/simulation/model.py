"""A small model of the recovery's state machine, searched exhaustively.

Time runs in ticks. A client sends a request. If the answer is lost, the effect never comes, or
comes up to `late` ticks later. A list shows it up to `lag` ticks after that. The client looks at
every tick. A lookup that finds the record ends the call at once. A lookup that finds nothing is
conclusive after `grace` ticks, and then the request is sent again, a bounded number of times. A
crash may come at any tick; the restarted process finds the intent on disk and waits the whole grace
period again. The search visits every reachable state and finds the shortest way to two effects, or
to an order that is reported lost and is not.

`smallest_grace` shows that the bound is exact: grace >= late + lag, and nothing less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple


class Scope(NamedTuple):
    """The limits of a search; all times are in ticks."""

    late: int
    lag: int
    grace: int
    attempts: int = 2
    crashes: int = 1


class ModelState(NamedTuple):
    """One state of the model.

    Attributes:
        waited: ticks since the client began to wait; None while it is not waiting.
        coming: for each request under way, ticks until its effect.
        hidden: for each effect that no list shows yet, ticks until one does.
        effects: the number of effects.
        seen: whether the lists show an effect.
        reported: the result that the client reported: `done`, `not done`, or nothing yet.
    """

    sent: int = 0
    waited: int | None = None
    coming: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    effects: int = 0
    seen: bool = False
    crashes: int = 0
    reported: str = ""


class Found(NamedTuple):
    """The result of a search.

    Attributes:
        states: how many states were visited.
        counterexample: the shortest sequence of steps that breaks the promise; None if none does.
    """

    states: int
    counterexample: tuple[str, ...] | None


def search(scope: Scope) -> Found:
    """Visits every reachable state, the nearest first."""
    start = ModelState()
    came_from: dict[ModelState, tuple[ModelState, str] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if _broken(state):
            return Found(len(came_from), _path(came_from, state))
        for step, following in _steps(scope, state):
            if following not in came_from:
                came_from[following] = (state, step)
                queue.append(following)
    return Found(len(came_from), None)


def smallest_grace(late: int, lag: int) -> int:
    """Returns the shortest grace period without a counterexample."""
    return next(grace for grace in range(late + lag + 2) if not _fails(late, lag, grace))


def _fails(late: int, lag: int, grace: int) -> bool:
    return search(Scope(late, lag, grace)).counterexample is not None


def _broken(state: ModelState) -> bool:
    twice = state.effects > 1
    lost = state.reported == "not done" and (state.effects > 0 or bool(state.coming))
    return twice or lost


def _steps(scope: Scope, state: ModelState) -> Iterator[tuple[str, ModelState]]:
    if state.reported:
        if state.coming:
            yield _tick(scope, state)
        return
    if state.waited is None:
        yield from _send(scope, state)
        return
    if state.seen:
        yield "a lookup finds it: done", state._replace(reported="done")
        return
    if state.crashes < scope.crashes:
        yield (
            "a crash; the intent is found on disk and the grace period begins anew",
            state._replace(crashes=state.crashes + 1, waited=0),
        )
    if state.waited < scope.grace:
        yield _tick(scope, state)
    elif state.sent < scope.attempts:
        yield "the final lookup finds nothing: to be sent again", state._replace(waited=None)
    else:
        yield "the final lookup finds nothing: not done", state._replace(reported="not done")


def _send(scope: Scope, state: ModelState) -> Iterator[tuple[str, ModelState]]:
    sent = state._replace(sent=state.sent + 1, waited=0)
    answered = sent._replace(effects=sent.effects + 1, reported="done")
    yield f"request {sent.sent} is answered: done", answered
    yield f"request {sent.sent} gets no answer and has no effect", sent
    for late in range(scope.late + 1):
        after = f"{late} ticks after the client gave up"
        coming = tuple(sorted((*sent.coming, late)))
        yield (
            f"request {sent.sent} gets no answer; it acts {after}",
            _land(scope.lag, sent._replace(coming=coming)),
        )


def _tick(scope: Scope, state: ModelState) -> tuple[str, ModelState]:
    coming = tuple(left - 1 for left in state.coming)
    hidden = tuple(left - 1 for left in state.hidden)
    waited = None if state.waited is None else state.waited + 1
    passed = state._replace(coming=coming, hidden=hidden, waited=waited)
    return "a tick", _land(scope.lag, passed)


def _land(lag: int, state: ModelState) -> ModelState:
    """Applies the effects that are due, and shows them after their lag; the longest lag is the
    worst."""
    landed = sum(left <= 0 for left in state.coming)
    hidden = (*state.hidden, *[lag] * landed)
    return state._replace(
        coming=tuple(left for left in state.coming if left > 0),
        effects=state.effects + landed,
        hidden=tuple(left for left in hidden if left > 0),
        seen=state.seen or any(left <= 0 for left in hidden),
    )


def _path(
    came_from: dict[ModelState, tuple[ModelState, str] | None], state: ModelState
) -> tuple[str, ...]:
    steps: list[str] = []
    at = came_from[state]
    while at is not None:
        state, step = at
        steps.append(step)
        at = came_from[state]
    return tuple(reversed(steps))


def report() -> Iterator[str]:
    """Yields the bound for all small scopes, and the shortest counterexample just below it."""
    for late in range(4):
        for lag in range(4):
            bound = smallest_grace(late, lag)
            states = search(Scope(late, lag, bound)).states
            yield f"late effect {late}, lag {lag}: grace {bound} is enough ({states} states)"
    yield "the shortest way to two emails with late effect 2, lag 1 and grace 2:"
    yield from (f"  {step}" for step in search(Scope(2, 1, 2)).counterexample or ())
