"""`python -m benchmarks [NAME ...]`: see the package."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.charts import svg
from benchmarks.machine import machine
from benchmarks.measure import MILLION, SCALE, settle_down
from benchmarks.page import FOLDER, page
from benchmarks.report import Report

ROWS = (
    "server_limit",
    "calls",
    "parsing",
    "startup",
    "concurrency",
    "bulk",
    "listing",
    "growth",
)
"""Modules, in the order of the page."""
RESULTS = FOLDER / "results.json"
DOCS = FOLDER.parent / "docs"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="NAME", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--check", action="store_true", help="compare ratios, write nothing")
    parser.add_argument("--quick", action="store_true", help="a quarter of the calls and rounds")
    parser.add_argument("--million", action="store_true", help="apply a million too: half an hour")
    parser.add_argument("--page", action="store_true", help="write the page from results.json only")
    chosen = parser.parse_args()
    if unknown := set(chosen.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    settle_down()
    SCALE[0] = 0.25 if chosen.quick else 1.0
    MILLION[0] = chosen.million
    if chosen.check:
        from benchmarks.check import check

        return check()
    for name in () if chosen.page else chosen.rows or ROWS:
        began, busy = time.monotonic(), os.getloadavg()[0]
        report: Report = import_module(f"benchmarks.{name}").measure()
        results = _read() | {"machine": machine()}
        results["rows"][name] = _as_data(report) | {"quick": chosen.quick, "busy": busy}
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(f"{name}: {time.monotonic() - began:.0f} s")
        for target in report.targets:
            print(f"  {'ok    ' if target.met else 'MISSED'} {target.reached:6.2f}  {target.what}")
    _write(_read())
    return 0


def _as_data(report: Report) -> dict[str, Any]:
    data = asdict(report)
    for target, row in zip(report.targets, data["targets"], strict=True):
        row["met"] = target.met
    return data


def _read() -> dict[str, Any]:
    if not RESULTS.exists():
        return {"machine": machine(), "rows": {}}
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = results["rows"]
    results["rows"] = {name: rows[name] for name in ROWS if name in rows}
    return results


def _write(results: dict[str, Any]) -> None:
    folder = DOCS / "performance"
    folder.mkdir(exist_ok=True)
    for row in results["rows"].values():
        for chart in row["charts"]:
            Path(folder, f"{chart['name']}.svg").write_text(svg(chart), encoding="utf-8")
    (DOCS / "performance.md").write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
