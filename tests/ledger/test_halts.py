"""Accounts whose orders rest until somebody asks again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from tests.ledger.story import Story, one_waits
from tests.postgres import Server

from guestlist.ledger.store import Store
from guestlist.runs.workers import shared


def test_an_account_rests_once_and_its_first_reason_stands(story: Story) -> None:
    run = story.run()
    story.store.write(lambda connection: shared.add_halt(connection, run, "cloud", 0.0, "401"))
    story.store.write(lambda connection: shared.add_halt(connection, run, "cloud", 0.0, "403"))
    assert shared.stopped_accounts(story.store, run) == {"cloud": "401"}
    shared.restart_accounts(story.store, run)
    assert shared.stopped_accounts(story.store, run) == {}


def test_two_workers_may_say_so_at_the_same_time(server: Server) -> None:
    url = server.new_database("halts")
    with closing(Store(url)) as one, closing(Store(url)) as other, ThreadPoolExecutor() as pool:
        run = Story(one).run()
        with one.engine.begin() as first:
            shared.add_halt(first, run, "cloud", 0.0, "401")
            second = pool.submit(
                other.write,
                lambda connection: shared.add_halt(connection, run, "cloud", 0.0, "403"),
            )
            while not second.done() and not one_waits(one):
                pass
        second.result()
        assert shared.stopped_accounts(one, run) == {"cloud": "401"}
