"""Pauses that a service asks for are reported while a call waits for their end."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from guestlist import AsyncGuestlist, Budget, Guestlist
from guestlist.errors import RateLimited, ServiceUnavailable
from guestlist.event import Event
from guestlist.exchange.account import MIN_REPORTED_PAUSE_SECONDS
from guestlist.provider import Flow, Provider, Request, operation, setting
from pytest_guestlist.clock import VirtualClock

START = datetime(2026, 12, 1, 9, 5, tzinfo=UTC)
PATIENT = Budget(total=10_000.0)


class Club(Provider):
    """Answers one question."""

    name = "club"
    title = "Club"
    base_url: str = setting("Where", default="https://club.example")

    @operation
    def organization(self) -> Flow[str]:
        return str((yield Request.get("club")).mapping()["name"])


class Door(httpx.MockTransport):
    """Gives its answers in turn, then lets everybody in."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        super().__init__(self._answer)

    def _answer(self, _request: httpx.Request) -> httpx.Response:
        return self.answers.pop(0) if self.answers else httpx.Response(200, json={"name": "Chess"})


def limited(seconds: str, status: int = 429) -> httpx.Response:
    return httpx.Response(status, headers={"Retry-After": seconds}, json={"message": "slow down"})


class Waiting:
    """A client of either kind in virtual time, and its events."""

    def __init__(self, kind: type, *answers: httpx.Response, **how: Any) -> None:
        self.clock = VirtualClock(START)
        self.events: list[Event] = []
        how = {"budget": PATIENT, **how}
        self.guests = kind(
            {"club": Club()},
            transport=Door(*answers),
            clock=self.clock,
            watch=self.events.append,
            **how,
        )

    def check(self) -> None:
        result = self.guests.check()
        if inspect.iscoroutine(result):
            asyncio.run(result)

    @property
    def pauses(self) -> list[Event]:
        return [event for event in self.events if event.name == "pause"]


@pytest.fixture(params=[Guestlist, AsyncGuestlist])
def waiting(request: pytest.FixtureRequest) -> Callable[..., Waiting]:
    def make(*answers: httpx.Response, **how: Any) -> Waiting:
        return Waiting(request.param, *answers, **how)

    return make


def test_a_pause_is_reported_every_minute(
    waiting: Callable[..., Waiting], caplog: pytest.LogCaptureFixture
) -> None:
    club = waiting(limited("600"))
    club.check()
    assert [event.retry_after for event in club.pauses] == [600.0 - 60 * n for n in range(10)]
    assert [event.at for event in club.pauses] == [START + timedelta(minutes=n) for n in range(10)]
    assert {event.detail for event in club.pauses} == {
        "HTTP 429: slow down, waiting until 2026-12-01 09:15 UTC"
    }
    logged = [record for record in caplog.records if getattr(record, "event", "") == "pause"]
    assert len(logged) == 10
    assert {record.levelno for record in logged} == {logging.WARNING}
    assert club.clock.now() == START + timedelta(minutes=10)


def test_another_call_reports_the_pause_that_it_meets(waiting: Callable[..., Waiting]) -> None:
    club = waiting(limited("600"), budget=Budget())
    with pytest.raises(RateLimited) as caught:
        club.check()
    assert caught.value.retry_after == 600.0
    assert club.pauses == []  # nothing waits
    club.guests = club.guests.with_budget(total=1_000)
    club.check()
    assert len(club.pauses) == 10


def test_an_unavailable_service_that_names_its_return(waiting: Callable[..., Waiting]) -> None:
    club = waiting(limited("90", status=503))
    club.check()
    assert [event.retry_after for event in club.pauses] == [90.0, 30.0]
    assert club.pauses[0].detail == "HTTP 503: slow down, waiting until 2026-12-01 09:06 UTC"


def test_a_short_pause_is_reported(waiting: Callable[..., Waiting]) -> None:
    club = waiting(limited("3"))
    club.check()
    assert [event.detail for event in club.pauses] == ["HTTP 429: slow down, waiting 3.0 s"]


def test_a_limit_that_is_used_up(waiting: Callable[..., Waiting]) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "300"}
    club = waiting(httpx.Response(200, headers=headers, json={"name": "Chess"}))
    club.check()
    assert club.pauses == []
    club.check()
    assert len(club.pauses) == 5
    detail = "the service allows no request before, waiting until 2026-12-01 09:10 UTC"
    assert club.pauses[0].detail == detail


def test_a_short_pause_is_not_reported(waiting: Callable[..., Waiting]) -> None:
    club = waiting(limited(f"{MIN_REPORTED_PAUSE_SECONDS - 1:g}"))
    club.check()
    assert club.pauses == []


def test_a_pause_without_an_end_in_sight_is_over_with_the_first_answer(
    waiting: Callable[..., Waiting],
) -> None:
    """After an hour the service is asked again, and answers."""
    club = waiting(limited("86400"))
    club.check()
    assert len(club.pauses) == 60
    club.guests.report_pause()
    assert len(club.pauses) == 60


class Spaced(Club):
    """Has a rate limit, so that calls wait without being asked to."""

    @property
    def limits(self) -> Any:
        from guestlist.provider import Limit

        return (Limit(1, per=20.0),)


def test_a_wait_for_the_rate_limit_is_no_pause(waiting: Callable[..., Waiting]) -> None:
    club = waiting()
    club.guests = type(club.guests)(
        {"club": Spaced()}, transport=Door(), clock=club.clock, watch=club.events.append
    )
    club.check()
    club.check()
    assert "pace" in [event.name for event in club.events]
    assert club.pauses == []


def test_many_that_wait_report_a_pause_once(waiting: Callable[..., Waiting]) -> None:
    club = waiting()
    trouble = ServiceUnavailable("maintenance", status=503)
    trouble.retry_after = 3_600.0
    for left in (3_600.0, 3_600.0, 3_550.0):
        club.guests.report_pause(trouble, left)
    assert [event.retry_after for event in club.pauses] == [3_600.0]
    club.clock.sleep(60)
    club.guests.report_pause(trouble, 3_540.0)
    assert len(club.pauses) == 2
