"""Pins every version of the development environment: writes, or checks, constraints.txt.

    uv run --no-project tools/pins.py              pin what is new, drop what is no longer used
    uv run --no-project tools/pins.py --upgrade    move everything to the newest versions
    uv run --no-project tools/pins.py --check      fail if that would change anything

uv.lock is not committed: it holds the addresses of the package index it was made with. uv reads
pins from `[tool.uv]` of the root pyproject.toml and from nowhere else, pip reads constraints.txt;
so what uv resolves is written to both.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "constraints.txt"
HEADER = "# written by tools/pins.py: the versions that the development environment installs\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--upgrade", action="store_true", help="move to the newest versions")
    mode.add_argument("--check", action="store_true", help="write nothing, compare")
    arguments = parser.parse_args()

    before = PYPROJECT.read_text(encoding="utf-8")
    if arguments.upgrade:
        PYPROJECT.write_text(with_pins(before, [], []), encoding="utf-8")
    try:
        if arguments.upgrade:
            uv("lock", "--upgrade")
        pins = export("--all-packages", "--all-extras", "--all-groups")
        build_pins = export("--only-group", "build")
    finally:
        if arguments.upgrade:
            PYPROJECT.write_text(before, encoding="utf-8")

    wanted = {
        CONSTRAINTS: HEADER + "".join(f"{pin}\n" for pin in pins),
        PYPROJECT: with_pins(before, pins, build_pins),
    }
    stale = [path for path, text in wanted.items() if not is_text(path, text)]
    if arguments.check:
        for path in stale:
            print(f"{path.name} does not hold the resolved versions: run tools/pins.py")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.name} written")
    return 0


def export(*selection: str) -> list[str]:
    """The resolved versions as `name==version`; with a marker only where one name has several."""
    bare = ("--no-emit-workspace", "--no-hashes", "--no-annotate", "--no-header")
    lines = uv("export", "--format", "requirements.txt", *bare, *selection).splitlines()
    names = Counter(line.partition("==")[0] for line in lines)
    return [
        line if names[line.partition("==")[0]] > 1 else line.partition(" ;")[0] for line in lines
    ]


def with_pins(pyproject: str, pins: list[str], build_pins: list[str]) -> str:
    """The text of pyproject.toml with both lists of pins replaced."""
    for key, values in (
        ("constraint-dependencies", pins),
        ("build-constraint-dependencies", build_pins),
    ):
        array = "".join(f'    "{value}",\n' for value in values)
        pyproject, found = re.subn(
            rf"^{key} = \[\n.*?^\]$",
            f"{key} = [\n{array}]",
            pyproject,
            flags=re.DOTALL | re.MULTILINE,
        )
        if found != 1:
            raise SystemExit(f"pyproject.toml: expected one list {key!r}, found {found}")
    return pyproject


def is_text(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def uv(*arguments: str) -> str:
    """Runs uv at the root and returns what it prints. Its messages go to the terminal."""
    done = subprocess.run(["uv", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
