"""A process that is to be killed: `python -m tests.durable.child apply|work URL RUN SETTINGS`."""

from __future__ import annotations

import json
import logging
import sys

from tests.durable.world import client

from guestlist.ledger.lock import exclusive
from guestlist.ledger.store import Store
from guestlist.runs.runner import Runner
from guestlist.runs.stop import Stop, StopClock
from guestlist.runs.workers.worker import work_on_runs


def main(what: str, url: str, run: str, settings: str) -> None:
    logging.getLogger("guestlist").addHandler(logging.NullHandler())
    accounts = json.loads(settings)
    if what == "work":
        work_on_runs(lambda clock: client(accounts, clock), url)
        return
    store, stop = Store(url), Stop()
    with client(accounts, StopClock(stop)) as guests, exclusive(store):
        summary = Runner(guests, store, stop).run(int(run))
    store.close()
    sys.exit(summary.left > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
