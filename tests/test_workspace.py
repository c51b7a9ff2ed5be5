"""What is written per package in several places agrees with the packages there are."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROVIDERS = sorted(path.parent.name for path in ROOT.glob("providers/*/pyproject.toml"))


def read(path: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_workspace_knows_every_provider(name: str) -> None:
    root = read("pyproject.toml")
    package = f"guestlist_{name}"
    contracts = {contract["id"]: contract for contract in root["tool"]["importlinter"]["contracts"]}

    assert f"guestlist-{name}[sandbox]" in root["project"]["dependencies"]
    assert f"guestlist-{name}" in root["tool"]["uv"]["sources"]
    assert f"providers/{name}/src" in root["tool"]["mypy"]["mypy_path"]
    assert package in root["tool"]["importlinter"]["root_packages"]
    assert package in contracts["providers"]["source_modules"]
    assert package in contracts["transport"]["source_modules"]


KINDS = {
    "aitronos": "Aitronos",
    "anthropic": "Anthropic",
    "betterauth": "BetterAuth",
    "github": "GitHub",
    "gitlab": "GitLab",
    "keycloak": "Keycloak",
    "openai": "OpenAI",
    "scim": "Scim",
    "vultr": "Vultr",
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_extra_installs_the_provider(name: str) -> None:
    extras = read("core/pyproject.toml")["project"]["optional-dependencies"]
    assert extras[name] == [f"guestlist-{name}"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_found_the_way_a_stranger_s_is(name: str) -> None:
    project = read(f"providers/{name}/pyproject.toml")["project"]

    assert project["name"] == f"guestlist-{name}"
    assert project["entry-points"]["guestlist"] == {name: f"guestlist_{name}:{KINDS[name]}"}


@pytest.mark.parametrize("folder", ["core", *(f"providers/{name}" for name in PROVIDERS)])
def test_every_package_carries_the_licence(folder: str) -> None:
    assert (ROOT / folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_first_command_of_the_readme_installs_no_tools_of_developers() -> None:
    root = read("pyproject.toml")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = readme.partition("<!-- main-command -->")[2].split("```")[1]

    assert "uv run --no-dev guestlist " in command
    assert root["project"]["dependencies"] == [
        "guestlist[cli,console,ledger,sandbox]",
        *(f"guestlist-{name}[sandbox]" for name in PROVIDERS),
    ]
