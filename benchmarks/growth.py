"""Growth: what one person costs among a thousand, and among a million: read, planned, applied."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.alone import Alone, alone, report_usage
from benchmarks.listing import INVITED, KEY, SIZES, Unpaced, member_email, readings, site
from benchmarks.measure import MILLION, Figure, scaled
from benchmarks.report import Cell, Chart, Report, Table, Target
from benchmarks.server import serving
from benchmarks.table import write_table
from guestlist import Guestlist
from guestlist.changes import Action, Change
from guestlist.ledger import Ledger
from guestlist.roster.file import read_roster
from guestlist.roster.plan import make_plan
from guestlist.runs.runner import Runner
from guestlist.runs.stop import Stop, StopClock

ROUNDS = {1_000: 7, 10_000: scaled(5), 100_000: scaled(3), 1_000_000: 1}
"""How often each size is planned and applied."""
WARM_UP = 500
"""Orders that are carried out before the clock starts."""

TEXT = f"""
CPU time per person, at four sizes. *Reading* reads all members and invitations, as above.
*Planning* reads a roster with its people in an unsorted CSV file, half of them members and half
new. It compares the roster over HTTP with an organization that has as many members, and one
invitation for every {INVITED} members, and iterates over the changes. *Applying* writes invitations
into a ledger (a SQLite file) and applies them in a run, against the same server without a rate
limit, after {WARM_UP} others. Each measurement is a separate process, and memory is the largest
resident set of the process. An order takes more than a millisecond, and a million
orders half an hour, so they are applied only with `--million`.
`python -m tests.durable throughput` measures how many orders a run completes in a second with a
service that takes time to answer.
"""


def _newcomer(number: int) -> str:
    return f"newcomer.{number:07d}@example.com"


def write_roster(folder: Path, people: int) -> None:
    """A roster of so many, every other of them a member."""
    everybody = [_newcomer(n) if n % 2 else member_email(n) for n in range(people)]
    Random(people).shuffle(everybody)
    write_table(folder, "email", everybody)


def _plan(base_url: str, folder: str, people: str) -> Iterator[int]:
    """How many people a plan was made for."""
    account = Unpaced(base_url=base_url, api_key=KEY, organization_id=None)
    with Guestlist({"cloud": account}) as guests:
        next(guests.members())
        yield 0
        with make_plan(guests, read_roster(Path(folder, "guestlist.toml")).wanted()) as plan:
            if plan.errors or sum(1 for _ in plan.changes()) != int(people) // 2:
                raise AssertionError(f"the plan is another: {plan.summary}")
            yield int(people)


def _apply(base_url: str, folder: str, people: str) -> Iterator[int]:
    """How many orders were carried out."""
    account = Unpaced(base_url=base_url, api_key=KEY, organization_id=None)
    stop = Stop()
    with (
        TemporaryDirectory(dir=folder) as fresh,
        Ledger(Path(fresh, "guestlist.db")) as ledger,
        Guestlist({"cloud": account}, clock=StopClock(stop)) as guests,
    ):
        runner = Runner(guests, ledger.store, stop)

        def carry_out(numbers: range) -> int:
            run = runner.begin(partial(map, _change, numbers), roster="growth", source="growth")
            summary = runner.run(run)
            if summary.failed:
                raise AssertionError(f"not everybody was invited: {summary}")
            return len(numbers)

        carry_out(range(WARM_UP))
        yield 0
        yield carry_out(range(WARM_UP, WARM_UP + int(people)))


def _change(number: int) -> Change:
    email = _newcomer(number)
    return Change(action=Action.INVITE, account="cloud", email=email, key=email)


WORK: dict[str, Callable[[str, str, str], Iterator[int]]] = {
    "planning": _plan,
    "applying": _apply,
}


def _measured() -> dict[str, dict[int, list[Alone]]]:
    """Planning and applying at each size."""
    found: dict[str, dict[int, list[Alone]]] = {name: {} for name in WORK}
    for people in SIZES:
        with TemporaryDirectory() as folder, serving(site(people)) as base_url:
            write_roster(Path(folder), people)
            for name in WORK:
                if name == "applying" and people == max(SIZES) and not MILLION[0]:
                    continue
                found[name][people] = [
                    alone("benchmarks.growth", name, base_url, folder, str(people), expected=people)
                    for _ in range(ROUNDS[people])
                ]
    return found


def measure() -> Report:
    """Measures the row."""
    each = {
        "reading": {
            people: [_per_member(one) for one in by_name["guestlist"]]
            for people, by_name in readings().items()
        },
        **_measured(),
    }
    cpu = {
        name: {
            people: Figure.of([one.cpu * 1e6 for one in taken], "µs")
            for people, taken in by_size.items()
        }
        for name, by_size in each.items()
    }
    peak = {
        name: {
            people: Figure.of([one.peak for one in taken], "MiB")
            for people, taken in by_size.items()
        }
        for name, by_size in each.items()
    }
    return Report(
        title="Growth",
        text=TEXT,
        targets=[_constant(name, figures) for name, figures in cpu.items()],
        tables=[_table("CPU per person, µs", cpu), _table("Peak memory, MiB", peak)],
        charts=[
            Chart(
                "growth" if name == "reading" else f"growth-{name}",
                f"CPU per person while {name}, µs",
                [(f"{people:,}", figure) for people, figure in figures.items()],
                ours=[f"{people:,}" for people in figures],
            )
            for name, figures in cpu.items()
        ],
    )


def _per_member(reading: Alone) -> Alone:
    """Of the records that belong to one member."""
    records = 1 + 1 / INVITED
    return Alone(reading.cpu * records, reading.wall * records, reading.peak)


def _constant(name: str, figures: dict[int, Figure]) -> Target:
    usual = median(figure.median for figure in figures.values())
    worst = max(abs(figure.median / usual - 1) for figure in figures.values())
    sizes = f"from {min(figures):,} to {max(figures):,}"
    return Target(f"{name}, {sizes}: within 20 % of the median", worst, 0.2)


def _table(title: str, figures: dict[str, dict[int, Figure]]) -> Table:
    rows: list[list[Cell]] = [
        [f"{people:,}", *(by_size.get(people, "not measured") for by_size in figures.values())]
        for people in SIZES
    ]
    return Table(title, ("people", *figures), rows)


if __name__ == "__main__":
    report_usage(WORK[sys.argv[1]](*sys.argv[2:]))
