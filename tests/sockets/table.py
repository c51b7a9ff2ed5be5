"""The matrix as a table."""

from __future__ import annotations

from collections.abc import Iterable

from tests.sockets.matrix import FOREIGN, Cell

Cells = dict[tuple[str, str, str], Cell]
"""By fault, column and service."""

HEADINGS = (
    "fault",
    "emails",
    "creates sent / arrived",
    "told by httpx and httpx2",
    f"told by {FOREIGN}",
    "after",
)


def table(cells: Cells) -> str:
    """Markdown: one line for each fault; where cells of it differ, what they have is listed."""
    names = dict.fromkeys(name for name, _, _ in cells)
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(_line(name, cells) for name in names)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = (
        " | ".join(
            text.ljust(width, "-" if text == "---" else " ")
            for text, width in zip(line, widths, strict=True)
        )
        for line in lines
    )
    return "\n".join(f"| {row} |" for row in rows) + f"\n\n{len(cells)} cells"


def _line(name: str, cells: Cells) -> tuple[str, ...]:
    mine = [(column, cell) for (row, column, _), cell in cells.items() if row == name]
    all_of_it = [cell for _, cell in mine]
    own = [cell for column, cell in mine if column != FOREIGN]
    lying = [cell for column, cell in mine if column == FOREIGN]
    return (
        name,
        _values(str(cell.emails) for cell in all_of_it),
        _values(f"{cell.tried} / {cell.creates}" for cell in all_of_it),
        _values(cell.told for cell in own),
        _values(cell.told for cell in lying),
        _span([cell.seconds for cell in all_of_it]),
    )


def _values(values: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(values)) or "-"


def _span(seconds: list[float]) -> str:
    low, high = round(min(seconds)), round(max(seconds))
    return f"{low} s" if low == high else f"{low} to {high} s"
