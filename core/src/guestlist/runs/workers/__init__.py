"""Many machines work on one run: the ledger is in PostgreSQL, and a Procrastinate queue wakes them.

Needs the extra `guestlist[durable]`. `docs/many-machines.md` explains how the parts work together:

* `together` hands a run to the workers and watches it (`guestlist apply`).
* `worker` carries out chunks of orders (`guestlist worker`, and every `guestlist apply`).
* `supervisor` divides the remaining orders of a run into chunks, and looks up the outcome of
  unanswered requests. One worker at a time runs it for an account.
* `presence` holds the locks that show which processes work on a run.
* `shared` reads and writes what the workers share in the ledger.
"""
