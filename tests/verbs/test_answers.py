"""What the ledger tells of those who were invited: who has not answered yet, and who has."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist import State
from guestlist.ledger import Ledger

ADA, GRACE = "ada@example.com", "grace@example.com"
on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
pytestmark = [on_vultr, pytest.mark.parametrize("kind", ["sync"], indirect=True)]


def look(guests: Any, ledger: Ledger) -> list[bool]:
    """What a program does that watches; whether each answer was news."""
    return [ledger.answered(one, guests.status(one.email)) for one in ledger.waiting()]


def test_each_answer_is_returned_once(make: Any, ledger: Ledger) -> None:
    guests = make(ledger=ledger)
    guests.invite(ADA)
    guests.invite(GRACE)
    guests.invite(ADA)
    assert look(guests, ledger) == [False, False]
    assert ledger.answers() == []

    both = ledger.waiting()
    guests.accept(ADA)
    assert sorted(look(guests, ledger)) == [False, True]
    assert [ledger.answered(one, guests.status(one.email)) for one in both] == [False, False]
    [answer] = ledger.answers()
    assert (answer.account, answer.email, answer.state) == ("home", ADA, State.ACCEPTED)
    assert ledger.last_answer() == answer.id
    assert ledger.answers(answer.id) == []
    assert [one.email for one in ledger.waiting()] == [GRACE]


def test_who_is_invited_again_is_waited_for_again(make: Any, ledger: Ledger) -> None:
    guests = make(ledger=ledger)
    guests.invite(ADA)
    guests.later(days=8)
    assert look(guests, ledger) == [True]
    assert ledger.waiting() == []
    guests.resend(ADA)
    assert [one.email for one in ledger.waiting()] == [ADA]
    guests.accept(ADA)
    look(guests, ledger)
    assert [answer.state for answer in ledger.answers()] == [State.EXPIRED, State.ACCEPTED]


def test_who_was_invited_long_ago_is_waited_for_no_more(make: Any, ledger: Ledger) -> None:
    guests = make(ledger=ledger)
    guests.invite(ADA)
    guests.later(days=20)
    assert len(ledger.waiting()) == 1
    assert ledger.waiting(days=10) == []


def test_a_member_is_not_waited_for(make: Any, ledger: Ledger) -> None:
    guests = make(ledger=ledger)
    guests.invite(guests.case.member)
    assert ledger.waiting() == []
