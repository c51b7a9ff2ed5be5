"""`import guestlist` costs nothing until something is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import guestlist

HEAVY = ("anyio", "asyncio", "httpcore", "httpx", "pluggy", "pydantic", "pydantic_core", "tomllib")


def loaded_after(program: str) -> set[str]:
    """The modules that a fresh interpreter has loaded when the program is done."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    "program",
    [
        "import guestlist",
        "import guestlist; guestlist.__version__; dir(guestlist)",
        "from guestlist import GuestlistError, NotFound, Event",
    ],
)
def test_nothing_heavy_is_loaded(program: str) -> None:
    loaded = loaded_after(program)
    assert "guestlist" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_what_is_used_is_loaded() -> None:
    assert "pydantic" in loaded_after("from guestlist import State")
    loaded = loaded_after("from guestlist import Guestlist; Guestlist({})")
    assert {"pydantic", "pluggy"} <= loaded
    assert "asyncio" not in loaded


def test_every_name_is_there() -> None:
    assert guestlist.__all__ == ["__version__", *sorted(set(guestlist.__all__) - {"__version__"})]
    for name in guestlist.__all__:
        assert getattr(guestlist, name) is not None
    assert all(hasattr(guestlist, name) for name in guestlist.__all__)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(inspect.getfile(guestlist)).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in imports
        for alias in node.names
        if alias.asname  # said to be public
    }
    assert set(seen) == set(guestlist.__all__) - {"__version__"}
    for name, path in seen.items():
        value = getattr(guestlist, str(name))
        assert not inspect.isclass(value) or f"{value.__module__}.{value.__qualname__}" == path


def test_every_error_and_model_is_public() -> None:
    from guestlist import errors, models

    for module in (errors, models):
        for name, value in inspect.getmembers(module, inspect.isclass):
            own = value.__module__ == module.__name__ and not name.startswith("_")
            if own and name not in ("Model", "Answered", "Result"):
                assert name in guestlist.__all__


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'guestlist' has no attribute 'guestlit'"):
        guestlist.guestlit  # noqa: B018
    with pytest.raises(ImportError, match="guestlit"):
        exec("from guestlist import guestlit")  # noqa: S102


@pytest.mark.parametrize("first", ["import guestlist", "from guestlist import Guestlist"])
def test_the_date_can_be_frozen_right_after_the_import(first: str) -> None:
    """freezegun reads the attributes of every loaded module."""
    program = f"{first}\nfrom freezegun import freeze_time\nwith freeze_time('2030-01-01'): pass"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--version"], set()),
        (["--help"], set()),
        (["config", "path"], set()),
        (["status", "ada@example.com"], {"guestlist_vultr"}),
    ],
)
def test_a_command_imports_only_the_providers_of_its_accounts(
    tmp_path: Path, arguments: list[str], needed: set[str]
) -> None:
    config = tmp_path / "guestlist.toml"
    nowhere = "http://127.0.0.1:9"  # the discard port: refused at once
    config.write_text(
        f"[budget]\nattempts = 1\n"
        f"[accounts.cloud]\nprovider = 'vultr'\napi_key = 'k'\nbase_url = '{nowhere}'\n",
        encoding="utf-8",
    )
    program = (
        "import atexit, os, sys\n"
        "from guestlist.cli.__main__ import program\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=open('loaded', 'w')))\n"
        f"sys.argv = ['guestlist', *{arguments!r}]\n"
        "program()\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    loaded = (tmp_path / "loaded").read_text(encoding="utf-8").split()
    providers = {name for name in loaded if name.startswith("guestlist_") and "." not in name}
    assert providers == needed
