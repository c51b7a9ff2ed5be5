"""What a plan of many people costs: `python -m tests.roster.measure_plan 10000 1000000`.

The service's answers are made up here, page by page, as values that a provider would have read:
what is measured is everything from there on, and nothing of a network. Each line is a process of
its own, so that its memory is its own too.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from guestlist import Guestlist
from guestlist.changes import Action
from guestlist.models import Invitation, Member, Role, State
from guestlist.provider import Flow, Page, Provider, operation, setting
from guestlist.roster.plan import make_plan
from guestlist.roster.wanted import Wanted

PAGE_SIZE = 500
ROLES = tuple(Role(id=name, name=name) for name in ("admin", "editor", "reader"))
CASES = {
    "agree": "all are members, as wanted",
    "invited": "all have an open invitation, as wanted",
    "absent": "nobody is there",
    "unlisted": "all are members, and others are wanted",
}


class Crowd(Provider):
    """A service with as many people as one likes."""

    name = "crowd"
    title = "Crowd"
    most_roles = 1
    base_url: str = setting("Where it is", default="http://127.0.0.1:1")
    members_there: int = setting("How many members it has", default=0)
    invited_there: int = setting("How many invitations are open", default=0)

    @operation
    def invite(self, order: Any) -> Flow[Invitation]:
        yield from ()
        raise NotImplementedError

    @operation
    def remove(self, member: Member) -> Flow[None]:
        yield from ()

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        yield from ()

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        yield from ()
        return Page(ROLES)

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        yield from ()
        numbers, following = _page(cursor, self.members_there)
        return Page([_member(number) for number in numbers], following)

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        yield from ()
        numbers, following = _page(cursor, self.invited_there)
        return Page([_invitation(number) for number in numbers], following)


def _page(cursor: str | None, total: int) -> tuple[range, str | None]:
    start = int(cursor or 0)
    end = min(start + PAGE_SIZE, total)
    return range(start, end), str(end) if end < total else None


def _member(number: int) -> Member:
    return Member(
        id=f"m{number}",
        email=f"Person{number * 7919 % 1_000_003}@example.com",
        name=f"Person {number}",
        roles=(ROLES[number % 3],),
        raw={"id": f"m{number}"},
    )


def _invitation(number: int) -> Invitation:
    return Invitation(
        id=f"i{number}",
        email=f"Person{number * 7919 % 1_000_003}@example.com",
        state=State.PENDING,
        roles=(ROLES[number % 3],),
        raw={"id": f"i{number}"},
    )


def _roster(people: int, domain: str) -> Iterator[Wanted]:
    for number in range(people):
        address = f"person{number * 7919 % 1_000_003}@{domain}"
        yield Wanted("crowd", address, address, (ROLES[number % 3].id,), place=f"a.csv:{number}")


def measure(case: str, people: int) -> str:
    """One plan, and what it cost."""
    members = people if case in ("agree", "unlisted") else 0
    crowd = Crowd(members_there=members, invited_there=people if case == "invited" else 0)
    started, clock = time.process_time(), time.perf_counter()
    with Guestlist({"crowd": crowd}) as guests:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        domain = "example.org" if case == "unlisted" else "example.com"
        with make_plan(guests, _roster(people, domain)) as plan:
            changes = sum(1 for _ in plan.changes())
            counts = plan.summary.counts["crowd"]
            notes = plan.summary.notes["crowd"]
    assert changes == counts.get(Action.INVITE, 0) == plan.summary.changes
    assert changes == (people if case in ("absent", "unlisted") else 0)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = ", ".join(f"{name} {count:,}" for name, count in (*counts.items(), *notes.items()))
    return (
        f"{people:>9,} {case:9} {time.process_time() - started:6.1f} s of CPU"
        f" {time.perf_counter() - clock:6.1f} s {most:6.0f} MB at most ({before:.0f} at first)"
        f"   {told}"
    )


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--one"]:
        print(measure(arguments[1], int(arguments[2])), flush=True)
        return
    for case, meaning in CASES.items():
        print(f"{case}: {meaning}", flush=True)
        for people in arguments or ["10000", "100000"]:
            command = [sys.executable, "-m", "tests.roster.measure_plan", "--one", case, people]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
