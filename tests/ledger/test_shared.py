"""What workers on several machines ask the ledger."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

from sqlalchemy import Connection, event
from tests.ledger.story import ADA, Story, one_waits
from tests.postgres import Server

from guestlist.changes import Action, Change
from guestlist.ledger import orders
from guestlist.ledger.lock import account_lock
from guestlist.ledger.store import Store
from guestlist.runs.workers import shared


def test_a_worker_may_look_after_any_number_of_accounts_at_a_time(server: Server) -> None:
    """A look can take minutes, and meanwhile the others have to get at the ledger."""
    with closing(Store(server.new_database("accounts"))) as store, ExitStack() as held:
        for number in range(20):
            assert held.enter_context(account_lock(store, f"account{number}"))
        assert orders.unanswered_orders(store) == []


def test_watching_a_run_reads_no_other_run(story: Story) -> None:
    """A ledger keeps the orders of years, and every watcher counts once a second."""
    run = story.run()
    story.settled(run=run)
    asked: list[tuple[str, Any]] = []
    engine = story.store.engine

    def heard(_connection: Any, _cursor: Any, statement: str, told: Any, *_: Any) -> None:
        asked.append((statement, told))

    event.listen(engine, "before_cursor_execute", heard)
    assert shared.tallies(story.store, run)["cloud"].done == {"invited": 1}
    event.remove(engine, "before_cursor_execute", heard)
    (statement, told) = asked[-1]
    with story.store.reading() as connection:
        explain = "EXPLAIN QUERY PLAN"
        if not story.store.is_sqlite:  # a table of one row is read as a whole, if that is allowed
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            explain = "EXPLAIN"
        plan = connection.exec_driver_sql(f"{explain} {statement}", told).all()
    assert "orders_run" in str(plan)


def test_only_one_of_two_calls_records_an_email_at_once(server: Server) -> None:
    url = server.new_database("emails")
    change = Change(action=Action.INVITE, account="cloud", email=ADA, key=ADA, single=True)

    def is_sent(connection: Connection) -> bool:
        return orders.email_was_sent_since(connection, change, 0.0)

    with closing(Store(url)) as one, closing(Store(url)) as other, ThreadPoolExecutor() as pool:

        def first(connection: Connection) -> Future[bool]:
            assert not is_sent(connection)
            orders.add_for_single_call(connection, change, 1.0, request="POST /invitation")
            second = pool.submit(other.write, is_sent)
            while not second.done() and not one_waits(one):
                pass
            return second

        assert one.write(first).result() is True
