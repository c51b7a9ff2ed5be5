"""Writes the map in docs/architecture.md from the layers in pyproject.toml and the imports.

    uv run tools/architecture.py            # writes it
    uv run tools/architecture.py --check    # fails if the document is out of date

The map stands between two markers there: for each module of `guestlist` its floor, its subject (the
first sentence of its docstring) and the modules it imports.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
START, END = "<!-- map -->\n", "<!-- /map -->"
PACKAGE = "guestlist"


def layers() -> list[list[str]]:
    """The modules of each floor, lowest first, as import-linter enforces them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    [contract] = [contract for contract in contracts if contract["id"] == "floors"]
    return [re.findall(r"\w+", layer) for layer in reversed(contract["layers"])]


def subject(module: str) -> str:
    """The first sentence of a module's docstring, without its full stop."""
    docstring = inspect.getdoc(import_module(f"{PACKAGE}.{module}")) or ""
    sentence = re.split(r"(?<=[.])\s|\n\n", docstring, maxsplit=1)[0]
    return " ".join(sentence.split()).rstrip(".").replace("|", r"\|")


def table() -> str:
    """The map as a table in Markdown."""
    graph = grimp.build_graph(PACKAGE)
    for module in graph.find_children(PACKAGE):
        graph.squash_module(module)
    rows = ["| floor | module | subject | imports |", "| --- | --- | --- | --- |"]
    for floor, modules in enumerate(layers(), start=1):
        for module in sorted(modules, key=lambda name: name.lstrip("_")):
            own = {PACKAGE, f"{PACKAGE}.{module}"}
            imported = graph.find_modules_directly_imported_by(f"{PACKAGE}.{module}")
            below = sorted(name.removeprefix(f"{PACKAGE}.") for name in imported - own)
            names = ", ".join(f"`{name}`" for name in below) or "—"
            rows.append(f"| {floor} | `{module}` | {subject(module)} | {names} |")
    return "\n".join(rows) + "\n"


def main(arguments: list[str]) -> int:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    current = f"{before}{START}{table()}{END}{after}"
    if "--check" in arguments:
        if current != text:
            print("docs/architecture.md is out of date: uv run tools/architecture.py")
            return 1
        return 0
    DOCUMENT.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
