"""Several values in one cell of a CSV file: `group:Engineering; "a; b"`."""

from __future__ import annotations

import re
from collections.abc import Iterable

NOTHING = "-"
"""What says that there are no values, where an empty cell says nothing."""

_VALUE = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^;]*?))\s*(?:;|\Z)')
_QUOTED = re.compile(r'[;"]|^\s|\s$|^-$')
"""What would be read as something else."""


def split(cell: str) -> list[str]:
    """The values in a cell: separated by `;`, white space around them does not count. A value
    that is quoted is taken as it is, with `""` for a quote."""
    if ";" not in cell and '"' not in cell:
        return [cell.strip()] if cell.strip() else []
    values = []
    for quoted, bare in _VALUE.findall(cell):
        value = quoted.replace('""', '"') or bare
        if value:
            values.append(value)
    return values


def join(values: Iterable[str]) -> str:
    """The cell in which `split` finds these values, none of them empty."""
    return ";".join(
        '"{}"'.format(value.replace('"', '""')) if _QUOTED.search(value) else value
        for value in values
    )
