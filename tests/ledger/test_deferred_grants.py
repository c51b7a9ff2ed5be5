"""Roles that people are deferred: each once, whoever comes to owe it."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection
from tests.ledger.story import ADA, BOB, Story, day

from guestlist.changes import Action, Change
from guestlist.ledger import deferred_grants, history, orders, runs
from guestlist.ledger.history import Search
from guestlist.ledger.log import LineState
from guestlist.ledger.order import OrderOutcome
from guestlist.ledger.schema import OrderState

ROLE = "group:Engineering"
INVITED = Change(action=Action.INVITE, account="cloud", email=ADA, key=ADA, deferred=(ROLE,))


def invited(connection: Connection, id: int) -> None:
    done = OrderOutcome("invited", deferred=INVITED.deferred_changes())
    now = day(1).timestamp()
    assert orders.record_outcome(connection, id, now, day(0).timestamp(), OrderState.DONE, done)


def test_two_that_come_to_owe_it_at_the_same_time_owe_it_once(story: Story) -> None:
    one, other = story.doubtful(), story.doubtful()

    def later() -> None:
        story.store.make(lambda connection: invited(connection, other))

    thread = threading.Thread(target=later)

    def first(connection: Connection) -> None:
        invited(connection, one)
        thread.start()
        thread.join(0.2)  # it waits, or it has not seen the other one

    story.store.make(first)
    thread.join()
    assert [order.change.roles for order in deferred_grants.all_deferred(story.store)] == [(ROLE,)]


def test_a_role_that_is_deferred_twice_is_stored_once(story: Story) -> None:
    """Two runs were to give it, and did not begin; meanwhile it is deferred anew."""
    for _ in range(2):
        story.settled(deferred=(ROLE,))
        runs.begin_run(story.store, INVITED.deferred_changes, "", "settle", 0.0)
    assert list(deferred_grants.all_deferred(story.store)) == []
    for _ in range(2):
        story.store.make(lambda connection: runs.drop_orders(connection, day(2).timestamp()))
        assert len(list(deferred_grants.all_deferred(story.store))) == 1
        story.settled(deferred=(ROLE,))
    assert len(list(deferred_grants.all_deferred(story.store))) == 1


def test_an_unwanted_grant_is_withdrawn_and_another_may_be_deferred(story: Story) -> None:
    other = "group:Sales"
    story.settled(deferred=(ROLE,))
    story.settled(BOB, deferred=(ROLE,))
    withdrawal = Change(
        action=Action.WITHDRAW,
        account="cloud",
        email=ADA,
        key=ADA,
        roles=(ROLE,),
        deferred=(other,),
        reason="the roster wants it no more",
    )
    runs.begin_run(story.store, lambda: (withdrawal,), "", "apply", day(1).timestamp())

    told = [
        (order.change.key, order.change.roles)
        for order in deferred_grants.all_deferred(story.store)
    ]
    assert sorted(told) == [(ADA, (other,)), (BOB, (ROLE,))]
    (line,) = history.log_lines(story.store, Search(emails=[ADA], states=[LineState.DROPPED]))
    assert (line.outcome, line.detail) == ("withdrawn", "the roster wants it no more")


def test_any_number_of_deferred_grants_is_read_in_pages(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred_grants, "ROWS_PER_READ", 3)
    for number in range(7):
        story.settled(f"guest{number}@example.com", number, deferred=(ROLE,))
    found = [order.change.email for order in deferred_grants.all_deferred(story.store)]
    assert found == [f"guest{number}@example.com" for number in range(7)]
