"""The suite finds the mistakes that authors make: each sabotage of a correct provider fails it."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_guestlist.conformance import ProviderSuite

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    """Imports a module beside this one: the folders of tests are not packages."""
    sys.path.insert(0, str(HERE))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(HERE))


class TestGuild(ProviderSuite):
    kind = load("guild_provider").Guild
    service = load("guild_service").GuildService


SABOTAGES: list[dict[str, Any]] = tomllib.loads((HERE / "sabotages.toml").read_text("utf-8"))[
    "sabotage"
]
IMPORTS = "from dataclasses import replace\nfrom guestlist.provider import Effect, every\n"

SUITE = """\
from {module} import Guild
from guild_service import GuildService
from pytest_guestlist.conformance import ProviderSuite

class TestBroken(ProviderSuite):
    kind = Guild
    service = GuildService

for name in dir(ProviderSuite):
    if name.startswith("test_") and not name.startswith({found_by!r}):
        setattr(TestBroken, name, None)
"""


def sabotaged(sabotage: dict[str, Any]) -> str:
    """Returns the source of the provider with one mistake."""
    text = (HERE / "guild_provider.py").read_text("utf-8")
    parts, nth = text.split(sabotage["old"]), sabotage.get("nth", 1)
    assert len(parts) > nth, f"the text of {sabotage['name']!r} is not there"
    old, new = str(sabotage["old"]), str(sabotage["new"])
    text = old.join(parts[:nth]) + new.lstrip("\n") + old.join(parts[nth:])
    return text.replace("from guestlist.errors", f"{IMPORTS}from guestlist.errors", 1)


def test_each_sabotage_fails_the_suite(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    for number, sabotage in enumerate(SABOTAGES):
        module = f"guild_{number}"
        pytester.makepyfile(
            **{
                module: sabotaged(sabotage),
                f"test_{number}": SUITE.format(module=module, found_by=sabotage["found_by"]),
            }
        )
    result = pytester.runpytest_inprocess(
        "-n0", "-q", "-rf", "-p", "no:schemathesis", "-p", "no:cacheprovider"
    )
    failed = {line.split("::")[0] for line in result.outlines if line.startswith("FAILED")}
    survivors = [
        sabotage["name"]
        for number, sabotage in enumerate(SABOTAGES)
        if f"FAILED test_{number}.py" not in failed
    ]
    assert survivors == []
