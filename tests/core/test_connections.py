"""Connections are lent to one request at a time, used again, and closed when they are old."""

from __future__ import annotations

from itertools import count

import pytest

from guestlist.exchange import connections
from guestlist.exchange.connections import KEEP_ALIVE_SECONDS, Connection, Connections


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set by the test."""
    time = [100.0]
    monkeypatch.setattr(f"{connections.__name__}.time.monotonic", lambda: time[0])
    return time


@pytest.fixture
def numbered(now: list[float]) -> Connections[int]:
    """Transports are numbers, from 0."""
    return Connections(count().__next__)


def used(connection: Connection[int]) -> Connection[int]:
    """Marks a connection as one on which something was sent."""
    connection.stream = object()  # type: ignore[assignment]
    return connection


def answered(connection: Connection[int]) -> Connection[int]:
    connection.answered = True
    return connection


def numbers(several: list[Connection[int]]) -> list[int]:
    return [one.transport for one in several]


def test_the_one_used_last_is_used_again(numbered: Connections[int]) -> None:
    first, second = numbered.take(), numbered.take()
    assert numbers([first, second]) == [0, 1]
    assert numbered.give_back(answered(second)) == []
    assert numbered.give_back(answered(first)) == []
    assert numbered.take() is first


def test_one_without_a_complete_answer_is_closed_and_never_lent_again(
    numbered: Connections[int],
) -> None:
    failed = numbered.take()
    assert numbered.give_back(failed) == [failed]
    assert numbered.take() is not failed


def test_a_fresh_one_replaces_the_idle_one(numbered: Connections[int]) -> None:
    idle = used(numbered.take())
    numbered.give_back(answered(idle))
    fresh = numbered.take(fresh=True)
    assert fresh is not idle
    assert numbered.give_back(answered(used(fresh))) == [idle]
    assert numbered.take() is fresh


def test_one_that_was_never_used_is_fresh(numbered: Connections[int]) -> None:
    assert numbers([numbered.take(fresh=True)]) == [0]


def test_what_is_idle_for_long_is_closed(numbered: Connections[int], now: list[float]) -> None:
    several = [numbered.take() for _ in range(3)]
    for one in several:
        numbered.give_back(answered(one))
    now[0] += KEEP_ALIVE_SECONDS - 1
    busy = numbered.take()
    now[0] += 2
    assert numbered.give_back(answered(busy)) == [several[0], several[1]]
    assert numbered.take() is busy


def test_one_that_is_lent_while_all_are_closed_is_closed_when_it_comes_back(
    numbered: Connections[int],
) -> None:
    """A transport of httpx that is closed while it opens its connection never closes that."""
    lent, idle, replaced = numbered.take(), numbered.take(), used(numbered.take())
    numbered.give_back(answered(idle))
    numbered.give_back(answered(replaced))
    creating = numbered.take(fresh=True)
    assert numbered.close() == [replaced, idle]
    assert numbered.give_back(answered(lent)) == [lent]
    assert numbered.give_back(answered(creating)) == [creating]
