"""Keeps services as a roster says, from a scheduler and without the command line.

    python examples/scheduled.py guestlist.toml          # once, such as from cron
    python examples/scheduled.py guestlist.toml 3600     # every hour

Large plans are left to a person: they are printed and not applied.
"""

from __future__ import annotations

import sys
import time

import guestlist
from guestlist.runs.progress import Problem, RunEnded, RunEvent

MOST_CHANGES = 50
"""A plan with more changes is not applied by itself."""


def confirm(plan: guestlist.Plan | guestlist.PlanFile) -> bool:
    """Decide whether to carry out a plan: called before anything is sent."""
    for change in plan.changes():
        print(f"{change.action} {change.email} on {change.account}: {change.reason}")
    return plan.summary.possible <= MOST_CHANGES


def report(event: RunEvent) -> None:
    """Print what a person should know. Other events show how far a run is."""
    match event:
        case Problem(error):
            print(error.headline, file=sys.stderr)
        case RunEnded(tallies=tallies):
            for account, tally in sorted(tallies.items()):
                print(f"{account}: {tally.ended} done, {tally.left} left, {tally.emails} emails")


def run_once(roster: str) -> int:
    """Plan, apply, and grant deferred roles. Return the exit code."""
    try:
        with guestlist.plan(roster) as plan:
            if plan.nothing:
                print("Nothing to do.")
        result = guestlist.apply(roster, confirm=confirm, on_progress=report)
    except guestlist.GuestlistError as error:  # nothing was sent, or a run can go on later
        print(error.headline, error.hint, file=sys.stderr)
        return 1
    if not result.confirmed:
        print(f"More than {MOST_CHANGES} changes: apply them by hand.", file=sys.stderr)
        return 1
    return 1 if result.errors or result.left else 0


def main() -> int:
    roster, *every = sys.argv[1:]
    while True:
        code = run_once(roster)
        if not every:
            return code
        time.sleep(float(every[0]))


if __name__ == "__main__":
    sys.exit(main())
