"""The schema that editors get."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_published_schema_is_what_the_models_say() -> None:
    command = [sys.executable, "-m", "guestlist.roster.schema"]
    made = subprocess.run(command, capture_output=True, check=True)
    assert made.stderr == b""
    assert (DOCS / "guestlist.schema.json").read_bytes() == made.stdout, (
        f"run: uv run {' '.join(command[1:])} > docs/guestlist.schema.json"
    )
