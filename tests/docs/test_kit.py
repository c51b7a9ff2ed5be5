"""docs/kit.md names what a plugin author may use of the kit, as it is defined."""

from __future__ import annotations

import re
from inspect import getmembers, isclass, isfunction
from pathlib import Path

import pytest
from tools.reference import kit

from guestlist.sandbox import OrganizationService, SandboxRefusal, errors, refusals
from guestlist.sandbox.organization import Record
from guestlist.sandbox.routing import ERRORS
from pytest_guestlist import conformance

TEXT = Path(__file__).parents[2].joinpath("docs", "kit.md").read_text("utf-8")
CLASSES = [
    *(name for name in conformance.__all__ if name != "Skipped"),
    *(name for name, one in getmembers(errors, isclass) if one.__module__ == errors.__name__),
    *(
        name
        for name, one in getmembers(refusals, isclass)
        if issubclass(one, SandboxRefusal) and one is not SandboxRefusal
    ),
    *("Service", "OrganizationService", "Organization", "Routes", "IncomingRequest", "Switch"),
    *(
        "Record",
        *(one.__name__ for one in Record.__subclasses__() if one.__module__ == Record.__module__),
        "Key",
    ),
]


def test_it_is_what_the_docstrings_say() -> None:
    assert kit() == TEXT, "run: uv run tools/reference.py"


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_a_section_with_text(name: str) -> None:
    found = re.search(rf"^### `{name}`\n\n(?:```python\n.*?```\n\n)?[A-Z]", TEXT, re.M | re.S)
    assert found


@pytest.mark.parametrize(
    "name", [name for name, _ in getmembers(conformance.Backend, isfunction) if name[0] != "_"]
)
def test_every_method_of_a_backend_is_described(name: str) -> None:
    assert re.search(rf"^#### `Backend\.{name}`\n\n```python\n.*?```\n\n[A-Z]", TEXT, re.M | re.S)


def test_the_default_status_of_each_refusal_is_listed() -> None:
    (line,) = re.findall(r"^\* `errors` .*?\n(?=\* )", TEXT, re.M | re.S)
    text = " ".join(line.split())
    for kind, status in ERRORS.items():
        name = "the others" if kind is SandboxRefusal else f"`{kind.__name__}`"
        assert f"{status} for {name}" in text


@pytest.mark.parametrize("name", ["sender", "subject", "text", "link"])
def test_the_keys_of_an_email_are_named(name: str) -> None:
    assert f"`{name}`" in (OrganizationService.email.__doc__ or "")
