"""Every block of Python in `docs/testing.md` is a file that works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = Path(__file__).parents[2].joinpath("docs", "testing.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


QUICK = ("-p", "no:hypothesispytest", "-p", "no:schemathesis")
"""Options that leave out plugins that take long to load."""


@pytest.mark.long
def test_the_documented_tests_pass(tmp_path: Path) -> None:
    assert len(BLOCKS) == TEXT.count("```python")
    for name, code in BLOCKS:
        (tmp_path / name).write_text(code)

    for options in (["test_recorded.py", "--guestlist-record"], []):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "pytest", "-q", *QUICK, *options],
            cwd=tmp_path,
            env={**os.environ, "GUESTLIST_CONFIG": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
