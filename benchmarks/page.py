"""The page `docs/performance.md`, made from `results.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TRIED = FOLDER / "tried.md"

HEAD = """# Performance

<!-- Written by `python -m benchmarks`. Edit the texts in benchmarks/, then add --page. -->

This page compares the cost of guestlist with that of other clients. All programs take turns in one
run against one local server, so read the **ratios**: other work on the machine slows both sides
alike, and the times differ from machine to machine. Each section states the load of the
machine, and whether the measurement used `--quick`, which makes fewer calls and rounds and gives
less precise figures. A figure is the median of the rounds, followed by the quartiles. A ratio is
the median of the ratios of the rounds.

Only the sections about one call at a time and about starting were measured with the present code.
The others are older: they had a transport that used private attributes of httpx, and cost less CPU.

    uv run --group benchmarks python -m benchmarks           # all rows; writes this page
    uv run --group benchmarks python -m benchmarks calls     # one row
    uv run python -m benchmarks --check                      # the comparisons of CI
"""


def page(results: dict[str, Any]) -> str:
    """The page, as Markdown."""
    rows = results["rows"].values()
    targets = [
        f"| {row['title']} | {target['what']} | {target['reached']:.2f} | {_met(target)} |"
        for row in rows
        for target in row["targets"]
    ]
    parts = [
        HEAD,
        "\n".join(f"- {name}: {text}" for name, text in results["machine"].items()),
        "## Targets",
        "\n".join(["| row | what | measured | |", "|---|---|---|---|", *targets]),
        *(part for row in rows for part in _section(row)),
        TRIED.read_text(encoding="utf-8").strip(),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _met(target: dict[str, Any]) -> str:
    return "reached" if target["met"] else "**missed**"


def _section(row: dict[str, Any]) -> list[str]:
    charts = [f"![{chart['title']}](performance/{chart['name']}.svg)" for chart in row["charts"]]
    tables = [_table(table) for table in row["tables"]]
    return [f"## {row['title']}", row["text"], _circumstances(row), *charts, *tables]


def _circumstances(row: dict[str, Any]) -> str:
    """How much the figures of a row can be trusted."""
    busy = f"{row['busy']:.1f}" if row["busy"] is not None else "unknown"
    made = "with `--quick`: **a quarter of the calls and rounds**" if row["quick"] else "in full"
    return f"*Measured {made}. The machine's load average just before: {busy}.*"


def _table(table: dict[str, Any]) -> str:
    lines = [f"**{table['title']}**", ""]
    lines.append("| " + " | ".join(table["columns"]) + " |")
    lines.append("|" + "---|" * len(table["columns"]))
    lines += ["| " + " | ".join(map(_cell, cells)) + " |" for cells in table["rows"]]
    return "\n".join(lines)


def _cell(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    low, median, high = (cell[name] for name in ("low", "median", "high"))
    if low == median == high:
        return _number(median)
    return f"{_number(median)} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.2 else 3
    return f"{value:,.{digits}f}"
