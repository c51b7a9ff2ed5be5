"""Every block of Python in `docs/testing.md` is a file that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guestlist import Guestlist

pytest_plugins = ["pytester"]

TEXT = Path(__file__).parents[2].joinpath("docs", "testing.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


QUICK = ("-p", "no:hypothesispytest", "-p", "no:schemathesis")
"""Options that leave out plugins that take long to load."""


def test_the_documented_tests_pass(
    pytester: pytest.Pytester, guestlist_client: Guestlist, monkeypatch: pytest.MonkeyPatch
) -> None:
    guestlist_client.check(account="vultr")  # loads what pytester would otherwise load anew
    monkeypatch.setenv("GUESTLIST_CONFIG", "")
    assert len(BLOCKS) == TEXT.count("```python")
    for name, code in BLOCKS:
        (pytester.path / name).write_text(code)

    for options in (["test_recorded.py", "--guestlist-record"], []):
        done = pytester.runpytest_inprocess("-W", "error", "-q", *QUICK, *options)
        assert done.ret == pytest.ExitCode.OK
