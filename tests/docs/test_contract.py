"""docs/contract.md names all that a plugin's author may use, as it is defined."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tools.reference import contract

from guestlist import models, provider
from guestlist.plugins import Hooks

TEXT = Path(__file__).parents[2].joinpath("docs", "contract.md").read_text("utf-8")


def public_functions() -> Iterator[tuple[str, Any]]:
    for name in provider.__all__:
        value = getattr(provider, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value) and value.__module__.startswith("guestlist."):
            yield from methods(value)
    yield from methods(Hooks)


def methods(owner: type) -> Iterator[tuple[str, Any]]:
    for name, value in vars(owner).items():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        if function.__module__.startswith("guestlist."):  # pydantic adds methods of its own
            yield f"{owner.__name__}.{name}", function


def test_it_is_what_the_docstrings_say() -> None:
    assert contract() == TEXT, "run: uv run tools/reference.py"


@pytest.mark.parametrize("name", [*provider.__all__, "Hooks"])
def test_every_public_name_is_there(name: str) -> None:
    assert f"\n## `{name}`\n" in TEXT


@pytest.mark.parametrize(("name", "function"), list(public_functions()))
def test_every_function_has_its_signature(name: str, function: Any) -> None:
    written = TEXT.partition(f"## `{name}`\n")[2].partition("\n```\n")[0]
    signature = f"def {function.__name__}{inspect.signature(function)}"

    assert compact(written[written.index("def ") :]) == compact(signature)


def compact(signature: str) -> str:
    """Without what is a matter of layout."""
    signature = re.sub(r"<(\w+\.\w+): '\w+'>", r"\1", signature)  # of an enumeration
    text = "".join(re.sub("['\"]", "", signature).replace("Ellipsis", "...").split())
    return text.replace(",)", ")")


VALUES = ("NewInvitation", "Invitation", "Member", "Role", "Grant", "Guest")
WORDS = ("State", "Basis", "MemberState")


@pytest.mark.parametrize("name", [*VALUES, *WORDS])
def test_every_field_of_a_value_is_documented_on_the_page_and_in_help(name: str) -> None:
    kind = getattr(models, name)
    section = TEXT.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    for field in kind.__members__ if name in WORDS else kind.model_fields:
        assert re.search(rf"^\* `{field}`.*: ", section, re.MULTILINE)
        assert f"    {field}: " in kind.__doc__


@pytest.mark.parametrize("fact", sorted(provider.Provider.__class_vars__))
def test_every_fact_is_there(fact: str) -> None:
    assert f"\n#### `Provider.{fact}`\n" in TEXT
