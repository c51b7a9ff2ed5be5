"""Machines whose clock is wrong: what has expired is decided by the service's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from guestlist import Outcome, OutcomeUnknown, State

ADA = "ada@example.com"
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)
wrong = pytest.mark.parametrize("days", [-30, 30])

Meddle = Callable[[httpx.Request], httpx.Response | Exception | None]


def undated(
    then: Meddle = lambda _: None,
) -> Callable[[httpx.Request, httpx.Response | None], Any]:
    """Takes the date from every answer, and then does what else is to be done to it."""

    def fault(request: httpx.Request, answer: httpx.Response | None) -> Any:
        if answer is None:
            return None
        answer.headers.pop("date")
        return then(request)

    return fault


@wrong
def test_it_does_not_matter_where_answers_are_dated(make: Any, days: int) -> None:
    guests = make(ahead=timedelta(days=days))
    assert guests.invite(ADA).guest.state is State.PENDING
    assert guests.status(ADA).state is State.PENDING
    assert guests.invite(ADA).outcome is Outcome.ALREADY_INVITED
    assert [one.state for one in guests.invitations(state="pending") if one.email == ADA]
    guests.later(days=8)
    assert guests.status(ADA).state is State.EXPIRED
    assert not [one.state for one in guests.invitations(state="pending") if one.email == ADA]
    result = guests.resend(ADA)
    assert (result.outcome, result.guest.state) == (Outcome.RESENT, State.PENDING)
    assert len(guests.emails(ADA)) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"date": "Wed, 01 Jan 2020 00:00:00 GMT", "age": "9"},  # kept by somebody on the way
        {"date": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"date": "today"},
    ],
    ids=lambda headers: str(headers["date"]),
)
def test_a_date_without_a_time(faulty: Any, headers: dict[str, str]) -> None:
    def date(_: httpx.Request, answer: httpx.Response | None) -> None:
        if answer is not None:
            answer.headers.update(headers)

    guests = faulty(date)
    guests.invite(ADA)
    guests.later(days=8)
    assert guests.status(ADA).state is State.EXPIRED


@on_aitronos
def test_without_a_date_this_machine_s_clock_decides(faulty: Any) -> None:
    guests = faulty(undated(), ahead=timedelta(days=30))
    guests.invite(ADA)
    assert guests.status(ADA).state is State.EXPIRED


@on_aitronos
@pytest.mark.parametrize("moves", ["yes", "no"])
def test_what_may_have_been_renewed_in_place_is_not_made_again(faulty: Any, moves: str) -> None:
    """The client takes an open invitation for expired, the service renews it, and the answer is
    lost. Without an expiry that moves nobody sees that there was an email."""

    def lose(request: httpx.Request) -> httpx.Response | None:
        creates = losing and request.url.path.endswith("/invite-user")
        return httpx.Response(503) if creates else None

    losing = False
    guests = faulty(undated(lose), ahead=timedelta(days=30))
    guests.service.configure(duplicates="resend", resend_moves_expiry=moves)
    guests.invite(ADA)
    guests.later(hours=1)
    losing = True
    if moves == "yes":  # the provider does not vouch for it, but it shows
        assert guests.invite(ADA).outcome is Outcome.INVITED
    else:
        with pytest.raises(OutcomeUnknown):
            guests.invite(ADA)
    assert len(guests.emails(ADA)) == 2
    assert len([one for one in guests.writes if one.endswith("invite-user")]) == 2
