"""What a row of the table comes to: figures, tables, charts, and which targets are reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.measure import Figure

Cell = str | Figure


@dataclass(frozen=True)
class Target:
    """One thing that a row must reach.

    Attributes:
        what: in words, with the bound.
        reached: what was measured.
        bound: what it must be at most.
    """

    what: str
    reached: float
    bound: float

    @property
    def met(self) -> bool:
        """Whether it is reached, to the digits that a report shows."""
        return round(self.reached, 2) <= self.bound


@dataclass(frozen=True)
class Table:
    """A table of figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Chart:
    """Bars with their spread; ours stand out.

    Attributes:
        name: of the file, without its ending.
        title: what is measured, and its unit.
        bars: label and figure.
        ours: labels of the bars that stand out.
    """

    name: str
    title: str
    bars: Sequence[tuple[str, Figure]]
    ours: Sequence[str] = ("guestlist",)


@dataclass(frozen=True)
class Report:
    """A row of the table, measured.

    Attributes:
        title: of its section.
        text: what is measured and how, in Markdown.
    """

    title: str
    text: str
    targets: Sequence[Target] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = field(default=())
