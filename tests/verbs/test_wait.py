"""`wait`: until somebody is where they are expected, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist import Conflict, InvalidArgument, State, WaitTimeout

ADA = "ada@example.com"


def shortly_before_it_expires(guests: Any) -> None:
    expires = guests.invite(ADA).guest.invitation.expires_at
    guests.later(seconds=(expires - guests.sandbox.clock.now()).total_seconds() - 100)


def test_who_is_there_already(guests: Any) -> None:
    assert guests.wait(guests.case.member).state is State.ACCEPTED
    assert [event for event in guests.events if event.name == "retry"] == []


def test_until_the_invitation_is_accepted(guests: Any, after: Any) -> None:
    guests.invite(ADA)
    began = guests.sandbox.clock.seconds()
    after(100, lambda: guests.accept(ADA))
    guest = guests.wait(ADA, timeout=300)
    assert guest.state is State.ACCEPTED
    assert 100 <= guests.sandbox.clock.seconds() - began < 200


@pytest.mark.parametrize("until", ["pending", State.PENDING, ["accepted", "pending"]], ids=repr)
def test_until_another_state(guests: Any, until: Any) -> None:
    guests.invite(ADA)
    assert guests.wait(ADA, until=until).state is State.PENDING


def test_until_it_has_expired(guests: Any) -> None:
    shortly_before_it_expires(guests)
    guest = guests.wait(ADA, until="expired")
    assert guest.state is State.EXPIRED


def test_in_time(guests: Any) -> None:
    guests.invite(ADA)
    began = guests.sandbox.clock.seconds()
    with pytest.raises(
        WaitTimeout, match="did not become accepted in 50 s: still pending"
    ) as caught:
        guests.wait(ADA, timeout=50)
    assert caught.value.guest.state is State.PENDING
    assert str(caught.value).startswith("home: ")
    assert 50 <= guests.sandbox.clock.seconds() - began <= 50 + 15


def test_it_asks_less_and_less_often(guests: Any) -> None:
    guests.invite(ADA)
    guests.forget()
    with pytest.raises(WaitTimeout):
        guests.wait(ADA, timeout=3600)
    assert 10 < len(guests.requests) < 200


def test_days_take_few_looks(guests: Any, after: Any) -> None:
    guests.invite(ADA)
    guests.forget()
    after(2 * 86_400, lambda: guests.accept(ADA))
    began = guests.sandbox.clock.seconds()
    assert guests.wait(ADA, timeout=86_400 * 3).state is State.ACCEPTED
    assert guests.sandbox.clock.seconds() - began < 2 * 86_400 + 1200
    assert len(guests.requests) < 1000


def test_once(guests: Any) -> None:
    guests.invite(ADA)
    with pytest.raises(WaitTimeout):
        guests.wait(ADA, timeout=0)
    assert guests.wait(ADA, until="pending", timeout=0).state is State.PENDING


def test_in_vain(guests: Any) -> None:
    shortly_before_it_expires(guests)
    with pytest.raises(Conflict, match="is expired and will not become accepted") as caught:
        guests.wait(ADA)
    assert "resend" in caught.value.hint


def test_for_somebody_who_is_not_there(guests: Any) -> None:
    with pytest.raises(WaitTimeout, match="still not invited"):
        guests.wait(ADA, timeout=60)


@pytest.mark.parametrize("until", ["acepted", ["accepted", "joined"], ""], ids=str)
def test_no_such_state(guests: Any, until: Any) -> None:
    with pytest.raises(InvalidArgument, match="there is no state") as caught:
        guests.wait(ADA, until=until)
    assert "accepted" in caught.value.hint
    assert guests.requests == []


def test_no_state_at_all(guests: Any) -> None:
    with pytest.raises(InvalidArgument, match="no state"):
        guests.wait(ADA, until=[])
    assert guests.requests == []
