"""Every fault, with every client, against every service: what happened against what was concluded.

Each fault meets a client on each of the two services, and each client a third of the faults. The
other cells are proofs. `python -m tests.sockets` runs all cells and prints the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from tests.sockets.matrix import COLUMNS, FOREIGN, SUBJECTS, Cell, Stage
from tests.sockets.rows import ROWS
from tests.sockets.table import Cells, table


@pytest.fixture(scope="module")
def cells() -> Iterator[Cells]:
    cells: Cells = {}
    yield cells
    print("\n\n" + table(cells))


def every_cell() -> Iterator[Any]:
    """Yields row, column and service. One cell of six always runs, the others are proofs."""
    places = product(enumerate(ROWS), enumerate(COLUMNS), enumerate(SUBJECTS))
    for (row, name), (column, client), (service, subject) in places:
        marks = [pytest.mark.proof] if (row + column + 3 * service) % len(COLUMNS) else []
        yield pytest.param(name, client, subject, marks=marks)


@pytest.mark.parametrize(("name", "column", "service"), [*every_cell()])
def test_what_is_concluded_is_what_happened(
    stage: Stage, cells: Cells, name: str, column: str, service: str
) -> None:
    row = ROWS[name]
    cell = cells[name, column, service] = stage.play(row, column, service)

    check_the_promise(cell)
    foreign = column == FOREIGN
    assert cell.told == row.told_by(foreign=foreign)
    assert (cell.emails, cell.records, cell.creates) == (row.emails,) * 3
    assert not cell.leaked
    # what is left of the fault disturbs no call after it
    assert cell.stranger == "gone"
    assert cell.guest == ("pending" if row.emails else "gone")


def check_the_promise(cell: Cell) -> None:
    """What holds whatever the fault is."""
    assert cell.emails <= 1
    if cell.told.startswith("invited"):
        assert cell.emails == 1
    if cell.told.endswith("did not happen"):
        assert cell.emails == 0
    if cell.told.endswith(": happened"):
        assert cell.emails == 1


@pytest.mark.parametrize("column", COLUMNS)
def test_a_connection_with_left_over_bytes_is_closed_and_costs_nothing(
    stage: Stage, column: str
) -> None:
    assert not stage.play(ROWS["look answered twice"], column, "vultr").doubted


def test_only_a_transport_of_httpx_is_believed_when_it_says_that_nothing_was_sent(
    stage: Stage,
) -> None:
    row = ROWS["refused, back after 1 s"]
    doubted = {column for column in COLUMNS if stage.play(row, column, "vultr").doubted}

    assert doubted == {FOREIGN}
