"""docs/reference.md describes all that an application may use, as it is defined."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from tools.reference import reference

import guestlist

TEXT = Path(__file__).parents[2].joinpath("docs", "reference.md").read_text("utf-8")
NAMES = [name for name in guestlist.__all__ if name != "__version__"]
METHODS = sorted(name for name in dir(guestlist.Guestlist) if not name.startswith("_"))


def described(name: str) -> str:
    """The section of a name, without its subsections."""
    found = re.search(rf"^(#+) `{re.escape(name)}`\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return found[2] if found else ""


def test_it_is_what_the_docstrings_say() -> None:
    assert reference() == TEXT, "run: uv run tools/reference.py"


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_a_section_with_text(name: str) -> None:
    assert re.search(r"^```\n\n[A-Z`]|\A\n[A-Z`]", described(name), re.MULTILINE)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_the_client_has_its_signature(method: str) -> None:
    value = inspect.getattr_static(guestlist.Guestlist, method)
    if isinstance(value, property):
        assert f"def {method}(self) -> " in described(f"Guestlist.{method}")
        return
    for parameter in inspect.signature(getattr(guestlist.Guestlist, method)).parameters.values():
        assert re.search(rf"\b{parameter.name}\b", described(f"Guestlist.{method}"))


@pytest.mark.parametrize("method", METHODS)
def test_every_argument_of_a_method_is_described(method: str) -> None:
    text = described(f"Guestlist.{method}")
    for name in re.findall(r"^    (\w+): ", text, re.MULTILINE):
        assert f"* `{name}`: " in text


@pytest.mark.parametrize(
    "name", [name for name in NAMES if hasattr(getattr(guestlist, name), "model_fields")]
)
def test_every_field_of_a_result_is_listed(name: str) -> None:
    kind: type[BaseModel] = getattr(guestlist, name)
    for field in kind.model_fields:
        assert f"* `{field}` (" in described(name) or f"* `{field}`: " in described(name)
