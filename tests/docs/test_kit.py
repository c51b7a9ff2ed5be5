"""docs/kit.md names what a plugin author may use of the kit, as it is defined."""

from __future__ import annotations

import re
from inspect import getmembers, isclass, isfunction
from pathlib import Path

import pytest
from tools.reference import kit

from guestlist.sandbox import SandboxRefusal, errors, refusals
from pytest_guestlist import conformance

TEXT = Path(__file__).parents[2].joinpath("docs", "kit.md").read_text("utf-8")
CLASSES = [
    *(name for name in conformance.__all__ if name != "Lacking"),
    *(name for name, one in getmembers(errors, isclass) if one.__module__ == errors.__name__),
    *(
        name
        for name, one in getmembers(refusals, isclass)
        if issubclass(one, SandboxRefusal) and one is not SandboxRefusal
    ),
    *("Service", "OrganizationService", "Organization", "Routes", "Call", "Switch"),
]


def test_it_is_what_the_docstrings_say() -> None:
    assert kit() == TEXT, "run: uv run tools/reference.py"


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_a_section_with_text(name: str) -> None:
    found = re.search(rf"^### `{name}`\n\n(?:```python\n.*?```\n\n)?[A-Z]", TEXT, re.M | re.S)
    assert found


@pytest.mark.parametrize(
    "name", [name for name, _ in getmembers(conformance.Setting, isfunction) if name[0] != "_"]
)
def test_every_method_of_a_setting_is_described(name: str) -> None:
    assert re.search(rf"^#### `Setting\.{name}`\n\n```python\n.*?```\n\n[A-Z]", TEXT, re.M | re.S)
