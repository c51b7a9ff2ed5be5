"""Reading the ledger."""

from __future__ import annotations

import gc
from datetime import UTC, timedelta

import pytest
from tests.ledger.story import ADA, BOB, EVE, Story, day

from guestlist.changes import Action, Change
from guestlist.ledger import history, runs
from guestlist.ledger.erasure import forget
from guestlist.ledger.history import Search, counts, latest, log_lines
from guestlist.ledger.log import LineState, LogLine
from guestlist.ledger.order import OrderOutcome
from guestlist.ledger.schema import OrderState
from guestlist.runs.workers import shared


def test_all_that_happened_to_an_order(story: Story) -> None:
    run = story.run()
    id = story.asked("Ada@Example.com", 0, run=run, roles=("Member",), reason="not there yet")
    story.sent(id, 1)
    story.not_happened(id, 2, sent=1, reason="not there yet")
    story.sent(id, 3)
    story.settle(id, 3, OrderState.DONE, OrderOutcome("invited", True, "a warning"))
    [line] = log_lines(story.store)
    assert (line.email, line.key, line.account) == ("Ada@Example.com", ADA, "cloud")
    assert (line.run, line.source, line.action) == (run, "guestlist.toml", Action.INVITE)
    assert (line.state, line.outcome, line.email_sent) == (LineState.DONE, "invited", True)
    assert (line.asked_at, line.sent_at, line.settled_at) == (day(0), day(3), day(3))
    assert line.asked_at.tzinfo is UTC
    assert [(entry.at, entry.what, entry.detail) for entry in line.entries] == [
        (day(0), "asked", "not there yet"),
        (day(1), "sent", "POST /v2/invitation"),
        (day(2), "did not happen", "HTTP 503"),
        (day(3), "sent", "POST /v2/invitation"),
        (day(3), "invited", "a warning"),
    ]


def test_every_state(story: Story) -> None:
    story.asked(run=story.run())
    story.store.make(lambda connection: runs.drop_orders(connection, day(1).timestamp()))
    story.asked()
    story.doubtful()
    story.settled(deferred=("group:Engineering",))
    story.settled(state=OrderState.REFUSED, outcome="Forbidden", detail="no")
    story.settled(state=OrderState.UNKNOWN, outcome="unknown")
    found = list(log_lines(story.store))
    assert [line.state for line in found] == [
        LineState.DROPPED,
        LineState.WAITING,
        LineState.UNRESOLVED,
        LineState.DONE,
        LineState.DEFERRED,
        LineState.REFUSED,
        LineState.UNKNOWN,
    ]
    assert counts(story.store) == dict.fromkeys(LineState, 1)
    assert (found[0].entries[-1].what, found[0].entries[-1].at) == ("dropped", day(1))
    assert (found[4].action, found[4].roles) == (Action.SETTLE, ("group:Engineering",))


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search(), [1, 2, 3, 4]),
        (Search(emails=["ADA@example.COM "]), [1, 4]),
        (Search(emails=[ADA, EVE]), [1, 3, 4]),
        (Search(accounts=["office"]), [2]),
        (Search(actions=[Action.REMOVE]), [3]),
        (Search(states=[LineState.WAITING, LineState.UNRESOLVED]), [3, 4]),
        (Search(run=1), [1]),
        (Search(since=day(2)), [2, 3, 4]),
        (Search(since=day(2) + timedelta(microseconds=1)), [3, 4]),
        (Search(until=day(2)), [1]),
        (Search(since=day(1), until=day(4)), [2, 3]),
        (Search(emails=[ADA], accounts=["office"]), []),
    ],
)
def test_which_orders(story: Story, search: Search, found: list[int]) -> None:
    story.settled(ADA, 0, run=story.run())
    story.settled(BOB, 2, account="office")
    story.asked(EVE, 3, action=Action.REMOVE)
    story.doubtful(ADA, 4)
    assert [line.id for line in log_lines(story.store, search)] == found
    assert [line.id for line in latest(story.store, 9, search)] == found
    assert counts(story.store, search).total() == len(found)


def test_what_was_settled_lately_counts_although_it_was_asked_for_long_ago(story: Story) -> None:
    id = story.asked(at=0)
    story.sent(id, 5)
    story.settle(id, 5, OrderState.DONE, OrderOutcome("invited"))
    assert list(log_lines(story.store, Search(since=day(4)))) != []


@pytest.mark.parametrize("number", [3, 4, 5])
def test_pages(story: Story, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(history, "PAGE", 2)
    for place in range(number):
        story.settled(f"{place}@example.com", place, outcome=f"outcome {place}")
    found = [(line.email, line.entries[-1].what) for line in log_lines(story.store)]
    assert found == [(f"{place}@example.com", f"outcome {place}") for place in range(number)]


def test_what_changes_while_it_is_read(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAGE", 2)
    for email in (ADA, BOB, EVE):
        story.settled(email)
    reading = log_lines(story.store)
    first = next(reading).email
    forget(story.store, EVE)
    story.settled("new@example.com")
    assert [first, *(line.email for line in reading)] == [ADA, BOB, "new@example.com"]


def test_the_last_ones_newest_last(story: Story) -> None:
    for place in range(5):
        story.settled(f"{place}@example.com", place)
    assert [line.email for line in latest(story.store, 2)] == ["3@example.com", "4@example.com"]


def test_no_more_than_a_page_is_in_memory(on_file: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAGE", 10)
    story_of_many = [
        Change(action=Action.INVITE, account="cloud", email=f"{n}@x.example", key=f"{n}@x.example")
        for n in range(100)
    ]
    runs.begin_run(on_file.store, lambda: story_of_many, "digest", "guestlist.toml", 0.0)
    alive = [
        sum(isinstance(one, LogLine) for one in gc.get_objects())
        for place, _line in enumerate(log_lines(on_file.store))
        if place % 10 == 5
    ]
    assert len(alive) == 10
    assert max(alive) <= 11


def test_any_text_of_a_service_can_be_stored(story: Story) -> None:
    """Or the run would end for it, and each that goes on with it as well."""
    run = story.run()
    story.settled(state=OrderState.REFUSED, outcome="Rejected", detail="no \0 such name", run=run)
    story.store.write(lambda connection: shared.add_halt(connection, run, "cloud", 0.0, "\0 401"))
    (line,) = log_lines(story.store)
    assert line.detail == line.entries[-1].detail == "no  such name"
    assert shared.stopped_accounts(story.store, run) == {"cloud": " 401"}
