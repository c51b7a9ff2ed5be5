"""Cells of CSV files that spreadsheets do not run as formulas (OWASP, "CSV Injection")."""

from __future__ import annotations

ACTIVE = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - the wide ones count as well
"""What a spreadsheet takes for the beginning of a formula, or skips before one."""


def guarded(cell: str) -> str:
    """Return the cell with an apostrophe before it if a spreadsheet could take it for a formula."""
    return f"'{cell}" if cell.lstrip("'").startswith(ACTIVE) else cell


def unguarded(cell: str) -> str:
    """Return the cell without the apostrophe that `guarded` puts before it."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(ACTIVE) else cell
