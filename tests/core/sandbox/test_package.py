"""`guestlist.sandbox` is cheap to import, and says what is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import guestlist.sandbox

CHEAP = """
import sys
import guestlist.sandbox
heavy = {"starlette", "uvicorn", "jinja2"} & set(sys.modules)
assert not heavy, heavy
from guestlist.sandbox import AdjustableClock, Service
assert not {"uvicorn", "jinja2"} & set(sys.modules)
"""
MISSING = """
import sys
sys.modules[sys.argv[1]] = None
try:
    from guestlist.sandbox import Sandbox
except ImportError as error:
    print(error)
"""


def run(program: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True
    ).stdout


def test_import_is_cheap() -> None:
    run(CHEAP)


@pytest.mark.parametrize("name", ["starlette", "uvicorn", "jinja2"])
def test_missing_extra_is_named(name: str) -> None:
    assert 'pip install "guestlist[sandbox]"' in run(MISSING, name)


def test_every_public_name_is_there() -> None:
    for name in guestlist.sandbox.__all__:
        assert getattr(guestlist.sandbox, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = guestlist.sandbox.Nothing
