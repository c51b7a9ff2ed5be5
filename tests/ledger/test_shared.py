"""What workers on several machines ask the ledger."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any

from sqlalchemy import event
from tests.ledger.story import Story
from tests.postgres import Server

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


def test_whoever_watches_a_run_reads_no_other(story: Story) -> None:
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
