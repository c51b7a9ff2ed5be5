"""Deleting from the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, delete, event, func, insert, select, update
from tests.ledger.story import ADA, BOB, EVE, Story, day

from guestlist.changes import Action, Change
from guestlist.errors import LedgerError
from guestlist.ledger import answers, erasure, orders, runs
from guestlist.ledger.erasure import Erased, expire, forget
from guestlist.ledger.history import log_lines
from guestlist.ledger.lock import exclusive
from guestlist.ledger.order import OrderOutcome
from guestlist.ledger.schema import OrderState, entries, halts, paces
from guestlist.ledger.schema import orders as orders_table
from guestlist.ledger.schema import runs as runs_table
from guestlist.ledger.store import Store
from guestlist.models import Guest, Invitation, State
from guestlist.runs.workers import shared


def people(story: Story) -> list[str]:
    return [line.email for line in log_lines(story.store)]


def rows_of_history(story: Story) -> int:
    with story.store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(entries)) or 0


# ---------------------------------------------------------------------------- a person


def test_everything_about_a_person_in_all_accounts(story: Story) -> None:
    story.settled("Ada@Example.com", deferred=("group:Engineering",))
    story.settled(BOB)
    story.asked(ADA, account="office")
    assert forget(story.store, " ADA@example.com") == Erased(orders=3, entries=2)
    assert people(story) == [BOB]
    assert rows_of_history(story) == 2
    assert forget(story.store, ADA) == Erased(0, 0)


@pytest.mark.parametrize("name", [ADA, "@ada-l", "@Ada-L"])
def test_a_person_is_found_by_address_and_login(story: Story, name: str) -> None:
    story.settled(ADA, login="Ada-L")
    story.settled("@ada-l", action=Action.REMOVE)  # known by the login only
    story.settled(BOB, login="ada-long")
    story.settled(EVE, login="ada")
    assert forget(story.store, name).orders == 2
    assert sorted(people(story)) == [BOB, EVE]


@pytest.mark.parametrize("name", [ADA, "@ADA-L"])
def test_a_login_in_rows_about_others_is_replaced(story: Story, name: str) -> None:
    story.settled(ADA, login="Ada-L")
    invitation = Invitation(id="i-1", email=BOB, state=State.PENDING, invited_by="ada-l")
    story.settled(BOB, invitation=invitation, detail="asked by @ada-l, not by @ada-long or x@ada-l")
    other = invitation.model_copy(update={"email": EVE, "invited_by": "ada-long"})
    story.settled(EVE, invitation=other, roles=("ada-l",))  # a role is no person
    assert forget(story.store, name).mentions > 0
    with story.store.reading() as connection:
        rows = connection.execute(
            select(orders_table.c.facts, orders_table.c.detail).order_by(orders_table.c.email)
        ).all()
    (bob, detail), (eve, _) = [(json.loads(row.facts), row.detail) for row in rows]
    assert bob["invitation"]["invited_by"] == "(deleted)"
    assert (eve["invitation"]["invited_by"], eve["roles"]) == ("ada-long", ["ada-l"])
    assert detail == "asked by (deleted), not by @ada-long or x@ada-l"


def test_no_answer_gets_the_number_of_one_that_is_deleted(story: Story) -> None:
    """Or a program that asks for what comes after the last one it knows would never hear of it."""
    for email in (ADA, BOB):
        story.settled(email)
    everybody = {one.email: one for one in answers.waiting(story.store, 0.0)}
    gone = {email: Guest(account="cloud", email=email, state=State.GONE) for email in everybody}
    assert answers.record_answer(story.store, everybody[BOB], gone[BOB], 1.0)
    known = answers.last_number(story.store)
    forget(story.store, BOB)
    assert answers.record_answer(story.store, everybody[ADA], gone[ADA], 2.0)
    assert [one.email for one in answers.answers(story.store, known, 10)] == [ADA]


def test_an_answer_of_somebody_who_is_forgotten_is_no_news(story: Story) -> None:
    story.settled(ADA)
    (one,) = answers.waiting(story.store, 0.0)
    forget(story.store, ADA)
    gone = Guest(account="cloud", email=ADA, state=State.GONE)
    assert not answers.record_answer(story.store, one, gone, 1.0)


def test_forget_refuses_while_an_order_is_unresolved(story: Story) -> None:
    story.settled(ADA)
    story.doubtful(ADA, account="office")
    with pytest.raises(LedgerError, match="is unresolved") as caught:
        forget(story.store, ADA)
    assert caught.value.email == ADA
    assert people(story) == [ADA, ADA]
    assert rows_of_history(story) == 3
    assert forget(story.store, ADA, force=True) == Erased(orders=2, entries=3)


def test_an_answer_that_comes_after_it_leaves_no_trace(story: Story) -> None:
    id = story.doubtful(ADA)
    story.doubtful(BOB)  # so that the number is not given away again
    forget(story.store, ADA, force=True)
    deferred = Change(action=Action.SETTLE, account="cloud", email=ADA, key=ADA, roles=("Member",))
    assert not story.settle(id, 0, OrderState.DONE, OrderOutcome("invited", deferred=(deferred,)))
    assert people(story) == [BOB]
    assert rows_of_history(story) == 1


def test_a_deleted_order_is_not_sent_by_a_worker_that_has_read_it(story: Story) -> None:
    id = story.asked(ADA)
    story.asked(BOB)
    forget(story.store, ADA)
    sent = story.store.write(
        lambda c: orders.record_intent(c, id, "POST", day(1).timestamp(), None)
    )
    assert not sent


def traces(file: Path, word: str) -> list[str]:
    """The files of a ledger in which a word stands."""
    return [
        one.name
        for one in sorted(file.parent.iterdir())
        if one.is_file() and word.encode() in one.read_bytes()
    ]


def careless(story: Story) -> None:
    """Lets SQLite leave deleted content where it is. Some builds, such as Debian's, do not."""

    def connected(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("PRAGMA synchronous = OFF")  # quicker, and nothing crashes here

    event.listen(story.store.engine, "connect", connected)
    story.store.engine.dispose()


def fill(story: Story) -> None:
    """Enough that pages are split and rows move as they grow, a person among many."""
    careless(story)
    for number in range(100):
        story.settled(f"p{number}@example.com", detail=f"said to p{number}@example.com " * 8)
        if number % 10 == 0:
            story.settled(ADA, detail="said to ada@example.com " * 30)


def test_nothing_of_a_person_is_left_in_the_files(on_file: Story, file: Path) -> None:
    fill(on_file)
    assert traces(file, ADA)
    forget(on_file.store, ADA)
    assert traces(file, ADA) == []
    assert traces(file, "p7@example.com") == ["guestlist.db"]
    assert len(people(on_file)) == 100


@pytest.mark.parametrize("secure", ["OFF", "ON"])
def test_deleting_alone_would_leave_traces(on_file: Story, file: Path, secure: str) -> None:
    """What the test above rests on: it would fail if the file was not written anew."""
    fill(on_file)
    with on_file.store.engine.begin() as connection:
        connection.exec_driver_sql(f"PRAGMA secure_delete = {secure}")
        connection.execute(delete(orders_table).where(orders_table.c.key == ADA))
    on_file.store.close()  # the last one to close empties the write-ahead log into the file
    assert traces(file, ADA) == ["guestlist.db"]


def test_somebody_reads_it_meanwhile(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestlist.ledger.store.BUSY", 0.05)
    story = Story(Store(f"sqlite:///{file}"))
    story.settled(ADA)
    story.settled(BOB)
    with story.store.reading() as connection:
        rows = connection.execution_options(yield_per=1).execute(select(orders_table.c.id))
        next(rows)  # and not read to the end
        with pytest.raises(LedgerError, match=r"deleted, but traces are left .*reads it") as caught:
            forget(story.store, ADA)
        rows.close()
    assert "again" in caught.value.hint
    assert people(story) == [BOB]
    forget(story.store, ADA)
    assert traces(file, ADA) == []
    story.store.close()


def test_not_while_a_run_is_under_way(on_file: Story) -> None:
    on_file.settled(ADA)
    with exclusive(on_file.store), pytest.raises(LedgerError, match="under way"):
        forget(on_file.store, ADA)
    with exclusive(on_file.store), pytest.raises(LedgerError, match="under way"):
        expire(on_file.store, day(9))
    assert people(on_file) == [ADA]


# ---------------------------------------------------------------------------- what is old


def test_what_was_settled_long_ago(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "BATCH", 2)
    for state in (OrderState.DONE, OrderState.REFUSED, OrderState.UNKNOWN):
        story.settled(ADA, 0, state)
        story.settled(BOB, 5, state)
    story.asked(EVE, 0)
    story.doubtful("doubt@example.com", 0)
    story.settled(ADA, 1, deferred=("group:Engineering",))
    assert expire(story.store, day(4)) == Erased(orders=4, entries=8)
    assert people(story) == [BOB, BOB, BOB, EVE, "doubt@example.com", ADA]
    assert rows_of_history(story) == 7
    assert expire(story.store, day(4)) == Erased(0, 0)


def test_what_was_settled_in_that_moment_stays(story: Story) -> None:
    story.settled(ADA, 4)
    assert expire(story.store, day(4)) == Erased(0, 0)


def test_runs_without_orders_go_but_never_the_last(story: Story) -> None:
    done = story.run(0)
    story.settled(ADA, 0, run=done)
    runs.end_run(story.store, done, day(1).timestamp())
    left = story.run(0)  # a later one took its place
    waiting = story.run(0)
    story.asked(BOB, 0, run=waiting)
    last = story.run(1, ended=2)
    expire(story.store, day(9))
    with story.store.reading() as connection:
        numbers = connection.scalars(select(runs_table.c.id).order_by(runs_table.c.id)).all()
    assert numbers == [waiting, last]
    assert left not in numbers
    assert runs.unfinished_run(story.store) is None


def test_nothing_of_what_is_old_is_left_in_the_file(on_file: Story, file: Path) -> None:
    fill(on_file)
    on_file.settled(BOB, 5)
    expire(on_file.store, day(1))
    assert traces(file, ADA) == []
    assert traces(file, BOB) == ["guestlist.db"]


# ---------------------------------------------------------------------------- what is never kept


def test_no_secret_of_an_invitation_is_written_down(on_file: Story, file: Path) -> None:
    invitation = Invitation(
        id="i-1",
        email=ADA,
        state=State.PENDING,
        link=SecretStr("https://join.example/s3cr3t"),
        key=SecretStr("k3y-of-it"),
        raw={"token": "t0ken-of-it"},
    )
    on_file.settled(invitation=invitation, state=OrderState.DONE)
    assert traces(file, "i-1")
    assert [traces(file, word) for word in ("s3cr3t", "k3y-of-it", "t0ken")] == [[], [], []]


def test_rows_about_others_name_the_person_no_more(story: Story) -> None:
    """An invitation's `invited_by`, an error, a pause, and who started a run."""
    by_ada = {"id": "i1", "email": BOB, "state": "pending", "invited_by": "Ada@Example.com"}
    story.settled(BOB, detail="ada@example.com has invited nada@example.com.", invitation=by_ada)
    run = story.run()
    story.asked(BOB, action=Action.ASSIGN_ROLE, roles=("x",), run=run)
    why = "HTTP 403: ada@example.com may not invite, ada@example.com.au may"

    def write(connection: Connection) -> None:
        shared.add_halt(connection, run, "cloud", 0.0, why)
        connection.execute(
            update(runs_table).values(actor="ada@example.com", note="for ADA@example.com")
        )
        connection.execute(insert(paces).values(name="cloud", state='{"why": "ada@example.com"}'))

    story.store.make(write)
    erased = forget(story.store, "ADA@example.com")
    assert (erased.orders, erased.mentions) == (0, 7)
    with story.store.reading() as connection:
        halted = connection.scalar(select(halts.c.why))
        paused = connection.scalar(select(paces.c.state))
        facts = "".join(connection.scalars(select(orders_table.c.facts)))
    assert halted == "HTTP 403: (deleted) may not invite, ada@example.com.au may"
    assert paused == '{"why": "(deleted)"}'
    assert "(deleted)" in facts
    assert "ada@" not in facts.lower()
    (line, in_run) = log_lines(story.store)
    assert line.detail == "(deleted) has invited nada@example.com."
    assert line.entries[-1].detail == line.detail
    assert (in_run.actor, in_run.note) == ("(deleted)", "for (deleted)")
    assert forget(story.store, ADA).mentions == 0
