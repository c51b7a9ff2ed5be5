"""Checks that each wheel in a folder holds all it should: `python tools/wheels.py FOLDER`.

Typed, licensed, described, and nothing beside the package itself; one wheel for the core, one for
the test kit and one for each folder of providers/.
"""

from __future__ import annotations

import sys
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    wheels = sorted(Path(sys.argv[1]).glob("*.whl"))
    faults = [f"{wheel.name}: {fault}" for wheel in wheels for fault in faults_of(wheel)]
    members = {
        "guestlist",
        "pytest_guestlist",
        *(f"guestlist_{path.parent.name}" for path in provider_projects()),
    }
    if built := members ^ {wheel.name.partition("-")[0] for wheel in wheels}:
        faults.append(f"built without being a member, or the reverse: {sorted(built)}")
    print("\n".join(faults) or f"{len(wheels)} wheels are complete")
    return 1 if faults else 0


def provider_projects() -> list[Path]:
    return sorted(ROOT.glob("providers/*/pyproject.toml"))


def faults_of(wheel: Path) -> list[str]:
    name, version = wheel.name.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    faults: list[str] = []
    with ZipFile(wheel) as archive:
        files = set(archive.namelist())
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
    needed = (f"{name}/__init__.py", f"{name}/py.typed", f"{info}/licenses/LICENSE")
    faults += [f"holds no {file}" for file in needed if file not in files]
    if strays := {file.partition("/")[0] for file in files} - {name, info}:
        faults.append(f"also holds {sorted(strays)}")
    described = ("License-Expression", "Requires-Python", "Summary")
    faults += [f"has no {field}" for field in described if not metadata[field]]
    if not metadata.get_payload():
        faults.append("has no README")
    return faults


if __name__ == "__main__":
    sys.exit(main())
