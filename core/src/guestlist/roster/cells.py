"""Several values in one cell of a CSV file: `group:Engineering; "a; b"`."""

from __future__ import annotations

import re
from collections.abc import Iterable

NOTHING = "-"
"""Cell that means an explicitly empty list. An empty cell means that nothing is specified."""

_VALUE = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^;]*?))\s*(?:;|\Z)')
_QUOTED = re.compile(r'[;"]|^\s|\s$|^-$')
"""Matches values that need quotes to be read back unchanged."""


def split(cell: str) -> list[str]:
    """Splits a cell at `;` and strips white space around each value.

    A value in double quotes is taken literally; `""` stands for one quote.
    """
    if ";" not in cell and '"' not in cell:
        return [cell.strip()] if cell.strip() else []
    values = []
    for quoted, bare in _VALUE.findall(cell):
        value = quoted.replace('""', '"') or bare
        if value:
            values.append(value)
    return values


def join(values: Iterable[str]) -> str:
    """Returns the cell that `split` splits into these values. No value may be empty."""
    return ";".join(
        '"{}"'.format(value.replace('"', '""')) if _QUOTED.search(value) else value
        for value in values
    )
