"""Documents and examples import public modules only."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import guestlist

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "guestlist",
    "guestlist.console",
    "guestlist.errors",
    "guestlist.models",
    "guestlist.provider",
    "guestlist.sandbox",
    # the parts that a provider's sandbox is made of
    *(f"guestlist.sandbox.{name}" for name in ("envelopes", "organization", "paging", "refusals")),
    "guestlist_aitronos",
    "guestlist_anthropic",
    "guestlist_betterauth",
    "guestlist_openai",
    "guestlist_vultr",
    "pytest_guestlist",
    "pytest_guestlist.clock",
    "pytest_guestlist.conformance",
}
OF_THE_TUTORIAL = {"guestlist_parlor", "guestlist_parlor.sandbox"}
PATTERNS = (
    *("*.md", "docs/**/*.md", "examples/**/*.md", "providers/*/README.md"),
    *("core/README.md", "testkit/README.md"),
)
PAGES = sorted(page for pattern in PATTERNS for page in ROOT.glob(pattern))
EXAMPLES = sorted(ROOT.glob("examples/**/*.py"))


def imports_of(code: str) -> set[tuple[str, str]]:
    """The names that a module imports from guestlist, each with its module."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            found |= {(node.module or "", one.name) for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {(one.name, "") for one in node.names}
    return {one for one in found if one[0].partition(".")[0].startswith(("guestlist", "pytest_g"))}


def statements(page: str) -> list[str]:
    """The import statements on a page, without the prompts of an interpreter."""
    plain = re.sub(r"^(>>>|\.\.\.) ?", "", page, flags=re.MULTILINE)
    found = re.findall(
        r"^ *((?:from|import) (?:guestlist|pytest_guestlist)[^\n(]*(?:\([^)]*\))?)",
        plain,
        re.MULTILINE,
    )
    return [one for one in found if re.match(r"import [\w.]+( as \w+)?$|from [\w.]+ import", one)]


def check(found: set[tuple[str, str]]) -> None:
    for module, name in found:
        assert module in PUBLIC | OF_THE_TUTORIAL, f"{module} is not public"
        if name and module in PUBLIC:
            assert hasattr(import_module(module), name), f"{module} has no {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_imports_public_modules_only(page: Path) -> None:
    for statement in statements(page.read_text(encoding="utf-8")):
        check(imports_of(statement))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: str(one.relative_to(ROOT)))
def test_an_example_imports_public_modules_only(example: Path) -> None:
    check(imports_of(example.read_text(encoding="utf-8")))


def test_the_pages_have_imports() -> None:
    """So that a change of their format does not make the tests above empty."""
    assert sum(len(statements(page.read_text(encoding="utf-8"))) for page in PAGES) > 20


@pytest.mark.parametrize("name", guestlist.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(guestlist, name) is not None
