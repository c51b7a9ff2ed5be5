"""What workers on several machines ask the ledger."""

from __future__ import annotations

from contextlib import ExitStack, closing

from tests.postgres import Server

from guestlist.ledger import orders, shared
from guestlist.ledger.store import Store


def test_a_worker_may_look_after_any_number_of_accounts_at_a_time(server: Server) -> None:
    """A look can take minutes, and meanwhile the others have to get at the ledger."""
    with closing(Store(server.new_database("accounts"))) as store, ExitStack() as held:
        for number in range(20):
            assert held.enter_context(shared.sole(store, f"account{number}"))
        assert orders.in_doubt(store) == []
