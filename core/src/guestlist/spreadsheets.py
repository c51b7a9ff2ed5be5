"""Cells of CSV files that spreadsheets do not run as formulas (OWASP, "CSV Injection")."""

from __future__ import annotations

ACTIVE = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - full-width forms work too
"""Characters that a spreadsheet treats as the start of a formula, or skips before one."""


def escape_formula(cell: str) -> str:
    """Returns the cell, with an apostrophe before it if a spreadsheet could run it as a formula."""
    return f"'{cell}" if cell.lstrip("'").startswith(ACTIVE) else cell


def unescape_formula(cell: str) -> str:
    """Returns the cell without the apostrophe that `escape_formula` adds."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(ACTIVE) else cell
