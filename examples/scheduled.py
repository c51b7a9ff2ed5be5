"""Keeps services as a roster says, from a scheduler and without the command line.

    python examples/scheduled.py guestlist.toml          # once, such as from cron
    python examples/scheduled.py guestlist.toml 3600     # every hour

Large plans are left to a person: they are printed and not applied.
"""

from __future__ import annotations

import sys
import time

import guestlist

MOST_CHANGES = 50
"""A plan with more changes is not applied by itself."""


def confirm(plan: guestlist.Plan | guestlist.PlanFile) -> bool:
    """Decides whether a plan is applied. Called before anything is sent."""
    for change in plan.changes():
        print(f"{change.action} {change.email} on {change.account}: {change.reason}")
    return plan.summary.possible <= MOST_CHANGES


def report(event: guestlist.RunEvent) -> None:
    """Prints what a person should know. Other events show the progress of a run."""
    match event:
        case guestlist.RunProblem(error):
            print(error.headline, file=sys.stderr)
        case guestlist.RunEnded(tallies=tallies):
            for account, tally in sorted(tallies.items()):
                print(f"{account}: {tally.ended} done, {tally.left} left, {tally.emails} emails")


def run_once(roster: str) -> int:
    """Plans, applies, and grants deferred roles. Returns the exit code."""
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
